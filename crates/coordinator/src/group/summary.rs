//! What whoever watches a broker wants to know of its groups.
use std::sync::Arc;

use super::Groups;
use super::classic::Phase;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupSummary {
    pub group_id: Arc<str>,
    pub state: GroupState,
    pub members: usize,
    pub committed: Vec<CommittedOffset>,
}

/// Kafka's `ClassicGroupState`, without the one of a group that is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GroupState {
    CompletingRebalance,
    Empty,
    PreparingRebalance,
    Stable,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CommittedOffset {
    pub topic: Box<str>,
    pub partition: i32,
    pub offset: i64,
}

impl<T> Groups<T> {
    pub(super) fn summaries(&self) -> impl Iterator<Item = GroupSummary> {
        self.groups.values().map(|group| GroupSummary {
            group_id: group.id.clone(),
            state: match group.phase {
                Phase::CompletingRebalance => GroupState::CompletingRebalance,
                Phase::Empty => GroupState::Empty,
                Phase::PreparingRebalance { .. } => GroupState::PreparingRebalance,
                Phase::Stable => GroupState::Stable,
            },
            members: group.members.len(),
            committed: self
                .offsets
                .committed(&group.id)
                .map(|(topic, partition, offset)| CommittedOffset { topic: topic.into(), partition, offset })
                .collect(),
        })
    }
}
