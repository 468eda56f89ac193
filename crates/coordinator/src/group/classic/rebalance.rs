//! From one generation to the next: members are called to join, and once they have, those who did not come are out and
//! the others learn who leads. Also what happens when time is up.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};

use super::Turn;
use super::group::{Group, InitialDelay, Phase};
use crate::group::{Answer, Timer};

impl<T> Turn<'_, T> {
    /// A member has come, gone or changed.
    pub fn rebalance_or_complete_join(&mut self, reason: &str) {
        if self.group.phase.is_preparing() {
            self.complete_join_if_all_are_there();
        } else {
            self.prepare_rebalance(reason);
        }
    }

    pub fn complete_join_if_all_are_there(&mut self) {
        let waits = matches!(self.group.phase, Phase::PreparingRebalance { from_empty: false, .. });
        if waits && self.group.has_all_members_joined() {
            self.complete_join();
        }
    }

    /// Calls all members to join again.
    pub fn prepare_rebalance(&mut self, reason: &str) {
        if self.group.phase == Phase::CompletingRebalance {
            self.discard_assignment();
        }
        self.group.unsynced.clear();
        self.timers.cancel(&Timer::Sync(self.group.id.clone()));
        tracing::info!(
            group = &*self.group.id,
            generation = self.group.generation,
            phase = self.group.phase.name(),
            "preparing to rebalance: {reason}"
        );
        if self.group.phase == Phase::Empty {
            let delay = self.config.initial_rebalance_delay;
            let remaining = self.group.rebalance_timeout().saturating_sub(delay);
            self.set_join_timer(delay);
            self.await_first_members(delay, remaining);
        } else {
            self.enter(Phase::PreparingRebalance { from_empty: false, initial: None });
            if self.group.has_all_members_joined() {
                self.complete_join();
            } else {
                self.set_join_timer(self.group.rebalance_timeout());
            }
        }
    }

    /// The time to join is up.
    pub fn join_timer(&mut self) {
        match self.group.phase {
            Phase::PreparingRebalance { initial: Some(initial), .. } => self.initial_delay_passed(initial),
            Phase::PreparingRebalance { initial: None, .. } => self.complete_join(),
            Phase::Empty | Phase::CompletingRebalance | Phase::Stable => {}
        }
    }

    /// The time to ask for an assignment is up: who has not asked is out.
    pub fn sync_timer(&mut self) {
        let asked_for = matches!(self.group.phase, Phase::CompletingRebalance | Phase::Stable);
        if !asked_for || self.group.unsynced.is_empty() {
            return;
        }
        let late: Vec<Arc<str>> = self.group.unsynced.iter().cloned().collect();
        for member_id in &late {
            self.remove_member(member_id);
            self.cancel_session(member_id);
        }
        self.prepare_rebalance(&format!("removing {late:?} on pending sync request expiration"));
    }

    /// A member was not heard of for the length of its session.
    pub fn session_timer(&mut self, member_id: &str) {
        if self.group.pending_joins.contains(member_id) {
            self.group.remove(member_id);
            self.complete_join_if_last_was_missing();
            return;
        }
        let Some(member) = self.group.members.get(member_id) else { return };
        if member.has_satisfied_heartbeat() {
            return; // It waits for us; its session begins anew with our answer.
        }
        tracing::info!(group = &*self.group.id, member = member_id, "the member's session has expired");
        self.remove_member(member_id);
        if matches!(self.group.phase, Phase::Stable | Phase::CompletingRebalance) {
            self.prepare_rebalance(&format!("removing member {member_id} on heartbeat expiration."));
        } else {
            self.complete_join_if_last_was_missing();
        }
    }

    /// Kafka does not spare a first generation here: with the last one missing gone, it begins at once.
    fn complete_join_if_last_was_missing(&mut self) {
        if self.group.phase.is_preparing() && self.group.has_all_members_joined() {
            self.complete_join();
        }
    }

    /// The log did not take the assignment, and those who waited for it know: they join again.
    pub fn assignment_refused(&mut self) {
        if self.group.phase == Phase::CompletingRebalance {
            self.prepare_rebalance("the assignment could not be stored");
        }
    }

    fn initial_delay_passed(&mut self, initial: InitialDelay) {
        if !self.group.member_added || initial.remaining.is_zero() {
            return self.complete_join();
        }
        self.group.member_added = false;
        let delay = self.config.initial_rebalance_delay.min(initial.remaining);
        self.set_join_timer(delay);
        self.await_first_members(delay, initial.remaining.saturating_sub(initial.delay));
    }

    fn await_first_members(&mut self, delay: Duration, remaining: Duration) {
        let initial = InitialDelay { delay, remaining };
        self.enter(Phase::PreparingRebalance { from_empty: true, initial: Some(initial) });
    }

    fn complete_join(&mut self) {
        self.timers.cancel(&Timer::Join(self.group.id.clone()));
        self.remove_dynamic_members_that_did_not_join();
        if !self.group.members.is_empty() && !self.elect_leader_of_the_joined() {
            // Only static members are left, and none has come: they may yet.
            tracing::warn!(group = &*self.group.id, "could not complete the rebalance because no member joined again");
            let timeout = self.group.rebalance_timeout();
            self.set_join_timer(timeout);
            if let Phase::PreparingRebalance { initial, .. } = &mut self.group.phase {
                *initial = None;
            }
            return;
        }
        self.group.begin_generation(self.now.wall_ms);
        let (group, generation) = (&*self.group.id, self.group.generation);
        if self.group.phase == Phase::Empty {
            tracing::info!(group, generation, "the group is empty");
            self.step.record(self.group.to_record(&Default::default()));
        } else {
            tracing::info!(group, generation, members = self.group.members.len(), "stabilized the group");
            self.answer_joins();
            let timeout = self.group.rebalance_timeout();
            self.timers.set(Timer::Sync(self.group.id.clone()), self.now.at + timeout);
        }
    }

    fn remove_dynamic_members_that_did_not_join(&mut self) {
        let members = self.group.members.values();
        let missing = members.filter(|member| member.awaiting_join.is_none() && member.instance_id.is_none());
        for member_id in missing.map(|member| member.id.clone()).collect::<Vec<_>>() {
            tracing::info!(group = &*self.group.id, member = &*member_id, "removed a member that did not join again");
            self.remove_member(&member_id);
            self.cancel_session(&member_id);
        }
    }

    /// A leader that has not come, being a static member, gives way to one that has. False if none has.
    fn elect_leader_of_the_joined(&mut self) -> bool {
        let group = &mut *self.group;
        let leader = group.leader.as_ref().and_then(|leader| group.members.get(leader));
        if leader.is_some_and(|leader| leader.awaiting_join.is_some()) {
            return true;
        }
        let Some(joined) = group.members.values().find(|member| member.awaiting_join.is_some()) else { return false };
        group.leader = Some(joined.id.clone());
        true
    }

    /// All who have joined learn the generation, and the leader who is in it.
    fn answer_joins(&mut self) {
        for member_id in self.group.members.keys().cloned().collect::<Vec<_>>() {
            let is_leader = self.group.is_leader(&member_id);
            let answer = self.group.joined(&member_id, is_leader);
            let member = self.group.members.get_mut(&member_id).expect("the key is from this map");
            member.is_new = false;
            if let Some(ticket) = member.awaiting_join.take() {
                self.step.answer(ticket, Answer::JoinGroup(answer));
            }
            self.extend_session(&member_id);
            self.group.unsynced.insert(member_id);
        }
    }

    /// Nobody gets the assignment of a generation that is over before it was complete.
    fn discard_assignment(&mut self) {
        for member_id in self.group.members.keys().cloned().collect::<Vec<_>>() {
            let member = self.group.members.get_mut(&member_id).expect("the key is from this map");
            member.assignment = Bytes::new();
            if let Some(ticket) = member.awaiting_sync.take() {
                self.answer_sync_error(ticket, ErrorCode::RebalanceInProgress);
                self.extend_session(&member_id);
            }
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.group.enter(phase, self.now.wall_ms);
    }

    fn set_join_timer(&mut self, timeout: Duration) {
        self.timers.set(Timer::Join(self.group.id.clone()), self.now.at + timeout);
    }
}

impl<T> Group<T> {
    /// The answer to a member of this generation.
    pub fn joined(&self, member_id: &str, with_members: bool) -> JoinGroupResponse {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        let members = self.members.values().filter(|_| with_members).map(|member| JoinGroupResponseMember {
            member_id: member.id.to_string(),
            group_instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
            ..Default::default()
        });
        JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.as_deref().unwrap_or_default().to_owned(),
            member_id: member_id.to_owned(),
            members: members.collect(),
            ..Default::default()
        }
    }
}
