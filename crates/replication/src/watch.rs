//! Who waits for an offset of one partition. An advance wakes exactly the waiters that it satisfies; a waiter that gives
//! up costs nothing afterwards. Knows no log and no request: offsets only.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use env::{Clock, Instant};
use parking_lot::Mutex;
use record::Offset;
use tokio::sync::Notify;

/// The waiters of one partition, ordered by the offset each waits for.
#[derive(Default)]
pub struct Watch {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next_id: u64,
    durable: Queue,
    committed: Queue,
}

type Queue = BTreeMap<(Offset, u64), Arc<Waiting>>;

/// What a waiter wants of a partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Until {
    /// The leader's own durable end is at least this (acks=1).
    Durable(Offset),
    /// The high watermark is at least this (acks=all; a consumer that wants what lies below).
    Committed(Offset),
}

/// What one request waits on: ready once as many of its registrations have fired as it needs. A wake is a hint to look
/// again, not an answer: a partition that loses its leadership wakes all its waiters too.
pub struct Waiting {
    missing: AtomicUsize,
    ready: Notify,
}

/// One place in one partition's queue. Dropping it leaves the queue.
pub struct Registration {
    watch: Arc<Watch>,
    until: Until,
    id: u64,
}

impl Watch {
    /// The caller must look at the partition again *after* this: an advance before it wakes nobody.
    pub fn register(self: &Arc<Self>, until: Until, waiting: &Arc<Waiting>) -> Registration {
        let mut state = self.state.lock();
        let id = state.next_id;
        state.next_id += 1;
        let (queue, offset) = state.queue(until);
        queue.insert((offset, id), waiting.clone());
        Registration { watch: self.clone(), until, id }
    }

    pub fn durable_advanced(&self, to: Offset) {
        Self::fire(&mut self.state.lock().durable, to);
    }

    pub fn committed_advanced(&self, to: Offset) {
        Self::fire(&mut self.state.lock().committed, to);
    }

    /// Wakes everyone: what they waited for may never come.
    pub fn abandon(&self) {
        let mut state = self.state.lock();
        Self::fire(&mut state.durable, Offset(i64::MAX));
        Self::fire(&mut state.committed, Offset(i64::MAX));
    }

    pub fn is_empty(&self) -> bool {
        let state = self.state.lock();
        state.durable.is_empty() && state.committed.is_empty()
    }

    fn fire(queue: &mut Queue, to: Offset) {
        while let Some(first) = queue.first_entry() {
            if first.key().0 > to {
                return;
            }
            first.remove().fired();
        }
    }
}

impl State {
    fn queue(&mut self, until: Until) -> (&mut Queue, Offset) {
        match until {
            Until::Durable(offset) => (&mut self.durable, offset),
            Until::Committed(offset) => (&mut self.committed, offset),
        }
    }
}

impl Waiting {
    /// Ready after `missing` registrations have fired; 0 is ready at once.
    pub fn new(missing: usize) -> Arc<Self> {
        Arc::new(Self { missing: AtomicUsize::new(missing), ready: Notify::new() })
    }

    /// True when ready, false when `deadline` came first.
    pub async fn until(&self, clock: &dyn Clock, deadline: Instant) -> bool {
        if self.is_ready() {
            return true;
        }
        let sleep = clock.sleep_until(deadline);
        tokio::select! {
            biased;
            () = self.ready() => true,
            () = sleep => self.is_ready(),
        }
    }

    pub async fn ready(&self) {
        while !self.is_ready() {
            self.ready.notified().await;
        }
    }

    fn fired(&self) {
        let before = self.missing.fetch_update(Ordering::AcqRel, Ordering::Acquire, |missing| missing.checked_sub(1));
        if before == Ok(1) {
            self.ready.notify_one();
        }
    }

    fn is_ready(&self) -> bool {
        self.missing.load(Ordering::Acquire) == 0
    }
}

impl Registration {
    /// For what turned out to hold already: counts it as fired, unless an advance has done so in the meantime.
    pub fn holds(self) {
        if let Some(waiting) = self.leave() {
            waiting.fired();
        }
    }

    fn leave(&self) -> Option<Arc<Waiting>> {
        let mut state = self.watch.state.lock();
        let (queue, offset) = state.queue(self.until);
        queue.remove(&(offset, self.id))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Arc<Watch> {
        Arc::default()
    }

    #[test]
    fn an_advance_wakes_exactly_the_waiters_it_satisfies() {
        let watch = watch();
        let (low, high) = (Waiting::new(1), Waiting::new(1));
        let _low = watch.register(Until::Committed(Offset(5)), &low);
        let _high = watch.register(Until::Committed(Offset(6)), &high);
        watch.committed_advanced(Offset(5));
        assert!(low.is_ready());
        assert!(!high.is_ready());
    }

    #[test]
    fn a_durable_end_wakes_nobody_who_waits_for_the_high_watermark() {
        let watch = watch();
        let (one, all) = (Waiting::new(1), Waiting::new(1));
        let _one = watch.register(Until::Durable(Offset(5)), &one);
        let _all = watch.register(Until::Committed(Offset(5)), &all);
        watch.durable_advanced(Offset(9));
        assert!(one.is_ready());
        assert!(!all.is_ready());
    }

    #[test]
    fn a_request_over_two_partitions_waits_for_both() {
        let (first, second) = (watch(), watch());
        let waiting = Waiting::new(2);
        let _first = first.register(Until::Committed(Offset(1)), &waiting);
        let _second = second.register(Until::Committed(Offset(1)), &waiting);
        first.committed_advanced(Offset(1));
        first.committed_advanced(Offset(2));
        assert!(!waiting.is_ready());
        second.committed_advanced(Offset(1));
        assert!(waiting.is_ready());
    }

    #[test]
    fn who_gives_up_leaves_the_queue() {
        let watch = watch();
        let waiting = Waiting::new(1);
        drop(watch.register(Until::Committed(Offset(1)), &waiting));
        assert!(watch.is_empty());
        watch.committed_advanced(Offset(1));
        assert!(!waiting.is_ready());
    }

    #[test]
    fn a_lost_leadership_wakes_everyone() {
        let watch = watch();
        let waiting = Waiting::new(2);
        let _first = watch.register(Until::Committed(Offset(100)), &waiting);
        let _second = watch.register(Until::Durable(Offset(100)), &waiting);
        watch.abandon();
        assert!(waiting.is_ready());
    }
}
