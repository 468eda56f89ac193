//! The thread for reads that may have to wait for the disk: cold ranges, which it also checks, and searches by time.
//! Runs what it is given, in order; bounded by what its callers have in flight.
use std::collections::VecDeque;
use std::sync::Arc;

use env::{Next, Worker};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::shared::{Shared, Ticket};

#[derive(Default)]
pub(crate) struct Readers {
    queue: Mutex<VecDeque<Box<dyn FnOnce() + Send>>>,
}

impl Shared {
    /// Runs `read` on the reader's thread.
    pub fn read_later<T: Send + 'static>(&self, read: impl FnOnce() -> T + Send + 'static) -> Ticket<T> {
        let (answer, ticket) = oneshot::channel();
        let job = move || {
            // A caller that has gone needs no answer.
            let _ = answer.send(read());
        };
        self.readers.queue.lock().push_back(Box::new(job));
        self.wake_reader();
        ticket
    }
}

pub(crate) struct Reader {
    pub shared: Arc<Shared>,
}

impl Worker for Reader {
    fn step(&mut self) -> Next {
        let job = self.shared.readers.queue.lock().pop_front();
        match job {
            Some(job) => {
                job();
                Next::Again
            }
            None if self.shared.has_stopped() => Next::Stop,
            None => Next::Idle,
        }
    }
}
