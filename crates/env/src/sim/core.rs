//! The one queue of what happens next, ordered by time, and the chance that decides when. It knows neither what an event
//! does nor who waits for it.
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::chance::{Chance, mix};
use super::machine::MachineCore;
use super::net::{Link, Network, Side};
use super::settings::{Settings, Trace};
use super::thread::Thread;

/// One lock wherever the simulator needs one. Only one thread runs, so none is ever waited for.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub struct Core {
    now: AtomicU64,
    numbers: AtomicU64,
    pub settings: Settings,
    queue: Mutex<Queue>,
    /// Forks of the seed, so that what one part of the world draws does not shift what another draws.
    seeds: Mutex<Chance>,
    pub network: Network,
    pub machines: Mutex<Vec<Arc<MachineCore>>>,
    trace: Mutex<Option<Trace>>,
}

struct Queue {
    events: BTreeMap<Key, Event>,
    next_number: u64,
    chance: Chance,
    happened: u64,
    digest: u64,
}

/// Events of one time happen in the order in which they were asked for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Key {
    pub at: u64,
    number: u64,
}

pub enum Event {
    Run(Arc<Thread>),
    Wake(Waker),
    /// What this side has sent arrives at the other.
    Deliver(Arc<Link>, Side),
    /// This side learns that its connection is broken.
    Reset(Arc<Link>, Side),
}

/// Counts so far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress {
    pub events: u64,
    pub now_ns: u64,
    pub digest: u64,
}

impl Core {
    pub fn new(mut settings: Settings) -> Arc<Self> {
        let mut seeds = Chance::new(settings.seed);
        let queue = Queue { events: BTreeMap::new(), next_number: 0, chance: seeds.fork(), happened: 0, digest: 0 };
        Arc::new(Self {
            now: AtomicU64::new(settings.begins_ns),
            numbers: AtomicU64::new(1),
            queue: Mutex::new(queue),
            network: Network::new(seeds.fork()),
            seeds: Mutex::new(seeds),
            machines: Mutex::default(),
            trace: Mutex::new(settings.trace.take()),
            settings,
        })
    }

    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Numbers threads and connections.
    pub fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub fn fork_chance(&self) -> Chance {
        lock(&self.seeds).fork()
    }

    pub fn schedule(&self, at: u64, event: Event) -> Key {
        let mut queue = lock(&self.queue);
        let key = Key { at: at.max(self.now()), number: queue.next_number };
        queue.next_number += 1;
        queue.events.insert(key, event);
        key
    }

    /// Does nothing if it has happened.
    pub fn cancel(&self, key: Key) {
        // Dropped after the lock: what the event holds may itself cancel something when it goes.
        let event = lock(&self.queue).events.remove(&key);
        drop(event);
    }

    /// When a step happens that is asked for now.
    pub fn soon(&self) -> u64 {
        let Settings { wake_ns, hiccup_probability, hiccup_ns, .. } = &self.settings;
        let mut queue = lock(&self.queue);
        self.now() + queue.chance.span(wake_ns, *hiccup_probability, hiccup_ns)
    }

    /// The same for a thread that may be one that comes late.
    pub fn soon_for(&self, name: &str) -> u64 {
        let soon = self.soon();
        match &self.settings.starved {
            Some((starved, probability, late_ns)) if *starved == name => {
                soon + lock(&self.queue).chance.span(&(0..1), *probability, late_ns)
            }
            _ => soon,
        }
    }

    pub fn sync_ns(&self) -> u64 {
        let Settings { sync_ns, slow_sync_probability, slow_sync_ns, .. } = &self.settings;
        lock(&self.queue).chance.span(sync_ns, *slow_sync_probability, slow_sync_ns)
    }

    pub fn span_ns(&self, span: &Range<u64>) -> u64 {
        lock(&self.queue).chance.in_range(span.clone())
    }

    /// Moves the time to the next event and takes it.
    pub fn next(&self) -> Option<Event> {
        let mut queue = lock(&self.queue);
        let (key, event) = queue.events.pop_first()?;
        self.now.store(key.at, Ordering::Relaxed);
        queue.happened += 1;
        queue.digest = mix(queue.digest ^ key.at ^ event.place().rotate_left(48));
        assert!(queue.happened <= self.settings.events_max, "more than {} events", self.settings.events_max);
        drop(queue);
        self.trace(format_args!("{event}"));
        Some(event)
    }

    pub fn trace(&self, line: fmt::Arguments<'_>) {
        if let Some(trace) = &mut *lock(&self.trace) {
            trace(&format!("{} {line}", self.now()));
        }
    }

    /// Something that a scenario wants in the digest and in the trace.
    pub fn note(&self, line: &str) {
        let mut queue = lock(&self.queue);
        for part in line.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            queue.digest = mix(queue.digest ^ u64::from_le_bytes(word));
        }
        drop(queue);
        self.trace(format_args!("{line}"));
    }

    pub fn progress(&self) -> Progress {
        let queue = lock(&self.queue);
        Progress { events: queue.happened, now_ns: self.now(), digest: queue.digest }
    }

    pub fn clear(&self) {
        let events = std::mem::take(&mut lock(&self.queue).events);
        drop(events);
    }
}

impl Event {
    /// Tells two events of one time apart in the digest.
    fn place(&self) -> u64 {
        match self {
            Event::Run(thread) => thread.number << 2,
            Event::Wake(_) => 1,
            Event::Deliver(link, side) => (link.number << 3) | ((*side as u64) << 2) | 2,
            Event::Reset(link, side) => (link.number << 3) | ((*side as u64) << 2) | 3,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Run(thread) => write!(formatter, "run {thread}"),
            Event::Wake(_) => write!(formatter, "timer"),
            Event::Deliver(link, side) => write!(formatter, "deliver {}.{}", link.number, *side as usize),
            Event::Reset(link, side) => write!(formatter, "reset {}.{}", link.number, *side as usize),
        }
    }
}
