//! A connection that is served: when it was last active, and how it is told to leave. Costs a request one store, and a
//! wake of its task one load.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use env::Instant;
use parking_lot::Mutex;

pub(crate) struct Seat {
    pub listener: Arc<str>,
    active_at: AtomicU64,
    is_to_leave: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Seat {
    pub fn new(listener: Arc<str>, now: Instant) -> Self {
        Self { listener, active_at: now.0.into(), is_to_leave: false.into(), waker: Mutex::default() }
    }

    pub fn active(&self, now: Instant) {
        self.active_at.store(now.0, Ordering::Relaxed);
    }

    pub fn active_at(&self) -> Instant {
        Instant(self.active_at.load(Ordering::Relaxed))
    }

    pub fn leave(&self) {
        let mut waker = self.waker.lock();
        // Under the lock, as `Leave` looks under it before it waits.
        self.is_to_leave.store(true, Ordering::Relaxed);
        let waiting = waker.take();
        drop(waker);
        waiting.into_iter().for_each(Waker::wake);
    }

    pub fn is_to_leave(&self) -> bool {
        self.is_to_leave.load(Ordering::Relaxed)
    }
}

/// Ready when a seat is told to leave.
pub(crate) struct Leave<'s> {
    seat: &'s Seat,
    /// What `seat.waker` has.
    waker: Option<Waker>,
}

impl<'s> Leave<'s> {
    pub fn of(seat: &'s Seat) -> Self {
        Self { seat, waker: None }
    }
}

impl Future for Leave<'_> {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.seat.is_to_leave() {
            return Poll::Ready(());
        }
        if self.waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            return Poll::Pending; // As nearly always: a task keeps its waker.
        }
        let seat = self.seat;
        let mut waker = seat.waker.lock();
        if seat.is_to_leave() {
            return Poll::Ready(());
        }
        *waker = Some(context.waker().clone());
        self.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
