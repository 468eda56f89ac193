//! What a log's lock protects, and the arithmetic on it. No disk, no queue: those who call here bring both.
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use record::{LeaderEpoch, Offset, Timestamp};

use super::{Ends, LogListener, LogStartError, answer_now};
use crate::budget::Budget;
use crate::journal::record::SegmentPlace;
use crate::leader_epochs::LeaderEpochs;
use crate::producer_state::ProducerState;
use crate::roll::{Incoming, RollRules, should_roll};
use crate::segment::{IndexSettings, Segment, Summary, Written};
use crate::settings::{Durability, LogConfig};
use crate::shared::{Answer, Offline};
use crate::tail::Tail;

pub(crate) struct State {
    pub gate: Gate,
    pub config: LogConfig,
    /// Nothing is taken away by retention before somebody has said what the retention is.
    pub is_configured: bool,
    /// What the lane says. Of a log that an earlier release made `relaxed` it says so until the log's first group: its
    /// files hold what no lane does.
    pub recorded_as: Durability,
    pub listener: Option<Arc<dyn LogListener>>,
    pub log_start: Offset,
    pub log_end: Offset,
    /// Everything below is durable, in the lane or in segments.
    /// `durable_end <= lane_end <= captured_end <= log_end`
    pub durable_end: Offset,
    /// Everything below is in a group that is written, and outlives the process.
    pub lane_end: Offset,
    /// Everything below is in a group, written or about to be.
    pub captured_end: Offset,
    /// How far the segment files reach, without a hole. `written.offset <= durable_end`
    pub written: Reach,
    /// How far the synced ones do (S). `synced.offset <= written.offset`
    pub synced: Reach,
    pub epochs: LeaderEpochs,
    pub producers: ProducerState,
    /// Oldest first, never empty; the last one is the active one.
    pub segments: VecDeque<Arc<Segment>>,
    /// Below the log start and out of use; their files stay until two checkpoints know the producers that wrote them.
    pub dropped: Vec<Arc<Segment>>,
    /// Segments that begin below this are full, and their indexes complete.
    pub sealed_below: Offset,
    pub tail: Tail,
    /// For the next group, behind the data.
    pub controls: Vec<Control>,
    /// The group that has last changed this state: the checkpoint's entry is exact up to it.
    pub lsn: u64,
    /// Everything below has been compacted; where the next compaction begins to look for newer records.
    pub compacted_end: Offset,
    pub checkpointed: Checkpointed,
    /// A `replace` record is on its way: segments neither come nor go until it is durable.
    pub is_replacing: bool,
    /// How often compacted segments have taken the place of others.
    pub replacements: u64,
    /// Another directory is being given a copy: no compaction begins.
    pub is_being_copied: bool,
    pub faulty: Vec<Range<Offset>>,
    pub log_start_waiters: Vec<(Offset, Answer<Result<Offset, LogStartError>>)>,
    /// A truncation is durable, and not yet done to what is in memory.
    pub is_cutting: bool,
    /// The record of its deletion is durable, not only asked for.
    pub is_gone: bool,
    /// Files may be there, since before a recovery, whose names were never synced.
    pub made_names: bool,
    /// In the committer's queue.
    pub is_queued: bool,
    /// In the flusher's queue of logs that are ready, and in that of logs that age.
    pub is_ready: bool,
    pub is_aging: bool,
    pub directory: DirectoryState,
    /// The newest segment whose name, and whose directory's name, are synced: it takes direct pieces.
    pub named: Option<Offset>,
    pub is_naming: bool,
    /// Appended and not yet in a group.
    pub pending_bytes: usize,
    /// In the committer's list of logs that may have direct pieces.
    pub is_large: bool,
}

/// Whether the log takes appends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Gate {
    Open,
    /// Until a truncation or a reset is durable and done.
    Paused,
    Deleted,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct DirectoryState {
    pub is_made: bool,
    pub is_synced: bool,
}

