//! Sets of ranges that are apart from one another and in order, as a plain vector.
use std::ops::Range;

/// Adds a range to a set: with those that it overlaps or meets it becomes one.
pub(crate) fn unite<T: Copy + Ord>(set: &mut Vec<Range<T>>, range: Range<T>) {
    let first = set.partition_point(|known| known.end < range.start);
    let behind = set.partition_point(|known| known.start <= range.end);
    let touched = &set[first..behind];
    let start = touched.first().map_or(range.start, |known| known.start.min(range.start));
    let end = touched.last().map_or(range.end, |known| known.end.max(range.end));
    set.splice(first..behind, std::iter::once(start..end));
}
