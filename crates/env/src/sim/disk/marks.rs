//! Marks that a test writes, and when the medium surely holds them: it can judge an acknowledgement by the disk and not by
//! the word of whoever gave it.
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::numbers::Numbers;
use super::pages::{PAGE, Page};
use super::state::{Inode, InodeId, ROOT, State};

/// What a mark is made of: a prefix, and the number that tells marks apart (big-endian).
pub const MARK_BYTES: usize = 16;
const LOOK_BYTES: usize = 64;
/// So many marks, if each has one number more than the one before, are one part of what was found.
const PART_BITS: u32 = 8;
/// A mark stands in so many files, mostly: where it was logged, and where it was moved and compacted to.
const FILES_MOSTLY: usize = 4;

/// The marks seen in what became durable, each with the files it stands in. In parts, of which those that do not change
/// are shared by the disks of all boots.
#[derive(Clone)]
pub struct Marks {
    prefix: [u8; 8],
    found: BTreeMap<u64, Arc<Part>>,
}

/// By the lowest bits of a mark's number. The root, which is no file, stands for none.
#[derive(Clone)]
struct Part {
    files: [[u32; FILES_MOSTLY]; 1 << PART_BITS],
    /// Those for which there is no room above.
    others: BTreeSet<(u8, u32)>,
}

const NO_FILE: u32 = ROOT as u32;

impl Default for Part {
    fn default() -> Self {
        Self { files: [[NO_FILE; FILES_MOSTLY]; 1 << PART_BITS], others: BTreeSet::new() }
    }
}

impl Part {
    fn in_files(&self, at: u8) -> impl Iterator<Item = u32> {
        let files = self.files[usize::from(at)].iter().copied().filter(|file| *file != NO_FILE);
        files.chain(self.others.range((at, 0)..=(at, u32::MAX)).map(|(_, file)| *file))
    }

    /// In the place of a file that is gone, if there is one.
    fn put(&mut self, at: u8, file: u32, is_there: impl Fn(u32) -> bool) {
        let files = &mut self.files[usize::from(at)];
        let free = files.iter().position(|before| *before == NO_FILE);
        match free.or_else(|| files.iter().position(|before| !is_there(*before))) {
            Some(place) => files[place] = file,
            None => drop(self.others.insert((at, file))),
        }
    }
}

impl Marks {
    pub fn new(prefix: [u8; 8]) -> Self {
        Self { prefix, found: BTreeMap::new() }
    }

    fn put(&mut self, number: u64, inode: InodeId, inodes: &BTreeMap<InodeId, Arc<Inode>>) {
        let file = u32::try_from(inode).expect("fewer files than 4,294,967,295 are made");
        let part = self.found.entry(number >> PART_BITS).or_default();
        if !part.in_files(number as u8).any(|before| before == file) {
            Arc::make_mut(part).put(number as u8, file, |before| inodes.contains_key(&before.into()));
        }
    }

    fn in_files(&self, number: u64) -> impl Iterator<Item = InodeId> {
        let part = self.found.get(&(number >> PART_BITS)).into_iter();
        part.flat_map(move |part| part.in_files(number as u8).map(InodeId::from))
    }

    /// Takes note of the marks that lie in these bytes, whole.
    fn look(&mut self, inode: InodeId, bytes: &[u8], inodes: &BTreeMap<InodeId, Arc<Inode>>) {
        let first = self.prefix[0];
        // Most of what is written holds no mark. Of an array, and without an early end, the compiler looks at many bytes
        // at once.
        let (parts, rest) = bytes.as_chunks::<LOOK_BYTES>();
        for (index, part) in parts.iter().enumerate() {
            if part.iter().fold(0, |any, byte| any | u8::from(*byte == first)) != 0 {
                self.look_from(inode, bytes, index * LOOK_BYTES..(index + 1) * LOOK_BYTES, inodes);
            }
        }
        self.look_from(inode, bytes, bytes.len() - rest.len()..bytes.len(), inodes);
    }

    /// At the marks that begin in this range.
    fn look_from(&mut self, inode: InodeId, bytes: &[u8], range: Range<usize>, inodes: &BTreeMap<InodeId, Arc<Inode>>) {
        let first = self.prefix[0];
        for at in range.filter(|at| bytes[*at] == first) {
            let Some(mark) = bytes.get(at..at + MARK_BYTES) else { return };
            if let Some(number) = mark.strip_prefix(&self.prefix) {
                let number = u64::from_be_bytes(number.try_into().expect("the other eight bytes"));
                self.put(number, inode, inodes);
            }
        }
    }

    /// Those that begin in one page and end in the next.
    fn look_between(&mut self, inode: InodeId, pages: [Option<&Arc<Page>>; 2], inodes: &BTreeMap<InodeId, Arc<Inode>>) {
        let [Some(before), Some(after)] = pages else { return };
        let mut bytes = [0; 2 * (MARK_BYTES - 1)];
        let (end, start) = bytes.split_at_mut(MARK_BYTES - 1);
        end.copy_from_slice(&before[PAGE - end.len()..]);
        start.copy_from_slice(&after[..start.len()]);
        self.look(inode, &bytes, inodes);
    }
}

impl State {
    /// Takes note of the marks in pages that have just become durable.
    pub fn look_for_marks(&mut self, inode: InodeId, pages: &BTreeSet<u64>) {
        let Some(mut marks) = self.marks.take() else { return };
        let found = Arc::make_mut(&mut marks);
        let content = &self.file(inode).durable;
        let mut end = None;
        for &index in pages {
            let Some(page) = content.page(index) else { continue };
            // The other part of one across a border may have become durable earlier.
            if end != Some(index) {
                let before = index.checked_sub(1).and_then(|before| content.page(before));
                found.look_between(inode, [before, Some(page)], &self.inodes);
            }
            found.look(inode, &page[..], &self.inodes);
            found.look_between(inode, [Some(page), content.page(index + 1)], &self.inodes);
            end = Some(index + 1);
        }
        self.marks = Some(marks);
    }

    /// Whether this mark stands in a file that a power loss now would leave, under its name.
    pub fn is_mark_durable(&mut self, mark: u64) -> bool {
        if self.durably_named.is_none() {
            self.durably_named = Some(self.with_durable_name());
        }
        let (Some(marks), Some(named)) = (&self.marks, &self.durably_named) else { return false };
        marks.in_files(mark).any(|inode| named.contains(inode))
    }

    fn with_durable_name(&self) -> Numbers {
        let mut named = Numbers::default();
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
