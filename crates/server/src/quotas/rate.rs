//! What was used in the last moments, as Kafka's metrics count it (`SampledStat`, `Rate`, `TokenBucket`): the same numbers
//! lead to the same times of throttling.
use std::collections::VecDeque;
use std::time::Duration;

use env::Instant;

/// `quota.window.num` windows of `quota.window.size.seconds` each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Windows {
    pub count: u32,
    pub length: Duration,
}

impl Windows {
    fn span(self) -> Duration {
        self.length * self.count
    }

    /// What may come at once where little has come before: all windows but the last.
    pub fn burst(self) -> Duration {
        self.length * (self.count - 1)
    }
}

/// Something per second. A sample begins with the first use after the one before is full.
#[derive(Debug, Default)]
pub struct Rate {
    samples: VecDeque<Sample>,
}

#[derive(Debug)]
struct Sample {
    begun_at: Instant,
    used_at: Instant,
    used: f64,
}

impl Rate {
    pub fn record(&mut self, used: f64, now: Instant, windows: Windows) {
        match self.samples.back_mut().filter(|sample| now.since(sample.begun_at) < windows.length) {
            Some(sample) => {
                sample.used += used;
                sample.used_at = now;
            }
            None => {
                // One more than there are windows, since the first may lie in part before them.
                if self.samples.len() > windows.count as usize {
                    self.samples.pop_front();
                }
                self.samples.push_back(Sample { begun_at: now, used_at: now, used });
            }
        }
    }

    /// How long it takes until what was used is what may be used; nothing if it is that now.
    pub fn throttle(&mut self, limit: f64, now: Instant, windows: Windows) -> Duration {
        self.forget_old(now, windows);
        let used: f64 = self.samples.iter().map(|sample| sample.used).sum();
        let span = self.span(now, windows).as_secs_f64();
        let excess = used / span - limit;
        match excess > 0.0 {
            true => duration(excess / limit * span),
            false => Duration::ZERO,
        }
    }

    /// The time that the samples stand for: whole windows before the first one count as unused.
    fn span(&self, now: Instant, windows: Windows) -> Duration {
        let elapsed = self.samples.front().map_or(Duration::ZERO, |oldest| now.since(oldest.begun_at));
        let full = (elapsed.as_millis() / windows.length.as_millis().max(1)) as u32;
        elapsed + windows.length * (windows.count - 1).saturating_sub(full)
    }

    fn forget_old(&mut self, now: Instant, windows: Windows) {
        self.samples.retain(|sample| now.since(sample.used_at) < windows.span());
    }

    /// As if nothing had ever been recorded.
    pub fn is_forgotten(&self, now: Instant, windows: Windows) -> bool {
        self.samples.iter().all(|sample| now.since(sample.used_at) >= windows.span())
    }
}

/// Fills at the limit, up to what the windows hold; may be overdrawn.
#[derive(Debug, Default)]
pub struct TokenBucket {
    /// What is missing from a full bucket, when it was last looked at.
    missing: f64,
    looked_at: Option<Instant>,
}

impl TokenBucket {
    /// Whether it is overdrawn, and then for how long.
    pub fn throttle(&mut self, limit: f64, now: Instant, windows: Windows) -> Duration {
        self.fill(limit, now);
        let overdrawn = self.missing - full(limit, windows);
        match overdrawn > 0.0 {
            true => duration(overdrawn / limit),
            false => Duration::ZERO,
        }
    }

    pub fn take(&mut self, tokens: f64, limit: f64, now: Instant) {
        self.fill(limit, now);
        self.missing += tokens;
    }

    fn fill(&mut self, limit: f64, now: Instant) {
        let elapsed = self.looked_at.map_or(Duration::ZERO, |earlier| now.since(earlier));
        self.missing = (self.missing - limit * elapsed.as_secs_f64()).max(0.0);
        self.looked_at = Some(now);
    }

    pub fn is_full(&mut self, limit: f64, now: Instant) -> bool {
        self.fill(limit, now);
        self.missing == 0.0
    }
}

fn full(limit: f64, windows: Windows) -> f64 {
    limit * windows.span().as_secs_f64()
}

/// To the millisecond, as it is told.
fn duration(seconds: f64) -> Duration {
    Duration::from_millis((seconds * 1000.0).round().min(f64::from(i32::MAX)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Windows = Windows { count: 11, length: Duration::from_secs(1) };

    fn at(ms: u64) -> Instant {
        Instant(ms * 1_000_000)
    }

    #[test]
    fn a_burst_is_spread_over_ten_windows_before_it_counts_as_too_much() {
        let mut rate = Rate::default();
        rate.record(30_000.0, at(0), WINDOWS);
        assert_eq!(rate.throttle(5000.0, at(0), WINDOWS), Duration::ZERO);
        rate.record(30_000.0, at(100), WINDOWS);
        // 60,000 in 10.1 s is 5,940.6 a second: 940.6 / 5,000 of 10.1 s.
        assert_eq!(rate.throttle(5000.0, at(100), WINDOWS), Duration::from_millis(1900));
        // The windows stay as long, so whoever uses even a little right after the silence is throttled again, as in Kafka.
        assert_eq!(rate.throttle(5000.0, at(2000), WINDOWS), Duration::from_secs(2));
        assert_eq!(rate.throttle(5000.0, at(11_100), WINDOWS), Duration::ZERO);
    }

    #[test]
    fn what_is_older_than_all_windows_is_forgotten() {
        let mut rate = Rate::default();
        rate.record(1e6, at(0), WINDOWS);
        assert!(!rate.throttle(5000.0, at(10_999), WINDOWS).is_zero());
        assert!(!rate.is_forgotten(at(10_999), WINDOWS));
        assert!(rate.is_forgotten(at(11_000), WINDOWS));
        assert_eq!(rate.throttle(5000.0, at(11_000), WINDOWS), Duration::ZERO);
    }

    #[test]
    fn a_steady_use_at_the_limit_is_never_throttled_and_one_above_it_always_soon() {
        for (per_step, is_throttled) in [(500.0, false), (600.0, true)] {
            let mut rate = Rate::default();
            let mut throttled = false;
            for step in 0..400 {
                let now = at(step * 100);
                rate.record(per_step, now, WINDOWS);
                // The first step's use lies at the very start of its window.
                throttled |= !rate.throttle(5000.0 + 50.0, now, WINDOWS).is_zero();
            }
            assert_eq!(throttled, is_throttled, "{per_step}");
            assert!(rate.samples.len() <= 12);
        }
    }

    #[test]
    fn a_bucket_may_be_overdrawn_once_and_fills_again() {
        let mut bucket = TokenBucket::default();
        assert_eq!(bucket.throttle(1.0, at(5), WINDOWS), Duration::ZERO);
        bucket.take(30.0, 1.0, at(5));
        assert_eq!(bucket.throttle(1.0, at(5), WINDOWS), Duration::from_secs(19));
        assert_eq!(bucket.throttle(1.0, at(10_005), WINDOWS), Duration::from_secs(9));
        assert!(!bucket.is_full(1.0, at(20_005)) && bucket.is_full(1.0, at(40_005)));
    }
}
