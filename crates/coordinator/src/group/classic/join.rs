//! JoinGroup: a client becomes a member, or says that it still is one.

use std::sync::Arc;
use std::time::Duration;

use env::Rng;
use protocol::ErrorCode;
use protocol::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use protocol::join_group_response::JoinGroupResponse;

use super::Turn;
use super::group::{MemberError, Phase};
use super::member::{Member, Protocol};
use crate::group::{Answer, Caller, Timer};

/// From this version on a client without a member id is given one, and joins with it (KIP-394).
const MEMBER_ID_REQUIRED_VERSION: i16 = 4;
/// From this version on the leader may be told to leave the assignment as it is (KIP-814).
const SKIP_ASSIGNMENT_VERSION: i16 = 9;
/// How long a member that has never been in a generation waits for its first (`classicGroupNewMemberJoinTimeoutMs`).
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(300);
/// Ids given out to clients that have not come back. Kafka has no limit, and lets a client fill the memory.
const PENDING_JOINS_MAX: usize = 100_000;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum JoinError {
    GroupFull,
    InconsistentProtocol,
    Member(MemberError),
    MemberIdTooLong,
    /// A static member never has to come back with an id.
    PendingMemberIsStatic,
    TooManyPending,
}

impl JoinError {
    fn error_code(self) -> ErrorCode {
        match self {
            JoinError::GroupFull => ErrorCode::GroupMaxSizeReached,
            JoinError::InconsistentProtocol => ErrorCode::InconsistentGroupProtocol,
            JoinError::Member(error) => error.error_code(),
            JoinError::MemberIdTooLong | JoinError::PendingMemberIsStatic => ErrorCode::UnknownServerError,
            JoinError::TooManyPending => ErrorCode::CoordinatorNotAvailable,
        }
    }
}