/// A place in the log, as an offset and in a segment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Reach {
    pub offset: Offset,
    pub place: SegmentPlace,
}

/// What the two checkpoints have of the log: in which segment S lay when they took their entries of it, and whether they
/// know of its producers what only they can tell. What lies in segments before that one, in both, comes back from no lane;
/// so it may be replaced (rule 13).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checkpointed {
    captured: Offset,
    durable: [Offset; 2],
    /// So many checkpoints are yet to take the producers' state, which neither the lane nor the segments would bring back;
    lack_producers: u8,
    /// and one that will be durable next has.
    captured_producers: bool,
}

impl Checkpointed {
    pub fn capture(&mut self, synced: &Reach) {
        self.captured = synced.place.segment;
        self.captured_producers = true;
    }

    /// The checkpoint that has captured it is durable, in the place of the older one.
    pub fn complete(&mut self) {
        self.durable = [self.durable[1], self.captured];
        if std::mem::take(&mut self.captured_producers) {
            self.lack_producers = self.lack_producers.saturating_sub(1);
        }
    }

    /// The log has been told of producers what its records do not tell.
    pub fn producers_learned(&mut self) {
        self.lack_producers = self.durable.len() as u8;
        self.captured_producers = false;
    }

    pub fn lacks_producers(&self) -> bool {
        self.lack_producers > 0
    }

    /// The log was cut: segments from `base` on are not what they were.
    pub fn cut(&mut self, base: Offset) {
        self.captured = self.captured.min(base);
        self.durable = self.durable.map(|durable| durable.min(base));
    }

    pub fn replaceable_below(&self) -> Offset {
        self.durable[0].min(self.durable[1])
    }
}

/// What the lane is told of a log besides its data, and who waits for it.
pub(crate) enum Control {
    Create,
    Delete {
        answer: Answer<Result<(), Offline>>,
    },
    Faulty {
        range: Range<Offset>,
    },
    LogStart {
        to: Offset,
    },
    Replace(Replacement),
    /// What an earlier release wrote past the lane has been synced by the recovery: from here on the lane has everything.
    Synced {
        end: Reach,
    },
    Truncate {
        to: Offset,
        epoch: LeaderEpoch,
    },
}

/// A compacted segment, complete and synced, and the range of base offsets whose segments it is to replace.
pub(crate) struct Replacement {
    pub range: Range<Offset>,
    pub segment: Arc<Segment>,
    /// Everything below will have been compacted.
    pub compacted_end: Offset,
    pub answer: Answer<()>,
}

impl State {
    /// An empty log that begins at `start`.
    pub fn empty(start: Offset, segment: Arc<Segment>, config: LogConfig) -> Self {
        let place = SegmentPlace { segment: start, position: 0 };
        let reach = Reach { offset: start, place };
        Self {
            gate: Gate::Open,
            config,
            is_configured: false,
            recorded_as: Durability::Flush,
            listener: None,
            log_start: start,
            log_end: start,
            durable_end: start,
            lane_end: start,
            captured_end: start,
            written: reach,
            synced: reach,
            epochs: LeaderEpochs::default(),
            producers: ProducerState::new(start),
            segments: VecDeque::from([segment]),
            dropped: Vec::new(),
            sealed_below: start,
            tail: Tail::default(),
            controls: Vec::new(),
            lsn: 0,
            compacted_end: start,
            checkpointed: Checkpointed::default(),
            is_replacing: false,
            replacements: 0,
            is_being_copied: false,
            faulty: Vec::new(),
            log_start_waiters: Vec::new(),
            is_cutting: false,
            is_gone: false,
            made_names: false,
            is_queued: false,
            is_ready: false,
            is_aging: false,
            directory: DirectoryState::default(),
            named: None,
            is_naming: false,
            pending_bytes: 0,
            is_large: false,
        }
    }

    pub fn ends(&self) -> Ends {
        Ends { log_start: self.log_start, log_end: self.log_end, durable_end: self.durable_end }
    }

