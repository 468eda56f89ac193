//! When a log goes on in a new segment: Kafka's `LogSegment.shouldRoll`.
//! Pure: the log brings what it knows of its active segment, and does the rolling.

use record::{Offset, Timestamp};

/// The bounds of one segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RollRules {
    /// `segment.bytes`.
    pub segment_bytes_max: u32,
    /// `segment.ms`; for compacted topics no more than `max.compaction.lag.ms`.
    pub segment_ms: i64,
    /// What this segment's share of `segment.jitter.ms` takes off `segment_ms`.
    pub jitter_ms: i64,
    /// `segment.index.bytes`.
    pub index_bytes_max: u32,
}

/// The active segment, as far as rolling depends on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RollState {
    pub base_offset: Offset,
    pub size_bytes: u32,
    pub created: Timestamp,
    /// The greatest timestamp of its first batch; NONE if it has none.
    pub first_timestamp: Timestamp,
    pub offset_entries: u32,
    pub time_entries: u32,
}

/// What is about to be appended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Incoming {
    pub size_bytes: usize,
    pub max_timestamp: Timestamp,
    pub last_offset: Offset,
}

/// Why a segment is full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Roll {
    IndexFull,
    /// The indexes hold offsets as 31-bit distances from the base.
    OffsetOverflow,
    Size,
    Time,
}

const OFFSET_ENTRY_BYTES: u32 = 8;
const TIME_ENTRY_BYTES: u32 = 12;

/// Whether `incoming` must go to a new segment. The check of time comes with the data: a partition that nobody writes
/// to does not roll, as in Kafka.
pub fn should_roll(state: &RollState, incoming: &Incoming, rules: &RollRules, now: Timestamp) -> Option<Roll> {
    let empty = state.size_bytes == 0;
    // An empty segment takes a batch of any size: where else should it go? Kafka refuses batches beyond
    // `segment.bytes` before it comes here.
    if !empty && state.size_bytes as usize + incoming.size_bytes > rules.segment_bytes_max as usize {
        return Some(Roll::Size);
    }
    if !empty && waited_ms(state, incoming, now) > rules.segment_ms.saturating_sub(rules.jitter_ms) {
        return Some(Roll::Time);
    }
    // The last slot of a time index is kept for the entry that sealing adds.
    let offset_entries_max = rules.index_bytes_max / OFFSET_ENTRY_BYTES;
    let time_entries_max = (rules.index_bytes_max / TIME_ENTRY_BYTES).saturating_sub(1);
    if !empty && (state.offset_entries >= offset_entries_max || state.time_entries >= time_entries_max) {
        return Some(Roll::IndexFull);
    }
    let relative = incoming.last_offset - state.base_offset;
    if !(0..=i64::from(i32::MAX)).contains(&relative) {
        return Some(Roll::OffsetOverflow);
    }
    None
}

/// By the records' own clock where they have one, so that replayed old data rolls as it did when it was new.
fn waited_ms(state: &RollState, incoming: &Incoming, now: Timestamp) -> i64 {
    if state.first_timestamp.is_none() {
        now.since(state.created)
    } else {
        incoming.max_timestamp.since(state.first_timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: RollState = RollState {
        base_offset: Offset(1000),
        size_bytes: 800,
        created: Timestamp(50_000),
        first_timestamp: Timestamp(10_000),
        offset_entries: 3,
        time_entries: 2,
    };
    const INCOMING: Incoming =
        Incoming { size_bytes: 200, max_timestamp: Timestamp(11_000), last_offset: Offset(1010) };
    const RULES: RollRules = RollRules { segment_bytes_max: 1000, segment_ms: 1000, jitter_ms: 0, index_bytes_max: 48 };
    const NOW: Timestamp = Timestamp(60_000);

    #[test]
    fn a_segment_takes_what_just_fits_and_no_byte_more() {
        assert_eq!(should_roll(&STATE, &INCOMING, &RULES, NOW), None);
        let incoming = Incoming { size_bytes: 201, ..INCOMING };
        assert_eq!(should_roll(&STATE, &incoming, &RULES, NOW), Some(Roll::Size));
        let empty = RollState { size_bytes: 0, ..STATE };
        assert_eq!(should_roll(&empty, &Incoming { size_bytes: 5000, ..INCOMING }, &RULES, NOW), None);
    }

    #[test]
    fn time_goes_by_the_records_and_by_the_clock_only_where_they_have_none() {
        let later = Incoming { max_timestamp: Timestamp(11_001), ..INCOMING };
        assert_eq!(should_roll(&STATE, &later, &RULES, NOW), Some(Roll::Time));
        let jitter = RollRules { jitter_ms: 1, ..RULES };
        assert_eq!(should_roll(&STATE, &INCOMING, &jitter, NOW), Some(Roll::Time));
        let without = RollState { first_timestamp: Timestamp::NONE, ..STATE };
        assert_eq!(should_roll(&without, &INCOMING, &RULES, NOW), Some(Roll::Time));
        assert_eq!(should_roll(&without, &INCOMING, &RULES, Timestamp(51_000)), None);
        let empty = RollState { size_bytes: 0, ..STATE };
        assert_eq!(should_roll(&empty, &later, &RULES, NOW), None);
    }

    #[test]
    fn full_indexes_and_far_offsets_roll() {
        let offsets = RollState { offset_entries: 6, ..STATE };
        assert_eq!(should_roll(&offsets, &INCOMING, &RULES, NOW), Some(Roll::IndexFull));
        let times = RollState { time_entries: 3, ..STATE };
        assert_eq!(should_roll(&times, &INCOMING, &RULES, NOW), Some(Roll::IndexFull));
        let far = Incoming { last_offset: Offset(1000 + i64::from(i32::MAX)), ..INCOMING };
        assert_eq!(should_roll(&STATE, &far, &RULES, NOW), None);
        let further = Incoming { last_offset: far.last_offset.next(), ..INCOMING };
        assert_eq!(should_roll(&STATE, &further, &RULES, NOW), Some(Roll::OffsetOverflow));
    }
}
