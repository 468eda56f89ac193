//! What all clients of a run share: where the broker is, which topics there are, the ledger, and when to stop.
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use env::{Env, Instant};
use protocol::Uuid;
use storage::Reached;

use crate::ledger::{Heard, Ledger};
use crate::rare::Met;

/// Cheap to clone; every clone is the same.
#[derive(Clone)]
pub struct Shared {
    /// Whose clock all of them go by.
    pub env: Env,
    pub address: SocketAddr,
    ledger: Arc<Mutex<Ledger>>,
    state: Arc<Mutex<State>>,
}

struct State {
    phase: Phase,
    /// Until then the clients rest.
    quiet_until: Instant,
    next_mark: u64,
    clients_at_work: usize,
    met: Met,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Producers send, consumers read, faults strike.
    Load,
    /// Producers send nothing new, and end once all they sent has an answer.
    Drain,
    /// Everybody ends.
    Over,
}

impl Shared {
    pub fn new(env: Env, address: SocketAddr, ledger: Ledger) -> Self {
        let state = State {
            phase: Phase::Load,
            quiet_until: Instant(0),
            next_mark: 0,
            clients_at_work: 0,
            met: Met::default(),
        };
        Self { env, address, ledger: Arc::new(Mutex::new(ledger)), state: Arc::new(Mutex::new(state)) }
    }

    /// Held for no longer than a statement.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> Instant {
        self.env.clock.now()
    }

    pub fn heard_in(&self, life: usize) -> Heard {
        Heard { life, at: self.now() }
    }

    pub fn phase(&self) -> Phase {
        self.state().phase
    }

    pub fn set_phase(&self, phase: Phase) {
        self.state().phase = phase;
    }

    /// All clients rest for this long, and then go on.
    pub fn rest(&self, span: Duration) -> impl Future<Output = ()> + Send + use<> {
        let until = self.now() + span;
        self.state().quiet_until = until;
        self.env.clock.sleep_until(until)
    }

    pub fn is_quiet(&self) -> bool {
        self.state().quiet_until > self.now()
    }

    /// Ready when it is not quiet: a client asks before it goes on. A rest may be prolonged.
    pub async fn quiet(&self) {
        while self.is_quiet() {
            let until = self.state().quiet_until;
            self.env.clock.sleep_until(until).await;
        }
    }

    pub fn next_mark(&self) -> u64 {
        let mut state = self.state();
        state.next_mark += 1;
        state.next_mark
    }

    pub fn client_began(&self) {
        self.state().clients_at_work += 1;
    }

    pub fn client_ended(&self) {
        self.state().clients_at_work -= 1;
    }

    /// Somebody came through this scene.
    pub fn met(&self, scene: &str) {
        self.state().met.note(scene);
    }

    /// An engine has come through these.
    pub fn met_in_engine(&self, reached: &Reached) {
        self.state().met.note_engine(reached);
    }

    pub fn all_met(&self) -> Met {
        self.state().met.clone()
    }

    pub fn clients_at_work(&self) -> usize {
        self.state().clients_at_work
    }

    /// The present topic of this name, if it is not being deleted.
    pub fn topic_id(&self, name: &str) -> Option<Uuid> {
        use crate::ledger::Deletion;
        let ledger = self.ledger();
        let mut ids = ledger.topics.iter().filter(|(_, topic)| *topic.name == *name && topic.deletion == Deletion::No);
        ids.next().map(|(id, _)| *id)
    }
}
