//! Which old segments become one new one: `Cleaner.groupSegmentsBySize`. Pure.

use std::ops::Range;
use std::sync::Arc;

use record::Offset;

use crate::segment::Segment;

/// Ranges of `segments`, each for one new segment. `end` is where the one behind the last begins.
pub(super) fn groups(segments: &[Arc<Segment>], end: Offset, segment_bytes_max: u32) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut group_bytes = 0;
    for (index, segment) in segments.iter().enumerate() {
        let size_bytes = u64::from(segment.summary().size_bytes);
        let next = segments.get(index + 1).map_or(end, |next| next.base_offset());
        let joins = groups.last().is_some_and(|group| {
            // Offsets in a segment are 31-bit distances from its base.
            let distance = next - 1 - segments[group.start].base_offset();
            let is_near = size_bytes == 0 || distance <= i64::from(i32::MAX);
            group_bytes + size_bytes <= u64::from(segment_bytes_max) && is_near
        });
        if joins {
            groups.last_mut().expect("it was just looked at").end = index + 1;
            group_bytes += size_bytes;
        } else {
            groups.push(index..index + 1);
            group_bytes = size_bytes;
        }
    }
    groups
}
