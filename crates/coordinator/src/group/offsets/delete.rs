//! Offsets that are taken back: by OffsetDelete (KIP-496), with their group, or with their topic.

use machine::Step;
use protocol::ErrorCode;
use protocol::offset_delete_request::OffsetDeleteRequest;
use protocol::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

use super::{DeletedTopic, Offsets, tombstone};
use crate::group::classic::{Group, Phase};
use crate::group::{Answer, GroupRecord, Groups};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum DeleteOffsetsError {
    GroupIdNotFound,
    /// Of a group that has members, only topics that no member consumes can be told from the others.
    NonEmptyGroup,
}

impl DeleteOffsetsError {
    fn error_code(self) -> ErrorCode {
        match self {
            DeleteOffsetsError::GroupIdNotFound => ErrorCode::GroupIdNotFound,
            DeleteOffsetsError::NonEmptyGroup => ErrorCode::NonEmptyGroup,
        }
    }
}

impl<T> Groups<T> {
    pub fn delete_offsets(&self, request: &OffsetDeleteRequest, ticket: T, step: &mut Step<Self>) {
        let group = match self.check_delete_offsets(&request.group_id) {
            Ok(group) => group,
            Err(error) => {
                let error_code = error.error_code().code();
                let answer = OffsetDeleteResponse { error_code, ..Default::default() };
                return step.answer(ticket, Answer::OffsetDelete(answer));
            }
        };
        let mut response = OffsetDeleteResponse::default();
        for topic in &request.topics {
            let subscribed = group.is_subscribed_to(&topic.name);
            let error = if subscribed { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None };
            let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
            for index in partitions.clone().filter(|_| !subscribed) {
                if self.offsets.find(&request.group_id, &topic.name, index).is_some() {
                    step.record(tombstone(&request.group_id, &topic.name, index));
                }
            }
            let partitions = partitions.map(|partition_index| OffsetDeleteResponsePartition {
                partition_index,
                error_code: error.code(),
                ..Default::default()
            });
            response.topics.push(OffsetDeleteResponseTopic {
                name: topic.name.clone(),
                partitions: partitions.collect(),
                ..Default::default()
            });
        }
        step.answer(ticket, Answer::OffsetDelete(response));
    }

    fn check_delete_offsets(&self, group_id: &str) -> Result<&Group<T>, DeleteOffsetsError> {
        let group = self.find(group_id).ok_or(DeleteOffsetsError::GroupIdNotFound)?;
        match group.phase {
            Phase::Empty => Ok(group),
            _ if group.uses_consumer_protocol() => Ok(group),
            _ => Err(DeleteOffsetsError::NonEmptyGroup),
        }
    }
}

impl Offsets {
    /// What deletes all offsets of a group.
    pub fn tombstones_of_group(&self, group_id: &str) -> Vec<GroupRecord> {
        let topics = self.of_group(group_id).into_iter().flatten();
        let partitions = topics.flat_map(|(topic, partitions)| partitions.keys().map(move |index| (topic, *index)));
        partitions.map(|(topic, index)| tombstone(group_id, topic, index)).collect()
    }

    /// What deletes the offsets of topics in all groups, but not those of a younger topic of the same name.
    pub fn tombstones_of_topics(&self, topics: &[DeletedTopic]) -> Vec<GroupRecord> {
        let mut tombstones = Vec::new();
        for (group_id, of_group) in &self.groups {
            for topic in topics {
                let partitions = of_group.get(topic.name.as_str()).into_iter().flatten();
                let of_topic =
                    partitions.filter(|(_, committed)| committed.topic_id.is_zero() || committed.topic_id == topic.id);
                tombstones.extend(of_topic.map(|(index, _)| tombstone(group_id, &topic.name, *index)));
            }
        }
        tombstones
    }
}
