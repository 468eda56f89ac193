//! Groups whose members agree among themselves: the coordinator gathers who is there, names a leader, carries its
//! assignment to the others, and notices who is gone. Kafka's `ClassicGroup` and the part of `GroupMetadataManager` that
//! moves it.

mod group;
mod heartbeat;
mod join;
mod leave;
mod member;
mod rebalance;
mod replay;
mod sync;
mod turn;

pub(crate) use group::{Group, MemberError, Phase};
pub(crate) use leave::left;
pub(crate) use turn::Turn;
