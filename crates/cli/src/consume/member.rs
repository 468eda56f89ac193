//! A member of a consumer group in the classic protocol: join, take one's share, commit, leave. A task of its own sends
//! heartbeats, so that a slow reader of our output does not cost us the membership.
use std::collections::BTreeMap;
use std::time::Duration;

use client::{Connection, Topics};
use protocol::consumer_protocol_assignment::{
    ConsumerProtocolAssignment, ConsumerProtocolAssignmentView, TopicPartition as AssignedTopic,
};
use protocol::consumer_protocol_subscription::{ConsumerProtocolSubscription, ConsumerProtocolSubscriptionView};
use protocol::heartbeat_request::HeartbeatRequest;
use protocol::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use protocol::join_group_response::JoinGroupResponse;
use protocol::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use protocol::offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use protocol::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestTopic};
use protocol::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use protocol::{ApiKey, ErrorCode, decode_with_version, encode_with_version};
use record::TopicPartition;
use tokio::sync::mpsc;

use super::assignor::{Subscriptions, range};
use crate::connect::{Session, is_coordinator_error};
use crate::failure::Failure;

const PROTOCOL_TYPE: &str = "consumer";
const ASSIGNOR: &str = "range";
/// Kafka's consumers' defaults.
const SESSION_TIMEOUT: Duration = Duration::from_secs(45);
const REBALANCE_TIMEOUT: Duration = Duration::from_secs(300);
const HEARTBEAT: Duration = Duration::from_secs(3);
/// Members of all ages read version 1 of a subscription.
const SUBSCRIPTION_VERSION: i16 = 1;

pub struct Member {
    group: String,
    topics: Vec<String>,
    /// Empty until the coordinator has given one.
    id: String,
    generation: i32,
    /// Ends the heartbeats of a generation when dropped.
    heartbeats: Option<mpsc::Sender<()>>,
    events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
}

/// What a heartbeat learned.
#[derive(Clone, Debug)]
pub struct Event {
    generation: i32,
    outcome: Result<ErrorCode, String>,
}

/// Why a generation is over.
enum Over {
    /// Join again, as who we are.
    Rejoin,
    /// Join again, as somebody new.
    Reset,
}

impl Member {
    pub fn new(group: String, topics: Vec<String>) -> Member {
        let (sender, events) = mpsc::channel(4);
        let (id, generation, heartbeats) = (String::new(), -1, None);
        Member { group, topics, id, generation, heartbeats, events, sender }
    }

    /// Joins, as often as it takes, and answers our partitions.
    pub async fn join(&mut self, session: &Session) -> Result<Vec<TopicPartition>, Failure> {
        self.heartbeats = None;
        loop {
            let coordinator = session.coordinator(&self.group, session.deadline()).await?;
            if let Some(assigned) = self.attempt(session, &coordinator).await? {
                self.start_heartbeats(session, coordinator);
                return Ok(assigned);
            }
        }
    }

