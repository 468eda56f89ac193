//! Marks that a test writes, and when the medium surely holds them: it can judge an acknowledgement by the disk and not by
//! the word of whoever gave it.
use std::collections::BTreeSet;
use std::sync::Arc;

use super::pages::PAGE;
use super::state::{Inode, InodeId, ROOT, State};

/// What a mark is made of: a prefix, and the number that tells marks apart (big-endian).
pub const MARK_BYTES: usize = 16;
const LOOK_BYTES: usize = 256;

/// The marks seen in what became durable, each with the file it stands in.
#[derive(Clone)]
pub struct Marks {
    prefix: [u8; 8],
    found: BTreeSet<(u64, InodeId)>,
}

impl Marks {
    pub fn new(prefix: [u8; 8]) -> Self {
        Self { prefix, found: BTreeSet::new() }
    }

    fn look(&mut self, inode: InodeId, bytes: &[u8]) {
        // Most of what is written holds no mark, and `contains` is the fastest that can say so.
        for (index, part) in bytes.chunks(LOOK_BYTES).enumerate().filter(|(_, part)| part.contains(&self.prefix[0])) {
            let places = part.iter().enumerate().filter(|(_, byte)| **byte == self.prefix[0]);
            for at in places.map(|(place, _)| index * LOOK_BYTES + place) {
                let Some(mark) = bytes.get(at..at + MARK_BYTES) else { return };
                if let Some(number) = mark.strip_prefix(&self.prefix) {
                    let number = u64::from_be_bytes(number.try_into().expect("the other eight bytes"));
                    self.found.insert((number, inode));
                }
            }
        }
    }
}

impl State {
    /// Takes note of the marks in pages that have just become durable.
    pub fn look_for_marks(&mut self, inode: InodeId, pages: &BTreeSet<u64>) {
        let Some(mut marks) = self.marks.take() else { return };
        let content = &self.file(inode).durable;
        let mut bytes = Vec::new();
        let mut end = None;
        for &page in pages {
            if end != Some(page) {
                Arc::make_mut(&mut marks).look(inode, &bytes);
                bytes.clear();
                if let Some(before) = page.checked_sub(1).and_then(|before| content.page(before)) {
                    bytes.extend_from_slice(&before[PAGE - MARK_BYTES..]); // One may lie across the border.
                }
            }
            if let Some(page) = content.page(page) {
                bytes.extend_from_slice(&page[..]);
            }
            end = Some(page + 1);
        }
        // The rest of one that begins in the last page may have become durable earlier.
        if let Some(after) = end.and_then(|end| content.page(end)) {
            bytes.extend_from_slice(&after[..MARK_BYTES]);
        }
        Arc::make_mut(&mut marks).look(inode, &bytes);
        self.marks = Some(marks);
    }

    /// Whether this mark stands in a file that a power loss now would leave, under its name.
    pub fn is_mark_durable(&mut self, mark: u64) -> bool {
        let Some(marks) = &self.marks else { return false };
        let inodes: Vec<InodeId> = marks.found.range((mark, 0)..=(mark, u64::MAX)).map(|(_, inode)| *inode).collect();
        if self.durably_named.is_none() {
            self.durably_named = Some(self.with_durable_name());
        }
        inodes.iter().any(|inode| self.durably_named.as_ref().is_some_and(|named| named.contains(inode)))
    }

    fn with_durable_name(&self) -> BTreeSet<InodeId> {
        let mut named = BTreeSet::new();
        let mut to_visit = vec![ROOT];
        while let Some(inode) = to_visit.pop() {
            if named.insert(inode)
                && let Some(Inode::Dir(dir)) = self.inodes.get(&inode).map(|inode| &**inode)
            {
                to_visit.extend(dir.durable.values());
            }
        }
        named
    }
}
