//! Accepts connections and gives each a task, within Kafka's bounds on their number. Knows no request.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use env::{Clock, Connection, Env, Listener};
use parking_lot::Mutex;
use tally::{Counter, Level};
use tokio::sync::{Notify, Semaphore};

use crate::connection::{self, Ended, Limits, Service};
use crate::frame::FrameError;

/// How many connections there may be; looked up at each new one, as it can be altered while the broker runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConnectionLimits {
    /// `max.connections`: one more waits until another one ends.
    pub connections_max: usize,
    /// `max.connections.per.ip`: one more is closed at once.
    pub per_ip_max: usize,
    /// `max.connections.per.ip.overrides`
    pub per_ip_overrides: BTreeMap<IpAddr, usize>,
}

/// The connections that there are.
#[derive(Default)]
pub struct ConnectionCounts {
    by_ip: Mutex<BTreeMap<IpAddr, usize>>,
    freed: Notify,
}

/// What has come through one listener.
#[derive(Default)]
pub struct ListenerCounts {
    pub open: Level,
    pub opened: Counter,
    /// Closed at once: there were too many.
    pub refused: Counter,
}

/// Gives its place back when dropped.
struct Place {
    counts: Arc<ConnectionCounts>,
    of_listener: Arc<ListenerCounts>,
    ip: IpAddr,
}

enum Asked {
    Given(Place),
    /// There will be one once another connection ends.
    Full,
    TooManyOfAddress,
}

/// After a failed accept: out of descriptors, say, which passes.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// While there is no place: the limit may have been raised.
const PLACE_RETRY: Duration = Duration::from_secs(1);

impl ConnectionLimits {
    fn of_ip(&self, ip: IpAddr) -> usize {
        self.per_ip_overrides.get(&ip).copied().unwrap_or(self.per_ip_max)
    }
}

impl ConnectionCounts {
    pub fn total(&self) -> usize {
        self.by_ip.lock().values().sum()
    }

    fn ask(self: &Arc<Self>, ip: IpAddr, of_listener: &Arc<ListenerCounts>, limits: &ConnectionLimits) -> Asked {
        let mut by_ip = self.by_ip.lock();
        if by_ip.values().sum::<usize>() >= limits.connections_max {
            return Asked::Full;
        }
        let of_ip = by_ip.get(&ip).copied().unwrap_or(0);
        if of_ip >= limits.of_ip(ip) {
            of_listener.refused.add(1);
            return Asked::TooManyOfAddress;
        }
        by_ip.insert(ip, of_ip + 1);
        of_listener.open.enter();
        of_listener.opened.add(1);
        Asked::Given(Place { counts: self.clone(), of_listener: of_listener.clone(), ip })
    }

    /// A place, as soon as there is one; none if the address has too many. Kafka's `ConnectionQuotas.inc`.
    async fn place(
        self: &Arc<Self>,
        ip: IpAddr,
        of_listener: &Arc<ListenerCounts>,
        limits: &impl Fn() -> Arc<ConnectionLimits>,
        clock: &dyn Clock,
    ) -> Option<Place> {
        loop {
            let freed = self.freed.notified(); // Before the question, so that nothing is missed between.
            match self.ask(ip, of_listener, &limits()) {
                Asked::Given(place) => return Some(place),
                Asked::TooManyOfAddress => return None,
                Asked::Full => {}
            }
            tokio::select! {
                biased;
                () = freed => {}
                () = clock.sleep_until(clock.now() + PLACE_RETRY) => {}
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of_listener.open.leave();
        let mut by_ip = self.counts.by_ip.lock();
        let left = by_ip[&self.ip] - 1;
        match left {
            0 => by_ip.remove(&self.ip),
            left => by_ip.insert(self.ip, left),
        };
        drop(by_ip);
        self.counts.freed.notify_waiters();
    }
}

/// Accepts until the server closes. `service` gives each connection its own service.
pub async fn accept<S: Service>(
    mut listener: Box<dyn Listener>,
    env: Env,
    counts: Arc<ConnectionCounts>,
    of_listener: Arc<ListenerCounts>,
    connection_limits: impl Fn() -> Arc<ConnectionLimits>,
    limits: Limits,
    service: impl Fn(&Connection) -> S,
) {
    let closing: Arc<Semaphore> = limits.closing.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = closing.acquire() => return,
            accepted = listener.accept() => accepted,
        };
        let connection = match accepted {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                env.clock.sleep_until(env.clock.now() + ACCEPT_RETRY).await;
                continue;
            }
        };
        let peer = connection.peer;
        let place = tokio::select! {
            biased;
            _ = closing.acquire() => return,
            place = counts.place(peer.ip(), &of_listener, &connection_limits, &*env.clock) => place,
        };
        let Some(place) = place else {
            tracing::info!(%peer, "closed: its address has as many connections as max.connections.per.ip allows");
            continue;
        };
        let service = service(&connection);
        let limits = limits.clone();
        let clock = env.clock.clone();
        let serve = async move {
            let silence = service.held_back().await;
            if !silence.is_zero() {
                tracing::debug!(%peer, ?silence, "closed after a while: its address is over its quota of connections");
                tokio::select! {
                    biased;
                    _ = limits.closing.acquire() => {}
                    () = clock.sleep_until(clock.now() + silence) => {}
                }
                return;
            }
            let ended = connection::serve(connection, &service, limits).await;
            drop(place);
            log(peer, ended);
        };
        env.spawn.task("connection", Box::pin(serve));
    }
}

/// What a client did wrong is worth a line; that it left is not.
fn log(peer: std::net::SocketAddr, ended: Ended) {
    match ended {
        Ended::Refused(reason) => tracing::info!(%peer, reason, "connection closed"),
        Ended::Receive(FrameError::Length(length)) => {
            tracing::warn!(%peer, length, "connection closed: a request has no such length; see socket.request.max.bytes");
        }
        Ended::Receive(FrameError::Evicted) => {
            tracing::warn!(%peer, "connection closed: it sent too slowly while others waited for memory");
        }
        Ended::Receive(FrameError::Closed | FrameError::Truncated | FrameError::Io(_))
        | Ended::Closing
        | Ended::Idle
        | Ended::Send(_) => tracing::debug!(%peer, ?ended, "connection ended"),
    }
}
