//! SyncGroup: the leader brings the assignment, every member takes its part of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use protocol::sync_group_response::SyncGroupResponse;

use super::Turn;
use super::group::{MemberError, Phase};
use crate::group::{Answer, Timer};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum SyncError {
    IllegalGeneration,
    InconsistentProtocol,
    Member(MemberError),
    RebalanceInProgress,
}

impl SyncError {
    fn error_code(self) -> ErrorCode {
        match self {
            SyncError::IllegalGeneration => ErrorCode::IllegalGeneration,
            SyncError::InconsistentProtocol => ErrorCode::InconsistentGroupProtocol,
            SyncError::Member(error) => error.error_code(),
            SyncError::RebalanceInProgress => ErrorCode::RebalanceInProgress,
        }
    }
}

impl<T> Turn<'_, T> {
    pub fn sync_group(&mut self, request: SyncGroupRequest, ticket: T) {
        if let Err(error) = self.check_sync(&request) {
            return self.answer_sync_error(ticket, error.error_code());
        }
        self.has_synced(&request.member_id);
        if self.group.phase == Phase::Stable {
            let member = &self.group.members[&*request.member_id];
            let answer = self.synced(member.assignment.clone());
            return self.step.answer(ticket, answer);
        }
        let member = self.group.members.get_mut(&*request.member_id).expect("it has been checked");
        if let Some(before) = member.awaiting_sync.replace(ticket) {
            self.answer_sync_error(before, ErrorCode::RebalanceInProgress);
        }
        if self.group.is_leader(&request.member_id) {
            self.assign(request.assignments);
        }
    }

    fn check_sync(&self, request: &SyncGroupRequest) -> Result<(), SyncError> {
        if self.group.phase == Phase::Empty {
            return Err(SyncError::Member(MemberError::UnknownMemberId));
        }
        let instance_id = request.group_instance_id.as_deref();
        self.group.check_member(&request.member_id, instance_id).map_err(SyncError::Member)?;
        if request.generation_id != self.group.generation {
            return Err(SyncError::IllegalGeneration);
        }
        if contradicts(&request.protocol_type, &self.group.protocol_type)
            || contradicts(&request.protocol_name, &self.group.protocol_name)
        {
            return Err(SyncError::InconsistentProtocol);
        }
        if self.group.phase.is_preparing() { Err(SyncError::RebalanceInProgress) } else { Ok(()) }
    }

    fn has_synced(&mut self, member_id: &str) {
        self.group.unsynced.remove(member_id);
        if self.group.unsynced.is_empty() {
            self.timers.cancel(&Timer::Sync(self.group.id.clone()));
        }
    }

    /// The leader's word is written, and everyone who waits gets it once it is committed.
    fn assign(&mut self, assigned: Vec<SyncGroupRequestAssignment>) {
        let assigned = assigned.into_iter().map(|part| (Arc::from(part.member_id), part.assignment));
        let assignments: BTreeMap<Arc<str>, Bytes> = assigned.collect();
        self.step.record(self.group.to_record(&assignments));
        self.group.phase_since_ms = Some(self.now.wall_ms); // The record still has the time of the last phase.
        for member_id in self.group.members.keys().cloned().collect::<Vec<_>>() {
            let member = self.group.members.get_mut(&member_id).expect("the key is from this map");
            let Some(ticket) = member.awaiting_sync.take() else { continue };
            let answer = self.synced(assignments.get(&member_id).cloned().unwrap_or_default());
            self.step.answer(ticket, answer);
            self.extend_session(&member_id);
        }
    }

    fn synced(&self, assignment: Bytes) -> Answer {
        Answer::SyncGroup(SyncGroupResponse {
            protocol_type: self.group.protocol_type.clone(),
            protocol_name: self.group.protocol_name.clone(),
            assignment,
            ..Default::default()
        })
    }
}

/// Only what both sides name can differ; before version 5 the request names neither.
fn contradicts(asked: &Option<String>, known: &Option<String>) -> bool {
    asked.is_some() && known.is_some() && asked != known
}
