//! Appending: everything that the log's lock decides about a batch. Its checksum and its records were looked at before.
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use record::{BatchView, Batches, LeaderEpoch, Offset, Timestamp};

use super::{Gate, Log, State};
use crate::journal::record::SegmentPlace;
use crate::log::state::index_settings;
use crate::producer_state::{Checked, ProducerError, TransactionVersion};
use crate::rare::Rare;
use crate::roll::Incoming;
use crate::segment::{BatchPlace, Segment, Summary};
use crate::settings::Mutant;
use crate::shared::count;
use crate::validate::Validated;

/// Where a batch has gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Appended {
    pub base_offset: Offset,
    pub last_offset: Offset,
    pub log_append_time: Option<Timestamp>,
    pub log_start: Offset,
    /// What the answer waits for: behind this batch, or behind the original of a duplicate.
    pub end: Offset,
    /// Nothing was appended: the log holds this batch already.
    pub is_duplicate: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AppendError {
    Deleted,
    /// A follower's batches do not continue its log.
    NotNext {
        expected: Offset,
        found: Offset,
    },
    NotWhole {
        position: usize,
    },
    /// A follower's batches go back to an older leader.
    OldEpoch {
        latest: LeaderEpoch,
        found: LeaderEpoch,
    },
    Offline,
    /// No offset is left.
    Overflow,
    /// A truncation is going on; a moment later it is over, and `LogDir::room` is told.
    Paused,
    Producer(ProducerError),
    /// Records that were acknowledged may have followed here: theirs are the next offsets.
    Suspect {
        end: Offset,
    },
}

impl Log {
    /// As the leader. `bytes` is what was validated. Does not wait for the disk: `end` says what to wait for.
    pub fn append(
        &self,
        batch: &Validated,
        bytes: &Bytes,
        leader_epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<Appended, AppendError> {
        let mut state = self.enter()?;
        let base_offset = state.log_end;
        let last_offset = base_offset + i64::from(batch.last_offset_delta);
        if last_offset.0 == i64::MAX {
            return Err(AppendError::Overflow);
        }
        if let Some(mut original) = check_producer(&state, batch, base_offset)? {
            if original.end > state.durable_end {
                self.shared.settings.reached(Rare::DuplicateInFlight);
            }
            if self.shared.settings.has(Mutant::AnswerDuplicateEarly) {
                original.end = Offset::ZERO;
            }
            return Ok(original);
        }
        let header = batch.header_at(base_offset, leader_epoch);
        let new = NewBatch {
            base: base_offset,
            last: last_offset,
            max_timestamp: batch.max_timestamp,
            parts: [header.as_bytes(), batch.body(bytes)],
        };
        self.put(&mut state, &new, now);
        match (&batch.producer, &batch.marker) {
            (Some(producer), Some(marker)) => {
                state.producers.apply_marker(producer.id, producer.epoch, marker, last_offset, batch.max_timestamp);
            }
            (Some(producer), None) => {
                state.producers.apply_batch(producer, base_offset, last_offset, batch.max_timestamp);
            }
            (None, _) => state.producers.apply_nothing(last_offset.next()),
        }
        state.epochs.assign(leader_epoch, base_offset);
        let log_start = state.log_start;
        self.leave(state);
        count(&self.shared.counters.appended_batches, 1);
        count(&self.shared.counters.appended_bytes, batch.size_bytes() as u64);
        Ok(Appended {
            base_offset,
            last_offset,
            log_append_time: batch.log_append_time,
            log_start,
            end: last_offset.next(),
            is_duplicate: false,
        })
    }

    /// As a follower: whole batches, checked, with the offsets and epochs that the leader gave them. All or none.
    pub fn append_as_follower(&self, batches: &Bytes, now: Timestamp) -> Result<Appended, AppendError> {
        let mut state = self.enter()?;
        let first = state.log_end;
        check_continuation(&state, batches)?;
        for batch in Batches::new(batches) {
            let batch = batch.expect("all were just parsed");
            let new = NewBatch {
                base: batch.base_offset(),
                last: batch.last_offset(),
                max_timestamp: batch.max_timestamp(),
                parts: [batch.bytes(), &[]],
            };
            self.put(&mut state, &new, now);
            state.producers.apply(&batch, batch.body());
            state.epochs.assign(batch.partition_leader_epoch(), batch.base_offset());
            count(&self.shared.counters.appended_batches, 1);
            count(&self.shared.counters.appended_bytes, batch.size_bytes() as u64);
        }
        let (log_start, end) = (state.log_start, state.log_end);
        self.leave(state);
        Ok(Appended {
            base_offset: first,
            last_offset: end - 1,
            log_append_time: None,
            log_start,
            end,
            is_duplicate: false,
        })
    }

    fn enter(&self) -> Result<parking_lot::MutexGuard<'_, State>, AppendError> {
        if !self.shared.takes_appends() {
            return Err(AppendError::Offline);
        }
        let state = self.state();
        match state.gate {
            Gate::Open if state.is_suspect() => Err(AppendError::Suspect { end: state.log_end }),
            Gate::Open => Ok(state),
            Gate::Paused => Err(AppendError::Paused),
            Gate::Deleted => Err(AppendError::Deleted),
        }
    }

