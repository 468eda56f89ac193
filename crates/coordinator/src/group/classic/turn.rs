//! One group during one step: the group itself and what may be touched besides it. The files beside this one say what
//! each request and each timer does to it.

use std::sync::Arc;

use env::Rng;
use machine::{Now, Step, Timers};
use protocol::ErrorCode;
use protocol::join_group_response::JoinGroupResponse;
use protocol::sync_group_response::SyncGroupResponse;

use super::Group;
use super::member::Member;
use crate::group::{Answer, GroupConfig, Groups, Timer};

pub(crate) struct Turn<'a, T> {
    pub config: &'a GroupConfig,
    pub group: &'a mut Group<T>,
    pub now: Now,
    pub rng: &'a dyn Rng,
    pub step: &'a mut Step<Groups<T>>,
    pub timers: &'a mut Timers<Timer>,
}

impl<T> Turn<'_, T> {
    /// A sign of life: the session begins anew.
    pub fn extend_session(&mut self, member_id: &str) {
        if let Some(member) = self.group.members.get(member_id) {
            let key = Timer::Session(self.group.id.clone(), member.id.clone());
            self.timers.set(key, self.now.at + member.session_timeout());
        }
    }

    pub fn cancel_session(&mut self, member_id: &str) {
        self.timers.cancel(&Timer::Session(self.group.id.clone(), Arc::from(member_id)));
    }

    pub fn answer_join_error(&mut self, ticket: T, member_id: &str, error: ErrorCode) {
        let member_id = member_id.to_owned();
        let answer = JoinGroupResponse { error_code: error.code(), member_id, ..Default::default() };
        self.step.answer(ticket, Answer::JoinGroup(answer));
    }

    pub fn answer_sync_error(&mut self, ticket: T, error: ErrorCode) {
        let answer = SyncGroupResponse { error_code: error.code(), ..Default::default() };
        self.step.answer(ticket, Answer::SyncGroup(answer));
    }

    /// Takes a member out, and answers what it waited for.
    pub fn remove_member(&mut self, member_id: &str) {
        if let Some(Member { awaiting_join, awaiting_sync, .. }) = self.group.remove(member_id) {
            if let Some(ticket) = awaiting_join {
                self.answer_join_error(ticket, "", ErrorCode::UnknownMemberId);
            }
            // Kafka forgets this one, and the client waits until its request times out.
            if let Some(ticket) = awaiting_sync {
                self.answer_sync_error(ticket, ErrorCode::UnknownMemberId);
            }
        }
    }
}
