//! The one thread that makes appends durable. It gathers what all logs have into a group, writes it, syncs, and tells
//! each log how far it is durable now. A group starts as soon as the last one's sync has returned: no timer makes anyone
//! wait. What a step does is at most one write or one sync.
use std::sync::Arc;
use std::sync::Weak;

use env::{Instant, Next, Worker};
use record::Offset;

use crate::direct::DirectPiece;
use crate::flusher::Job;
use crate::journal::record::{Body, SegmentPlace};
use crate::journal::{BLOCK, GroupBuilder, GroupKind, Lane, Room};
use crate::log::state::{Control, Gate, State};
use crate::log::{Log, LogListener};
use crate::rare::Rare;
use crate::settings::{Durability, Mutant};
use crate::shared::{Shared, count};
use crate::syncers::Owner;

pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    lane: Lane,
    builder: GroupBuilder,
    pub(crate) stage: Stage,
    /// Touched logs that wait for a group, in the order in which they were touched.
    pub(crate) backlog: Vec<Weak<Log>>,
    captured: Vec<Captured>,
    pub(crate) direct: Vec<DirectPiece>,
    told: Vec<(Arc<dyn LogListener>, Offset)>,
    seal: Seal,
    /// When the present group was begun, and when it was in the lane.
    begun_at: Instant,
    written_at: Instant,
}

pub(crate) enum Stage {
    Gather,
    /// Direct pieces are written before the group is made, so that one that fails can still go into the lane.
    WriteDirect {
        next: usize,
    },
    /// The group is complete and has no place yet.
    Place {
        kind: GroupKind,
    },
    /// The same, while a group before it says in which file that is.
    SyncNextFile {
        kind: GroupKind,
    },
    Write {
        kind: GroupKind,
    },
    Sync,
    SyncDirect,
}

/// The newest group is known to be durable only once another says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Seal {
    Needed { at: Instant },
    Done,
}

/// A log's share of a group.
struct Captured {
    log: Arc<Log>,
    /// Everything below is in this group or an earlier one. The acknowledgement covers that and no more.
    end: Offset,
    /// Its acknowledgements wait for the group's write and not for its sync.
    is_relaxed: bool,
    controls: Vec<Control>,
}

impl Committer {
    pub fn new(shared: Arc<Shared>, lane: Lane) -> Self {
        let builder = GroupBuilder::new(lane.run, shared.settings.group_bytes_max);
        Self {
            shared,
            lane,
            builder,
            stage: Stage::Gather,
            backlog: Vec::new(),
            captured: Vec::new(),
            direct: Vec::new(),
            told: Vec::new(),
            seal: Seal::Done,
            begun_at: Instant::default(),
            written_at: Instant::default(),
        }
    }

    fn gather(&mut self) -> Next {
        let large = {
            let mut queue = self.shared.queue.lock();
            self.backlog.append(&mut queue.touched);
            if self.backlog.is_empty() && queue.stops && self.seal == Seal::Done {
                drop(queue);
                self.shared.set_committer_stopped();
                return Next::Stop;
            }
            std::mem::take(&mut queue.large)
        };
        self.begun_at = self.shared.env.clock.now();
        self.plan_direct(&large);
        if !self.direct.is_empty() {
            self.stage = Stage::WriteDirect { next: 0 };
            return self.write_direct();
        }
        self.build()
    }

    /// Fills the group, and goes on to give it a place.
    pub(crate) fn build(&mut self) -> Next {
        self.stage = Stage::Gather;
        self.builder.clear();
        let mut taken = 0;
        for log in &self.backlog {
            if self.builder.size_bytes() >= self.shared.settings.group_bytes_max {
                break;
            }
            taken += 1;
            // A log that is gone has nobody who waits.
            let Some(log) = log.upgrade() else { continue };
            let mut capture = Capture {
                builder: &mut self.builder,
                group_bytes_max: self.shared.settings.group_bytes_max,
                direct: &mut self.direct,
            };
            self.captured.extend(capture.take(&log));
        }
        self.direct.retain(|piece| piece.is_recorded);
        self.backlog.drain(..taken);
        if !self.builder.is_empty() {
            self.stage = Stage::Place { kind: GroupKind::Data };
            return self.place();
        }
        if !self.backlog.is_empty() {
            return Next::Again;
        }
        match self.seal {
            Seal::Done => Next::Idle,
            Seal::Needed { at } => {
                let stops = self.shared.queue.lock().stops;
                if stops || self.shared.env.clock.now() >= at {
                    self.stage = Stage::Place { kind: GroupKind::Seal };
                    self.place()
                } else {
                    Next::At(at)
                }
            }
        }
    }