    /// One attempt. `None` if it is to be repeated.
    async fn attempt(
        &mut self,
        session: &Session,
        coordinator: &Connection,
    ) -> Result<Option<Vec<TopicPartition>>, Failure> {
        let subscription = ConsumerProtocolSubscription { topics: self.topics.clone(), ..Default::default() };
        let metadata = encode_with_version(&subscription, SUBSCRIPTION_VERSION).expect("topics have short names");
        let protocol =
            JoinGroupRequestProtocol { name: ASSIGNOR.to_owned(), metadata: metadata.into(), ..Default::default() };
        let request = JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: SESSION_TIMEOUT.as_millis() as i32,
            rebalance_timeout_ms: REBALANCE_TIMEOUT.as_millis() as i32,
            member_id: self.id.clone(),
            protocol_type: PROTOCOL_TYPE.to_owned(),
            protocols: vec![protocol],
            ..Default::default()
        };
        // The answer comes when all members have joined.
        let patience = REBALANCE_TIMEOUT + session.timeout;
        let joined = match coordinator.call_within(&request, 0..=9, patience).await {
            Ok(joined) => joined,
            Err(error) if error.is_retriable() => return self.pause(session).await,
            Err(error) => return Err(error.into()),
        };
        match ErrorCode::from_code(joined.error_code) {
            Some(ErrorCode::None) => {}
            Some(ErrorCode::MemberIdRequired) => {
                self.id = joined.member_id;
                return Ok(None);
            }
            _ => return self.failed(session, "join", joined.error_code).await,
        }
        self.id = joined.member_id.clone();
        self.generation = joined.generation_id;
        let is_leader = joined.leader == joined.member_id && !joined.skip_assignment;
        let assignments = if is_leader { self.assignments(session, &joined).await? } else { Vec::new() };
        let request = SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            protocol_type: Some(PROTOCOL_TYPE.to_owned()),
            protocol_name: Some(joined.protocol_name.unwrap_or_else(|| ASSIGNOR.to_owned())),
            assignments,
            ..Default::default()
        };
        let synced = match coordinator.call_within(&request, 0..=5, patience).await {
            Ok(synced) => synced,
            Err(error) if error.is_retriable() => return self.pause(session).await,
            Err(error) => return Err(error.into()),
        };
        if synced.error_code != ErrorCode::None.code() {
            return self.failed(session, "sync", synced.error_code).await;
        }
        assigned(&synced.assignment).map(Some)
    }

    /// What the leader decides for all.
    async fn assignments(
        &self,
        session: &Session,
        joined: &JoinGroupResponse,
    ) -> Result<Vec<SyncGroupRequestAssignment>, Failure> {
        let mut subscriptions = Subscriptions::new();
        for member in &joined.members {
            let (_, subscription) = decode_with_version::<ConsumerProtocolSubscriptionView<'_>>(&member.metadata)
                .map_err(|error| Failure::new(format!("the subscription of {}: {error}", member.member_id)))?;
            let topics = subscription.topics.iter().map(str::to_owned).collect();
            subscriptions.insert(member.member_id.clone(), topics);
        }
        let mut names: Vec<String> = subscriptions.values().flatten().cloned().collect();
        names.sort();
        names.dedup();
        let cluster = session.client.metadata(Topics::Named { names: &names, create: false }).await?;
        let count = |topic: &client::Topic| (topic.name.clone(), topic.partitions.len() as i32);
        let partitions: BTreeMap<String, i32> = cluster.topics.iter().map(count).collect();
        let encode = |(member_id, topics): (String, BTreeMap<String, Vec<i32>>)| {
            let assigned_partitions = topics
                .into_iter()
                .map(|(topic, partitions)| AssignedTopic { topic, partitions, ..Default::default() })
                .collect();
            let assignment = ConsumerProtocolAssignment { assigned_partitions, ..Default::default() };
            let assignment = encode_with_version(&assignment, SUBSCRIPTION_VERSION).expect("it fits");
            SyncGroupRequestAssignment { member_id, assignment: assignment.into(), ..Default::default() }
        };
        Ok(range(&subscriptions, &partitions).into_iter().map(encode).collect())
    }

    async fn failed(
        &mut self,
        session: &Session,
        what: &str,
        code: i16,
    ) -> Result<Option<Vec<TopicPartition>>, Failure> {
        if is_coordinator_error(code) {
            return self.pause(session).await;
        }
        match over(code) {
            Some(Over::Rejoin) => {}
            Some(Over::Reset) => self.id = String::new(),
            None => {
                let mut failure = Failure::of_code(&format!("group {}: {what}", self.group), code, None);
                if ErrorCode::from_code(code) == Some(ErrorCode::InconsistentGroupProtocol) {
                    failure = failure.remedy("the other members do not use the assignor `range`");
                }
                return Err(failure);
            }
        }
        Ok(None)
    }

    async fn pause(&self, session: &Session) -> Result<Option<Vec<TopicPartition>>, Failure> {
        session.pause(session.deadline()).await;
        Ok(None)
    }

    fn start_heartbeats(&mut self, session: &Session, coordinator: Connection) {
        let (alive, mut ended) = mpsc::channel::<()>(1);
        self.heartbeats = Some(alive);
        let (events, env, generation) = (self.sender.clone(), session.env.clone(), self.generation);
        let request = HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id: generation,
            member_id: self.id.clone(),
            ..Default::default()
        };
        let task = async move {
            loop {
                let next = env.clock.now() + HEARTBEAT;
                tokio::select! {
                    biased;
                    _ = ended.recv() => return,
                    () = env.clock.sleep_until(next) => {}
                }
                let outcome = match coordinator.call_within(&request, 0..=4, SESSION_TIMEOUT).await {
                    Ok(response) => match ErrorCode::from_code(response.error_code) {
                        Some(ErrorCode::None) => continue,
                        error => Ok(error.unwrap_or(ErrorCode::UnknownServerError)),
                    },
                    Err(error) => Err(error.to_string()),
                };
                let _ = events.send(Event { generation, outcome }).await;
                return;
            }
        };
        session.env.spawn.task("heartbeat", Box::pin(task));
    }

    /// Ready when this generation is over. An error if the group does not want us at all.
    pub async fn over(&mut self) -> Result<(), Failure> {
        loop {
            let event = self.events.recv().await.expect("we hold a sender ourselves");
            if event.generation != self.generation {
                continue;
            }
            let code = match event.outcome {
                Err(_) => return Ok(()), // The coordinator is gone: find it, join again.
                Ok(code) if is_coordinator_error(code.code()) => return Ok(()),
                Ok(code) => code.code(),
            };
            match over(code) {
                Some(Over::Rejoin) => {}
                Some(Over::Reset) => self.id = String::new(),
                None => return Err(Failure::of_code(&format!("group {}: heartbeat", self.group), code, None)),
            }
            return Ok(());
        }
    }

    /// The committed offset of each partition that has one.
    pub async fn committed(
        &self,
        session: &Session,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
        committed(session, &self.group, Some(partitions)).await
    }

    /// Commits what was read. `false` if the group has moved on: then it is read again by whoever has it now.
    pub async fn commit(&self, session: &Session, offsets: &BTreeMap<TopicPartition, i64>) -> Result<bool, Failure> {
        if offsets.is_empty() {
            return Ok(true);
        }
        let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
        for (place, offset) in offsets {
            let partition = OffsetCommitRequestPartition {
                partition_index: place.partition,
                committed_offset: *offset,
                committed_metadata: Some(String::new()),
                ..Default::default()
            };
            match topics.last_mut().filter(|topic| topic.name == *place.topic) {
                Some(topic) => topic.partitions.push(partition),
                None => topics.push(OffsetCommitRequestTopic {
                    name: place.topic.to_string(),
                    partitions: vec![partition],
                    ..Default::default()
                }),
            }
        }
        let request = OffsetCommitRequest {
            group_id: self.group.clone(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            topics,
            ..Default::default()
        };
        let error_of = |response: &protocol::offset_commit_response::OffsetCommitResponse| {
            let codes =
                response.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
            codes.into_iter().find(|code| *code != 0).unwrap_or(0)
        };
        let response = session.ask_coordinator(&self.group, &request, 2..=9, error_of).await?;
        match error_of(&response) {
            0 => Ok(true),
            code if over(code).is_some() => Ok(false),
            code => Err(Failure::of_code(&format!("group {}: commit", self.group), code, None)),
        }
    }

    /// Lets the others have our partitions at once. Nothing is lost if it fails.
    pub async fn leave(&mut self, session: &Session) {
        self.heartbeats = None;
        if self.id.is_empty() {
            return;
        }
        let Ok(Ok(coordinator)) = session.client.coordinator(&self.group).await else { return };
        let Ok(version) = coordinator.version_of(ApiKey::LeaveGroup, 0..=5) else { return };
        let mut request = LeaveGroupRequest { group_id: self.group.clone(), ..Default::default() };
        match version {
            0..=2 => request.member_id = self.id.clone(),
            _ => {
                let reason = Some("the command has ended".to_owned());
                request.members = vec![MemberIdentity { member_id: self.id.clone(), reason, ..Default::default() }];
            }
        }
        let _ = coordinator.call_within(&request, version..=version, Duration::from_secs(2)).await;
    }
}

