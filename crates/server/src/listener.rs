//! Accepts connections and gives each a task, within Kafka's bounds on their number. Knows no request.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use env::{Connection, Env, Listener};
use parking_lot::Mutex;
use tally::{Counter, Level};
use tokio::sync::Semaphore;

use crate::connection::{self, Ended, Limits, Service};
use crate::frame::FrameError;

/// How many connections there may be: `max.connections`, `max.connections.per.ip`.
pub struct ConnectionCounts {
    connections_max: usize,
    connections_per_ip_max: usize,
    by_ip: Mutex<BTreeMap<IpAddr, usize>>,
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

/// After a failed accept: out of descriptors, say, which passes.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

impl ConnectionCounts {
    pub fn new(connections_max: usize, connections_per_ip_max: usize) -> Arc<Self> {
        Arc::new(Self { connections_max, connections_per_ip_max, by_ip: Mutex::default() })
    }

    pub fn total(&self) -> usize {
        self.by_ip.lock().values().sum()
    }

    fn take(self: &Arc<Self>, ip: IpAddr, of_listener: &Arc<ListenerCounts>) -> Option<Place> {
        let mut by_ip = self.by_ip.lock();
        let total: usize = by_ip.values().sum();
        let of_ip = by_ip.get(&ip).copied().unwrap_or(0);
        if total >= self.connections_max || of_ip >= self.connections_per_ip_max {
            of_listener.refused.add(1);
            return None;
        }
        by_ip.insert(ip, of_ip + 1);
        of_listener.open.enter();
        of_listener.opened.add(1);
        Some(Place { counts: self.clone(), of_listener: of_listener.clone(), ip })
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
    }
}

/// Accepts until the server closes. `service` gives each connection its own service.
pub async fn accept<S: Service>(
    mut listener: Box<dyn Listener>,
    env: Env,
    counts: Arc<ConnectionCounts>,
    of_listener: Arc<ListenerCounts>,
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
        let Some(place) = counts.take(peer.ip(), &of_listener) else {
            // Kafka closes what is above `max.connections.per.ip` at once, too.
            tracing::info!(%peer, "closed: the limit on connections is reached");
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