impl<T> Turn<'_, T> {
    pub fn join_group(&mut self, caller: &Caller, request: JoinGroupRequest, ticket: T) {
        let echoed = request.member_id.clone();
        let checked = self.check_join(&request);
        let (error, member_id) = match checked {
            Ok(()) if request.member_id.is_empty() => return self.join_new_member(caller, request, ticket),
            Ok(()) => return self.join_known_member(caller, request, ticket),
            Err(JoinError::GroupFull) => {
                self.remove_member(&request.member_id);
                (JoinError::GroupFull, "")
            }
            // Kafka does not expect it, and names nobody then.
            Err(JoinError::PendingMemberIsStatic) => (JoinError::PendingMemberIsStatic, ""),
            Err(error) => (error, &*echoed),
        };
        self.answer_join_error(ticket, member_id, error.error_code());
    }

    fn check_join(&self, request: &JoinGroupRequest) -> Result<(), JoinError> {
        if !self.has_room_for(&request.member_id) {
            return Err(JoinError::GroupFull);
        }
        if !self.group.supports_protocols(&request.protocol_type, &request.protocols) {
            return Err(JoinError::InconsistentProtocol);
        }
        if request.member_id.is_empty() {
            return Ok(());
        }
        let instance_id = request.group_instance_id.as_deref();
        match (self.group.pending_joins.contains(&*request.member_id), instance_id) {
            (true, None) => Ok(()),
            (true, Some(_)) => Err(JoinError::PendingMemberIsStatic),
            (false, _) => self.group.check_member(&request.member_id, instance_id).map_err(JoinError::Member),
        }
    }

    /// While members join again, the first to come are the ones that stay.
    fn has_room_for(&self, member_id: &str) -> bool {
        let member = self.group.members.get(member_id);
        match self.group.phase {
            Phase::Empty => true,
            Phase::PreparingRebalance { .. } => {
                member.is_some_and(|member| member.awaiting_join.is_some())
                    || self.group.awaiting_join_count() < self.config.members_max
            }
            Phase::CompletingRebalance | Phase::Stable => {
                member.is_some() || self.group.members.len() < self.config.members_max
            }
        }
    }

    fn join_new_member(&mut self, caller: &Caller, request: JoinGroupRequest, ticket: T) {
        let instance_id = request.group_instance_id.as_deref();
        let member_id = format!("{}-{}", instance_id.unwrap_or(&caller.client_id), random_uuid(self.rng));
        if member_id.len() > protocol::STRING_BYTES_MAX {
            return self.answer_join_error(ticket, "", JoinError::MemberIdTooLong.error_code());
        }
        let member_id: Arc<str> = Arc::from(member_id);
        let known = instance_id.and_then(|instance_id| self.group.static_member(instance_id)).cloned();
        if let Some(old_id) = known {
            return self.rejoin_static_member(caller, request, ticket, &old_id, member_id);
        }
        if instance_id.is_some() || caller.version < MEMBER_ID_REQUIRED_VERSION {
            return self.add_member(caller, request, ticket, member_id);
        }
        if self.group.pending_joins.len() >= PENDING_JOINS_MAX {
            return self.answer_join_error(ticket, "", JoinError::TooManyPending.error_code());
        }
        let timeout = super::member::millis(request.session_timeout_ms);
        self.timers.set(Timer::Session(self.group.id.clone(), member_id.clone()), self.now.at + timeout);
        self.answer_join_error(ticket, &member_id, ErrorCode::MemberIdRequired);
        self.group.pending_joins.insert(member_id);
    }

    fn join_known_member(&mut self, caller: &Caller, request: JoinGroupRequest, ticket: T) {
        let member_id: Arc<str> = Arc::from(request.member_id.as_str());
        if self.group.pending_joins.contains(&member_id) {
            return self.add_member(caller, request, ticket, member_id);
        }
        let is_leader = self.group.is_leader(&member_id);
        let member = &self.group.members[&member_id];
        let phase = self.group.phase.name();
        let reason = if member.matches(&request.protocols) { "joining" } else { "updating metadata" };
        let why = format!("member {member_id} is {reason} during {phase}; client reason: {}", reason_of(&request));
        let changes_nothing = match self.group.phase {
            // A client that did not get our answer asks again.
            Phase::CompletingRebalance => member.matches(&request.protocols),
            // A leader that joins wants a new assignment: it may know of more partitions.
            Phase::Stable => !is_leader && member.matches(&request.protocols),
            Phase::Empty | Phase::PreparingRebalance { .. } => false,
        };
        if changes_nothing {
            let answer = self.group.joined(&member_id, is_leader);
            return self.step.answer(ticket, Answer::JoinGroup(answer));
        }
        self.update_member(&member_id, request, Some(ticket));
        self.rebalance_or_complete_join(&why);
    }

    fn add_member(&mut self, caller: &Caller, request: JoinGroupRequest, ticket: T, member_id: Arc<str>) {
        if matches!(self.group.phase, Phase::PreparingRebalance { from_empty: true, .. }) {
            self.group.member_added = true;
        }
        let why = format!(
            "adding new member {member_id} with group instance id {:?}; client reason: {}",
            request.group_instance_id,
            reason_of(&request)
        );
        let member = Member {
            id: member_id.clone(),
            instance_id: request.group_instance_id,
            client_id: caller.client_id.clone(),
            client_host: caller.host.clone(),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: protocols_of(request.protocols),
            assignment: Default::default(),
            awaiting_join: Some(ticket),
            awaiting_sync: None,
            is_new: true,
        };
        self.group.add(member, &request.protocol_type);
        self.timers.set(Timer::Session(self.group.id.clone(), member_id), self.now.at + NEW_MEMBER_JOIN_TIMEOUT);
        self.rebalance_or_complete_join(&why);
    }

    /// A static member that lost its id by a restart takes its old place. If that changes nothing for the others, they
    /// do not notice.
    fn rejoin_static_member(
        &mut self,
        caller: &Caller,
        request: JoinGroupRequest,
        ticket: T,
        old_id: &Arc<str>,
        new_id: Arc<str>,
    ) {
        let leader_before = self.group.leader.clone();
        let (join, sync) = self.group.replace_static_member(old_id, new_id.clone());
        if let Some(ticket) = join {
            let error_code = ErrorCode::FencedInstanceId.code();
            let fenced = JoinGroupResponse {
                error_code,
                member_id: old_id.to_string(),
                protocol_name: None,
                ..Default::default()
            };
            self.step.answer(ticket, Answer::JoinGroup(fenced));
        }
        if let Some(ticket) = sync {
            self.answer_sync_error(ticket, ErrorCode::FencedInstanceId);
        }
        self.cancel_session(old_id);
        self.extend_session(&new_id);
        let why = format!("static member {new_id} took the place of {old_id}; client reason: {}", reason_of(&request));
        match self.group.phase {
            Phase::Stable => {
                self.update_member(&new_id, request, None);
                if self.group.select_protocol() == self.group.protocol_name {
                    self.keep_generation(caller, ticket, &new_id, leader_before);
                } else {
                    self.await_join(&new_id, ticket);
                    self.prepare_rebalance(&why);
                }
            }
            Phase::CompletingRebalance => {
                self.update_member(&new_id, request, Some(ticket));
                self.prepare_rebalance(&why);
            }
            Phase::Empty | Phase::PreparingRebalance { .. } => {
                self.update_member(&new_id, request, Some(ticket));
                self.complete_join_if_all_are_there();
            }
        }
    }

    /// Only the log has to know the new id.
    fn keep_generation(&mut self, caller: &Caller, ticket: T, member_id: &str, leader_before: Option<Arc<str>>) {
        let members = self.group.members.values();
        let assignments = members.map(|member| (member.id.clone(), member.assignment.clone())).collect();
        self.step.record(self.group.to_record(&assignments));
        let knows_to_skip = caller.version >= SKIP_ASSIGNMENT_VERSION;
        let is_leader = self.group.is_leader(member_id);
        let mut answer = self.group.joined(member_id, knows_to_skip && is_leader);
        if knows_to_skip {
            answer.skip_assignment = is_leader;
        } else {
            // An older client that learned that it leads would compute an assignment that nobody waits for.
            answer.leader = leader_before.as_deref().unwrap_or_default().to_owned();
        }
        self.step.answer(ticket, Answer::JoinGroup(answer));
    }

    fn update_member(&mut self, member_id: &str, request: JoinGroupRequest, ticket: Option<T>) {
        let member = self.group.members.get_mut(member_id).expect("the caller has found it");
        member.protocols = protocols_of(request.protocols);
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        member.session_timeout_ms = request.session_timeout_ms;
        if let Some(ticket) = ticket {
            self.await_join(member_id, ticket);
        }
    }

    /// A client that asks again does not wait for its first answer any more; Kafka lets that one go unanswered.
    fn await_join(&mut self, member_id: &str, ticket: T) {
        let member = self.group.members.get_mut(member_id).expect("the caller has found it");
        if let Some(before) = member.awaiting_join.replace(ticket) {
            self.answer_join_error(before, member_id, ErrorCode::RebalanceInProgress);
        }
    }
}

impl<T> Member<T> {
    fn matches(&self, protocols: &[JoinGroupRequestProtocol]) -> bool {
        let own = self.protocols.iter().map(|own| (&own.name, &own.metadata));
        own.eq(protocols.iter().map(|other| (&other.name, &other.metadata)))
    }
}

fn protocols_of(protocols: Vec<JoinGroupRequestProtocol>) -> Vec<Protocol> {
    let own = |protocol: JoinGroupRequestProtocol| Protocol { name: protocol.name, metadata: protocol.metadata };
    protocols.into_iter().map(own).collect()
}

fn reason_of(request: &JoinGroupRequest) -> &str {
    request.reason.as_deref().filter(|reason| !reason.is_empty()).unwrap_or("not provided")
}

/// Of version 4, as Kafka makes member ids unique with.
fn random_uuid(rng: &dyn Rng) -> String {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