/// The offsets that a group has committed: of these partitions, or of all.
pub async fn committed(
    session: &Session,
    group: &str,
    partitions: Option<&[TopicPartition]>,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let topics = partitions.map(|partitions| {
        let mut topics: Vec<OffsetFetchRequestTopic> = Vec::new();
        for place in partitions {
            match topics.iter_mut().find(|topic| topic.name == *place.topic) {
                Some(topic) => topic.partition_indexes.push(place.partition),
                None => topics.push(OffsetFetchRequestTopic {
                    name: place.topic.to_string(),
                    partition_indexes: vec![place.partition],
                    ..Default::default()
                }),
            }
        }
        topics
    });
    let request = OffsetFetchRequest { group_id: group.to_owned(), topics, ..Default::default() };
    let error_of = |response: &protocol::offset_fetch_response::OffsetFetchResponse| {
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        let codes = partitions.map(|partition| partition.error_code).chain([response.error_code]);
        codes.into_iter().find(|code| *code != 0).unwrap_or(0)
    };
    let versions = if partitions.is_none() { 2..=7 } else { 1..=7 };
    let response = session.ask_coordinator(group, &request, versions, error_of).await?;
    if error_of(&response) != 0 {
        return Err(Failure::of_code(&format!("the offsets of group {group}"), error_of(&response), None));
    }
    let mut offsets = BTreeMap::new();
    for topic in response.topics {
        for partition in topic.partitions.iter().filter(|partition| partition.committed_offset >= 0) {
            let place = TopicPartition::new(topic.name.as_str(), partition.partition_index);
            offsets.insert(place, partition.committed_offset);
        }
    }
    Ok(offsets)
}

/// What an assignment says. No bytes at all are no partitions: the leader forgot us.
pub fn assigned(bytes: &[u8]) -> Result<Vec<TopicPartition>, Failure> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let (_, assignment) = decode_with_version::<ConsumerProtocolAssignmentView<'_>>(bytes)
        .map_err(|error| Failure::new(format!("the assignment cannot be read: {error}")))?;
    let mut partitions = Vec::new();
    for topic in assignment.assigned_partitions {
        partitions.extend(topic.partitions.iter().map(|partition| TopicPartition::new(topic.topic, partition)));
    }
    Ok(partitions)
}

/// Whether a code means that a generation is over, and how to go on.
fn over(code: i16) -> Option<Over> {
    match ErrorCode::from_code(code)? {
        ErrorCode::RebalanceInProgress => Some(Over::Rejoin),
        ErrorCode::IllegalGeneration | ErrorCode::UnknownMemberId => Some(Over::Reset),
        _ => None,
    }
}