    /// Finds the group its place. Without one, commits wait for a checkpoint or a new file.
    fn place(&mut self) -> Next {
        let Stage::Place { kind } = self.stage else { unreachable!("only a complete group is placed") };
        let bytes = (self.builder.size_bytes() as u64).next_multiple_of(BLOCK as u64);
        let room = self.lane.make_room(&mut self.shared.lane.lock(), bytes);
        match room {
            Room::Here => {
                self.stage = Stage::Write { kind };
                self.write()
            }
            Room::OnceSaid => self.write_next_file(kind),
            Room::Nowhere => {
                self.shared.settings.reached(Rare::LaneFull);
                self.shared.wake_flusher();
                Next::Idle
            }
        }
    }

    fn write_next_file(&mut self, kind: GroupKind) -> Next {
        match self.lane.write_empty(GroupKind::Seal) {
            Ok(bytes) => count(&self.shared.counters.lane_bytes, bytes as u64),
            Err(error) => {
                self.shared.go_offline("a write to the lane failed", &error);
                return Next::Stop;
            }
        }
        self.stage = Stage::SyncNextFile { kind };
        Next::Again
    }

    fn sync_next_file(&mut self) -> Next {
        let Stage::SyncNextFile { kind } = self.stage else { unreachable!("only in its stage") };
        if let Err(error) = self.lane.file().sync_data() {
            self.shared.go_offline("a sync of the lane failed", &error);
            return Next::Stop;
        }
        self.lane.durable_group = self.lane.next_number() - 1;
        self.stage = Stage::Place { kind };
        Next::Again
    }

    fn write(&mut self) -> Next {
        let Stage::Write { kind } = self.stage else { unreachable!("only a placed group is written") };
        let (mut header, place) = self.lane.next_header(kind);
        if self.shared.settings.has(Mutant::HeaderAheadOfSync) {
            header.durable_group = header.number;
        }
        let header = self.builder.header(header, place);
        let (bytes, crc) = self.builder.finish(header);
        count(&self.shared.counters.lane_bytes, bytes.len() as u64);
        if let Err(error) = self.lane.write(bytes, crc) {
            // The lane was written in advance: there is no honest reason for this to fail.
            self.shared.go_offline("a write to the lane failed", &error);
            return Next::Stop;
        }
        self.written_at = self.shared.env.clock.now();
        self.acknowledge_relaxed();
        if self.shared.settings.has(Mutant::AcknowledgeBeforeSync) {
            self.publish(self.lane.next_number() - 1);
        }
        self.seal = if kind == GroupKind::Seal { Seal::Done } else { self.seal };
        self.stage = Stage::Sync;
        Next::Again
    }

    fn sync(&mut self) -> Next {
        let mut synced = self.lane.file().sync_data();
        if self.shared.settings.has(Mutant::RetrySyncAfterError) && synced.is_err() {
            synced = self.lane.file().sync_data();
        }
        if let Err(error) = synced {
            self.shared.go_offline("a sync of the lane failed", &error);
            return Next::Stop;
        }
        if self.shared.has_synced_all(Owner::Committer) {
            return self.complete();
        }
        self.stage = Stage::SyncDirect;
        Next::Again
    }

    /// Every sync of the group has returned.
    pub(crate) fn complete(&mut self) -> Next {
        let number = self.lane.next_number() - 1;
        self.lane.durable_group = number;
        count(&self.shared.counters.groups, 1);
        let now = self.shared.env.clock.now();
        self.publish(number);
        if !self.captured.is_empty() {
            self.record_times(now);
            let at = now + self.shared.settings.seal_after;
            self.seal = Seal::Needed { at };
            self.captured.clear();
        }
        self.direct.clear();
        self.stage = Stage::Gather;
        Next::Again
    }

    /// Of a group that somebody may wait for: seals are not.
    fn record_times(&self, now: Instant) {
        let counters = &self.shared.counters;
        counters.group_writes.record(self.written_at - self.begun_at);
        counters.group_syncs.record(now - self.written_at);
        counters.commits.record(now - self.begun_at);
    }

