//! The lane: one sequence of groups for all logs of a directory, in files that are written before they are used and used
//! again. This room knows bytes, places and the chain from group to group; what a record means for a log is not its
//! business.
pub(crate) mod builder;
pub(crate) mod group;
pub(crate) mod lane;
pub(crate) mod record;
mod salvage;
pub(crate) mod walk;

pub(crate) use builder::GroupBuilder;
pub(crate) use group::{GoesOn, GroupKind, Place};
pub(crate) use lane::{Lane, LanePoint, LaneSpace, Room};

/// What the lane is written in: a group begins on a fresh block.
pub(crate) const BLOCK: usize = env::buffer::BLOCK;
