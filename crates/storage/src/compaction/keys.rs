//! The newest offset of each key, for as much of a log's dirty part as fits (`Cleaner.buildOffsetMap`).

use std::collections::BTreeMap;

use record::{BatchView, Offset, RecordError, Records};

/// Keys are whole, not hashed: they are chosen by clients, and two that are taken for one lose a record.
#[derive(Debug)]
pub struct KeyMap {
    newest: BTreeMap<Box<[u8]>, Offset>,
    bytes: usize,
    bytes_max: usize,
    start: Offset,
    /// All records between the start and it have been seen.
    end: Offset,
}

/// What an entry costs beside its key, roughly.
const ENTRY_BYTES: usize = 64;

impl KeyMap {
    /// Records below `start` are not taken note of: nothing older than them is left.
    pub fn new(start: Offset, bytes_max: usize) -> KeyMap {
        KeyMap { newest: BTreeMap::new(), bytes: 0, bytes_max, start, end: start }
    }

    /// Takes note of the next batch. False if it did not fit: then nothing of it is known, and nothing must follow.
    /// The first batch always fits, so that every run gets on.
    pub fn add(&mut self, batch: &BatchView<'_>, body: &[u8]) -> Result<bool, RecordError> {
        if !supersedes(batch) {
            self.reach(batch.next_offset());
            return Ok(true);
        }
        let mut added = 0;
        for record in Records::new(batch, body)? {
            added += record?.key.map_or(0, |key| key.len() + ENTRY_BYTES);
        }
        if self.bytes + added > self.bytes_max && !self.newest.is_empty() {
            return Ok(false);
        }
        for record in Records::new(batch, body)? {
            let record = record?;
            let Some(key) = record.key.filter(|_| record.offset >= self.start) else { continue };
            match self.newest.get_mut(key) {
                Some(newest) => *newest = record.offset,
                None => {
                    self.bytes += key.len() + ENTRY_BYTES;
                    self.newest.insert(key.into(), record.offset);
                }
            }
        }
        self.reach(batch.next_offset());
        Ok(true)
    }

    /// There is nothing more below it.
    pub fn reach(&mut self, end: Offset) {
        self.end = self.end.max(end);
    }

    /// Whether no newer record of this key has been seen.
    pub fn is_newest(&self, key: &[u8], offset: Offset) -> bool {
        self.newest.get(key).is_none_or(|newest| offset >= *newest)
    }

    /// Records at or beyond it were not looked at, and are kept.
    pub fn end(&self) -> Offset {
        self.end
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.newest.len()
    }
}

/// Whether the records of this batch may take the place of earlier ones. Those of a transaction may yet be aborted.
pub(super) fn supersedes(batch: &BatchView<'_>) -> bool {
    !batch.is_control() && !batch.is_transactional()
}
