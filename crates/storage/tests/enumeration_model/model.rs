//! What was asked of the engine, and what it has answered.
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use env::sim::disk::{Call, Fault};
use record::{BatchMut, LeaderEpoch, Offset};
use storage::{Appended, Durability, Log, LogConfig, Ticket};

use crate::rig::{self, Rig, append};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Op {
    Append,
    /// More than a sector, more than a block.
    AppendLarge,
    /// Large enough for the segment itself.
    AppendDirect,
    AppendOther,
    Checkpoint,
    /// A segment is full, and what is in the older ones is compacted.
    Compact,
    Create,
    Delete,
    /// The next sync of a file answers an error.
    FailSync,
    /// The disk has no room for anything new; the second time it has again.
    Full,
    /// The newest batch once more, as a producer that has heard nothing sends it.
    Duplicate,
    LogStart,
    Recreate,
    RecreateRelaxed,
    Roll,
    Switch,
    /// Time passes: what waits for it is written.
    Wait,
    Truncate,
}

impl Op {
    pub const ALL: [Op; 17] = [
        Op::Append,
        Op::AppendLarge,
        Op::AppendDirect,
        Op::AppendOther,
        Op::Checkpoint,
        Op::Compact,
        Op::Delete,
        Op::FailSync,
        Op::Full,
        Op::Duplicate,
        Op::LogStart,
        Op::Recreate,
        Op::RecreateRelaxed,
        Op::Roll,
        Op::Switch,
        Op::Wait,
        Op::Truncate,
    ];
}

/// Logs by topic. `main` is the one that most operations are for.
#[derive(Clone, Default)]
pub struct Model {
    pub logs: BTreeMap<String, LogModel>,
    main: String,
    generation: u32,
    tag: u64,
    is_full: bool,
}

#[derive(Clone, Default)]
pub struct LogModel {
    /// As they lie in the log, in order; `bases` are their offsets.
    pub batches: Vec<Bytes>,
    /// The sequence of each, and the first that is free.
    pub sequences: Vec<i32>,
    pub ends: Vec<Offset>,
    /// How many a producer was told to be safe from the end of the process, and how many from that of the kernel.
    pub acknowledged: usize,
    pub durable: usize,
    pub is_relaxed: bool,
    pub log_start: Offset,
    /// All batches have one key: of those below it compaction need leave only the last.
    pub compactable: usize,
    /// Answers that are waited for: an end, and how many batches that means.
    waits: Vec<(Offset, usize)>,
    pub truncation: Option<Asked<Offset, Result<Offset, storage::TruncateError>>>,
    pub log_start_move: Option<Asked<Offset, Result<Offset, storage::LogStartError>>>,
    pub deletion: Option<Asked<(), Result<(), storage::Offline>>>,
    pub is_deleted: bool,
}

/// Something with an answer that has not come. Clones of the model do not wait for it.
pub struct Asked<T, A> {
    pub what: T,
    ticket: Option<Ticket<A>>,
}

impl<T: Copy, A> Clone for Asked<T, A> {
    fn clone(&self) -> Self {
        Self { what: self.what, ticket: None }
    }
}

impl<T, A> Asked<T, A> {
    fn new(what: T, ticket: Ticket<A>) -> Option<Self> {
        Some(Self { what, ticket: Some(ticket) })
    }

    fn answer(&mut self) -> Option<A> {
        self.ticket.as_mut()?.try_recv().ok()
    }
}

impl Model {
    pub fn reopened(&mut self, rig: &Rig) {
        for (topic, model) in &self.logs {
            assert_eq!(rig::contents(&rig.log(topic)), model.all(), "the base is not what it was");
        }
    }

    pub fn apply(&mut self, op: Op, rig: &Rig) {
        self.tag += 1;
        match op {
            Op::Append => self.append(rig, 40),
            Op::AppendLarge => self.append(rig, 5000),
            Op::AppendDirect => self.append(rig, 10_000),
            Op::AppendOther => self.append_other(rig),
            Op::Checkpoint => rig.dir.checkpoint(),
            Op::Compact => self.compact(rig),
            Op::Create => self.create(rig),
            Op::Delete => self.delete(rig),
            Op::Full => {
                self.is_full ^= true;
                rig.disk.set_free_bytes(if self.is_full { 0 } else { 1 << 30 });
            }
            Op::FailSync => rig.disk.inject(Fault::input_output(Call::SyncData)),
            Op::Duplicate => self.duplicate(rig),
            Op::LogStart => self.move_log_start(rig),
            Op::Recreate => {
                self.delete(rig);
                self.create(rig);
                self.append(rig, 40);
            }
            Op::RecreateRelaxed => {
                self.delete(rig);
                self.create_with(rig, Durability::Relaxed);
                for _ in 0..3 {
                    self.append(rig, 40);
                }
            }
            Op::Roll => self.roll(rig),
            Op::Switch => self.switch(rig),
            Op::Wait => rig.world.set_now(env::Clock::now(&*rig.world) + std::time::Duration::from_secs(1)),
            Op::Truncate => self.truncate(rig),
        }
        self.observe(rig);
    }

