//! Time: a monotonic clock for intervals, a wall clock for what Kafka writes into records, and sleeping.
//! The wall clock may jump; nothing that decides safety may depend on it.
use std::ops::{Add, Sub};
use std::time::Duration;

use crate::BoxFuture;

pub trait Clock: Send + Sync {
    fn now(&self) -> Instant;
    /// Milliseconds since the Unix epoch.
    fn wall_ms(&self) -> i64;
    /// Ready once `now() >= at`. Dropping it costs nothing.
    fn sleep_until(&self, at: Instant) -> BoxFuture<()>;
}

/// Nanoseconds of the monotonic clock since some fixed point before this node started.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Instant(pub u64);

impl Instant {
    /// Later than anything that happens.
    pub const NEVER: Instant = Instant(u64::MAX);

    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, span: Duration) -> Instant {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(nanos))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.since(earlier)
    }
}
