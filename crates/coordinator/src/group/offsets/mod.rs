//! Committed offsets: where each group goes on reading. Kafka's `OffsetMetadataManager`, but for transactions.

mod commit;
mod delete;
mod expire;
mod fetch;

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::Uuid;
use protocol::offset_commit_value::OffsetCommitValue;

use crate::group::GroupRecord;

/// A topic that is no more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeletedTopic {
    pub name: String,
    pub id: Uuid,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Committed {
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: Box<str>,
    pub commit_ms: i64,
    /// For clients of before 2.1, which choose the retention themselves.
    pub expire_ms: Option<i64>,
    /// Zero where the client did not say, or the record is older than Kafka 4.2.
    pub topic_id: Uuid,
}

type OfTopic = BTreeMap<i32, Committed>;
type OfGroup = BTreeMap<Box<str>, OfTopic>;

/// By group, topic and partition. No entry is empty.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    groups: BTreeMap<Arc<str>, OfGroup>,
}

impl Offsets {
    pub fn of_group(&self, group_id: &str) -> Option<&OfGroup> {
        self.groups.get(group_id)
    }

    /// Topic, partition and offset of all that a group has committed.
    pub fn committed(&self, group_id: &str) -> impl Iterator<Item = (&str, i32, i64)> {
        let topics = self.groups.get(group_id).into_iter().flatten();
        topics.flat_map(|(topic, partitions)| {
            partitions.iter().map(|(partition, committed)| (&**topic, *partition, committed.offset))
        })
    }

    fn find(&self, group_id: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.groups.get(group_id)?.get(topic)?.get(&partition)
    }

    pub fn apply(&mut self, group_id: &str, topic: &str, partition: i32, value: Option<&OffsetCommitValue>) {
        match value {
            Some(value) => self.put(group_id, topic, partition, Committed::from(value)),
            None => self.remove(group_id, topic, partition),
        }
    }

    fn put(&mut self, group_id: &str, topic: &str, partition: i32, committed: Committed) {
        let of_group = match self.groups.get_mut(group_id) {
            Some(of_group) => of_group,
            None => self.groups.entry(Arc::from(group_id)).or_default(),
        };
        if let Some(of_topic) = of_group.get_mut(topic) {
            of_topic.insert(partition, committed);
        } else {
            of_group.insert(topic.into(), BTreeMap::from([(partition, committed)]));
        }
    }

    fn remove(&mut self, group_id: &str, topic: &str, partition: i32) {
        let Some(of_group) = self.groups.get_mut(group_id) else { return };
        let Some(of_topic) = of_group.get_mut(topic) else { return };
        of_topic.remove(&partition);
        if of_topic.is_empty() {
            of_group.remove(topic);
        }
        if of_group.is_empty() {
            self.groups.remove(group_id);
        }
    }
}

impl From<&OffsetCommitValue> for Committed {
    fn from(value: &OffsetCommitValue) -> Committed {
        Committed {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.as_str().into(),
            commit_ms: value.commit_timestamp,
            expire_ms: Some(value.expire_timestamp).filter(|&expire_ms| expire_ms != -1),
            topic_id: value.topic_id,
        }
    }
}

fn tombstone(group_id: &str, topic: &str, partition: i32) -> GroupRecord {
    GroupRecord::OffsetCommit { group_id: group_id.to_owned(), topic: topic.to_owned(), partition, value: None }
}
