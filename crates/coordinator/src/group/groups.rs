//! All groups of one partition as one machine: finds the group of a request or a timer, and applies records. What a
//! request does to its group stands in `classic/`, what it does to offsets in `offsets/`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use env::Rng;
use machine::{Failure, Machine, Now, Step, Timers};
use protocol::ErrorCode;
use protocol::delete_groups_response::DeletableGroupResult;
use protocol::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use protocol::heartbeat_request::HeartbeatRequest;
use protocol::heartbeat_response::HeartbeatResponse;
use protocol::join_group_request::JoinGroupRequest;
use protocol::join_group_response::JoinGroupResponse;
use protocol::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use protocol::leave_group_response::LeaveGroupResponse;
use protocol::list_groups_request::ListGroupsRequest;
use protocol::list_groups_response::{ListGroupsResponse, ListedGroup};
use protocol::sync_group_request::SyncGroupRequest;
use protocol::sync_group_response::SyncGroupResponse;

use super::classic::{MemberError, Phase, Turn, left};
use super::offsets::{DeletedTopic, Offsets};
use super::{Answer, Caller, Group, GroupConfig, GroupRecord, Request};

/// From this version on a group that is not known is an error, and says so in words.
const DESCRIBE_NOT_FOUND_VERSION: i16 = 6;
/// Before this version LeaveGroup names one member, outside of the list.
const LEAVE_SEVERAL_VERSION: i16 = 3;
const TYPE: &str = "classic";

pub(crate) struct Groups<T> {
    pub(super) config: Arc<GroupConfig>,
    rng: Arc<dyn Rng>,
    pub(super) groups: BTreeMap<Arc<str>, Group<T>>,
    pub(super) offsets: Offsets,
    pub(super) timers: Timers<Timer>,
    /// Where the sweep for what has expired goes on.
    pub(super) expired_up_to: Option<Arc<str>>,
    /// Of these no record tells. As in Kafka, whose readers look at what is written, they are seen once anything is.
    pub(super) unseen: BTreeSet<Arc<str>>,
    // While the partition is loaded there is nobody here yet: the log replaces what was. Afterwards it confirms.
    loading: bool,
}