    fn create(&mut self, rig: &Rig) {
        self.create_with(rig, Durability::Flush);
    }

    fn create_with(&mut self, rig: &Rig, durability: Durability) {
        if rig.dir.is_offline() {
            return;
        }
        self.generation += 1;
        self.main = format!("a{}", self.generation);
        rig.create_with(&self.main, LogConfig { durability, ..LogConfig::default() });
        let is_relaxed = durability == Durability::Relaxed;
        let model = LogModel { is_relaxed, ..LogModel::default() };
        self.logs.insert(self.main.clone(), model);
    }

    fn with_main(&mut self, rig: &Rig, act: impl FnOnce(&mut LogModel, &Arc<Log>)) {
        if let (Some(model), Some(log)) = (self.logs.get_mut(&self.main), rig.dir.log(rig::topic_id(&self.main), 0)) {
            act(model, &log);
        }
    }

    fn append(&mut self, rig: &Rig, value_bytes: usize) {
        let tag = self.tag;
        self.with_main(rig, |model, log| model.append(log, tag, value_bytes));
    }

    fn append_other(&mut self, rig: &Rig) {
        let name = "other";
        if !self.logs.contains_key(name) {
            if rig.dir.is_offline() {
                return;
            }
            rig.create_with(name, LogConfig::default());
            self.logs.insert(name.to_owned(), LogModel::default());
        }
        let model = self.logs.get_mut(name).unwrap();
        model.append(&rig.log(name), self.tag, 600);
    }

    fn delete(&mut self, rig: &Rig) {
        self.with_main(rig, |model, log| model.deletion = Asked::new((), rig.dir.delete_log(log)));
    }

    fn duplicate(&mut self, rig: &Rig) {
        self.with_main(rig, |model, log| {
            let Some(last) = model.batches.last().cloned() else { return };
            let count = model.batches.len();
            let bytes = as_sent(&last);
            if let Ok(appended) = append(log, &bytes) {
                assert!(appended.is_duplicate, "appended twice");
                model.waits.push((appended.end, count));
            }
        });
    }

    fn move_log_start(&mut self, rig: &Rig) {
        self.with_main(rig, |model, log| {
            let to = model.ends.iter().rev().nth(1).copied().unwrap_or(model.log_start);
            if to > model.log_start && model.log_start_move.is_none() && model.truncation.is_none() {
                model.log_start_move = Asked::new(to, log.advance_log_start(to));
            }
        });
    }

    fn truncate(&mut self, rig: &Rig) {
        self.with_main(rig, |model, log| {
            let to = model.ends.iter().rev().nth(2).copied().unwrap_or(model.log_start);
            // Nobody truncates what a log start that is on its way is above.
            if model.truncation.is_none() && model.log_start_move.is_none() && to >= model.log_start {
                model.truncation = Asked::new(to, log.truncate_to(to));
            }
        });
    }

    /// The next batch begins a new segment, and there is one.
    fn roll(&mut self, rig: &Rig) {
        self.with_main(rig, |model, log| {
            let durability = if model.is_relaxed { Durability::Relaxed } else { Durability::Flush };
            log.configure(LogConfig { segment_bytes: 1, durability, ..LogConfig::default() });
        });
        self.append(rig, 60);
    }

    /// Two segments that are below the high watermark, and a policy that leaves one of their records.
    fn compact(&mut self, rig: &Rig) {
        self.roll(rig);
        self.with_main(rig, |model, log| {
            let durability = if model.is_relaxed { Durability::Relaxed } else { Durability::Flush };
            log.configure(LogConfig {
                compacts: true,
                deletes: false,
                dirty_ratio_min: 0.0,
                durability,
                ..LogConfig::default()
            });
            let durable = model.count_at(log.ends().durable_end);
            let Some(last) = durable.checked_sub(1) else { return };
            // A cut that is on its way is not above a high watermark.
            if model.truncation.is_none() {
                log.learn_high_watermark(model.ends[last]);
                model.compactable = durable;
            }
        });
        rig.dir.compact();
    }

