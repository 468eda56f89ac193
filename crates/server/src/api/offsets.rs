//! OffsetCommit, OffsetFetch and OffsetDelete. What the coordinator does not know is done here, as in Kafka's `KafkaApis`:
//! topics that do not exist, ids for names and names for ids.
use coordinator::group::Request;
use metadata::Image;
use protocol::offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestTopic, OffsetCommitRequestView};
use protocol::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use protocol::offset_delete_request::{OffsetDeleteRequest, OffsetDeleteRequestView};
use protocol::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use protocol::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchRequestView};
use protocol::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use protocol::{ErrorCode, Uuid, View};
use record::TopicId;

use super::{Answer, Call};

/// From this version on topics are named by id.
const IDS_SINCE: i16 = 10;

pub async fn commit(call: Call) -> Answer {
    let mut request = call.request::<OffsetCommitRequestView<'_>>()?.to_message();
    let image = call.broker.image();
    let mut refused = Refused::default();
    for topic in &mut request.topics {
        resolve(&image, call.version, topic, &mut refused);
    }
    request.topics.retain(|topic| !topic.partitions.is_empty());
    // With nothing left to ask, not even a group is made.
    let committed = match request.topics.is_empty() {
        true => OffsetCommitResponse::default(),
        false => pass_on(&call, request).await,
    };
    call.reply(&refused.before(committed))
}

async fn pass_on(call: &Call, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let group_id = request.group_id.clone();
    call.ask_group(&group_id, Request::OffsetCommit(request)).await.into_offset_commit()
}

/// Fills in what the version does not name, and takes out the partitions that do not exist.
fn resolve(image: &Image, version: i16, topic: &mut OffsetCommitRequestTopic, refused: &mut Refused) {
    let known = match version >= IDS_SINCE {
        true => image.topics.by_id(TopicId(topic.topic_id.0)),
        false => image.topics.by_name(&topic.name),
    };
    let key = (topic.name.clone(), topic.topic_id);
    let Some(known) = known else {
        let error = match version >= IDS_SINCE {
            true => ErrorCode::UnknownTopicId,
            false => ErrorCode::UnknownTopicOrPartition,
        };
        refused.topic(&key); // Also if nothing of it is asked.
        let partitions = std::mem::take(&mut topic.partitions);
        partitions.iter().for_each(|partition| refused.push(&key, partition.partition_index, error));
        return;
    };
    topic.name = known.name.to_string();
    topic.topic_id = Uuid(known.id.0);
    let key = (topic.name.clone(), topic.topic_id);
    topic.partitions.retain(|partition| {
        let exists = known.partitions.find(partition.partition_index).is_some();
        if !exists {
            refused.push(&key, partition.partition_index, ErrorCode::UnknownTopicOrPartition);
        }
        exists
    });
}

/// Partitions that were answered before the coordinator was asked.
#[derive(Default)]
struct Refused {
    topics: Vec<OffsetCommitResponseTopic>,
}

impl Refused {
    fn push(&mut self, topic: &(String, Uuid), partition_index: i32, error: ErrorCode) {
        let error_code = error.code();
        let partition = OffsetCommitResponsePartition { partition_index, error_code, ..Default::default() };
        self.topic(topic).partitions.push(partition);
    }

    /// They come first, as in Kafka's `OffsetCommitResponse.Builder.merge`.
    fn before(mut self, committed: OffsetCommitResponse) -> OffsetCommitResponse {
        if self.topics.is_empty() {
            return committed; // A topic that was named twice is then answered twice, too.
        }
        for topic in committed.topics {
            self.topic(&(topic.name, topic.topic_id)).partitions.extend(topic.partitions);
        }
        OffsetCommitResponse { topics: self.topics, ..Default::default() }
    }

    fn topic(&mut self, (name, topic_id): &(String, Uuid)) -> &mut OffsetCommitResponseTopic {
        let same = |topic: &OffsetCommitResponseTopic| topic.name == *name && topic.topic_id == *topic_id;
        let index = self.topics.iter().position(same).unwrap_or_else(|| {
            let (name, topic_id) = (name.clone(), *topic_id);
            self.topics.push(OffsetCommitResponseTopic { name, topic_id, ..Default::default() });
            self.topics.len() - 1
        });
        &mut self.topics[index]
    }
}

