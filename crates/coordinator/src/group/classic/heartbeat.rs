//! Heartbeat: a member is alive, and learns whether it must join again.

use protocol::ErrorCode;
use protocol::heartbeat_request::HeartbeatRequest;

use super::Turn;
use super::group::{MemberError, Phase};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HeartbeatError {
    IllegalGeneration,
    Member(MemberError),
    RebalanceInProgress,
}

impl HeartbeatError {
    pub fn error_code(self) -> ErrorCode {
        match self {
            HeartbeatError::IllegalGeneration => ErrorCode::IllegalGeneration,
            HeartbeatError::Member(error) => error.error_code(),
            HeartbeatError::RebalanceInProgress => ErrorCode::RebalanceInProgress,
        }
    }
}

impl<T> Turn<'_, T> {
    pub fn heartbeat(&mut self, request: &HeartbeatRequest) -> Result<(), HeartbeatError> {
        let instance_id = request.group_instance_id.as_deref();
        self.group.check_member(&request.member_id, instance_id).map_err(HeartbeatError::Member)?;
        if request.generation_id != self.group.generation {
            return Err(HeartbeatError::IllegalGeneration);
        }
        self.extend_session(&request.member_id);
        match self.group.phase {
            Phase::PreparingRebalance { .. } => Err(HeartbeatError::RebalanceInProgress),
            Phase::Empty | Phase::CompletingRebalance | Phase::Stable => Ok(()),
        }
    }
}