    fn switch(&mut self, rig: &Rig) {
        self.with_main(rig, |model, log| {
            model.is_relaxed = !model.is_relaxed;
            let durability = if model.is_relaxed { Durability::Relaxed } else { Durability::Flush };
            log.configure(LogConfig { durability, ..LogConfig::default() });
        });
    }

    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// All that a crash may be judged by.
    pub fn promises(&self) -> Vec<(usize, usize, usize, bool, bool, bool, Offset)> {
        let of = |log: &LogModel| {
            let asked = (log.truncation.is_some(), log.log_start_move.is_some(), log.deletion.is_some());
            let state = (asked.0, asked.1, asked.2 && !log.is_deleted);
            (log.batches.len(), log.acknowledged, log.durable, state.0, state.1, state.2, log.log_start)
        };
        self.logs.values().map(of).collect()
    }

    /// Takes note of what the engine has answered since.
    pub fn observe(&mut self, rig: &Rig) {
        for (topic, model) in &mut self.logs {
            model.observe(rig.dir.log(rig::topic_id(topic), 0).as_deref());
        }
    }
}

impl LogModel {
    pub fn all(&self) -> Vec<u8> {
        let first = self.ends.partition_point(|end| *end <= self.log_start);
        self.batches[first..].concat()
    }

    pub fn count_at(&self, end: Offset) -> usize {
        self.ends.partition_point(|batch_end| *batch_end <= end)
    }

    fn next_sequence(&self) -> i32 {
        self.sequences.last().map_or(0, |sequence| sequence + 1)
    }

    fn append(&mut self, log: &Log, tag: u64, value_bytes: usize) {
        let sequence = self.next_sequence();
        let bytes = rig::sized_idempotent_batch(tag, 7, sequence, value_bytes);
        // Paused, for a moment, or deleted: the producer hears of it.
        let Ok(appended) = append(log, &bytes) else { return };
        assert!(!appended.is_duplicate, "never sent before");
        let Appended { base_offset, end, .. } = appended;
        let mut stored = bytes.to_vec();
        let mut patched = BatchMut::parse(&mut stored).unwrap();
        patched.set_base_offset(base_offset);
        patched.set_partition_leader_epoch(LeaderEpoch(1));
        self.batches.push(stored.into());
        self.sequences.push(sequence);
        self.ends.push(end);
        self.waits.push((end, self.batches.len()));
    }

    fn observe(&mut self, log: Option<&Log>) {
        if self.deletion.as_mut().is_some_and(|asked| asked.answer().is_some()) {
            self.is_deleted = true;
        }
        if let Some(Ok(to)) = self.log_start_move.as_mut().and_then(Asked::answer) {
            self.log_start = to;
            self.log_start_move = None;
        }
        if let Some(answer) = self.truncation.as_mut().and_then(Asked::answer) {
            self.truncation = None;
            if let Ok(end) = answer {
                let count = self.count_at(end);
                self.batches.truncate(count);
                self.sequences.truncate(count);
                self.ends.truncate(count);
                self.acknowledged = self.acknowledged.min(count);
                self.durable = self.durable.min(count);
                self.waits.retain(|(_, waiting)| *waiting <= count);
            }
        }
        let Some(log) = log else { return };
        let acknowledged_end = log.acknowledged_end();
        let done = |(end, _): &(Offset, usize)| *end <= acknowledged_end;
        let told = self.waits.iter().filter(|wait| done(wait)).map(|wait| wait.1).max().unwrap_or(0);
        self.acknowledged = self.acknowledged.max(told);
        self.waits.retain(|wait| !done(wait));
        // Of what was acknowledged as relaxed nobody says later that it has become durable.
        let durable = if self.is_relaxed { self.count_at(log.ends().durable_end) } else { told };
        self.durable = self.durable.max(durable);
    }

    /// How many batches must be there after a crash.
    pub fn owed(&self, kernel_lives: bool) -> usize {
        if kernel_lives { self.acknowledged.max(self.durable) } else { self.durable }
    }
}

/// A stored batch as its producer sent it.
pub fn as_sent(stored: &Bytes) -> Bytes {
    let mut bytes = stored.to_vec();
    let mut patched = BatchMut::parse(&mut bytes).unwrap();
    patched.set_base_offset(Offset(0));
    patched.set_partition_leader_epoch(LeaderEpoch(-1));
    bytes.into()
}
