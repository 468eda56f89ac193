//! Walks batches that lie one behind the other, as in a segment, a tail or a fetch response.
//! Stops at the first thing that is no whole batch, and says which of the three it was.

use super::{BatchError, BatchView};

/// Yields batches until the bytes end (`None`) or something else than a whole batch comes (`Some(Err)`, once).
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    bytes: &'a [u8],
    position: usize,
    failed: bool,
}

impl<'a> Batches<'a> {
    pub fn new(bytes: &'a [u8]) -> Batches<'a> {
        Batches { bytes, position: 0, failed: false }
    }

    /// Where the next batch begins; after an error, where the bytes stopped being batches.
    pub fn position(&self) -> usize {
        self.position
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<BatchView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.bytes[self.position..];
        if self.failed || rest.is_empty() {
            return None;
        }
        let batch = BatchView::parse(rest);
        match &batch {
            Ok(batch) => self.position += batch.size_bytes(),
            Err(_) => self.failed = true,
        }
        Some(batch)
    }
}
