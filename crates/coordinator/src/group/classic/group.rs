//! The state of one group, and what it follows from that alone. Knows no timer and no log; who moves it is [`super::Turn`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::consumer_protocol_subscription::ConsumerProtocolSubscriptionView;
use protocol::group_metadata_value::{GroupMetadataValue, MemberMetadata};
use protocol::join_group_request::JoinGroupRequestProtocol;
use protocol::{ErrorCode, HashOrder, View};

use super::member::{Member, Protocol, millis};
use crate::group::GroupRecord;

/// The protocol type of those who consume topics, the only one whose metadata the coordinator looks into.
const CONSUMER: &str = "consumer";

#[derive(Debug)]
pub(crate) struct Group<T> {
    pub id: Arc<str>,
    /// Runs ahead of the log: members learn of the next generation when they have joined, the log when they have synced.
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    pub leader: Option<Arc<str>>,
    pub phase: Phase,
    /// When the phase began, by the calendar. Offsets of an empty group expire from then on.
    pub phase_since_ms: Option<i64>,
    pub members: BTreeMap<Arc<str>, Member<T>>,
    // instance id -> member id, of those in `members`.
    static_members: BTreeMap<String, Arc<str>>,
    /// Ids given out (KIP-394) to clients that have not come back with them yet.
    pub pending_joins: BTreeSet<Arc<str>>,
    /// A further member has come while the first were awaited. As in Kafka it outlives a generation that began without
    /// asking for it, and prolongs the next wait.
    pub member_added: bool,
    /// Who has not asked for its assignment in this generation. Subset of `members`.
    pub unsynced: BTreeSet<Arc<str>>,
    /// Topics of the members of this generation; none if they cannot be told.
    subscribed_topics: Option<BTreeSet<String>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// No members. It lives as long as its offsets.
    Empty,
    /// Members join until all are there, or time is up.
    PreparingRebalance {
        /// Out of an empty group: the time runs in full, even when all are there.
        from_empty: bool,
        initial: Option<InitialDelay>,
    },
    /// The leader computes the assignment; the others wait for it.
    CompletingRebalance,
    /// Members have their assignment.
    Stable,
}

/// The patience for further first members, prolonged while they keep coming.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct InitialDelay {
    pub delay: Duration,
    pub remaining: Duration,
}

/// Why a request does not come from a member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MemberError {
    /// Another process has taken over this static member.
    FencedInstanceId,
    UnknownMemberId,
}

impl MemberError {
    pub fn error_code(self) -> ErrorCode {
        match self {
            MemberError::FencedInstanceId => ErrorCode::FencedInstanceId,
            MemberError::UnknownMemberId => ErrorCode::UnknownMemberId,
        }
    }
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Empty => "Empty",
            Phase::PreparingRebalance { .. } => "PreparingRebalance",
            Phase::CompletingRebalance => "CompletingRebalance",
            Phase::Stable => "Stable",
        }
    }

    pub fn is_preparing(self) -> bool {
        matches!(self, Phase::PreparingRebalance { .. })
    }
}

impl<T> Group<T> {
    pub fn new(id: Arc<str>, now_ms: i64) -> Group<T> {
        Group {
            id,
            generation: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            phase: Phase::Empty,
            phase_since_ms: Some(now_ms),
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_joins: BTreeSet::new(),
            member_added: false,
            unsynced: BTreeSet::new(),
            subscribed_topics: None,
        }
    }

    /// The group as its newest record has it: members are known by the one protocol that was chosen.
    pub fn from_record(id: Arc<str>, value: &GroupMetadataValue) -> Group<T> {
        let mut group = Group::new(id, 0);
        group.generation = value.generation;
        group.protocol_type = Some(value.protocol_type.clone()).filter(|protocol_type| !protocol_type.is_empty());
        group.protocol_name.clone_from(&value.protocol);
        group.leader = value.leader.as_deref().map(Arc::from);
        group.phase = if value.members.is_empty() { Phase::Empty } else { Phase::Stable };
        group.phase_since_ms = Some(value.current_state_timestamp).filter(|&since| since != -1);
        for member in &value.members {
            group.insert(member_from_record(member, value.protocol.as_deref()));
        }
        if group.leader.is_none() {
            group.leader = group.members.keys().next().cloned();
        }
        group.find_subscribed_topics();
        group
    }

