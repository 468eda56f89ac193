//! DeleteTopics. Names and ids may be mixed in one request; whatever names one topic twice is refused.

use std::collections::{BTreeMap, BTreeSet};

use metadata::Record;
use protocol::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use protocol::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use protocol::{ErrorCode, Uuid};
use record::TopicId;

use crate::allowance::Allowance;
use crate::answer::ApiError;
use crate::machine::{Decision, Machine};

/// The shape of version 6, which has both names and ids, from that of the versions below.
pub fn delete_by_name(names: impl IntoIterator<Item = String>) -> Vec<DeleteTopicState> {
    names.into_iter().map(|name| DeleteTopicState { name: Some(name), ..Default::default() }).collect()
}

pub fn delete_refused(request: &DeleteTopicsRequest, code: ErrorCode) -> DeleteTopicsResponse {
    let mut answer = Answer::default();
    for topic in &request.topics {
        answer.push(topic.name.clone(), topic.topic_id, Err(code.into()));
    }
    answer.finish()
}

pub fn delete(
    machine: &Machine,
    request: &DeleteTopicsRequest,
    allowance: &Allowance,
) -> Decision<DeleteTopicsResponse> {
    if !machine.options.defaults.delete_enabled {
        return Decision::nothing(delete_refused(request, ErrorCode::TopicDeletionDisabled));
    }
    let mut answer = Answer::default();
    let invalid = |text: &str| Err(ApiError::new(ErrorCode::InvalidRequest, text));
    let (mut names, mut ids) = (Once::default(), Once::default());
    for topic in &request.topics {
        match &topic.name {
            None if topic.topic_id.is_zero() => {
                answer.push(None, Uuid::ZERO, invalid("Neither topic name nor id were specified."));
            }
            None => ids.add(topic.topic_id),
            Some(name) if topic.topic_id.is_zero() => names.add(name.clone()),
            Some(name) => {
                let both = invalid("You may not specify both topic name and topic id.");
                answer.push(Some(name.clone()), topic.topic_id, both);
            }
        }
    }
    for name in &names.repeated {
        answer.push(Some(name.clone()), Uuid::ZERO, invalid("Duplicate topic name."));
    }
    for id in &ids.repeated {
        answer.push(None, *id, invalid("Duplicate topic id."));
    }

    let topics = &machine.image.topics;
    let mut doomed: BTreeMap<Uuid, String> = BTreeMap::new();
    for id in &ids.single {
        match topics.by_id(TopicId(id.0)) {
            Some(topic) => drop(doomed.insert(*id, topic.name.to_string())),
            None => answer.push(
                None,
                *id,
                Err(ApiError::new(ErrorCode::UnknownTopicId, "This server does not host this topic ID.")),
            ),
        }
    }
    for name in names.single {
        let Some(topic) = topics.by_name(&name) else {
            let text = "This server does not host this topic-partition.";
            let unknown = ApiError::new(ErrorCode::UnknownTopicOrPartition, text);
            answer.push(Some(name), Uuid::ZERO, Err(unknown));
            continue;
        };
        let id = Uuid(topic.id.0);
        if ids.repeated.contains(&id) || doomed.contains_key(&id) {
            doomed.remove(&id);
            ids.repeated.insert(id);
            let twice = invalid("The provided topic name maps to an ID that was already supplied.");
            answer.push(Some(name), id, twice);
        } else {
            doomed.insert(id, name);
        }
    }
    let mut records = Vec::with_capacity(doomed.len());
    for (id, name) in doomed {
        let partitions = topics.by_id(TopicId(id.0)).map_or(0, |topic| topic.partitions.len());
        let outcome = allowance.take(partitions);
        if outcome.is_ok() {
            records.push(Record::TopicRemoved(TopicId(id.0)));
        }
        answer.push(Some(name), id, outcome);
    }
    Decision { records, answer: answer.finish() }
}

/// What was given once, and what more often.
struct Once<T> {
    single: BTreeSet<T>,
    repeated: BTreeSet<T>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self { single: BTreeSet::new(), repeated: BTreeSet::new() }
    }
}

impl<T: Ord + Clone> Once<T> {
    fn add(&mut self, item: T) {
        if self.repeated.contains(&item) || !self.single.insert(item.clone()) {
            self.single.remove(&item);
            self.repeated.insert(item);
        }
    }
}

#[derive(Default)]
struct Answer(DeleteTopicsResponse);

impl Answer {
    fn push(&mut self, name: Option<String>, topic_id: Uuid, outcome: Result<(), ApiError>) {
        let error = outcome.err();
        self.0.responses.push(DeletableTopicResult {
            name,
            topic_id,
            error_code: error.as_ref().map_or(ErrorCode::None, |error| error.code).code(),
            error_message: error.and_then(|error| error.message),
            ..Default::default()
        });
    }

    fn finish(self) -> DeleteTopicsResponse {
        self.0
    }
}