/// By group, and member.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Timer {
    Expiry,
    Join(Arc<str>),
    Session(Arc<str>, Arc<str>),
    Sync(Arc<str>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum DeleteGroupError {
    GroupIdNotFound,
    NonEmptyGroup,
}

impl DeleteGroupError {
    fn error_code(self) -> ErrorCode {
        match self {
            DeleteGroupError::GroupIdNotFound => ErrorCode::GroupIdNotFound,
            DeleteGroupError::NonEmptyGroup => ErrorCode::NonEmptyGroup,
        }
    }
}

impl<T> Machine for Groups<T> {
    type Record = GroupRecord;
    type Ticket = T;
    type Answer = Answer;

    fn apply(&mut self, record: &GroupRecord) {
        self.unseen.clear();
        match record {
            GroupRecord::GroupMetadata { group_id, value: None } => {
                self.groups.remove(group_id.as_str());
            }
            GroupRecord::GroupMetadata { group_id, value: Some(value) } => {
                match self.groups.get_mut(group_id.as_str()) {
                    Some(group) if !self.loading => group.confirm(value),
                    _ => {
                        let group_id: Arc<str> = Arc::from(group_id.as_str());
                        self.groups.insert(group_id.clone(), Group::from_record(group_id, value));
                    }
                }
            }
            GroupRecord::OffsetCommit { group_id, topic, partition, value } => {
                if let Some(value) = value {
                    self.find_or_create(group_id, value.commit_timestamp);
                }
                self.offsets.apply(group_id, topic, *partition, value.as_ref());
            }
        }
    }

    fn refused(&mut self, records: &[GroupRecord], _: Failure, now: Now, step: &mut Step<Self>) {
        for record in records {
            if let GroupRecord::GroupMetadata { group_id, value: Some(_) } = record
                && let Some(mut turn) = self.turn(group_id, now, step)
            {
                turn.assignment_refused();
            }
        }
    }

    fn drain(&mut self) -> Vec<(T, Answer)> {
        let mut waiting = Vec::new();
        for member in self.groups.values_mut().flat_map(|group| group.members.values_mut()) {
            if let Some(ticket) = member.awaiting_join.take() {
                let member_id = member.id.to_string();
                waiting.push((ticket, Answer::JoinGroup(JoinGroupResponse { member_id, ..Default::default() })));
            }
            if let Some(ticket) = member.awaiting_sync.take() {
                waiting.push((ticket, Answer::SyncGroup(SyncGroupResponse::default())));
            }
        }
        waiting
    }
}

impl<T> Groups<T> {
    /// Empty, to be loaded.
    pub fn new(config: Arc<GroupConfig>, rng: Arc<dyn Rng>) -> Groups<T> {
        let (groups, offsets, timers, unseen) = Default::default();
        Groups { config, rng, groups, offsets, timers, expired_up_to: None, unseen, loading: true }
    }

    /// The log has been read: members have a session from now on.
    pub fn loaded(&mut self, now: Now, step: &mut Step<Self>) {
        self.loading = false;
        self.timers.set(Timer::Expiry, now.at + self.config.retention_check_interval);
        for group_id in self.groups.keys().cloned().collect::<Vec<_>>() {
            let mut turn = self.turn(&group_id, now, step).expect("the key is from this map");
            for member_id in turn.group.members.keys().cloned().collect::<Vec<_>>() {
                turn.extend_session(&member_id);
            }
            if turn.group.members.len() > turn.config.members_max {
                turn.prepare_rebalance("the loaded group is over capacity; its members may commit before some must go");
            }
        }
    }

    pub fn find(&self, group_id: &str) -> Option<&Group<T>> {
        self.groups.get(group_id)
    }

    pub fn find_or_create(&mut self, group_id: &str, now_ms: i64) -> &mut Group<T> {
        if !self.groups.contains_key(group_id) {
            let group = Group::new(Arc::from(group_id), now_ms);
            self.groups.insert(group.id.clone(), group);
        }
        self.groups.get_mut(group_id).expect("it was there, or has been made")
    }

    pub fn turn<'a>(&'a mut self, group_id: &str, now: Now, step: &'a mut Step<Self>) -> Option<Turn<'a, T>> {
        let group = self.groups.get_mut(group_id)?;
        Some(Turn { config: &self.config, group, now, rng: &*self.rng, step, timers: &mut self.timers })
    }

    pub fn decide(&mut self, caller: &Caller, request: Request, ticket: T, now: Now, step: &mut Step<Self>) {
        match request {
            Request::DeleteGroups(groups) => self.delete_groups(&groups, ticket, step),
            Request::DescribeGroups(groups) => {
                let described = groups.iter().map(|group_id| self.describe(caller, group_id));
                step.answer(ticket, Answer::DescribeGroups(described.collect()));
            }
            Request::Heartbeat(request) => self.heartbeat(&request, ticket, now, step),
            Request::JoinGroup(request) => self.join_group(caller, request, ticket, now, step),
            Request::LeaveGroup(request) => self.leave_group(caller, request, ticket, now, step),
            Request::ListGroups(request) => step.answer(ticket, Answer::ListGroups(self.list(&request))),
            Request::OffsetCommit(request) => self.commit_offsets(caller, request, ticket, now, step),
            Request::OffsetDelete(request) => self.delete_offsets(&request, ticket, step),
            // Without transactions every offset is stable.
            Request::OffsetFetch { group, require_stable: _ } => {
                step.answer(ticket, Answer::OffsetFetch(self.offsets.fetch(&group)));
            }
            Request::SyncGroup(request) => self.sync_group(request, ticket, now, step),
        }
    }

    pub fn timer(&mut self, timer: &Timer, now: Now, step: &mut Step<Self>) {
        match timer {
            Timer::Expiry => self.expire(now, step),
            Timer::Join(group_id) => {
                if let Some(mut turn) = self.turn(group_id, now, step) {
                    turn.join_timer();
                }
            }
            Timer::Session(group_id, member_id) => {
                if let Some(mut turn) = self.turn(group_id, now, step) {
                    turn.session_timer(member_id);
                }
            }
            Timer::Sync(group_id) => {
                if let Some(mut turn) = self.turn(group_id, now, step) {
                    turn.sync_timer();
                }
            }
        }
    }

    pub fn delete_topics(&self, topics: &[DeletedTopic], step: &mut Step<Self>) {
        step.may_be_split();
        self.offsets.tombstones_of_topics(topics).into_iter().for_each(|record| step.record(record));
    }

    fn join_group(
        &mut self,
        caller: &Caller,
        mut request: JoinGroupRequest,
        ticket: T,
        now: Now,
        step: &mut Step<Self>,
    ) {
        if caller.version == 0 {
            request.rebalance_timeout_ms = request.session_timeout_ms; // It has no other.
        }
        let group_id = request.group_id.clone();
        let known = self.groups.contains_key(group_id.as_str());
        if !known && !request.member_id.is_empty() {
            let (error_code, member_id) = (ErrorCode::UnknownMemberId.code(), request.member_id);
            let answer = JoinGroupResponse { error_code, member_id, ..Default::default() };
            return step.answer(ticket, Answer::JoinGroup(answer));
        }
        let group = self.find_or_create(&group_id, now.wall_ms);
        if !known {
            // As Kafka does, before there is a member.
            step.record(group.to_record(&Default::default()));
        }
        let mut turn = self.turn(&group_id, now, step).expect("it was there, or has been made");
        turn.join_group(caller, request, ticket);
    }

    fn sync_group(&mut self, request: SyncGroupRequest, ticket: T, now: Now, step: &mut Step<Self>) {
        let group_id = request.group_id.clone();
        if self.groups.contains_key(group_id.as_str()) {
            let mut turn = self.turn(&group_id, now, step).expect("it is there");
            return turn.sync_group(request, ticket);
        }
        let error_code = ErrorCode::UnknownMemberId.code();
        step.answer(ticket, Answer::SyncGroup(SyncGroupResponse { error_code, ..Default::default() }));
    }

    fn heartbeat(&mut self, request: &HeartbeatRequest, ticket: T, now: Now, step: &mut Step<Self>) {
        let error = match self.turn(&request.group_id, now, step) {
            Some(mut turn) => turn.heartbeat(request).err().map_or(ErrorCode::None, |error| error.error_code()),
            None => ErrorCode::UnknownMemberId,
        };
        let answer = HeartbeatResponse { error_code: error.code(), ..Default::default() };
        step.answer(ticket, Answer::Heartbeat(answer));
    }

    fn leave_group(&mut self, caller: &Caller, request: LeaveGroupRequest, ticket: T, now: Now, step: &mut Step<Self>) {
        let names_one = caller.version < LEAVE_SEVERAL_VERSION && request.members.is_empty();
        let members = match names_one {
            true => vec![MemberIdentity { member_id: request.member_id, ..Default::default() }],
            false => request.members,
        };
        let left = match self.turn(&request.group_id, now, step) {
            Some(mut turn) => turn.leave_group(&members),
            None => members.iter().map(|member| left(member, Err(MemberError::UnknownMemberId))).collect(),
        };
        step.answer(ticket, Answer::LeaveGroup(LeaveGroupResponse { members: left, ..Default::default() }));
    }

    fn describe(&self, caller: &Caller, group_id: &str) -> DescribedGroup {
        let Some(group) = self.find(group_id).filter(|_| !self.unseen.contains(group_id)) else {
            let error_message = format!("Group {group_id} not found.");
            let (error, error_message) = match caller.version >= DESCRIBE_NOT_FOUND_VERSION {
                true => (ErrorCode::GroupIdNotFound, Some(error_message)),
                false => (ErrorCode::None, None),
            };
            return DescribedGroup {
                error_code: error.code(),
                error_message,
                group_id: group_id.to_owned(),
                group_state: "Dead".to_owned(),
                ..Default::default()
            };
        };
        // What the members bring and get is settled only here.
        let protocol = group.protocol_name.as_deref().filter(|_| group.phase == Phase::Stable);
        let members = group.members.values().map(|member| DescribedGroupMember {
            member_id: member.id.to_string(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            member_metadata: protocol.map(|protocol| member.metadata(protocol)).unwrap_or_default(),
            member_assignment: member.assignment.clone(),
            ..Default::default()
        });
        DescribedGroup {
            group_id: group_id.to_owned(),
            group_state: group.phase.name().to_owned(),
            protocol_type: group.protocol_type.clone().unwrap_or_default(),
            protocol_data: protocol.unwrap_or_default().to_owned(),
            members: members.collect(),
            ..Default::default()
        }
    }

    /// States and types are matched whatever their case; a type that there is not matches nothing.
    fn list(&self, request: &ListGroupsRequest) -> ListGroupsResponse {
        let states: BTreeSet<String> = request.states_filter.iter().map(|state| state.trim().to_lowercase()).collect();
        let of_type =
            request.types_filter.is_empty() || request.types_filter.iter().any(|name| name.eq_ignore_ascii_case(TYPE));
        let groups = self
            .groups
            .values()
            .filter(|group| !self.unseen.contains(&group.id))
            .filter(|group| of_type && (states.is_empty() || states.contains(&group.phase.name().to_lowercase())));
        let listed = groups.map(|group| ListedGroup {
            group_id: group.id.to_string(),
            protocol_type: group.protocol_type.clone().unwrap_or_default(),
            group_state: group.phase.name().to_owned(),
            group_type: TYPE.to_owned(),
            ..Default::default()
        });
        ListGroupsResponse { groups: listed.collect(), ..Default::default() }
    }

    fn delete_groups(&self, groups: &[String], ticket: T, step: &mut Step<Self>) {
        let mut results = Vec::with_capacity(groups.len());
        let mut deleted = BTreeSet::new();
        for group_id in groups {
            let outcome = self.check_delete_group(group_id);
            if outcome.is_ok() && deleted.insert(group_id) {
                self.offsets.tombstones_of_group(group_id).into_iter().for_each(|record| step.record(record));
                step.record(GroupRecord::GroupMetadata { group_id: group_id.clone(), value: None });
            }
            let error = outcome.err().map_or(ErrorCode::None, DeleteGroupError::error_code);
            let error_code = error.code();
            results.push(DeletableGroupResult { group_id: group_id.clone(), error_code, ..Default::default() });
        }
        step.answer(ticket, Answer::DeleteGroups(results));
    }

    fn check_delete_group(&self, group_id: &str) -> Result<(), DeleteGroupError> {
        match self.find(group_id).map(|group| group.phase) {
            Some(Phase::Empty) => Ok(()),
            Some(_) => Err(DeleteGroupError::NonEmptyGroup),
            None => Err(DeleteGroupError::GroupIdNotFound),
        }
    }
}
