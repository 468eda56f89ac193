//! Which of a log's oldest segments go: Kafka's `UnifiedLog.deleteOldSegments`.
//! Pure: says how many and why; the log moves its start, and rolls first where even the active segment goes.

use record::{Offset, Timestamp};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetentionRules {
    /// `cleanup.policy` contains `delete`. Without it only what lies below the log start goes.
    pub deletes: bool,
    /// `retention.ms`, negative for ever.
    pub retention_ms: i64,
    /// `retention.bytes`, negative without bound.
    pub retention_bytes: i64,
}

/// A segment, as far as retention depends on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retained {
    pub base_offset: Offset,
    pub size_bytes: u64,
    /// The greatest timestamp of its records, or when its file was last written to if they have none.
    pub largest_timestamp: Timestamp,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    LogStart,
    Size,
    Time,
}

/// What `expired` may let go: whole segments, from the oldest on, below the high watermark.
pub struct Log<'a> {
    /// The oldest first; the last is the active one.
    pub segments: &'a [Retained],
    pub log_start: Offset,
    pub log_end: Offset,
    pub high_watermark: Offset,
}

/// The reason for each segment that goes, from the oldest on. If it is as many as there are segments, the log rolls
/// before it lets them go. Each of Kafka's three passes stops at the first segment that it keeps, and the next pass
/// begins there.
pub fn expired(log: &Log<'_>, rules: &RetentionRules, now: Timestamp) -> Vec<Reason> {
    let mut reasons = Vec::new();
    pass(log, &mut reasons, Reason::LogStart, |_, next| next.is_some_and(|next| next.base_offset <= log.log_start));
    if !rules.deletes {
        return reasons;
    }
    let size_bytes: u64 = log.segments[reasons.len()..].iter().map(|segment| segment.size_bytes).sum();
    if let Ok(bytes_max) = u64::try_from(rules.retention_bytes) {
        // What is left is never smaller than the bound.
        let mut excess = size_bytes.checked_sub(bytes_max);
        pass(log, &mut reasons, Reason::Size, |segment, _| {
            let left = excess.and_then(|excess| excess.checked_sub(segment.size_bytes));
            excess = left.or(excess);
            left.is_some()
        });
    }
    if rules.retention_ms >= 0 {
        pass(log, &mut reasons, Reason::Time, |segment, _| now.since(segment.largest_timestamp) > rules.retention_ms);
    }
    reasons
}

fn pass(
    log: &Log<'_>,
    reasons: &mut Vec<Reason>,
    reason: Reason,
    mut goes: impl FnMut(&Retained, Option<&Retained>) -> bool,
) {
    while let Some(segment) = log.segments.get(reasons.len()) {
        let next = log.segments.get(reasons.len() + 1);
        let end = next.map_or(log.log_end, |next| next.base_offset);
        let empty_and_active = next.is_none() && segment.size_bytes == 0;
        if log.high_watermark < end || empty_and_active || !goes(segment, next) {
            return;
        }
        reasons.push(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: RetentionRules = RetentionRules { deletes: true, retention_ms: -1, retention_bytes: -1 };

    /// Four of ten records, 100 bytes and a second each; the last is active.
    fn segments() -> Vec<Retained> {
        (0..4)
            .map(|index| Retained {
                base_offset: Offset(index * 10),
                size_bytes: 100,
                largest_timestamp: Timestamp(index * 1000),
            })
            .collect()
    }

    fn expired_of(segments: &[Retained], ends: (i64, i64), rules: RetentionRules, now: i64) -> Vec<Reason> {
        let (log_start, high_watermark) = (Offset(ends.0), Offset(ends.1));
        let log = Log { segments, log_start, log_end: Offset(40), high_watermark };
        expired(&log, &rules, Timestamp(now))
    }

    #[test]
    fn segments_wholly_below_the_log_start_go_whatever_the_policy() {
        let compacted = RetentionRules { deletes: false, retention_ms: 0, retention_bytes: 0 };
        assert_eq!(expired_of(&segments(), (19, 40), compacted, 99_999), [Reason::LogStart]);
        assert_eq!(expired_of(&segments(), (20, 40), compacted, 99_999), [Reason::LogStart; 2]);
        // The active segment is not below the log start before something follows it.
        assert_eq!(expired_of(&segments(), (40, 40), compacted, 99_999), [Reason::LogStart; 3]);
    }

    #[test]
    fn size_leaves_at_least_the_bound() {
        let rules = |retention_bytes| RetentionRules { retention_bytes, ..NEVER };
        assert_eq!(expired_of(&segments(), (0, 40), rules(400), 0), []);
        assert_eq!(expired_of(&segments(), (0, 40), rules(301), 0), []);
        assert_eq!(expired_of(&segments(), (0, 40), rules(300), 0), [Reason::Size]);
        assert_eq!(expired_of(&segments(), (0, 40), rules(0), 0), [Reason::Size; 4]);
    }

    #[test]
    fn time_stops_at_the_first_young_segment_and_a_future_timestamp_holds_all_behind_it() {
        let rules = RetentionRules { retention_ms: 500, ..NEVER };
        assert_eq!(expired_of(&segments(), (0, 40), rules, 1500), [Reason::Time]);
        assert_eq!(expired_of(&segments(), (0, 40), rules, 1501), [Reason::Time; 2]);
        let mut future = segments();
        future[1].largest_timestamp = Timestamp(i64::MAX);
        assert_eq!(expired_of(&future, (0, 40), rules, 99_999), [Reason::Time]);
        // Even the active one, unless it is empty.
        assert_eq!(expired_of(&segments(), (0, 40), rules, 99_999), [Reason::Time; 4]);
        let mut empty = segments();
        empty[3].size_bytes = 0;
        assert_eq!(expired_of(&empty, (0, 40), rules, 99_999), [Reason::Time; 3]);
    }

    #[test]
    fn nothing_goes_that_is_not_below_the_high_watermark() {
        let rules = RetentionRules { retention_ms: 0, ..NEVER };
        assert_eq!(expired_of(&segments(), (0, 19), rules, 99_999), [Reason::Time]);
        assert_eq!(expired_of(&segments(), (0, 39), rules, 99_999), [Reason::Time; 3]);
    }

    #[test]
    fn the_passes_follow_each_other() {
        let rules = RetentionRules { deletes: true, retention_bytes: 200, retention_ms: 1500 };
        let expected = [Reason::LogStart, Reason::Size, Reason::Time];
        assert_eq!(expired_of(&segments(), (10, 40), rules, 3501), expected);
    }
}
