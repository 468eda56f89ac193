//! The two times that a machine is told: one that only grows, for its timers, and the calendar's, for its records.

use env::{Clock, Instant};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Now {
    pub at: Instant,
    /// Milliseconds since the Unix epoch; may jump.
    pub wall_ms: i64,
}

impl Now {
    pub fn of(clock: &dyn Clock) -> Now {
        Now { at: clock.now(), wall_ms: clock.wall_ms() }
    }
}
