//! LeaveGroup: members go without being waited for; an administrator may send several away at once (KIP-345).

use protocol::ErrorCode;
use protocol::leave_group_request::MemberIdentity;
use protocol::leave_group_response::MemberResponse;

use super::Turn;
use super::group::{MemberError, Phase};

impl<T> Turn<'_, T> {
    pub fn leave_group(&mut self, members: &[MemberIdentity]) -> Vec<MemberResponse> {
        let left: Vec<MemberResponse> = members.iter().map(|member| left(member, self.leave(member))).collect();
        let gone = left.iter().filter(|member| member.error_code == ErrorCode::None.code());
        let gone: Vec<&str> = gone.map(|member| member.member_id.as_str()).collect();
        if !gone.is_empty() {
            match self.group.phase {
                Phase::CompletingRebalance | Phase::Stable => {
                    self.prepare_rebalance(&format!("explicit LeaveGroup request for {gone:?} members"));
                }
                Phase::PreparingRebalance { .. } => self.complete_join_if_all_are_there(),
                Phase::Empty => {}
            }
        }
        left
    }

    /// A static member may be named by its instance id alone.
    fn leave(&mut self, member: &MemberIdentity) -> Result<(), MemberError> {
        let instance_id = member.group_instance_id.as_deref();
        let member_id = if member.member_id.is_empty() {
            let known = instance_id.and_then(|instance_id| self.group.static_member(instance_id));
            known.ok_or(MemberError::UnknownMemberId)?.to_string()
        } else {
            if !self.group.pending_joins.contains(&*member.member_id) {
                self.group.check_member(&member.member_id, instance_id)?;
            }
            member.member_id.clone()
        };
        tracing::info!(
            group = &*self.group.id,
            member = member_id,
            reason = member.reason.as_deref().unwrap_or("not provided"),
            "a member leaves"
        );
        self.cancel_session(&member_id);
        self.remove_member(&member_id);
        Ok(())
    }
}

pub(crate) fn left(member: &MemberIdentity, outcome: Result<(), MemberError>) -> MemberResponse {
    let error = outcome.err().map_or(ErrorCode::None, MemberError::error_code);
    MemberResponse {
        member_id: member.member_id.clone(),
        group_instance_id: member.group_instance_id.clone(),
        error_code: error.code(),
        ..Default::default()
    }
}
