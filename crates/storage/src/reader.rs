//! The thread for reads that may have to wait for the disk: cold ranges, which it also checks, and searches by time.
//! Runs what it is given, in order; bounded by what its callers have in flight. Once it has stopped, nothing is taken, and
//! whoever waits learns that there will be no answer.
//!
//! Leaves the disk to commits: a reader of old records takes as much of it as it can get, and whoever writes would wait.
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use env::{Instant, Next, Worker};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::rare::Rare;
use crate::shared::{Shared, Ticket};

#[derive(Default)]
pub(crate) struct Readers {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    has_stopped: bool,
}

/// Gives how many bytes of records it has read.
type Job = Box<dyn FnOnce() -> usize + Send>;

impl Shared {
    /// Runs `read` on the reader's thread. `bytes_of` its result: of records, as far as it has read any.
    pub fn read_later<T: Send + 'static>(
        &self,
        bytes_of: fn(&T) -> usize,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Ticket<T> {
        let (answer, ticket) = oneshot::channel();
        let job = move || {
            let read = read();
            let bytes = bytes_of(&read);
            // A caller that has gone needs no answer.
            let _ = answer.send(read);
            bytes
        };
        {
            let mut queue = self.readers.queue.lock();
            if queue.has_stopped {
                self.settings.reached(Rare::ReadOfOffline);
                return ticket; // Its other end goes here.
            }
            queue.jobs.push_back(Box::new(job));
        }
        self.wake_reader();
        ticket
    }
}

pub(crate) struct Reader {
    shared: Arc<Shared>,
    pace: Pace,
    rests_until: Instant,
}

impl Reader {
    pub fn new(shared: Arc<Shared>) -> Self {
        let now = shared.env.clock.now();
        Self { shared, pace: Pace { seen_at: now, committing: Duration::ZERO }, rests_until: now }
    }
}

impl Worker for Reader {
    fn step(&mut self) -> Next {
        let began = self.shared.env.clock.now();
        if began < self.rests_until && !self.shared.has_stopped() {
            return Next::At(self.rests_until);
        }
        let job = {
            let mut queue = self.shared.readers.queue.lock();
            queue.has_stopped = queue.jobs.is_empty() && self.shared.has_stopped();
            match queue.jobs.pop_front() {
                Some(job) => job,
                None if queue.has_stopped => return Next::Stop,
                None => return Next::Idle,
            }
        };
        let bytes = job();
        let ended = self.shared.env.clock.now();
        let committing = self.shared.counters.commits.sum();
        self.rests_until = ended + self.pace.rest(ended, committing, ended - began, bytes);
        Next::Again
    }
}

/// How busy commits have kept the disk since it was last asked.
struct Pace {
    seen_at: Instant,
    /// All commits until then.
    committing: Duration,
}

/// So much longer than it has read a reader rests, where commits follow one another without a pause.
const REST: f64 = 4.0;
/// What a disk is thought to read at most. A read that was faster found what the kernel had read ahead meanwhile.
const READ_BYTES_PER_SECOND: f64 = (500 << 20) as f64;
/// However long one read has taken, the next is not kept longer.
const REST_MAX: Duration = Duration::from_millis(500);

impl Pace {
    /// After a read of so many bytes that took so long.
    fn rest(&mut self, now: Instant, committing: Duration, took: Duration, bytes: usize) -> Duration {
        let took = took.max(Duration::from_secs_f64(bytes as f64 / READ_BYTES_PER_SECOND));
        let passed = (now - self.seen_at).max(took).max(Duration::from_nanos(1));
        let share = committing.saturating_sub(self.committing).div_duration_f64(passed).min(1.0);
        *self = Self { seen_at: now, committing };
        took.mul_f64(REST * share).min(REST_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn rests_as_far_as_commits_use_the_disk() {
        let start = Instant::default();
        let mut pace = Pace { seen_at: start, committing: Duration::ZERO };
        assert_eq!(pace.rest(start + 10 * MS, Duration::ZERO, 10 * MS, 0), Duration::ZERO, "nobody writes");
        assert_eq!(pace.rest(start + 20 * MS, 10 * MS, 10 * MS, 0), 40 * MS, "one group follows the other");
        assert_eq!(pace.rest(start + 70 * MS, 35 * MS, 10 * MS, 0), 20 * MS, "half of the time since the last read");
        assert_eq!(
            pace.rest(start + 80 * MS, 95 * MS, 10 * MS, 0),
            40 * MS,
            "a group that began before it was last asked"
        );
        assert_eq!(pace.rest(start + 1080 * MS, 1095 * MS, 1000 * MS, 0), REST_MAX);
    }

    #[test]
    fn a_read_that_was_read_ahead_counts_as_what_the_disk_has_done_for_it() {
        let start = Instant::default();
        let mut pace = Pace { seen_at: start, committing: Duration::ZERO };
        assert_eq!(pace.rest(start + 2 * MS, 2 * MS, MS / 10, 1 << 20), 8 * MS);
        assert_eq!(pace.rest(start + 12 * MS, 12 * MS, 10 * MS, 1 << 20), 40 * MS, "one that has waited");
    }
}
