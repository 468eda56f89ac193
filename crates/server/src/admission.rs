//! Who may connect: how many connections there may be, in all, by listener and by address, and how fast new ones may come.
//! Rules of Kafka's `ConnectionQuotas`. Knows no socket and waits for nothing.
mod seat;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use env::Instant;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tally::{Counter, Level};
use tokio::sync::Notify;

use crate::quotas::{Rate, Throttled, Windows, counted};
pub(crate) use seat::{Leave, Seat};

/// Looked up at each new connection, as they can be altered while the broker runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionLimits {
    pub of_broker: Limits,
    /// By name. One that is not here is bounded by the broker's limits alone.
    pub of_listeners: BTreeMap<Arc<str>, Limits>,
    /// The listener of brokers, where there are others too: the broker's limits are not for it.
    pub protected: Option<Arc<str>>,
    /// `max.connections.per.ip`: one more is closed at once.
    pub per_ip_max: usize,
    /// `max.connections.per.ip.overrides`
    pub per_ip_overrides: BTreeMap<IpAddr, usize>,
    /// The quota `connection_creation_rate` of addresses: one that comes too fast is closed after a while.
    pub created_per_second_and_ip_max: Option<f64>,
    pub created_per_second_overrides: BTreeMap<IpAddr, f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// `max.connections`: one more waits until another one ends. If there are more, since it was set lower or since a
    /// protected listener's came, those close that have been silent for longest; a listener's own limit closes none.
    pub connections_max: usize,
    /// `max.connection.creation.rate`: one that comes too fast waits, and those behind it.
    pub created_per_second_max: f64,
}

impl Limits {
    pub const NONE: Self = Self { connections_max: usize::MAX, created_per_second_max: f64::INFINITY };
}

impl ConnectionLimits {
    pub fn none() -> Self {
        Self {
            of_broker: Limits::NONE,
            of_listeners: BTreeMap::new(),
            protected: None,
            per_ip_max: usize::MAX,
            per_ip_overrides: BTreeMap::new(),
            created_per_second_and_ip_max: None,
            created_per_second_overrides: BTreeMap::new(),
        }
    }

    fn of_listener(&self, listener: &str) -> Limits {
        self.of_listeners.get(listener).copied().unwrap_or(Limits::NONE)
    }

    fn is_protected(&self, listener: &str) -> bool {
        self.protected.as_deref() == Some(listener)
    }

    fn of_ip(&self, ip: IpAddr) -> usize {
        self.per_ip_overrides.get(&ip).copied().unwrap_or(self.per_ip_max)
    }

    fn created_by_ip(&self, ip: IpAddr) -> Option<f64> {
        self.created_per_second_overrides.get(&ip).copied().or(self.created_per_second_and_ip_max)
    }
}

/// What has come through one listener.
#[derive(Default)]
pub struct ListenerCounts {
    pub open: Level,
    pub opened: Counter,
    /// Closed at once: there were too many of their address.
    pub refused: Counter,
    /// Closed, having been served: there were more than `max.connections`.
    pub excess: Counter,
    /// Closed after a while: their address opened too many at a time.
    pub throttled: Throttled,
    /// Waited: too many came at a time.
    pub delayed: Throttled,
}

/// The connections that there are, and those that came in the last moments.
pub struct ConnectionCounts {
    windows: Windows,
    known: Mutex<Known>,
    /// One has ended.
    pub(crate) freed: Notify,
}

#[derive(Default)]
struct Known {
    /// In the order in which they came.
    seats: BTreeMap<u64, Arc<Seat>>,
    next_seat: u64,
    by_ip: BTreeMap<IpAddr, usize>,
    by_listener: BTreeMap<Arc<str>, usize>,
    /// The protected listener's are left out.
    created: Rate,
    created_by_listener: BTreeMap<Arc<str>, Rate>,
    created_by_ip: FxHashMap<IpAddr, Rate>,
}

/// Gives its place back when dropped.
pub(crate) struct Place {
    counts: Arc<ConnectionCounts>,
    listener: Arc<str>,
    of_listener: Arc<ListenerCounts>,
    ip: IpAddr,
    number: u64,
    pub seat: Arc<Seat>,
}

pub(crate) enum Asked {
    Given(Place),
    /// There will be one once another connection ends.
    Full,
    /// To be closed when this has passed.
    TooFast(Duration),
    TooManyOfAddress,
}

/// Stands for the addresses beyond those that are counted one by one.
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

impl ConnectionCounts {
    /// `windows` are those of quotas.
    pub fn new(windows: Windows) -> Arc<Self> {
        Arc::new(Self { windows, known: Mutex::default(), freed: Notify::new() })
    }

    pub fn total(&self) -> usize {
        self.known.lock().total()
    }

