//! Which transactions keep readers of committed data back: those still open, and those decided by a marker that
//! the high watermark has not passed.

use std::collections::BTreeMap;

use record::{Offset, ProducerId};

/// A transaction with data on this partition that has ended: what the transaction index is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CompletedTxn {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
    /// Of the marker.
    pub last_offset: Offset,
    pub aborted: bool,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Transactions {
    // Both by first offset. Together no more than there are producers, since each has at most one open, plus what
    // the high watermark still has to pass.
    pub(super) open: BTreeMap<Offset, ProducerId>,
    pub(super) unreplicated: BTreeMap<Offset, (ProducerId, Offset)>,
}

impl Transactions {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.unreplicated.is_empty()
    }

    pub(super) fn begin(&mut self, id: ProducerId, first: Offset) {
        self.open.insert(first, id);
    }

    pub(super) fn end(&mut self, id: ProducerId, first: Offset, marker: Offset, aborted: bool) -> CompletedTxn {
        self.open.remove(&first);
        self.unreplicated.insert(first, (id, marker));
        CompletedTxn { producer_id: id, first_offset: first, last_offset: marker, aborted }
    }

    pub(super) fn replicated_to(&mut self, high_watermark: Offset) {
        self.unreplicated.retain(|_, (_, marker)| *marker >= high_watermark);
    }

    pub(super) fn first_unstable_offset(&self) -> Option<Offset> {
        let open = self.open.keys().next();
        let unreplicated = self.unreplicated.keys().next();
        open.into_iter().chain(unreplicated).min().copied()
    }

    pub(super) fn first_open_offset_of_others(&self, id: ProducerId) -> Option<Offset> {
        self.open.iter().find(|(_, owner)| **owner != id).map(|(first, _)| *first)
    }
}
