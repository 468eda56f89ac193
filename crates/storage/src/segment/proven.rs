//! Which bytes of a file are known to be what was written: this process wrote or checked them, and they have not been cold
//! since. Only those may leave without a look (`sendfile`). Knows no batch and does no reading.
use std::ops::Range;

use parking_lot::Mutex;

use crate::ranges::unite;

#[derive(Default)]
pub struct Proven {
    /// Apart from one another, in order.
    ranges: Mutex<Vec<Range<u32>>>,
}

/// Beyond that the shortest one is forgotten: it is checked once more.
const RANGES_MAX: usize = 64;
/// What the kernel may bring with a cold read, unasked. What was proven there may have left the cache unnoticed, and come
/// back from the disk as something else.
const READ_AHEAD_BYTES: u32 = 16 << 20;

impl Proven {
    pub fn add(&self, range: Range<u32>) {
        if range.is_empty() {
            return;
        }
        let mut ranges = self.ranges.lock();
        if let Some(last) = ranges.last_mut().filter(|last| last.end == range.start) {
            last.end = range.end;
            return;
        }
        unite(&mut ranges, range);
        if ranges.len() > RANGES_MAX {
            let shortest = (0..ranges.len()).min_by_key(|&index| ranges[index].end - ranges[index].start);
            ranges.remove(shortest.expect("there are many"));
        }
    }

    pub fn covers(&self, range: &Range<u32>) -> bool {
        let ranges = self.ranges.lock();
        let index = ranges.partition_point(|known| known.end < range.end);
        ranges.get(index).is_some_and(|known| known.start <= range.start)
    }

    /// This range has been found cold, or is about to be read from the disk, and more with it.
    pub fn forget(&self, range: Range<u32>) {
        let (start, end) = (range.start, range.end.saturating_add(READ_AHEAD_BYTES));
        let mut ranges = self.ranges.lock();
        let first = ranges.partition_point(|known| known.end <= start);
        let behind = ranges.partition_point(|known| known.start < end);
        if first >= behind {
            return;
        }
        let before = ranges[first].start..start;
        let after = end..ranges[behind - 1].end;
        let left = [before, after].into_iter().filter(|range| range.start < range.end);
        ranges.splice(first..behind, left);
    }

    pub fn forget_all(&self) {
        self.ranges.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_meet_and_are_forgotten_with_what_is_read_ahead() {
        let proven = Proven::default();
        proven.add(0..100);
        proven.add(100..200);
        proven.add(300..400);
        assert!(proven.covers(&(50..200)) && !proven.covers(&(150..301)) && !proven.covers(&(200..201)));
        proven.add(200..300);
        assert!(proven.covers(&(0..400)));
        proven.forget(10..20);
        assert!(proven.covers(&(0..10)) && !proven.covers(&(0..11)) && !proven.covers(&(390..400)));
        proven.add(5..(64 << 20));
        proven.forget(1000..1000);
        let behind = 1000 + READ_AHEAD_BYTES;
        assert!(proven.covers(&(0..1000)) && proven.covers(&(behind..64 << 20)) && !proven.covers(&(999..1001)));
        proven.forget(0..u32::MAX);
        assert!(!proven.covers(&(0..1)));
    }

    #[test]
    fn no_more_ranges_are_kept_than_there_is_room_for() {
        let proven = Proven::default();
        for index in 0..1000 {
            proven.add(index * 10..index * 10 + 5);
        }
        assert_eq!(proven.ranges.lock().len(), RANGES_MAX);
    }
}
