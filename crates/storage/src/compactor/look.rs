//! Which log is compacted next, and which of its segments: `LogCleanerManager.grabFilthiestCompactedLog`.
use std::sync::Arc;
use std::sync::atomic::Ordering;

use env::Next;
use record::{Offset, Timestamp};

use super::{Compactor, Stage};
use crate::compaction::{
    Choice, ChoiceRules, Cleanable, CompactionRules, LastBatches, Make, Part, Run, by_dirt, choose,
};
use crate::log::Log;
use crate::log::state::{Gate, State};
use crate::segment::{Segment, Summary};
use crate::settings::Mutant;

/// So many, one after the other, bring everything that is closed below both of them.
const CHECKPOINTS: u32 = 3;

impl Compactor {
    pub(super) fn idle(&mut self) -> Next {
        let settings = &self.shared.settings.compaction;
        if !settings.is_enabled {
            return Next::Idle;
        }
        let is_wanted = self.shared.compaction_is_wanted.swap(false, Ordering::AcqRel);
        if self.now() < self.look_at && !is_wanted {
            return Next::At(self.look_at);
        }
        let logs = self.registry.logs();
        if let Some(log) = logs.iter().find(|log| self.wants_sweep(log)) {
            self.look_at = self.now();
            return self.begin_sweep(log);
        }
        self.look_at = self.now() + self.shared.settings.compaction.backoff;
        if self.shared.is_full() {
            return Next::Again;
        }
        let now = Timestamp(self.shared.env.clock.wall_ms());
        let mut is_held = false;
        let mut filthiest: Option<(Choice, &Arc<Log>)> = None;
        for log in logs.iter().filter(|log| !self.given_up.contains(&log.log_id())) {
            let Some(choice) = choice(log, &log.state(), now) else { continue };
            is_held |= choice.is_held;
            if choice.is_due && filthiest.as_ref().is_none_or(|(best, _)| by_dirt(&choice, best).is_gt()) {
                filthiest = Some((choice, log));
            }
        }
        if let Some((choice, log)) = filthiest {
            tracing::debug!(log = %log.name(), dirty_ratio = choice.dirty_ratio, "compaction");
            let run = self.begin(log, &choice, now);
            self.stage = Stage::Run { log: log.clone(), run: Box::new(run) };
        } else if is_held {
            // Two of them, and what is due now may be replaced. Whatever is in the way then is not to make more of them.
            self.held_looks += 1;
            self.shared.compaction_waits.store(self.held_looks < CHECKPOINTS, Ordering::Release);
            self.shared.want_checkpoint();
            return Next::Again;
        }
        self.held_looks = 0;
        Next::Again
    }

    fn begin(&self, log: &Arc<Log>, choice: &Choice, now: Timestamp) -> Run {
        let state = log.state();
        let first = state.segments.partition_point(|segment| segment.base_offset() <= state.log_start).max(1) - 1;
        let below = state.segments.partition_point(|segment| segment.base_offset() < choice.end);
        let segments: Vec<Arc<Segment>> = state.segments.range(first.min(below)..below).cloned().collect();
        let part =
            Part { segments, first_dirty: choice.first_dirty, end: choice.end, last_batches: last_batches(&state) };
        let config = state.config.clone();
        drop(state);
        let forgets = self.shared.settings.has(Mutant::ForgetTombstonesEarly);
        let rules = CompactionRules {
            delete_retention_ms: if forgets { 0 } else { config.delete_retention_ms },
            key_bytes_max: self.shared.settings.compaction.key_bytes_max,
            segment_bytes_max: config.segment_bytes,
        };
        let log = log.clone();
        let make: Make = Box::new(move |summary: Summary| log.make_segment(&config, summary));
        Run::new(part, make, rules, now)
    }
}

/// `None` if the log is not to be compacted, or not now.
fn choice(log: &Log, state: &State, now: Timestamp) -> Option<Choice> {
    // What is damaged may be brought by another replica; until then nothing is known to be the newest.
    if !state.faulty.is_empty() {
        return None;
    }
    if state.is_being_copied
        || !state.config.compacts
        || !state.is_configured
        || state.gate != Gate::Open
        || state.is_cutting
    {
        return None;
    }
    let segments: Vec<Summary> = state.segments.iter().map(|segment| segment.summary()).collect();
    let first_unstable = state.producers.first_unstable_offset().unwrap_or(Offset(i64::MAX));
    let bounds = [state.checkpointed.replaceable_below(), state.synced.place.segment, state.sealed_below];
    let cleanable = Cleanable {
        segments: &segments,
        log_start: state.log_start,
        log_end: state.log_end,
        compacted_end: state.compacted_end,
        last_stable: log.high_watermark_learned().min(first_unstable),
        replaceable_below: bounds.into_iter().min().expect("there are three"),
    };
    let rules = ChoiceRules {
        dirty_ratio_min: state.config.dirty_ratio_min,
        lag_ms_min: state.config.compaction_lag_ms_min,
        lag_ms_max: state.config.compaction_lag_ms_max,
    };
    Some(choose(&cleanable, &rules, now))
}

fn last_batches(state: &State) -> LastBatches {
    let last = |entry: &crate::producer_state::ProducerEntry| entry.batches().last().map(|batch| batch.last_offset);
    state.producers.producers().map(|(id, entry)| (id, (last(entry), entry.epoch))).collect()
}
