//! A partition of `__consumer_offsets` in memory, a shard over it, and time in the hand of the test.
#![allow(dead_code)] // Each test uses a part.

pub mod print;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coordinator::{Answer, Answers, Caller, GroupConfig, GroupRecord, GroupShard, Request};
use env::{Instant, Rng};
use machine::{AppendError, Log, Now};
use record::Offset;

/// Wall time at the start of a test, in milliseconds.
pub const START_MS: i64 = 1_000_000;

#[derive(Default)]
pub struct MemoryLog {
    pub records: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub refuse_next: Option<AppendError>,
    /// What was appended since it was last looked at.
    pub appended: Vec<GroupRecord>,
    pub batches: usize,
}

impl MemoryLog {
    pub fn end(&self) -> Offset {
        Offset(self.records.len() as i64)
    }
}

impl Log<GroupRecord> for MemoryLog {
    fn append(&mut self, records: &[GroupRecord], _atomic: bool) -> Result<Offset, AppendError> {
        assert!(!records.is_empty(), "a batch of nothing");
        if let Some(error) = self.refuse_next.take() {
            return Err(error);
        }
        self.records.extend(records.iter().map(|record| (record.key(), record.value())));
        self.appended.extend_from_slice(records);
        self.batches += 1;
        Ok(self.end())
    }
}

/// Counts, so that member ids can be told in advance: the n-th random UUID ends in n.
#[derive(Default)]
pub struct CountingRng(AtomicU64);

impl Rng for CountingRng {
    fn fill(&self, bytes: &mut [u8]) {
        let n = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        bytes.fill(0);
        let tail = bytes.len() - 8;
        bytes[tail..].copy_from_slice(&n.to_be_bytes());
    }
}

pub struct World {
    pub config: GroupConfig,
    pub log: MemoryLog,
    pub shard: GroupShard<String>,
    pub now: Now,
    /// The high watermark stays where it is until released.
    pub held: bool,
    pub high_watermark: Offset,
    rng: Arc<CountingRng>,
}

impl World {
    pub fn new(config: GroupConfig) -> World {
        let rng = Arc::new(CountingRng::default());
        let shard = GroupShard::new(Arc::new(config.clone()), rng.clone());
        let now = Now { at: Instant(1_000_000_000), wall_ms: START_MS };
        let mut world =
            World { config, log: MemoryLog::default(), shard, now, held: false, high_watermark: Offset(0), rng };
        assert!(world.load().is_empty());
        world
    }

    /// A broker that starts: nothing is known but what the log holds.
    pub fn restart(&mut self) -> Answers<String> {
        self.shard = GroupShard::new(Arc::new(self.config.clone()), self.rng.clone());
        self.load()
    }

    pub fn load(&mut self) -> Answers<String> {
        for (offset, (key, value)) in self.log.records.iter().enumerate() {
            let replayed = self.shard.replay(Offset(offset as i64), Some(key), value.as_deref());
            replayed.expect("our own records can be read");
        }
        self.high_watermark = self.log.end();
        let end = self.log.end();
        self.shard.loaded(&mut self.log, end, end, self.now)
    }

    pub fn request(&mut self, caller: &Caller, request: Request, ticket: &str) -> Answers<String> {
        let mut answers = self.shard.request(&mut self.log, caller, request, ticket.to_owned(), self.now);
        answers.extend(self.commit());
        answers
    }

    pub fn release(&mut self) -> Answers<String> {
        self.held = false;
        self.commit()
    }

    /// The replicas have what the leader has, unless held back.
    pub fn commit(&mut self) -> Answers<String> {
        if self.held {
            return Vec::new();
        }
        self.high_watermark = self.log.end();
        self.shard.committed(self.high_watermark)
    }

    /// Time passes, with a stop at every deadline on the way.
    pub fn advance(&mut self, span: Duration) -> Answers<String> {
        let until = self.now.at + span;
        let mut answers = Vec::new();
        while let Some(deadline) = self.shard.next_deadline().filter(|deadline| *deadline <= until) {
            self.pass(deadline.max(self.now.at));
            answers.extend(self.shard.tick(&mut self.log, self.now));
            answers.extend(self.commit());
        }
        self.pass(until);
        answers
    }

    fn pass(&mut self, at: Instant) {
        self.now.wall_ms += at.since(self.now.at).as_millis() as i64;
        self.now.at = at;
    }
}

pub fn caller(version: i16) -> Caller {
    Caller { version, client_id: "c".to_owned(), host: "/127.0.0.1".to_owned() }
}

/// The error that stands over the whole answer, and how the answer's partitions fared, as numbers of the wire.
pub fn error_code(answer: &Answer) -> i16 {
    match answer {
        Answer::DeleteGroups(groups) => groups.first().map_or(0, |group| group.error_code),
        Answer::DescribeGroups(groups) => groups.first().map_or(0, |group| group.error_code),
        Answer::Heartbeat(heartbeat) => heartbeat.error_code,
        Answer::JoinGroup(join) => join.error_code,
        Answer::LeaveGroup(leave) => leave.error_code,
        Answer::ListGroups(list) => list.error_code,
        Answer::OffsetCommit(commit) => commit
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|partition| partition.error_code)
            .max()
            .unwrap_or(0),
        Answer::OffsetDelete(delete) => delete.error_code,
        Answer::OffsetFetch(fetch) => fetch.error_code,
        Answer::SyncGroup(sync) => sync.error_code,
    }
}
