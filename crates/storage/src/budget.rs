//! Memory of all tails together, charged by what is allocated and not by what is used of it. Whoever asks is told yes or
//! no; what was already let in is never refused.
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

pub(crate) struct Budget {
    used: AtomicUsize,
    max: usize,
    /// Told when room may have come.
    pub room: Notify,
}

impl Budget {
    pub fn new(max: usize) -> Self {
        Self { used: AtomicUsize::new(0), max, room: Notify::new() }
    }

    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// An empty budget admits anything, or a batch larger than it would wait for ever.
    pub fn admits(&self, bytes: usize) -> bool {
        let used = self.used();
        used == 0 || used.saturating_add(bytes) <= self.max
    }

    /// Tails press for being written before their time.
    pub fn is_pressed(&self) -> bool {
        self.used() > self.max / 2
    }

    pub fn charge(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn release(&self, bytes: usize) {
        if bytes > 0 {
            let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
            assert!(before >= bytes, "released more than was charged");
            self.room.notify_waiters();
        }
    }
}
