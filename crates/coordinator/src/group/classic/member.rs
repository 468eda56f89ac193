//! One member of a group, and whether it waits for an answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

/// What a member knows of one way to assign partitions, in its own encoding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Protocol {
    pub name: String,
    pub metadata: Bytes,
}

#[derive(Debug)]
pub(crate) struct Member<T> {
    pub id: Arc<str>,
    /// Of a static member: its name that outlives restarts (KIP-345).
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// In the order of its preference.
    pub protocols: Vec<Protocol>,
    pub assignment: Bytes,
    pub awaiting_join: Option<T>,
    pub awaiting_sync: Option<T>,
    /// It has not been part of a generation yet, so its first wait is bounded too.
    pub is_new: bool,
}

impl<T> Member<T> {
    pub fn session_timeout(&self) -> Duration {
        millis(self.session_timeout_ms)
    }

    /// A member that waits for an answer of ours cannot send heartbeats.
    pub fn has_satisfied_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    pub fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|own| own.name == protocol)
    }

    /// What it says of itself under `protocol`; a protocol that it does not know cannot have been chosen.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        let own = self.protocols.iter().find(|own| own.name == protocol);
        own.map_or_else(Bytes::new, |own| own.metadata.clone())
    }
}

/// Java takes any number of milliseconds; a negative one has passed already.
pub(crate) fn millis(milliseconds: i32) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}
