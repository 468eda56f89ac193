//! OffsetFetch: where a group goes on reading. Nothing committed is not an error.

use protocol::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use protocol::{ErrorCode, Uuid};

use super::{Committed, Offsets};
use crate::group::api::no_offset;

impl Offsets {
    pub fn fetch(&self, request: &OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
        let topics = match &request.topics {
            Some(topics) => topics.iter().map(|topic| self.fetch_topic(&request.group_id, topic)).collect(),
            None => self.fetch_all(&request.group_id),
        };
        OffsetFetchResponseGroup { group_id: request.group_id.clone(), topics, ..Default::default() }
    }

    fn fetch_topic(&self, group_id: &str, topic: &OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
        let partitions = topic.partition_indexes.iter().map(|&index| {
            let committed = self.find(group_id, &topic.name, index);
            match committed.filter(|committed| !committed.is_of_another_topic(topic.topic_id)) {
                Some(committed) => committed.answer(index),
                None => no_offset(index, ErrorCode::None),
            }
        });
        let partitions = partitions.collect();
        OffsetFetchResponseTopics {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions,
            ..Default::default()
        }
    }

    fn fetch_all(&self, group_id: &str) -> Vec<OffsetFetchResponseTopics> {
        let topics =
            self.of_group(group_id).into_iter().flatten().map(|(topic, partitions)| OffsetFetchResponseTopics {
                name: topic.to_string(),
                partitions: partitions.iter().map(|(&index, committed)| committed.answer(index)).collect(),
                ..Default::default()
            });
        topics.collect()
    }
}

impl Committed {
    /// The topic was deleted and another of its name created. Who does not know the id gets what there is.
    fn is_of_another_topic(&self, expected: Uuid) -> bool {
        !self.topic_id.is_zero() && !expected.is_zero() && self.topic_id != expected
    }

    fn answer(&self, partition_index: i32) -> OffsetFetchResponsePartitions {
        OffsetFetchResponsePartitions {
            partition_index,
            committed_offset: self.offset,
            committed_leader_epoch: self.leader_epoch,
            metadata: Some(self.metadata.to_string()),
            ..Default::default()
        }
    }
}