    /// What is written of the group: in full, whatever has changed. `assignments` are by member.
    pub fn to_record(&self, assignments: &BTreeMap<Arc<str>, Bytes>) -> GroupRecord {
        let protocol = self.protocol_name.as_deref();
        let members = self.members.values().map(|member| MemberMetadata {
            member_id: member.id.to_string(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: member.rebalance_timeout_ms,
            session_timeout: member.session_timeout_ms,
            subscription: protocol.map(|protocol| member.metadata(protocol)).unwrap_or_default(),
            assignment: assignments.get(&member.id).cloned().unwrap_or_default(),
            ..Default::default()
        });
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol_name.clone(),
            leader: self.leader.as_deref().map(str::to_owned),
            current_state_timestamp: self.phase_since_ms.unwrap_or(-1),
            members: members.collect(),
            ..Default::default()
        };
        GroupRecord::GroupMetadata { group_id: self.id.to_string(), value: Some(value) }
    }

    pub fn enter(&mut self, phase: Phase, now_ms: i64) {
        self.phase = phase;
        self.phase_since_ms = Some(now_ms);
    }

    pub fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub fn static_member(&self, instance_id: &str) -> Option<&Arc<str>> {
        self.static_members.get(instance_id)
    }

    /// Whether the request of `member_id` comes from the member that it says.
    pub fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), MemberError> {
        if let Some(instance_id) = instance_id {
            let known = self.static_member(instance_id).ok_or(MemberError::UnknownMemberId)?;
            if **known != *member_id {
                return Err(MemberError::FencedInstanceId);
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(MemberError::UnknownMemberId) }
    }

    /// The first member brings the protocol type and leads.
    pub fn add(&mut self, member: Member<T>, protocol_type: &str) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.to_owned());
        }
        self.pending_joins.remove(&member.id);
        self.leader.get_or_insert_with(|| member.id.clone());
        self.insert(member);
    }

    /// Leadership passes to any other member. The caller answers what the member waits for.
    pub fn remove(&mut self, member_id: &str) -> Option<Member<T>> {
        let removed = self.members.remove(member_id);
        if let Some(instance_id) = removed.as_ref().and_then(|member| member.instance_id.as_ref()) {
            self.static_members.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_joins.remove(member_id);
        self.unsynced.remove(member_id);
        removed
    }

    /// Gives a static member a new id. Returns what the process before waits for: its join and its sync.
    pub fn replace_static_member(&mut self, old_id: &str, new_id: Arc<str>) -> (Option<T>, Option<T>) {
        let mut member = self.members.remove(old_id).expect("the map of static members names members");
        let waiting = (member.awaiting_join.take(), member.awaiting_sync.take());
        member.id = new_id.clone();
        member.is_new = false;
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        if self.unsynced.remove(old_id) {
            self.unsynced.insert(new_id);
        }
        self.insert(member);
        waiting
    }

    pub fn awaiting_join_count(&self) -> usize {
        self.members.values().filter(|member| member.awaiting_join.is_some()).count()
    }

    pub fn has_all_members_joined(&self) -> bool {
        self.pending_joins.is_empty() && self.members.values().all(|member| member.awaiting_join.is_some())
    }

    /// As long as the slowest member may take.
    pub fn rebalance_timeout(&self) -> Duration {
        millis(self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0))
    }

    /// Whether a member with these protocols can be one of the group. Anyone with some can be the first.
    pub fn supports_protocols(&self, protocol_type: &str, protocols: &[JoinGroupRequestProtocol]) -> bool {
        if self.phase == Phase::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| self.members.values().all(|member| member.supports(&protocol.name)))
    }

    /// Each member votes for the first of its protocols that all support. Of equals wins the one that comes first in
    /// Kafka's hash map of the votes; of those that share a bucket there, the one that the leader would rather have.
    pub fn select_protocol(&self) -> Option<String> {
        let leader = self.leader.as_ref().and_then(|leader| self.members.get(leader));
        let first = leader.or_else(|| self.members.values().next())?;
        let supported_by_all = |name: &str| self.members.values().all(|member| member.supports(name));
        let names = first.protocols.iter().map(|protocol| protocol.name.as_str());
        let candidates: Vec<&str> = names.filter(|name| supported_by_all(name)).collect();
        let mut votes = vec![0; candidates.len()];
        for member in self.members.values() {
            let mut ranked = member.protocols.iter().map(|protocol| protocol.name.as_str());
            if let Some(vote) = ranked.find_map(|name| candidates.iter().position(|candidate| *candidate == name)) {
                votes[vote] += 1;
            }
        }
        let most = votes.iter().max()?;
        let order = HashOrder::grown(votes.iter().filter(|&&count| count > 0).count());
        let equals = (0..candidates.len()).filter(|&at| votes[at] == *most);
        let chosen = equals.min_by_key(|&at| order.place(candidates[at]))?;
        Some(candidates[chosen].to_owned())
    }

    /// The members that have joined are the next generation.
    pub fn begin_generation(&mut self, now_ms: i64) {
        self.generation = self.generation.wrapping_add(1).max(0);
        self.protocol_name = self.select_protocol();
        self.find_subscribed_topics();
        self.unsynced.clear();
        let phase = if self.members.is_empty() { Phase::Empty } else { Phase::CompletingRebalance };
        self.enter(phase, now_ms);
    }

    pub fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    pub fn knows_subscribed_topics(&self) -> bool {
        self.subscribed_topics.is_some()
    }

    /// A consumer group whose subscriptions cannot be read may be subscribed to anything.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.subscribed_topics.as_ref().map_or(self.uses_consumer_protocol(), |topics| topics.contains(topic))
    }

    fn insert(&mut self, member: Member<T>) {
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), member.id.clone());
        }
        self.members.insert(member.id.clone(), member);
    }

    fn find_subscribed_topics(&mut self) {
        self.subscribed_topics = match &self.protocol_name {
            _ if !self.uses_consumer_protocol() => None,
            _ if self.members.is_empty() => Some(BTreeSet::new()),
            None => None,
            Some(protocol) => {
                let topics = self.members.values().map(|member| subscribed_topics(&member.metadata(protocol)));
                topics.collect::<Option<Vec<_>>>().map(|topics| topics.into_iter().flatten().collect())
            }
        };
    }
}

/// All versions of a subscription begin like the first.
fn subscribed_topics(metadata: &[u8]) -> Option<Vec<String>> {
    let (_version, body) = metadata.split_first_chunk::<2>()?;
    let subscription = ConsumerProtocolSubscriptionView::decode(0, body).ok()?;
    Some(subscription.topics.iter().map(str::to_owned).collect())
}

fn member_from_record<T>(member: &MemberMetadata, protocol: Option<&str>) -> Member<T> {
    let rebalance_timeout_ms = match member.rebalance_timeout {
        -1 => member.session_timeout, // Version 0 of the record, and of JoinGroup, had no other.
        timeout => timeout,
    };
    let name = protocol.unwrap_or_default().to_owned();
    Member {
        id: Arc::from(member.member_id.as_str()),
        instance_id: member.group_instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout_ms,
        session_timeout_ms: member.session_timeout,
        protocols: vec![Protocol { name, metadata: member.subscription.clone() }],
        assignment: member.assignment.clone(),
        awaiting_join: None,
        awaiting_sync: None,
        is_new: false,
    }
}