pub async fn fetch(call: Call) -> Answer {
    let request = call.request::<OffsetFetchRequestView<'_>>()?.to_message();
    if call.version >= 8 {
        let mut groups = Vec::with_capacity(request.groups.len());
        for group in request.groups {
            groups.push(fetch_group(&call, group, request.require_stable).await);
        }
        return call.reply(&OffsetFetchResponse { groups, ..Default::default() });
    }
    let topics = request.topics.map(|topics| {
        let topics = topics.into_iter().map(|topic| OffsetFetchRequestTopics {
            name: topic.name,
            partition_indexes: topic.partition_indexes,
            ..Default::default()
        });
        topics.collect()
    });
    let group = OffsetFetchRequestGroup { group_id: request.group_id, topics, ..Default::default() };
    let fetched = fetch_group(&call, group, request.require_stable).await;
    let topics = fetched.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(before_version_8).collect(),
        ..Default::default()
    });
    call.reply(&OffsetFetchResponse { topics: topics.collect(), error_code: fetched.error_code, ..Default::default() })
}

fn before_version_8(partition: OffsetFetchResponsePartitions) -> OffsetFetchResponsePartition {
    OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
        ..Default::default()
    }
}

async fn fetch_group(
    call: &Call,
    mut group: OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let group_id = group.group_id.clone();
    let image = call.broker.image();
    let mut unknown = Vec::new();
    if call.version >= IDS_SINCE
        && let Some(topics) = &mut group.topics
    {
        topics.retain_mut(|topic| match image.topics.by_id(TopicId(topic.topic_id.0)) {
            Some(known) => {
                topic.name = known.name.to_string();
                true
            }
            None => {
                unknown.push(unknown_topic(topic));
                false
            }
        });
    }
    let asks_all = group.topics.is_none();
    let answer = call.ask_group(&group_id, Request::OffsetFetch { group, require_stable }).await;
    let mut fetched = answer.into_offset_fetch(call.version);
    if call.version >= IDS_SINCE {
        for topic in &mut fetched.topics {
            topic.topic_id = image.topics.by_name(&topic.name).map_or(Uuid::ZERO, |known| Uuid(known.id.0));
        }
        if asks_all {
            // Of a topic that is gone there is no id to name it by.
            fetched.topics.retain(|topic| !topic.topic_id.is_zero());
        }
        if fetched.error_code == 0 {
            fetched.topics.extend(unknown);
        }
    }
    fetched
}

fn unknown_topic(topic: &OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
    let partition = |&partition_index: &i32| OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(String::new()),
        error_code: ErrorCode::UnknownTopicId.code(),
        ..Default::default()
    };
    OffsetFetchResponseTopics {
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.iter().map(partition).collect(),
        ..Default::default()
    }
}

pub async fn delete(call: Call) -> Answer {
    let request = call.request::<OffsetDeleteRequestView<'_>>()?.to_message();
    let image = call.broker.image();
    let group_id = request.group_id.clone();
    let mut known = OffsetDeleteRequest { group_id: group_id.clone(), ..Default::default() };
    let mut refused = Vec::new();
    for mut topic in request.topics {
        let exists = image.topics.by_name(&topic.name);
        if exists.is_none() {
            of_topic(&mut refused, &topic.name); // Also if nothing of it is asked.
        }
        topic.partitions.retain(|partition| {
            let partition_index = partition.partition_index;
            let found = exists.is_some_and(|topic| topic.partitions.find(partition_index).is_some());
            if !found {
                let error_code = ErrorCode::UnknownTopicOrPartition.code();
                let answer = OffsetDeleteResponsePartition { partition_index, error_code, ..Default::default() };
                of_topic(&mut refused, &topic.name).push(answer);
            }
            found
        });
        if !topic.partitions.is_empty() {
            known.topics.push(topic);
        }
    }
    let mut response: OffsetDeleteResponse =
        call.ask_group(&group_id, Request::OffsetDelete(known)).await.into_offset_delete();
    // What was refused here comes first, as in Kafka's `OffsetDeleteResponse.Builder.merge`. With nothing refused, a topic
    // that was named twice is answered twice.
    if response.error_code == 0 && !refused.is_empty() {
        for topic in response.topics {
            of_topic(&mut refused, &topic.name).extend(topic.partitions);
        }
        response.topics = refused;
    }
    call.reply(&response)
}

/// What is said of the partitions of one topic.
fn of_topic<'t>(
    topics: &'t mut Vec<OffsetDeleteResponseTopic>,
    name: &str,
) -> &'t mut Vec<OffsetDeleteResponsePartition> {
    let index = topics.iter().position(|topic| topic.name == name).unwrap_or_else(|| {
        topics.push(OffsetDeleteResponseTopic { name: name.to_owned(), ..Default::default() });
        topics.len() - 1
    });
    &mut topics[index].partitions
}
