//! Times counted in buckets of 1.6 %, so that a run of any length takes the same few kilobytes.
use std::time::Duration;

/// Each power of two has this many buckets.
const PARTS: u64 = 64;
const PARTS_BITS: u32 = PARTS.trailing_zeros();
/// Up to 2^42 microseconds, 50 days.
const POWERS: u32 = 42;
const BUCKETS: usize = (PARTS * (POWERS - PARTS_BITS + 1) as u64) as usize;

pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum_us: u64,
    max_us: u64,
}

impl Histogram {
    pub fn new() -> Histogram {
        Histogram { buckets: vec![0; BUCKETS], count: 0, sum_us: 0, max_us: 0 }
    }

    pub fn add(&mut self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min((1 << POWERS) - 1);
        self.buckets[bucket(us)] += 1;
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(us);
        self.max_us = self.max_us.max(us);
    }

    /// The time that so many of a thousand did not exceed, in milliseconds; `None` of nothing.
    pub fn per_mille_ms(&self, per_mille: u64) -> Option<f64> {
        let rank = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        let found = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(ms(highest(found).min(self.max_us)))
    }

    pub fn mean_ms(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_us as f64 / self.count as f64 / 1000.0)
    }

    pub fn max_ms(&self) -> Option<f64> {
        (self.count > 0).then(|| ms(self.max_us))
    }
}

fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// The first two powers have buckets of one microsecond, each further one buckets twice as wide.
fn bucket(us: u64) -> usize {
    let shift = (u64::BITS - us.leading_zeros()).saturating_sub(PARTS_BITS + 1);
    (u64::from(shift) * PARTS + (us >> shift)) as usize
}

/// The greatest time in a bucket.
fn highest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / PARTS).saturating_sub(1);
    ((bucket - shift * PARTS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_a_bucket_that_is_hardly_wider_than_it() {
        let times = (0..100_000).chain((0..POWERS).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1]));
        for us in times {
            let found = bucket(us);
            assert!(found < BUCKETS, "{us}");
            let highest = highest(found);
            assert!(highest >= us && highest - us <= us / PARTS, "{us} {highest}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_times() {
        let mut histogram = Histogram::new();
        assert_eq!((histogram.per_mille_ms(500), histogram.mean_ms()), (None, None));
        for ms in 1..=1000 {
            histogram.add(Duration::from_millis(ms));
        }
        for (per_mille, expected) in [(0, 1.0), (500, 500.0), (990, 990.0), (999, 999.0), (1000, 1000.0)] {
            let found = histogram.per_mille_ms(per_mille).unwrap();
            assert!(found >= expected && found <= expected * 1.016, "{per_mille}: {found}");
        }
        assert_eq!((histogram.mean_ms(), histogram.max_ms()), (Some(500.5), Some(1000.0)));
        histogram.add(Duration::MAX);
        assert!(histogram.max_ms().unwrap() > 1e9);
    }
}
