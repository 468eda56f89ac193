//! Which segments are compacted, and which of them become one: `LogCleanerManager.grabFilthiestCompactedLog` and
//! `Cleaner.groupSegmentsBySize`. Pure.

use std::ops::Range;

use record::Offset;

use crate::segment::Summary;

/// What a log has to be cleaned.
pub struct Cleanable<'a> {
    /// The oldest first, and only those that may be taken: closed, below the checkpoint's synced end, and below the
    /// last stable offset.
    pub segments: &'a [Summary],
    /// Everything below was compacted before.
    pub first_dirty: Offset,
    /// Where the log begins; what lies below is not read.
    pub log_start: Offset,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanRules {
    /// `min.cleanable.dirty.ratio`.
    pub dirty_ratio_min: f64,
    /// `segment.bytes`.
    pub segment_bytes_max: u32,
}

/// Segments to be compacted, as ranges of indexes: each range becomes one new segment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    pub groups: Vec<Range<usize>>,
    /// Everything below will be compacted, if all keys fit.
    pub end: Offset,
}

/// `None` if there is not enough to do.
pub fn plan(log: &Cleanable<'_>, rules: &PlanRules) -> Option<Plan> {
    let first = log.segments.iter().position(|segment| segment.end_offset > log.log_start)?;
    let segments = &log.segments[first..];
    let (mut clean_bytes, mut dirty_bytes) = (0u64, 0u64);
    for segment in segments {
        let is_clean = segment.end_offset <= log.first_dirty;
        *(if is_clean { &mut clean_bytes } else { &mut dirty_bytes }) += u64::from(segment.size_bytes);
    }
    if dirty_bytes == 0 || (dirty_bytes as f64) <= rules.dirty_ratio_min * (clean_bytes + dirty_bytes) as f64 {
        return None;
    }
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut size_bytes = 0u64;
    for (index, segment) in segments.iter().enumerate() {
        let joins = groups.last().is_some_and(|group: &Range<usize>| {
            let base = log.segments[group.start].base_offset;
            size_bytes + u64::from(segment.size_bytes) <= u64::from(rules.segment_bytes_max)
                && segment.end_offset - base <= i64::from(i32::MAX)
        });
        let at = first + index;
        if joins {
            groups.last_mut().expect("it was just looked at").end = at + 1;
            size_bytes += u64::from(segment.size_bytes);
        } else {
            groups.push(at..at + 1);
            size_bytes = segment.size_bytes.into();
        }
    }
    Some(Plan { groups, end: segments.last()?.end_offset })
}
