//! An index file as far as it is in memory: entries that are not in the file yet, and the first entry of each page of
//! those that are. A lookup costs at most one read of one page. Knows neither the log nor what its entries mean.

use std::io::{self, IoSlice};
use std::sync::Arc;

use env::File;
use record::Offset;

use super::Access;
use super::entry::Entry;
use super::place::Written;

#[derive(Clone)]
pub(super) struct SparseIndex<E> {
    // Each follows on the one before it, and the first on `stored.last`.
    pub pending: Vec<E>,
    /// `None` until the file was read and checked.
    pub stored: Option<Stored<E>>,
}

/// The entries in the file.
#[derive(Clone)]
pub(super) struct Stored<E> {
    /// None as long as there are no entries.
    pub file: Option<Arc<dyn File>>,
    pub count: u32,
    // Of each page.
    firsts: Vec<E>,
    pub last: Option<E>,
}

/// Where the greatest entry is that is not beyond what is looked for.
pub(super) enum Place<E> {
    Here(E),
    Nowhere,
    Page(Page),
    Unloaded,
}

/// A part of the file that must be read to know.
pub(super) struct Page {
    file: Arc<dyn File>,
    position: u64,
    size_bytes: usize,
}

/// A file's entries, checked.
pub(super) struct Checked<E> {
    pub entries: Vec<E>,
    /// Something in it cannot be an entry: none of it is to be believed.
    pub doubtful: bool,
}

/// What a lookup reads at once.
const PAGE_BYTES: usize = 4096;

impl<E: Entry> SparseIndex<E> {
    pub fn unloaded() -> SparseIndex<E> {
        SparseIndex { pending: Vec::new(), stored: None }
    }

    pub fn without_file() -> SparseIndex<E> {
        SparseIndex { pending: Vec::new(), stored: Some(Stored::default()) }
    }

    /// `reached` is true for all entries up to the one that is looked for, and false for all after it.
    pub fn find(&self, reached: impl Fn(&E) -> bool) -> Place<E> {
        if let Some(entry) = last_reached(&self.pending, &reached) {
            return Place::Here(entry);
        }
        let Some(stored) = &self.stored else { return Place::Unloaded };
        match stored.last {
            Some(last) if reached(&last) => Place::Here(last),
            _ => stored.firsts.partition_point(reached).checked_sub(1).map_or(Place::Nowhere, |at| stored.page(at)),
        }
    }

    /// How many of the pending entries lie below `limit`.
    pub fn due(&self, base: Offset, limit: &Written) -> usize {
        self.pending.partition_point(|entry| entry.is_within(base, limit))
    }

    pub fn count(&self) -> u32 {
        self.pending.len() as u32 + self.stored.as_ref().map_or(0, |stored| stored.count)
    }

    /// The file and how much of it is entries.
    pub fn file_size(&self) -> Option<(Arc<dyn File>, u64)> {
        let stored = self.stored.as_ref()?;
        Some((stored.file.clone()?, u64::from(stored.count) * E::BYTES as u64))
    }

    /// Entries of before the pending ones have been found.
    pub fn precede(&mut self, stored: Stored<E>, mut found: Vec<E>) {
        let mut last = found.last().copied().or(stored.last);
        for entry in std::mem::take(&mut self.pending) {
            if last.is_none_or(|last| entry.follows(&last)) {
                found.push(entry);
                last = Some(entry);
            }
        }
        self.pending = found;
        self.stored = Some(stored);
    }

    /// The first `count` pending entries now stand in `file`, behind those that did before.
    pub fn moved_to_file(&mut self, count: usize, file: Arc<dyn File>) {
        let stored = self.stored.as_mut().expect("an index is loaded before it is written");
        stored.file = Some(file);
        self.pending.drain(..count).for_each(|entry| stored.add(entry));
        self.pending.shrink_to(count);
    }

    /// Lets go of the file, if there is one.
    pub fn close(&mut self) {
        if self.stored.as_ref().is_some_and(|stored| stored.file.is_some()) {
            self.stored = None;
        }
    }

    /// Nothing at or beyond `limit` is true any more.
    pub fn cut(&mut self, base: Offset, limit: &Written) {
        self.pending.truncate(self.due(base, limit));
        // Which of the file's entries are left is known once it is read again.
        self.stored = None;
    }
}

fn last_reached<E: Copy>(entries: &[E], reached: impl Fn(&E) -> bool) -> Option<E> {
    entries.partition_point(reached).checked_sub(1).map(|at| entries[at])
}

impl<E> Default for Stored<E> {
    fn default() -> Stored<E> {
        Stored { file: None, count: 0, firsts: Vec::new(), last: None }
    }
}

impl<E: Entry> Stored<E> {
    const PER_PAGE: usize = PAGE_BYTES / E::BYTES;

    pub fn new(file: Arc<dyn File>, entries: &[E]) -> Stored<E> {
        let mut stored = Stored { file: Some(file), ..Stored::default() };
        entries.iter().for_each(|entry| stored.add(*entry));
        stored
    }

    fn add(&mut self, entry: E) {
        if (self.count as usize).is_multiple_of(Self::PER_PAGE) {
            self.firsts.push(entry);
        }
        self.count += 1;
        self.last = Some(entry);
    }

    fn page(&self, at: usize) -> Place<E> {
        let Some(file) = self.file.clone() else { return Place::Unloaded };
        let first = at * Self::PER_PAGE;
        let count = Self::PER_PAGE.min(self.count as usize - first);
        Place::Page(Page { file, position: (first * E::BYTES) as u64, size_bytes: count * E::BYTES })
    }
}

impl Page {
    /// `Ok(None)` if it would have to wait for the disk; the inner `None` if the file is no longer what it was.
    pub fn search<E: Entry>(
        &self,
        base: Offset,
        access: Access,
        reached: impl Fn(&E) -> bool,
    ) -> io::Result<Option<Option<E>>> {
        let mut bytes = [0; PAGE_BYTES];
        let bytes = &mut bytes[..self.size_bytes];
        let Some(read) = access.read_at(&*self.file, bytes, self.position)? else { return Ok(None) };
        let entries: Vec<E> = bytes[..read].chunks_exact(E::BYTES).map(|bytes| E::take(base, bytes)).collect();
        Ok(Some(last_reached(&entries, reached)))
    }
}

/// The entries of a whole file, as far as they speak of what is below `limit`.
pub(super) fn check<E: Entry>(bytes: &[u8], base: Offset, limit: &Written) -> Checked<E> {
    let mut entries: Vec<E> = Vec::with_capacity(bytes.len() / E::BYTES);
    for bytes in bytes.chunks_exact(E::BYTES) {
        let entry = E::take(base, bytes);
        if entries.last().is_some_and(|last| !entry.follows(last)) {
            return Checked { entries: Vec::new(), doubtful: true };
        }
        if !entry.is_within(base, limit) {
            // Of batches that are cut off, or written only in part. What may come behind is not looked at.
            break;
        }
        entries.push(entry);
    }
    Checked { entries, doubtful: false }
}

/// Writes entries behind `count` that the file holds already, and nothing else behind those.
pub(super) fn write<E: Entry>(file: &dyn File, base: Offset, count: u32, entries: &[E]) -> io::Result<()> {
    let at = u64::from(count) * E::BYTES as u64;
    if file.len()? > at {
        file.set_len(at)?;
    }
    let mut bytes = Vec::with_capacity(entries.len() * E::BYTES);
    entries.iter().for_each(|entry| entry.put(base, &mut bytes));
    file.write_all_at(&[IoSlice::new(&bytes)], at)
}
