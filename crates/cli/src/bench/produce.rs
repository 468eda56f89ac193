//! `ottla bench produce`: random records, as fast as the cluster takes them or at a rate, and how long each one waited for
//! its acknowledgement.
use std::collections::VecDeque;
use std::time::Duration;

use clap::Args;
use env::{Env, Instant};

use super::report::Report;
use crate::connect::Connect;
use crate::console::Console;
use crate::failure::Failure;
use crate::produce::input::Input;
use crate::produce::partitioner::Partitioner;
use crate::produce::sender::{Acknowledged, Batching, Sender};
use crate::produce::{Acks, BUFFERED_BYTES_MAX, Codec, identity, partitions};
use crate::table::Output;

#[derive(Args, Debug)]
pub struct Produce {
    /// Where to write; it is made if it is not there and the broker makes topics
    #[arg(add = crate::completions::topics())]
    topic: String,

    /// How many records
    #[arg(short, long, value_name = "COUNT", default_value_t = 1_000_000)]
    num: u64,

    /// How large their values are
    #[arg(short, long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(0..=100 << 20))]
    size: u32,

    /// How many a second [default: as many as go]
    #[arg(short, long, value_name = "RECORDS", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,

    /// A batch is sent when it has this size
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 10, value_parser = clap::value_parser!(u32).range(1..=100 << 20))]
    batch_bytes: u32,

    /// Or when it is this old
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = crate::connect::duration)]
    linger: Duration,

    /// How batches are compressed; random values hardly are
    #[arg(short = 'z', long, value_enum, default_value_t)]
    compression: Codec,

    /// Whose word to wait for
    #[arg(long, value_enum, default_value_t)]
    acks: Acks,

    /// For people or for programs
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    connect: Connect,
}

/// Values are cut out of this many random bytes and a value's size.
const RANDOM_BYTES: usize = 64 << 10;
/// So many are made before somebody else may have a turn.
const TURN_BYTES: usize = 256 << 10;

impl Produce {
    pub async fn run(self, env: Env, console: &mut Console) -> Result<(), Failure> {
        let session = self.connect.session(&env, console)?;
        let partitions = partitions(&session, &self.topic).await?;
        let identity = if self.acks == Acks::All { Some(identity(&session).await?) } else { None };
        let batching = Batching { bytes: self.batch_bytes as usize, linger: self.linger };
        let acks = self.acks.code();
        let compression = self.compression.compression();
        let sender = Sender::new(session, self.topic.clone(), partitions, acks, compression, identity, batching);
        let mut random = vec![0; RANDOM_BYTES + self.size as usize];
        env.rng.fill(&mut random);
        let run = Run {
            began: env.clock.now(),
            report: Report::new(Some(self.num), env.clock.now()),
            partitioner: Partitioner::new(partitions, None),
            waiting: (0..partitions).map(|_| VecDeque::new()).collect(),
            appended: 0,
            goal: self.num,
            random,
            size: self.size as usize,
            rate: self.rate,
            sender,
            env,
        };
        run.measure(self.output, console).await
    }
}

struct Run {
    env: Env,
    began: Instant,
    report: Report,
    sender: Sender,
    partitioner: Partitioner,
    /// When each record that is not acknowledged was made, by partition. As many as the buffer holds.
    waiting: Vec<VecDeque<Instant>>,
    appended: u64,
    goal: u64,
    random: Vec<u8>,
    size: usize,
    rate: Option<u64>,
}

impl Run {
    async fn measure(mut self, output: Output, console: &mut Console) -> Result<(), Failure> {
        let mut interrupted = console.interrupted();
        let mut was_interrupted = false;
        while self.appended < self.goal || !self.sender.is_empty() {
            let now = self.env.clock.now();
            let due = self.due(now);
            let has_room = self.sender.buffered_bytes() < BUFFERED_BYTES_MAX;
            let wake = self.sender.dispatch(now, self.appended == self.goal);
            let next = if self.appended < self.goal && has_room { self.due_at(self.appended + 1) } else { None };
            let wake = wake.into_iter().chain(next).fold(self.report.moves_at(), Instant::min);
            tokio::select! {
                biased;
                () = &mut interrupted, if !was_interrupted => {
                    // What was made is sent; a second Ctrl-C does not wait for it.
                    (was_interrupted, self.goal) = (true, self.appended);
                }
                done = self.sender.completion() => {
                    let acknowledged = self.sender.complete(done).await?;
                    self.note(&acknowledged);
                }
                () = std::future::ready(()), if self.appended < due && has_room => self.make(due, now),
                () = self.env.clock.sleep_until(wake) => {}
            }
            self.report.progress(self.env.clock.now(), console);
        }
        self.report.print(self.env.clock.now(), output, console)?;
        if was_interrupted { Err(Failure::interrupted()) } else { Ok(()) }
    }

    /// How many there should be by now.
    fn due(&self, now: Instant) -> u64 {
        let Some(rate) = self.rate else { return self.goal };
        let due = now.since(self.began).as_nanos() * u128::from(rate) / 1_000_000_000;
        u64::try_from(due).unwrap_or(u64::MAX).min(self.goal)
    }

    /// When there should be so many.
    fn due_at(&self, count: u64) -> Option<Instant> {
        let rate = self.rate?;
        // Rounded up: at that moment it is due.
        let nanos = (u128::from(count) * 1_000_000_000).div_ceil(u128::from(rate));
        Some(self.began + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    fn make(&mut self, due: u64, now: Instant) {
        let mut made_bytes = 0;
        while self.appended < due && made_bytes < TURN_BYTES {
            let at = (self.env.rng.next_u64() % RANDOM_BYTES as u64) as usize;
            let value = self.random[at..at + self.size].to_vec();
            self.appended += 1;
            // A record that had to wait until we came to it waited all the same.
            let since = self.due_at(self.appended).map_or(now, |at| at.min(now));
            let input =
                Input { headers: Vec::new(), key: None, number: self.appended, timestamp_ms: None, value: Some(value) };
            let partition = self.partitioner.choose(None, &*self.env.rng);
            self.waiting[partition as usize].push_back(since);
            if self.sender.append(partition, &input, now) {
                self.partitioner.sealed(partition, &*self.env.rng);
            }
            made_bytes += self.size.max(64);
        }
    }

    fn note(&mut self, acknowledged: &[Acknowledged]) {
        let now = self.env.clock.now();
        for Acknowledged { partition, records, .. } in acknowledged {
            for since in self.waiting[*partition as usize].drain(..*records as usize) {
                self.report.times.add(now.since(since));
            }
            self.report.records += *records as u64;
            self.report.bytes += *records as u64 * self.size as u64;
        }
    }
}
