//! The features of Kafka's that are served, by the levels that `kafka-features.sh` shows (KIP-584). What is not served is
//! not named: a client that does not find `transaction.version` falls back, or is refused.
use std::ops::RangeInclusive;

pub struct Feature {
    pub name: &'static str,
    pub versions: RangeInclusive<i16>,
}

/// Kafka 4.4: from 3.3-IV3 to 4.4-IV2 (`MetadataVersion`).
pub const FEATURES: &[Feature] = &[Feature { name: "metadata.version", versions: 7..=33 }];
