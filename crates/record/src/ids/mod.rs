//! The nouns of a log as types of their own, so that an offset cannot be passed for an epoch.
//! Only the numbers and their arithmetic; where they come from is not known here.

mod topic_id;

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::sync::Arc;

pub use topic_id::{InvalidTopicId, TopicId};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(pub $inner);

        impl $name {
            /// Kafka's "there is none" on the wire and in batches.
            pub const NONE: $name = $name(-1);

            pub const fn value(self) -> $inner {
                self.0
            }

            pub const fn is_none(self) -> bool {
                self.0 < 0
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                $name(value)
            }
        }

        impl From<$name> for $inner {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// The place of a record in its partition.
    Offset(i64)
);
number!(
    /// How often a partition has changed its leader.
    LeaderEpoch(i32)
);
number!(
    /// An idempotent producer, unique in the cluster.
    ProducerId(i64)
);
number!(
    /// Fences older instances of one producer.
    ProducerEpoch(i16)
);
number!(
    /// A producer's own count of its records in one partition and epoch.
    Sequence(i32)
);
number!(
    /// Milliseconds since 1970-01-01 UTC.
    Timestamp(i64)
);
number!(
    /// A node of the cluster.
    BrokerId(i32)
);

impl Offset {
    pub const ZERO: Offset = Offset(0);

    /// The offset after this one. Saturates: an offset read from a damaged file must not panic.
    pub const fn next(self) -> Offset {
        Offset(self.0.saturating_add(1))
    }
}

impl Add<i64> for Offset {
    type Output = Offset;

    fn add(self, records: i64) -> Offset {
        Offset(self.0.saturating_add(records))
    }
}

impl AddAssign<i64> for Offset {
    fn add_assign(&mut self, records: i64) {
        *self = *self + records;
    }
}

/// How many records lie between two offsets.
impl Sub<Offset> for Offset {
    type Output = i64;

    fn sub(self, other: Offset) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

impl Sub<i64> for Offset {
    type Output = Offset;

    fn sub(self, records: i64) -> Offset {
        Offset(self.0.saturating_sub(records))
    }
}

impl Sequence {
    /// `records` further on. After `i32::MAX` comes 0 (Kafka's `DefaultRecordBatch.incrementSequence`).
    /// Both must be non-negative; anything else is returned unchanged, since such a batch never passes validation.
    pub const fn advance(self, records: i32) -> Sequence {
        if self.0 < 0 || records < 0 {
            return self;
        }
        // The sequence space has 2^31 members, so its arithmetic is that of the lower 31 bits.
        Sequence(((self.0 as i64 + records as i64) & i32::MAX as i64) as i32)
    }

    /// `records` back, the inverse of `advance` (Kafka's `decrementSequence`).
    pub const fn retreat(self, records: i32) -> Sequence {
        if self.0 < 0 || records < 0 {
            return self;
        }
        Sequence(((self.0 as i64 - records as i64) & i32::MAX as i64) as i32)
    }

    /// Whether `next` may follow directly on `self` (Kafka's `ProducerAppendInfo.inSequence`).
    pub const fn precedes(self, next: Sequence) -> bool {
        next.0 as i64 == self.0 as i64 + 1 || (next.0 == 0 && self.0 == i32::MAX)
    }
}

impl Timestamp {
    /// Milliseconds from `earlier` to `self`, saturating: clients may send any number as their timestamp.
    pub const fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Who set the timestamps of a batch.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum TimestampType {
    #[default]
    CreateTime,
    LogAppendTime,
}

/// A partition by name. Cloning shares the name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }
}

/// `topic-3`, as Kafka names directories and writes error messages.
impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_wraps_from_the_greatest_to_zero() {
        assert_eq!(Sequence(i32::MAX).advance(1), Sequence(0));
        assert_eq!(Sequence(i32::MAX - 2).advance(5), Sequence(2));
        assert_eq!(Sequence(2).retreat(5), Sequence(i32::MAX - 2));
        assert!(Sequence(i32::MAX).precedes(Sequence(0)));
        assert!(Sequence(-1).precedes(Sequence(0)));
        assert!(!Sequence(i32::MAX).precedes(Sequence(i32::MIN)));
    }

    #[test]
    fn advancing_by_the_whole_range_agrees_with_kafka_s_increment_sequence() {
        for (sequence, increment) in [(0, i32::MAX), (i32::MAX, i32::MAX), (5, 0), (1 << 30, 1 << 30)] {
            let kafka = if sequence > i32::MAX - increment {
                increment - (i32::MAX - sequence) - 1
            } else {
                sequence + increment
            };
            assert_eq!(Sequence(sequence).advance(increment), Sequence(kafka), "{sequence} + {increment}");
            assert_eq!(Sequence(kafka).retreat(increment), Sequence(sequence));
        }
    }

    #[test]
    fn a_partition_is_written_as_kafka_writes_it() {
        assert_eq!(TopicPartition::new("flights-js", 7).to_string(), "flights-js-7");
    }

    #[test]
    fn offsets_at_the_edge_saturate_instead_of_panicking() {
        assert_eq!(Offset(i64::MAX).next(), Offset(i64::MAX));
        assert_eq!(Offset(i64::MIN) - Offset(i64::MAX), i64::MIN);
    }
}
