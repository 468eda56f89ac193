//! How durations are distributed: four buckets for each doubling, from a quarter of a microsecond to a minute. So a
//! quantile is off by an eighth at most, and the sums of whole doublings are exact, which is what Prometheus is given.
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Doublings of a microsecond whose bounds are kept: `2^0 µs ..= 2^OCTAVES µs`, about a minute.
pub const OCTAVES: u32 = 26;
const PER_OCTAVE: usize = 4;
const BUCKETS: usize = (OCTAVES as usize + 1) * PER_OCTAVE;
/// A quarter of a microsecond: the four quarters below the first microsecond are the first four buckets.
const UNIT_NANOS: u64 = 250;

pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

/// A histogram at one moment, or the difference of two.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Distribution {
    buckets: [u64; BUCKETS],
    nanos: u64,
}

impl Histogram {
    pub const fn new() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], nanos: AtomicU64::new(0) }
    }

    pub fn record(&self, took: Duration) {
        let nanos = nanos(took);
        self.buckets[bucket_of(nanos)].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// All together.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    /// Each count is right; those of one moment they are only if nobody adds meanwhile.
    pub fn read(&self) -> Distribution {
        let mut buckets = [0; BUCKETS];
        for (read, bucket) in buckets.iter_mut().zip(&self.buckets) {
            *read = bucket.load(Ordering::Relaxed);
        }
        Distribution { buckets, nanos: self.nanos.load(Ordering::Relaxed) }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.read().fmt(f)
    }
}

impl Distribution {
    pub const NONE: Distribution = Distribution { buckets: [0; BUCKETS], nanos: 0 };

    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// How many took less than `2^octave` microseconds.
    pub fn count_below(&self, octave: u32) -> u64 {
        self.buckets[..bucket_of_octave(octave)].iter().sum()
    }

    pub fn add(&mut self, other: &Distribution) {
        for (bucket, other) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket += other;
        }
        self.nanos += other.nanos;
    }

    /// Adds so many that took no time.
    pub fn add_instant(&mut self, count: u64) {
        self.buckets[0] += count;
    }

    /// What has come since `earlier`, a reading of the same histogram.
    pub fn since(&self, earlier: &Distribution) -> Distribution {
        let mut difference = self.clone();
        for (bucket, earlier) in difference.buckets.iter_mut().zip(&earlier.buckets) {
            *bucket = bucket.saturating_sub(*earlier);
        }
        difference.nanos = self.nanos.saturating_sub(earlier.nanos);
        difference
    }

    /// The time that this share took at most, `0.0 ..= 1.0`; nothing of nothing. Inside of a bucket it is a straight line.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = (share * count as f64).clamp(0.0, count as f64);
        let mut below = 0;
        for (index, &here) in self.buckets.iter().enumerate().filter(|(_, here)| **here > 0) {
            if (below + here) as f64 >= rank {
                let (from, to) = (lower_bound(index), lower_bound(index + 1));
                let inside = ((rank - below as f64) / here as f64).clamp(0.0, 1.0);
                return Some(from + (to - from).mul_f64(inside));
            }
            below += here;
        }
        Some(lower_bound(BUCKETS))
    }
}

fn nanos(took: Duration) -> u64 {
    // 584 years are enough.
    took.as_secs().wrapping_mul(1_000_000_000).wrapping_add(u64::from(took.subsec_nanos()))
}

fn bucket_of(nanos: u64) -> usize {
    let units = nanos / UNIT_NANOS;
    if units < PER_OCTAVE as u64 {
        return units as usize;
    }
    let doubling = 63 - units.leading_zeros() as usize; // At least 2, as there are 4 units.
    let quarter = (units >> (doubling - 2)) as usize & (PER_OCTAVE - 1);
    ((doubling - 1) * PER_OCTAVE + quarter).min(BUCKETS - 1)
}

fn bucket_of_octave(octave: u32) -> usize {
    ((octave as usize + 1) * PER_OCTAVE).min(BUCKETS)
}

fn lower_bound(bucket: usize) -> Duration {
    let (octave, quarter) = ((bucket / PER_OCTAVE) as u32, (bucket % PER_OCTAVE) as u64);
    let units = match octave {
        0 => quarter,
        octave => (PER_OCTAVE as u64 + quarter) << (octave - 1),
    };
    Duration::from_nanos(units * UNIT_NANOS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_hole() {
        for bucket in 0..BUCKETS {
            let (from, to) = (lower_bound(bucket), lower_bound(bucket + 1));
            assert!(from < to, "{bucket}");
            assert_eq!(bucket_of(nanos(from)), bucket, "its own lower bound: {from:?}");
            assert_eq!(bucket_of(nanos(to) - 1), bucket, "just below the next: {to:?}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        for octave in 0..=OCTAVES {
            assert_eq!(lower_bound(bucket_of_octave(octave)), Duration::from_micros(1 << octave), "{octave}");
        }
    }

    #[test]
    fn what_is_counted_below_a_bound_is_exact() {
        let histogram = Histogram::new();
        for micros in [0, 1, 63, 64, 65, 127, 128, 1_000_000, 1 << 30] {
            histogram.record(Duration::from_micros(micros));
        }
        let read = histogram.read();
        assert_eq!(read.count(), 9);
        assert_eq!(read.count_below(6), 3, "less than 64 µs");
        assert_eq!(read.count_below(7), 6, "less than 128 µs");
        assert_eq!(read.count_below(20), 8, "less than 1.05 s");
        assert_eq!(read.sum(), Duration::from_micros(1 + 63 + 64 + 65 + 127 + 128 + 1_000_000 + (1 << 30)));
    }

    #[test]
    fn a_quantile_is_off_by_an_eighth_at_most() {
        let histogram = Histogram::new();
        (1..=10_000).for_each(|micros| histogram.record(Duration::from_micros(micros)));
        let read = histogram.read();
        for share in [0.01, 0.5, 0.75, 0.95, 0.99, 0.999, 1.0] {
            let (is, found) = (share * 10_000.0, read.quantile(share).unwrap().as_secs_f64() * 1e6);
            assert!((found - is).abs() <= is / 8.0, "{share}: {found} and not {is}");
        }
        assert_eq!(Distribution::NONE.quantile(0.5), None);
    }

    #[test]
    fn a_difference_has_what_came_since() {
        let histogram = Histogram::new();
        histogram.record(Duration::from_millis(3));
        let before = histogram.read();
        histogram.record(Duration::from_secs(1));
        let since = histogram.read().since(&before);
        assert_eq!((since.count(), since.sum()), (1, Duration::from_secs(1)));
        assert!(since.quantile(0.5).unwrap() > Duration::from_millis(800));
    }
}
