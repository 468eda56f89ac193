//! The thread for reads that may have to wait for the disk: cold ranges, which it also checks, and searches by time.
//! Runs what it is given, in order; bounded by what its callers have in flight. Once it has stopped, nothing is taken, and
//! whoever waits learns that there will be no answer.
use std::collections::VecDeque;
use std::sync::Arc;

use env::{Next, Worker};
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
    jobs: VecDeque<Box<dyn FnOnce() + Send>>,
    has_stopped: bool,
}

impl Shared {
    /// Runs `read` on the reader's thread.
    pub fn read_later<T: Send + 'static>(&self, read: impl FnOnce() -> T + Send + 'static) -> Ticket<T> {
        let (answer, ticket) = oneshot::channel();
        let job = move || {
            // A caller that has gone needs no answer.
            let _ = answer.send(read());
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
    pub shared: Arc<Shared>,
}

impl Worker for Reader {
    fn step(&mut self) -> Next {
        let job = {
            let mut queue = self.shared.readers.queue.lock();
            queue.has_stopped = queue.jobs.is_empty() && self.shared.has_stopped();
            match queue.jobs.pop_front() {
                Some(job) => job,
                None if queue.has_stopped => return Next::Stop,
                None => return Next::Idle,
            }
        };
        job();
        Next::Again
    }
}
