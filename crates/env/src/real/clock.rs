//! CLOCK_MONOTONIC and the wall clock of the machine. Tasks wake within a millisecond after their time.
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{BoxFuture, Instant};

#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl crate::Clock for Clock {
    fn now(&self) -> Instant {
        Instant(start().elapsed().as_nanos() as u64)
    }

    fn wall_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_millis() as i64,
            Err(before) => -(before.duration().as_millis() as i64),
        }
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<()> {
        Box::pin(async move {
            match start().checked_add(Duration::from_nanos(at.0)).filter(|_| at != Instant::NEVER) {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        })
    }
}

/// Our nanoseconds count from the first look at the clock.
fn start() -> std::time::Instant {
    static START: OnceLock<std::time::Instant> = OnceLock::new();
    *START.get_or_init(std::time::Instant::now)
}
