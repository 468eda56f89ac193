//! The coordinators of a broker: machines whose hard state is a partition of an internal topic. Here are the groups of
//! consumers; transactions and share groups will stand beside them. Knows no socket, no log, no task and no clock: the
//! server brings requests, the log and the time, and sends the answers.

pub mod group;

pub use group::{
    Answer, Answers, Caller, DeletedTopic, GroupConfig, GroupRecord, GroupShard, ReplayError, Request, partition_for,
};