    pub fn is_relaxed(&self) -> bool {
        self.config.durability == Durability::Relaxed
    }

    pub fn acknowledged_end(&self) -> Offset {
        if self.is_relaxed() { self.lane_end } else { self.durable_end }
    }

    pub fn active(&self) -> &Arc<Segment> {
        self.segments.back().expect("a log always has a segment")
    }

    /// Where the data that a group may take ends.
    pub fn tail_end(&self) -> Offset {
        self.tail.batches().next_back().map_or(self.captured_end, |batch| batch.next)
    }

    /// A later log start is durable.
    pub fn move_log_start(&mut self, to: Offset) {
        if to > self.log_start {
            self.log_start = to;
            self.epochs.truncate_from_start(to);
            self.producers.log_start_moved(to);
            self.unmark_below(to);
        }
        let log_start = self.log_start;
        let mut index = 0;
        while index < self.log_start_waiters.len() {
            if self.log_start_waiters[index].0 <= log_start {
                answer_now(self.log_start_waiters.swap_remove(index).1, Ok(log_start));
            } else {
                index += 1;
            }
        }
    }

    pub fn segment(&self, base: Offset) -> Option<&Arc<Segment>> {
        let index = self.segments.partition_point(|segment| segment.base_offset() < base);
        self.segments.get(index).filter(|segment| segment.base_offset() == base)
    }

    pub fn configure(&mut self, config: LogConfig) {
        for segment in &self.segments {
            segment.set_index_settings(index_settings(&config));
        }
        self.config = config;
        self.is_configured = true;
    }

    /// Whether a batch would go to a new segment.
    pub fn rolls(&self, incoming: &Incoming, now: Timestamp) -> bool {
        let rules = RollRules {
            segment_bytes_max: self.config.segment_bytes,
            segment_ms: self.config.segment_ms,
            jitter_ms: self.config.segment_jitter_ms,
            index_bytes_max: self.config.segment_index_bytes,
        };
        should_roll(&self.active().roll_state(), incoming, &rules, now).is_some()
    }

    /// Where the next batch begins in the active segment.
    pub fn next_place(&self) -> SegmentPlace {
        let summary = self.active().summary();
        SegmentPlace { segment: summary.base_offset, position: summary.size_bytes }
    }

    /// How far the file of this segment reaches.
    pub fn written_of(&self, segment: &Segment) -> Written {
        let base = segment.base_offset();
        let place = self.written.place;
        if base == place.segment {
            Written { position: place.position, offset: self.written.offset }
        } else if base < place.segment {
            whole(&segment.summary())
        } else {
            Written { position: 0, offset: base }
        }
    }

    /// Passes over what went straight to the segments. True if it came anywhere.
    pub fn step_over_direct(&mut self, budget: &Budget) -> bool {
        let mut reach = self.written;
        for batch in self.tail.from(self.written.offset) {
            let is_next = batch.place == reach.place || batch.place.position == 0;
            if !batch.in_file || !is_next || batch.next > self.durable_end {
                break;
            }
            reach = Reach { offset: batch.next, place: batch.place.after(batch.bytes.len() as u32) };
        }
        if reach == self.written {
            return false;
        }
        self.written = reach;
        self.tail.forget_below(reach.offset, budget);
        true
    }

    /// Bytes of the tail that may go to the segments now.
    pub fn writable_bytes(&self) -> usize {
        if self.durable_end >= self.log_end {
            return self.tail.size_bytes();
        }
        let beyond: usize =
            self.tail.batches().rev().take_while(|batch| batch.next > self.durable_end).map(|b| b.bytes.len()).sum();
        self.tail.size_bytes() - beyond
    }
}

pub(crate) fn whole(summary: &Summary) -> Written {
    Written { position: summary.size_bytes, offset: summary.end_offset }
}

pub(crate) fn index_settings(config: &LogConfig) -> IndexSettings {
    IndexSettings { interval_bytes: config.index_interval_bytes }
}
