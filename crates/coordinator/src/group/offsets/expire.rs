//! Offsets that nobody has use for any more, and the groups that have neither members nor offsets.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use machine::{Now, Step};

use super::{Committed, tombstone};
use crate::group::classic::{Group, Phase};
use crate::group::{GroupRecord, Groups, Timer};

/// A sweep pauses after as many records, so that requests are served in between.
const RECORDS_MAX: usize = 1000;
const PAUSE: Duration = Duration::from_millis(1);

/// Since when an offset counts as unused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum UnusedSince {
    Commit,
    /// The group lost its last member, if it is known when.
    Empty(Option<i64>),
}

impl<T> Groups<T> {
    /// One round over all groups, or a part of it.
    pub fn expire(&mut self, now: Now, step: &mut Step<Self>) {
        step.may_be_split();
        let from = self.expired_up_to.take().map_or(Bound::Unbounded, Bound::Excluded);
        for (group_id, group) in self.groups.range::<Arc<str>, _>((from, Bound::Unbounded)) {
            self.expire_group(group_id, group, now.wall_ms, step);
            if step.records().len() >= RECORDS_MAX {
                self.expired_up_to = Some(group_id.clone());
                break;
            }
        }
        let pause = if self.expired_up_to.is_some() { PAUSE } else { self.config.retention_check_interval };
        self.timers.set(Timer::Expiry, now.at + pause);
    }

    fn expire_group(&self, group_id: &Arc<str>, group: &Group<T>, now_ms: i64, step: &mut Step<Self>) {
        let mut all_expired = true;
        if let Some(topics) = self.offsets.of_group(group_id) {
            let Some(since) = group.offsets_unused_since() else { return };
            let retention_ms = self.config.retention.as_millis() as i64;
            for (topic, partitions) in topics {
                let subscribed = group.is_subscribed_to(topic);
                for (&index, committed) in partitions {
                    if !subscribed && committed.has_expired(since, now_ms, retention_ms) {
                        step.record(tombstone(group_id, topic, index));
                    } else {
                        all_expired = false;
                    }
                }
            }
        }
        if all_expired && group.phase == Phase::Empty {
            step.record(GroupRecord::GroupMetadata { group_id: group_id.to_string(), value: None });
        }
    }
}

impl<T> Group<T> {
    /// None while all offsets are in use, or may be.
    fn offsets_unused_since(&self) -> Option<UnusedSince> {
        match self.phase {
            _ if self.protocol_type.is_none() => Some(UnusedSince::Commit), // Its consumers assign themselves.
            Phase::Empty => Some(UnusedSince::Empty(self.phase_since_ms)),
            Phase::Stable if self.uses_consumer_protocol() && self.knows_subscribed_topics() => {
                Some(UnusedSince::Commit)
            }
            Phase::Stable | Phase::PreparingRebalance { .. } | Phase::CompletingRebalance => None,
        }
    }
}

impl Committed {
    fn has_expired(&self, since: UnusedSince, now_ms: i64, retention_ms: i64) -> bool {
        if let Some(expire_ms) = self.expire_ms {
            return now_ms >= expire_ms;
        }
        let since_ms = match since {
            UnusedSince::Commit | UnusedSince::Empty(None) => self.commit_ms,
            UnusedSince::Empty(Some(since_ms)) => since_ms,
        };
        now_ms.saturating_sub(since_ms) >= retention_ms
    }
}
