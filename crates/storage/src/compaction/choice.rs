//! What of a log may be compacted, and whether it is worth it: `LogCleanerManager.cleanableOffsets`,
//! `calculateCleanableBytes` and `maxCompactionDelay`. Pure.

use std::cmp::Ordering;

use record::{Offset, Timestamp};

use crate::segment::Summary;

/// A log, as far as its compaction depends on it.
pub struct Cleanable<'a> {
    /// The oldest first; the last one is the active one, and is never compacted.
    pub segments: &'a [Summary],
    pub log_start: Offset,
    pub log_end: Offset,
    /// Everything below was compacted before.
    pub compacted_end: Offset,
    /// Below the high watermark, and every transaction is decided.
    pub last_stable: Offset,
    /// Segments that begin here or behind may not be replaced yet: a checkpoint has not covered them.
    pub replaceable_below: Offset,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChoiceRules {
    /// `min.cleanable.dirty.ratio`
    pub dirty_ratio_min: f64,
    /// `min.compaction.lag.ms`
    pub lag_ms_min: i64,
    /// `max.compaction.lag.ms`
    pub lag_ms_max: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Newer records are looked for from here on,
    pub first_dirty: Offset,
    /// and up to here: where a segment begins.
    pub end: Offset,
    /// The share of the bytes below `end` that was not compacted yet.
    pub dirty_ratio: f64,
    /// `max.compaction.lag.ms` is over for some of it.
    pub is_overdue: bool,
    pub is_due: bool,
    /// It would be due if a checkpoint came.
    pub is_held: bool,
}

pub fn choose(log: &Cleanable<'_>, rules: &ChoiceRules, now: Timestamp) -> Choice {
    // Nonsense is where a log was reset, or cut; then all of it is looked at again.
    let is_known = (log.log_start..=log.log_end).contains(&log.compacted_end);
    let first_dirty = if is_known { log.compacted_end } else { log.log_start };
    let active = log.segments.last().map_or(log.log_start, |active| active.base_offset);
    let dirty = || inactive_from(log.segments, first_dirty);
    let young = dirty()
        .find(|segment| rules.lag_ms_min > 0 && segment.largest_timestamp().0 > now.0.saturating_sub(rules.lag_ms_min));
    let lag = young.map_or(active, |segment| segment.base_offset);
    let uncleanable = first_dirty.max(log.last_stable.min(active).min(lag));
    // Whole segments only: the first that is not below it is out.
    let end = inactive_from(log.segments, uncleanable).next().map_or(active, |segment| segment.base_offset);
    let is_overdue = is_overdue(dirty(), rules, now);
    let replaceable = log.segments.iter().rev().map(|segment| segment.base_offset);
    let replaceable = replaceable.into_iter().find(|base| *base <= log.replaceable_below).unwrap_or(log.log_start);
    let by_kafka = due(log.segments, first_dirty, end, is_overdue, rules);
    let choice = due(log.segments, first_dirty, end.min(replaceable), is_overdue, rules);
    Choice { is_held: by_kafka.is_due && !choice.is_due, ..choice }
}

/// Whichever is filthier.
pub fn by_dirt(one: &Choice, other: &Choice) -> Ordering {
    one.dirty_ratio.total_cmp(&other.dirty_ratio)
}

fn due(segments: &[Summary], first_dirty: Offset, end: Offset, is_overdue: bool, rules: &ChoiceRules) -> Choice {
    let size = |segment: &Summary| u64::from(segment.size_bytes);
    let clean_bytes: u64 = segments.iter().filter(|segment| segment.base_offset < first_dirty).map(size).sum();
    let dirty = inactive_from(segments, first_dirty.min(end)).filter(|segment| segment.base_offset < end);
    let dirty_bytes: u64 = if end > first_dirty { dirty.map(size).sum() } else { 0 };
    let all_bytes = clean_bytes + dirty_bytes;
    let dirty_ratio = if all_bytes == 0 { 0.0 } else { dirty_bytes as f64 / all_bytes as f64 };
    let is_due = dirty_bytes > 0 && (is_overdue || dirty_ratio > rules.dirty_ratio_min);
    Choice { first_dirty, end, dirty_ratio, is_overdue, is_due, is_held: false }
}

/// From the segment that holds this offset on, without the active one (`LogSegments.nonActiveLogSegmentsFrom`).
fn inactive_from(segments: &[Summary], offset: Offset) -> impl Iterator<Item = &Summary> {
    let inactive = &segments[..segments.len().saturating_sub(1)];
    let is_active = segments.last().is_none_or(|active| offset >= active.base_offset);
    let first = inactive.partition_point(|segment| segment.base_offset <= offset).saturating_sub(1);
    let first = if is_active { inactive.len() } else { first };
    inactive[first..].iter()
}

fn is_overdue<'a>(dirty: impl Iterator<Item = &'a Summary>, rules: &ChoiceRules, now: Timestamp) -> bool {
    let first = dirty.map(|segment| segment.first_timestamp.0).filter(|timestamp| *timestamp > 0).min();
    first.is_some_and(|first| first < now.0.saturating_sub(rules.lag_ms_max.max(0)))
}