    /// Counts one that has come; says for how long it and those behind it wait, for a window at most.
    pub(crate) fn arrive(&self, listener: &Arc<str>, limits: &ConnectionLimits, now: Instant) -> Duration {
        let mut known = self.known.lock();
        let count = |rate: &mut Rate, limit: f64| {
            rate.record(1.0, now, self.windows);
            rate.throttle(limit, now, self.windows)
        };
        let of_broker = match limits.is_protected(listener) {
            true => Duration::ZERO,
            false => count(&mut known.created, limits.of_broker.created_per_second_max),
        };
        let of_listener = known.created_by_listener.entry(listener.clone()).or_default();
        let of_listener = count(of_listener, limits.of_listener(listener).created_per_second_max);
        of_broker.max(of_listener).min(self.windows.length)
    }

    /// A place for one that has come, if there is one now.
    pub(crate) fn ask(
        self: &Arc<Self>,
        ip: IpAddr,
        listener: &Arc<str>,
        of_listener: &Arc<ListenerCounts>,
        limits: &ConnectionLimits,
        now: Instant,
    ) -> Asked {
        let mut known = self.known.lock();
        if !known.has_room(listener, limits) {
            return Asked::Full;
        }
        if let Some(silence) = self.too_fast(&mut known, ip, limits, now) {
            // It does not come to be.
            if !limits.is_protected(listener) {
                known.created.record(-1.0, now, self.windows);
            }
            known.created_by_listener.entry(listener.clone()).or_default().record(-1.0, now, self.windows);
            of_listener.throttled.record(silence);
            return Asked::TooFast(silence);
        }
        let of_ip = known.by_ip.get(&ip).copied().unwrap_or(0);
        if of_ip >= limits.of_ip(ip) {
            of_listener.refused.add(1);
            return Asked::TooManyOfAddress;
        }
        known.by_ip.insert(ip, of_ip + 1);
        *known.by_listener.entry(listener.clone()).or_default() += 1;
        of_listener.open.enter();
        of_listener.opened.add(1);
        let (number, seat) = (known.next_seat, Arc::new(Seat::new(listener.clone(), now)));
        known.next_seat += 1;
        known.seats.insert(number, seat.clone());
        if limits.is_protected(listener) {
            known.close_excess(limits);
        }
        let (counts, listener, of_listener) = (self.clone(), listener.clone(), of_listener.clone());
        Asked::Given(Place { counts, listener, of_listener, ip, number, seat })
    }

    /// The limits are other ones from now on.
    pub fn close_excess(&self, limits: &ConnectionLimits) {
        self.known.lock().close_excess(limits);
    }

    /// Counts it for its address, unless it is one too many; then says for how long it is held back before it is closed.
    fn too_fast(&self, known: &mut Known, ip: IpAddr, limits: &ConnectionLimits, now: Instant) -> Option<Duration> {
        let limit = limits.created_by_ip(ip)?;
        let is_forgotten = |rate: &mut Rate| rate.is_forgotten(now, self.windows);
        let rate = counted::entry(&mut known.created_by_ip, ip, OTHERS, is_forgotten, Rate::default);
        rate.record(1.0, now, self.windows);
        let silence = rate.throttle(limit, now, self.windows).min(self.windows.length);
        if silence.is_zero() {
            return None;
        }
        rate.record(-1.0, now, self.windows);
        Some(silence)
    }
}

impl Known {
    fn total(&self) -> usize {
        self.by_ip.values().sum()
    }

    fn has_room(&self, listener: &Arc<str>, limits: &ConnectionLimits) -> bool {
        let of_listener = self.by_listener.get(listener).copied().unwrap_or(0);
        of_listener < limits.of_listener(listener).connections_max
            && (limits.is_protected(listener) || self.total() < limits.of_broker.connections_max)
    }

    /// As `SocketServer.closeExcessConnections`, but that the longest silent of all go, not one of each network thread.
    fn close_excess(&mut self, limits: &ConnectionLimits) {
        let staying = self.seats.values().filter(|seat| !seat.is_to_leave());
        let excess = staying.clone().count().saturating_sub(limits.of_broker.connections_max);
        if excess == 0 {
            return;
        }
        let mut unprotected: Vec<&Arc<Seat>> = staying.filter(|seat| !limits.is_protected(&seat.listener)).collect();
        unprotected.sort_by_key(|seat| seat.active_at()); // Stable: of those that came at once, the earliest.
        unprotected.into_iter().take(excess).for_each(|seat| seat.leave());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of_listener.open.leave();
        let mut known = self.counts.known.lock();
        known.seats.remove(&self.number);
        *known.by_listener.get_mut(&self.listener).expect("counted when the place was given") -= 1;
        match known.by_ip[&self.ip] - 1 {
            0 => known.by_ip.remove(&self.ip),
            left => known.by_ip.insert(self.ip, left),
        };
        drop(known);
        self.counts.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