    /// Gives the batch its place, and its bytes to the tail.
    fn put(&self, state: &mut State, new: &NewBatch<'_>, now: Timestamp) {
        let size_bytes = new.parts[0].len() + new.parts[1].len();
        let incoming = Incoming { size_bytes, max_timestamp: new.max_timestamp, last_offset: new.last };
        if state.rolls(&incoming, now) {
            self.roll(state, new.base, now);
        }
        let place = state.next_place();
        state.tail.push(new.base, new.last.next(), place, new.parts, &self.shared.budget);
        state.pending_bytes += size_bytes;
        state.active().note(&BatchPlace {
            base_offset: new.base,
            last_offset: new.last,
            max_timestamp: new.max_timestamp,
            position: place.position,
            size_bytes: size_bytes as u32,
        });
        state.log_end = new.last.next();
    }

    /// Goes on in a new segment that begins at `base`. Its file is made when its first piece is written.
    pub(crate) fn roll(&self, state: &mut State, base: Offset, now: Timestamp) {
        let segment = self.make_segment(&state.config, Summary::empty(base, now));
        state.segments.push_back(segment);
        if state.tail.is_empty() {
            // Everything is written: the next piece begins the new file.
            state.written.place = SegmentPlace { segment: base, position: 0 };
        }
    }

    pub(crate) fn make_segment(&self, config: &crate::LogConfig, summary: Summary) -> Arc<Segment> {
        Segment::new(&self.shared.files, self.directory(), summary, index_settings(config))
    }

    fn leave(&self, mut state: parking_lot::MutexGuard<'_, State>) {
        self.enqueue(&mut state);
        drop(state);
        self.shared.wake_committer();
    }
}

struct NewBatch<'a> {
    base: Offset,
    last: Offset,
    max_timestamp: Timestamp,
    parts: [&'a [u8]; 2],
}

/// The answer to a duplicate, if it is one.
fn check_producer(state: &State, batch: &Validated, offset: Offset) -> Result<Option<Appended>, AppendError> {
    let Some(producer) = &batch.producer else { return Ok(None) };
    if let Some(marker) = &batch.marker {
        let version = TransactionVersion::V2;
        state.producers.check_marker(producer.id, producer.epoch, marker, offset, version)?;
        return Ok(None);
    }
    if producer.first_sequence.is_none() {
        state.producers.check_coordinator(producer, offset)?;
        return Ok(None);
    }
    match state.producers.check_client(producer, offset, None)? {
        Checked::Append => Ok(None),
        Checked::Duplicate(original) => Ok(Some(Appended {
            base_offset: original.first_offset(),
            last_offset: original.last_offset,
            // Whatever kind of time it is (`UnifiedLog.append`).
            log_append_time: Some(original.timestamp),
            log_start: state.log_start,
            end: original.last_offset.next(),
            is_duplicate: true,
        })),
    }
}

fn check_continuation(state: &State, batches: &[u8]) -> Result<(), AppendError> {
    let mut expected = state.log_end;
    let mut latest = state.epochs.latest().map_or(LeaderEpoch::NONE, |latest| latest.epoch);
    let mut position = 0;
    for batch in Batches::new(batches) {
        let batch: BatchView<'_> = batch.map_err(|_| AppendError::NotWhole { position })?;
        position += batch.size_bytes();
        // Compaction leaves gaps, never overlaps.
        if batch.base_offset() < expected || batch.last_offset() < batch.base_offset() {
            return Err(AppendError::NotNext { expected, found: batch.base_offset() });
        }
        if batch.partition_leader_epoch() < latest {
            return Err(AppendError::OldEpoch { latest, found: batch.partition_leader_epoch() });
        }
        if batch.last_offset().0 == i64::MAX {
            return Err(AppendError::Overflow);
        }
        expected = batch.next_offset();
        latest = batch.partition_leader_epoch();
    }
    Ok(())
}

impl From<ProducerError> for AppendError {
    fn from(error: ProducerError) -> Self {
        AppendError::Producer(error)
    }
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendError::Deleted => f.write_str("the log is deleted"),
            AppendError::NotNext { expected, found } => {
                write!(f, "a batch at offset {found} does not continue a log that ends at {expected}")
            }
            AppendError::NotWhole { position } => write!(f, "no whole batch at byte {position} of what was fetched"),
            AppendError::OldEpoch { latest, found } => {
                write!(f, "a batch of leader epoch {found} after one of epoch {latest}")
            }
            AppendError::Offline => f.write_str("the log directory is offline"),
            AppendError::Overflow => f.write_str("the log has no offset left"),
            AppendError::Paused => f.write_str("the log is paused"),
            AppendError::Producer(error) => error.fmt(f),
            AppendError::Suspect { end } => write!(f, "what was acknowledged behind offset {end} may be lost"),
        }
    }
}

impl std::error::Error for AppendError {}
