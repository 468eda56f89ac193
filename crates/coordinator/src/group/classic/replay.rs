//! What the log does to a group that lives: it confirms. The group is ahead of its records in all but one thing, the
//! assignment, which nobody has before it is written.

use bytes::Bytes;
use protocol::group_metadata_value::GroupMetadataValue;

use super::group::{Group, Phase};

impl<T> Group<T> {
    pub fn confirm(&mut self, value: &GroupMetadataValue) {
        let completes = self.phase == Phase::CompletingRebalance
            && self.generation == value.generation
            && !value.members.is_empty();
        if !completes {
            return;
        }
        self.members.values_mut().for_each(|member| member.assignment = Bytes::new());
        for written in &value.members {
            if let Some(member) = self.members.get_mut(&*written.member_id) {
                member.assignment = written.assignment.clone();
            }
        }
        self.phase = Phase::Stable;
    }
}
