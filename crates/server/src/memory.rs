//! One budget for the bytes of requests that are being received or served, over all connections.
//! When it is spent, the connection that brought the fewest bytes for its age is closed: a thousand senders that dribble
//! into huge frames cannot keep an honest one waiting. Knows nothing of sockets.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use env::Instant;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The budget. Small frames, up to [`FREE_BYTES`], are not charged: the number of connections bounds them.
pub struct FrameMemory {
    bytes_max: usize,
    state: Mutex<State>,
    freed: Notify,
}

/// What every connection may hold without being charged.
pub const FREE_BYTES: usize = 16 * 1024;

#[derive(Default)]
struct State {
    bytes: usize,
    next_id: u64,
    receiving: BTreeMap<u64, Arc<Receiving>>,
}

struct Receiving {
    since: Instant,
    bytes: std::sync::atomic::AtomicUsize,
    evicted: AtomicBool,
    wake: Notify,
}

/// One frame's share of the budget. Dropping it gives the share back.
pub struct Charge {
    memory: Arc<FrameMemory>,
    receiving: Arc<Receiving>,
    id: u64,
    complete: bool,
}

/// The budget is spent and this frame made the least progress: its connection must be closed.
#[derive(Debug, PartialEq)]
pub struct Evicted;

impl FrameMemory {
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max, state: Mutex::default(), freed: Notify::new() })
    }

    pub fn begin(self: &Arc<Self>, now: Instant) -> Charge {
        let receiving = Arc::new(Receiving {
            since: now,
            bytes: Default::default(),
            evicted: AtomicBool::new(false),
            wake: Notify::new(),
        });
        let mut state = self.state.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.receiving.insert(id, receiving.clone());
        Charge { memory: self.clone(), receiving, id, complete: false }
    }

    pub fn bytes(&self) -> usize {
        self.state.lock().bytes
    }
}

impl State {
    /// Marks the frame that brought the fewest bytes for its age. Frames already received are being served: they end.
    fn evict_slowest(&self, now: Instant) {
        let rate = |frame: &Receiving| {
            let millis = (now.since(frame.since).as_millis() as u64).max(1);
            frame.bytes.load(Ordering::Relaxed) as u64 * 1000 / millis
        };
        let candidates = self.receiving.values().filter(|frame| frame.bytes.load(Ordering::Relaxed) > 0);
        let Some(slowest) = candidates.min_by_key(|frame| rate(frame)) else { return };
        if !slowest.evicted.swap(true, Ordering::Relaxed) {
            slowest.wake.notify_one();
        }
    }
}

impl Charge {
    /// Adds `bytes` to this frame's share, waiting for others to give theirs back.
    pub async fn add(&mut self, bytes: usize, now: Instant) -> Result<(), Evicted> {
        loop {
            let freed = self.memory.freed.notified();
            {
                let mut state = self.memory.state.lock();
                // A single frame always fits when it is alone: `socket.request.max.bytes` is its bound.
                if state.bytes == 0 || state.bytes + bytes <= self.memory.bytes_max {
                    state.bytes += bytes;
                    self.receiving.bytes.fetch_add(bytes, Ordering::Relaxed);
                    return Ok(());
                }
                state.evict_slowest(now);
            }
            tokio::select! {
                biased;
                () = self.receiving.wake.notified() => {}
                () = freed => {}
            }
            if self.is_evicted() {
                return Err(Evicted);
            }
        }
    }

    /// The frame is whole: it will be served, and is no longer a candidate for eviction.
    pub fn received(&mut self) {
        self.complete = true;
        self.memory.state.lock().receiving.remove(&self.id);
    }

    /// Ready when this frame has been chosen to make room.
    pub async fn evicted(&self) {
        while !self.is_evicted() {
            self.receiving.wake.notified().await;
        }
    }

    fn is_evicted(&self) -> bool {
        self.receiving.evicted.load(Ordering::Relaxed)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut state = self.memory.state.lock();
        state.bytes -= self.receiving.bytes.load(Ordering::Relaxed);
        if !self.complete {
            state.receiving.remove(&self.id);
        }
        drop(state);
        self.memory.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use super::*;

    fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    const START: Instant = Instant(0);

    #[test]
    fn what_a_frame_holds_is_given_back_when_it_ends() {
        let memory = FrameMemory::new(100);
        let mut charge = memory.begin(START);
        assert_eq!(poll(pin!(charge.add(60, START))), Poll::Ready(Ok(())));
        assert_eq!(memory.bytes(), 60);
        drop(charge);
        assert_eq!(memory.bytes(), 0);
    }

    #[test]
    fn the_frame_with_the_least_progress_for_its_age_makes_room() {
        let memory = FrameMemory::new(100);
        let now = START + Duration::from_secs(10);
        let mut dribbler = memory.begin(START);
        let mut honest = memory.begin(now);
        assert_eq!(poll(pin!(dribbler.add(50, now))), Poll::Ready(Ok(())));
        assert_eq!(poll(pin!(honest.add(50, now))), Poll::Ready(Ok(())));
        {
            let mut more = pin!(honest.add(50, now));
            assert_eq!(poll(more.as_mut()), Poll::Pending);
            assert_eq!(poll(pin!(dribbler.evicted())), Poll::Ready(()));
            drop(dribbler);
            assert_eq!(poll(more.as_mut()), Poll::Ready(Ok(())));
        }
        assert_eq!(memory.bytes(), 100);
    }

    #[test]
    fn a_frame_that_was_received_is_never_evicted() {
        let memory = FrameMemory::new(100);
        let mut served = memory.begin(START);
        assert_eq!(poll(pin!(served.add(90, START))), Poll::Ready(Ok(())));
        served.received();
        let mut next = memory.begin(START);
        {
            let mut more = pin!(next.add(20, START));
            assert_eq!(poll(more.as_mut()), Poll::Pending);
        }
        assert!(!served.is_evicted());
    }

    #[test]
    fn one_frame_larger_than_the_budget_passes_when_it_is_alone() {
        let memory = FrameMemory::new(100);
        let mut charge = memory.begin(START);
        assert_eq!(poll(pin!(charge.add(1000, START))), Poll::Ready(Ok(())));
    }
}
