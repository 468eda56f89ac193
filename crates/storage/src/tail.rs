//! The newest batches of one log, in memory: from where its segment files end to the log's end. Bytes are copied in once,
//! into slabs that batches share, and leave when the segment has them. Knows no disk and no lane.
use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use record::Offset;

use crate::budget::Budget;
use crate::journal::record::SegmentPlace;

const SLAB_BYTES_MIN: usize = 4 << 10;
const SLAB_BYTES_MAX: usize = 16 << 10;

#[derive(Default)]
pub(crate) struct Tail {
    batches: VecDeque<TailBatch>,
    slab: BytesMut,
    /// What each slab was charged with, and the end of the last batch in it.
    slabs: VecDeque<(usize, Offset)>,
    size_bytes: usize,
}

#[derive(Clone)]
pub(crate) struct TailBatch {
    pub base: Offset,
    pub next: Offset,
    pub place: SegmentPlace,
    pub bytes: Bytes,
    /// It lies in its segment already (a direct piece), perhaps above a hole.
    pub in_file: bool,
}

impl Tail {
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub fn batches(&self) -> impl ExactSizeIterator<Item = &TailBatch> + DoubleEndedIterator {
        self.batches.iter()
    }

    /// Copies a batch in, given in two parts.
    pub fn push(&mut self, base: Offset, next: Offset, place: SegmentPlace, parts: [&[u8]; 2], budget: &Budget) {
        let size = parts[0].len() + parts[1].len();
        if self.slab.capacity() - self.slab.len() < size {
            let slab_bytes = if self.batches.is_empty() { SLAB_BYTES_MIN } else { SLAB_BYTES_MAX };
            // What does not fit well shares with nobody.
            let capacity = if size > slab_bytes / 2 { size } else { slab_bytes };
            budget.charge(capacity);
            self.slab = BytesMut::with_capacity(capacity);
            self.slabs.push_back((capacity, next));
        }
        for part in parts {
            self.slab.extend_from_slice(part);
        }
        let bytes = self.slab.split().freeze();
        self.slabs.back_mut().expect("a slab was just written").1 = next;
        self.size_bytes += size;
        self.batches.push_back(TailBatch { base, next, place, bytes, in_file: false });
    }

    /// The index of the first batch that ends above `offset`.
    fn index_of(&self, offset: Offset) -> usize {
        self.batches.partition_point(|batch| batch.next <= offset)
    }

    /// The batches from the one that holds `from` on.
    pub fn from(&self, from: Offset) -> impl Iterator<Item = &TailBatch> {
        self.batches.range(self.index_of(from)..)
    }

    /// The segment has everything below `offset`.
    pub fn forget_below(&mut self, offset: Offset, budget: &Budget) {
        while self.batches.front().is_some_and(|batch| batch.next <= offset) {
            let batch = self.batches.pop_front().expect("just seen");
            self.size_bytes -= batch.bytes.len();
        }
        self.release_slabs(offset, budget);
    }

    /// Drops all batches that end above `offset`.
    pub fn cut(&mut self, offset: Offset, budget: &Budget) {
        while self.batches.back().is_some_and(|batch| batch.next > offset) {
            let batch = self.batches.pop_back().expect("just seen");
            self.size_bytes -= batch.bytes.len();
        }
        let mut released = 0;
        let end = self.batches.back().map(|batch| batch.next);
        // A slab stays if the batch that is now the last one lies in it or behind it.
        while self.slabs.len() > 1 || end.is_none() {
            let Some(&(capacity, _)) = self.slabs.back() else { break };
            let starts = self.slabs.len().checked_sub(2).map(|index| self.slabs[index].1);
            if end.is_some_and(|end| starts.is_none_or(|starts| end > starts)) {
                break;
            }
            self.slabs.pop_back();
            released += capacity;
        }
        if let (Some(last), Some(end)) = (self.slabs.back_mut(), end) {
            last.1 = end;
        }
        self.slab = BytesMut::new();
        budget.release(released);
    }

    pub fn mark_in_file(&mut self, from: Offset, to: Offset) {
        let range = self.index_of(from)..self.batches.partition_point(|batch| batch.next <= to);
        self.batches.range_mut(range).for_each(|batch| batch.in_file = true);
    }

    fn release_slabs(&mut self, offset: Offset, budget: &Budget) {
        let mut released = 0;
        while self.slabs.front().is_some_and(|(_, last)| *last <= offset) {
            released += self.slabs.pop_front().expect("just seen").0;
        }
        if self.batches.is_empty() {
            // An idle log holds no memory.
            self.slab = BytesMut::new();
        }
        budget.release(released);
    }
}
