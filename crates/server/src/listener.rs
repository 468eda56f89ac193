//! Accepts connections and gives each a task, as soon as it may have one (`admission`). Knows no request.
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use env::{BoxFuture, Clock, Connection, Env, Listener};
use tokio::sync::Semaphore;

use crate::admission::{Asked, ConnectionCounts, ConnectionLimits, Leave, ListenerCounts, Place, Seat};
use crate::connection::{self, Answer, Ended, InPlace, Limits, Service, Times};
use crate::frame::{Frame, FrameError};

/// One listener, and who may come through it.
pub struct Door {
    pub name: Arc<str>,
    /// Of all listeners.
    pub counts: Arc<ConnectionCounts>,
    pub of_listener: Arc<ListenerCounts>,
    /// The present ones.
    pub limits: Box<dyn Fn() -> Arc<ConnectionLimits> + Send + Sync>,
}

enum Admission {
    Given(Place),
    HeldBack(Duration),
    Refused,
}

/// After a failed accept: out of descriptors, say, which passes.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// While there is no place: the limit may have been raised.
const PLACE_RETRY: Duration = Duration::from_secs(1);

impl Door {
    /// Those behind it wait as well, as with Kafka's acceptor (`ConnectionQuotas.inc`).
    async fn admit(&self, ip: IpAddr, clock: &dyn Clock) -> Admission {
        let arrived = clock.now();
        let delay = self.counts.arrive(&self.name, &(self.limits)(), arrived);
        self.of_listener.delayed.record(delay);
        if !delay.is_zero() {
            clock.sleep_until(arrived + delay).await;
        }
        loop {
            let freed = self.counts.freed.notified(); // Before the question, so that nothing is missed between.
            match self.counts.ask(ip, &self.name, &self.of_listener, &(self.limits)(), clock.now()) {
                Asked::Given(place) => return Admission::Given(place),
                Asked::TooFast(silence) => return Admission::HeldBack(silence),
                Asked::TooManyOfAddress => return Admission::Refused,
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

/// Accepts until the server closes. `service` gives each connection its own service.
pub async fn accept<S: Service>(
    mut listener: Box<dyn Listener>,
    env: Env,
    door: Door,
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
        let admission = tokio::select! {
            biased;
            _ = closing.acquire() => return,
            admission = door.admit(peer.ip(), &*env.clock) => admission,
        };
        let place = match admission {
            Admission::Given(place) => place,
            Admission::HeldBack(silence) => {
                tracing::debug!(%peer, ?silence, "closed after a while: its address is over its quota of connections");
                env.spawn
                    .task("connection", Box::pin(close_after(connection, silence, env.clock.clone(), closing.clone())));
                continue;
            }
            Admission::Refused => {
                tracing::info!(%peer, "closed: its address has as many connections as max.connections.per.ip allows");
                continue;
            }
        };
        let service = Seated { service: service(&connection), seat: place.seat.clone() };
        let (limits, of_listener) = (limits.clone(), door.of_listener.clone());
        let serve = async move {
            tokio::select! {
                biased;
                ended = connection::serve(connection, &service, limits) => log(peer, ended),
                () = Leave::of(&place.seat) => {
                    of_listener.excess.add(1);
                    tracing::info!(%peer, "connection closed: there are more than max.connections, and it was silent for longest");
                }
            }
            drop(place);
        };
        env.spawn.task("connection", Box::pin(serve));
    }
}

/// Notes when its connection was last active.
struct Seated<S> {
    service: S,
    seat: Arc<Seat>,
}

impl<S: Service> Service for Seated<S> {
    fn may_run_ahead(&self, frame: &[u8]) -> bool {
        self.service.may_run_ahead(frame)
    }

    fn begin(&self, frame: Frame, in_place: InPlace) -> BoxFuture<Answer> {
        self.service.begin(frame, in_place)
    }

    fn kind(&self, frame: &[u8]) -> usize {
        self.service.kind(frame)
    }

    fn is_held(&self, is_held: bool) {
        self.service.is_held(is_held);
    }

    fn served(&self, kind: usize, times: &Times) {
        self.seat.active(times.sent);
        self.service.served(kind, times);
    }
}

async fn close_after(connection: Connection, silence: Duration, clock: Arc<dyn Clock>, closing: Arc<Semaphore>) {
    tokio::select! {
        biased;
        _ = closing.acquire() => {}
        () = clock.sleep_until(clock.now() + silence) => {}
    }
    drop(connection);
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