    /// The group is written: whoever has asked for no more than that need not wait for its sync.
    fn acknowledge_relaxed(&mut self) {
        for captured in self.captured.iter().filter(|captured| captured.is_relaxed) {
            let mut state = captured.log.state();
            let before = state.acknowledged_end();
            state.lane_end = state.lane_end.max(captured.end);
            tell(&state, before, &mut self.told);
        }
        self.tell_listeners();
    }

    /// The group is durable: acknowledges it, and does what it asks for.
    fn publish(&mut self, number: u64) {
        let mut ready = false;
        for captured in &mut self.captured {
            let mut state = captured.log.state();
            state.lsn = number;
            let before = state.acknowledged_end();
            if self.shared.settings.has(Mutant::AcknowledgePastGroup) {
                captured.end = state.log_end;
            }
            state.durable_end = state.durable_end.max(captured.end);
            state.lane_end = state.lane_end.max(captured.end);
            for control in captured.controls.drain(..) {
                apply(&captured.log, &mut state, control);
            }
            tell(&state, before, &mut self.told);
            for piece in self.direct.iter().filter(|piece| Arc::ptr_eq(&piece.log, &captured.log)) {
                piece.publish(&mut state, &self.shared.budget);
            }
            ready |= captured.log.offer_pieces(&mut state);
        }
        {
            let mut lane = self.shared.lane.lock();
            lane.published = self.lane.point();
            // What goes straight to segments is read again at a start, if only to be checked.
            lane.written_bytes += self.direct.iter().map(|piece| u64::from(piece.size_bytes) / 4).sum::<u64>();
            lane.written_bytes += (self.builder.size_bytes() as u64).next_multiple_of(BLOCK as u64);
            ready |= lane.written_bytes >= lane.checkpoint_at_bytes;
        }
        if ready {
            self.shared.wake_flusher();
        }
        self.tell_listeners();
    }

    fn tell_listeners(&mut self) {
        for (listener, acknowledged_end) in self.told.drain(..) {
            listener.acknowledged_end_advanced(acknowledged_end);
        }
    }
}

/// Whoever waits for the log, if it can acknowledge more than before.
fn tell(state: &State, before: Offset, told: &mut Vec<(Arc<dyn LogListener>, Offset)>) {
    let acknowledged_end = state.acknowledged_end();
    if acknowledged_end > before
        && let Some(listener) = &state.listener
    {
        told.push((listener.clone(), acknowledged_end));
    }
}

impl Worker for Committer {
    fn step(&mut self) -> Next {
        if self.shared.is_offline() {
            return Next::Stop;
        }
        match self.stage {
            Stage::Gather => self.gather(),
            Stage::WriteDirect { .. } => self.write_direct(),
            Stage::SyncDirect => self.sync_direct(),
            Stage::Place { .. } => self.place(),
            Stage::SyncNextFile { .. } => self.sync_next_file(),
            Stage::Write { .. } => self.write(),
            Stage::Sync => self.sync(),
        }
    }
}

/// Takes what logs have into the group.
struct Capture<'a> {
    builder: &'a mut GroupBuilder,
    group_bytes_max: usize,
    direct: &'a mut Vec<DirectPiece>,
}

