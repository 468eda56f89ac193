//! CLOCK_MONOTONIC and the wall clock of the machine. Tasks wake within a millisecond after their time.
use std::time::{SystemTime, UNIX_EPOCH};

use super::calls;
use crate::{BoxFuture, Instant};

#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl crate::Clock for Clock {
    /// Since the machine was started: asked several times for every request, so there is nothing to subtract.
    fn now(&self) -> Instant {
        Instant(calls::monotonic_nanos())
    }

    fn wall_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_millis() as i64,
            Err(before) => -(before.duration().as_millis() as i64),
        }
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<()> {
        Box::pin(async move {
            let left = at.since(Clock.now());
            match tokio::time::Instant::now().checked_add(left).filter(|_| at != Instant::NEVER) {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        })
    }
}
