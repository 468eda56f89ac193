//! Retention: from time to time every log is asked which of its oldest segments have had their time or are too much. They
//! go the way of DeleteRecords: the lane is told of the later log start first. Producers' states expire here too.
use std::sync::Arc;

use record::Timestamp;

use super::{Did, Flusher, Job, Step};
use crate::log::Log;
use crate::log::state::Gate;
use crate::rare::Rare;
use crate::retention::{self, Retained, RetentionRules};

impl Flusher {
    pub(super) fn step_retention(&mut self) -> Step {
        let now = self.now();
        if now < self.retention_at || self.closing.is_some() {
            return Ok(if self.closing.is_some() { Did::Nothing } else { Did::Later(self.retention_at) });
        }
        let wall = Timestamp(self.shared.env.clock.wall_ms());
        for log in self.registry.after(None, usize::MAX) {
            retain(&log, wall);
        }
        self.retention_at = self.now() + self.shared.settings.retention_check;
        Ok(Did::Something)
    }
}

fn retain(log: &Arc<Log>, now: Timestamp) {
    let log_start = {
        let mut state = log.state();
        if state.gate != Gate::Open || !state.is_configured {
            return;
        }
        let expiration_ms = state.config.producer_expiration_ms;
        state.producers.remove_expired(now, expiration_ms);
        let retained: Vec<Retained> = state
            .segments
            .iter()
            .map(|segment| {
                let summary = segment.summary();
                Retained {
                    base_offset: summary.base_offset,
                    size_bytes: summary.size_bytes.into(),
                    largest_timestamp: summary.largest_timestamp(),
                }
            })
            .collect();
        let rules = RetentionRules {
            deletes: state.config.deletes,
            retention_ms: state.config.retention_ms,
            retention_bytes: state.config.retention_bytes,
        };
        let view = retention::Log {
            segments: &retained,
            log_start: state.log_start,
            log_end: state.log_end,
            high_watermark: log.high_watermark_learned(),
        };
        let expired = retention::expired(&view, &rules, now).len();
        if expired == 0 {
            return;
        }
        if expired == retained.len() {
            // All of it: a new segment takes what comes, as in Kafka.
            log.shared.settings.reached(Rare::RetentionOfAll);
            let base = state.log_end;
            log.roll(&mut state, base, now);
        }
        let to = state.segments[expired].base_offset();
        if to <= state.log_start {
            // Given up already; not all of it was written when it was.
            drop(state);
            log.shared.give(Job::DropSegments { log: log.clone() });
            return;
        }
        to
    };
    tracing::info!(log = %log.name(), %log_start, "retention: segments below the new log start go");
    // Nobody waits for it; the next check asks again.
    drop(log.advance_log_start(log_start));
}