impl Capture<'_> {
    /// A log's data, as far as there is room, then its controls if all of its data is in.
    fn take(&mut self, log: &Arc<Log>) -> Option<Captured> {
        let mut state = log.state();
        state.is_queued = false;
        let mut controls = std::mem::take(&mut state.controls);
        let later = controls.split_off(usize::from(matches!(controls.first(), Some(Control::Create))));
        let records_before = self.builder.records();
        for control in &controls {
            push_control(log, &state, self.builder, control);
        }
        if state.gate != Gate::Deleted {
            while self.take_run(log, &mut state) {}
        }
        // A piece that its own group cuts or removes would look torn, as long as no later header calls the group durable.
        let has_piece = self.direct.iter().any(|piece| piece.is_recorded && Arc::ptr_eq(&piece.log, log));
        let is_all = state.captured_end == state.tail_end() || state.gate == Gate::Deleted;
        if is_all && (later.is_empty() || !has_piece) {
            state.pending_bytes = 0;
            for control in &later {
                push_control(log, &state, self.builder, control);
            }
            controls.extend(later);
        } else {
            state.controls = later;
            log.enqueue(&mut state);
        }
        let (end, is_relaxed) = (state.captured_end, state.is_relaxed());
        drop(state);
        (self.builder.records() > records_before).then(|| Captured { log: log.clone(), end, is_relaxed, controls })
    }

    /// One record: a direct piece, or a run of batches that lie one behind the other in a segment. False if there is
    /// nothing, or no room.
    fn take_run(&mut self, log: &Arc<Log>, state: &mut State) -> bool {
        let from = state.captured_end;
        let is_next = |piece: &&mut DirectPiece| piece.from == from && piece.is_written && Arc::ptr_eq(&piece.log, log);
        if let Some(piece) = self.direct.iter_mut().find(is_next) {
            self.builder.push(log.log_id(), from, &piece.identity());
            piece.is_recorded = true;
            state.captured_end = piece.to;
            state.pending_bytes = state.pending_bytes.saturating_sub(piece.size_bytes as usize);
            return true;
        }
        let stop = self.direct.iter().filter(|piece| piece.is_written && Arc::ptr_eq(&piece.log, log));
        let stop = stop.map(|piece| piece.from).filter(|start| *start > from).min().unwrap_or(Offset(i64::MAX));
        let mut batches = state.tail.from(from).peekable();
        let Some(first) = batches.peek() else { return false };
        let room = self.group_bytes_max.saturating_sub(self.builder.size_bytes());
        let place = first.place;
        let (mut count, mut size_bytes, mut end) = (0, 0, from);
        for batch in batches {
            let continues = batch.place.segment == place.segment && batch.base < stop;
            // A group takes at least one batch, however large.
            let fits = GroupBuilder::data_record_bytes(size_bytes + batch.bytes.len()) <= room;
            if !continues || !(fits || (self.builder.is_empty() && count == 0)) {
                break;
            }
            count += 1;
            size_bytes += batch.bytes.len();
            end = batch.next;
        }
        if count == 0 {
            return false;
        }
        let head = Body::Data { end, place, batches: &[] };
        let parts = state.tail.from(from).take(count).map(|batch| &batch.bytes);
        self.builder.push_data(log.log_id(), from, &head, parts, size_bytes);
        state.captured_end = end;
        state.pending_bytes = state.pending_bytes.saturating_sub(size_bytes);
        true
    }
}

fn push_control(log: &Log, state: &State, builder: &mut GroupBuilder, control: &Control) {
    let body = match control {
        Control::Create => Body::Create {
            topic_id: log.topic_id(),
            partition: log.name().partition,
            durability: Durability::Flush,
            log_start: state.log_start,
            topic: &log.name().topic,
        },
        Control::Delete { .. } => Body::Delete,
        Control::Faulty { range } => Body::Faulty { from: range.start, to: range.end },
        Control::LogStart { to } => Body::LogStart { to: *to },
        Control::Synced { end } => Body::Synced { end: end.offset, place: end.place, durability: Durability::Flush },
        Control::Replace(replacement) => Body::Replace {
            from: replacement.range.start,
            to: replacement.range.end,
            compacted_end: replacement.compacted_end,
            summary: replacement.segment.summary(),
        },
        Control::Truncate { to, epoch } => Body::Truncate { to: *to, epoch: *epoch },
    };
    builder.push(log.log_id(), state.captured_end, &body);
}

/// What a control means once it is durable.
fn apply(log: &Arc<Log>, state: &mut State, control: Control) {
    match control {
        Control::Create => {}
        Control::Delete { answer } => {
            state.is_gone = true;
            crate::log::answer_now(answer, Ok(()));
            log.shared.give(Job::RemoveLog { log: log.clone() });
        }
        // Readers go by what is in memory already.
        Control::Faulty { .. } => {}
        Control::LogStart { to } => {
            state.move_log_start(to);
            log.shared.give(Job::DropSegments { log: log.clone() });
        }
        Control::Replace(replacement) => log.replace_segments(state, replacement),
        Control::Synced { .. } => {
            state.recorded_as = Durability::Flush;
            log.open_gate(state);
        }
        // Everything below it is durable, and everything else is to go.
        Control::Truncate { to, .. } => {
            state.durable_end = state.durable_end.min(to);
            state.lane_end = state.lane_end.min(to);
            state.is_cutting = true;
            log.shared.give(Job::Cut { log: log.clone(), to });
        }
    }
}

impl SegmentPlace {
    pub(crate) fn after(self, size_bytes: u32) -> SegmentPlace {
        SegmentPlace { position: self.position + size_bytes, ..self }
    }
}
