//! Latencies in buckets about 3 % wide. Knows no unit but nanoseconds.
use std::time::Duration;

/// 64 powers of two, 32 buckets each.
#[derive(Clone)]
pub struct Histogram {
    buckets: Vec<u64>,
}

const SUBBUCKETS_BITS: u32 = 5;

impl Histogram {
    pub fn new() -> Self {
        Self { buckets: vec![0; 64 << SUBBUCKETS_BITS] }
    }

    pub fn add(&mut self, latency: Duration) {
        let nanos = (latency.as_nanos() as u64).max(1 << SUBBUCKETS_BITS);
        let exponent = nanos.ilog2();
        let sub = (nanos >> (exponent - SUBBUCKETS_BITS)) & ((1 << SUBBUCKETS_BITS) - 1);
        self.buckets[((u64::from(exponent) << SUBBUCKETS_BITS) + sub) as usize] += 1;
    }

    pub fn merge(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, theirs)| *mine += theirs);
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The latency that a share of all did not exceed.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let wanted = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                let (exponent, sub) = (bucket >> SUBBUCKETS_BITS, bucket & ((1 << SUBBUCKETS_BITS) - 1));
                let nanos = ((1u64 << SUBBUCKETS_BITS) + sub as u64) << (exponent as u32 - SUBBUCKETS_BITS);
                return nanos as f64 / 1e6;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_within_a_bucket() {
        let mut histogram = Histogram::new();
        (1..=1000).for_each(|millis| histogram.add(Duration::from_millis(millis)));
        for (share, expected) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0)] {
            let found = histogram.quantile_ms(share);
            assert!((found / expected - 1.0).abs() < 0.04, "{share}: {found} instead of {expected}");
        }
    }
}
