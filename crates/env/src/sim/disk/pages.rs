//! The content of one simulated file: a length and pages of 4 KiB, shared until written. A page that is not there reads
//! as zeros. Copying one costs a reference per 64 pages.
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::IoSlice;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

pub const PAGE: usize = 4096;
pub const SECTOR: usize = 512;
const SECTORS: usize = PAGE / SECTOR;
const CHUNK: u64 = 64;

pub type Page = [u8; PAGE];

/// One bit per sector of a page.
pub type Sectors = u8;

type Chunk = [Option<Arc<Page>>; CHUNK as usize];

#[derive(Clone, Default)]
pub struct Content {
    pub len: u64,
    chunks: BTreeMap<u64, Arc<Chunk>>,
}

impl Content {
    pub fn page(&self, index: u64) -> Option<&Arc<Page>> {
        self.chunks.get(&(index / CHUNK))?[(index % CHUNK) as usize].as_ref()
    }

    /// Returns what was there.
    pub fn set_page(&mut self, index: u64, page: Option<Arc<Page>>) -> Option<Arc<Page>> {
        let empty = || Arc::new([const { None }; CHUNK as usize]);
        let chunk = Arc::make_mut(self.chunks.entry(index / CHUNK).or_insert_with(empty));
        std::mem::replace(&mut chunk[(index % CHUNK) as usize], page)
    }

    pub fn pages(&self) -> usize {
        self.chunks.values().map(|chunk| chunk.iter().flatten().count()).sum()
    }

    /// Reads within the length; returns how much was read.
    pub fn read(&self, bytes: &mut [u8], at: u64) -> usize {
        let len = bytes.len().min(usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX));
        for (index, within, part) in split(at, len) {
            match self.page(index) {
                Some(page) => bytes[part].copy_from_slice(&page[within]),
                None => bytes[part].fill(0),
            }
        }
        len
    }

    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len as usize];
        self.read(&mut bytes, 0);
        bytes
    }

    /// Cuts or lengthens; what lies beyond a cut is zeros ever after. Returns how many pages are gone.
    pub fn set_len(&mut self, len: u64) -> usize {
        let cut = len < self.len;
        self.len = len;
        if cut { self.trim() } else { 0 }
    }

    /// Forgets what lies beyond the length.
    pub fn trim(&mut self) -> usize {
        let whole = self.len.div_ceil(PAGE as u64);
        let beyond = self.chunks.split_off(&whole.div_ceil(CHUNK));
        let mut gone = beyond.values().map(|chunk| chunk.iter().flatten().count()).sum();
        if let Some(chunk) = self.chunks.get_mut(&(whole / CHUNK)) {
            let of_this = chunk[(whole % CHUNK) as usize..].iter().flatten().count();
            if of_this > 0 {
                Arc::make_mut(chunk)[(whole % CHUNK) as usize..].fill(None);
            }
            gone += of_this;
        }
        let within = (self.len % PAGE as u64) as usize;
        let last = self.len / PAGE as u64;
        if within != 0
            && let Some(page) = self.page(last)
            && page[within..].iter().any(|byte| *byte != 0)
        {
            let mut cut = **page;
            cut[within..].fill(0);
            self.set_page(last, Some(shared(&cut)));
        }
        gone
    }

    /// Overwrites these sectors of a page with those of `from`.
    pub fn set_sectors(&mut self, index: u64, from: &Arc<Page>, sectors: Sectors) {
        if sectors == Sectors::MAX {
            self.set_page(index, Some(from.clone()));
        } else if sectors != 0 {
            let mut page = self.page(index).map_or([0; PAGE], |page| **page);
            for sector in (0..SECTORS).filter(|sector| sectors & (1 << sector) != 0) {
                let range = sector * SECTOR..(sector + 1) * SECTOR;
                page[range.clone()].copy_from_slice(&from[range]);
            }
            self.set_page(index, Some(shared(&page)));
        }
    }
}

/// Cuts a range of a file at its pages: page, place within the page, place within the range.
pub fn split(at: u64, len: usize) -> impl Iterator<Item = (u64, Range<usize>, Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let place = at + done as u64;
        let within = (place % PAGE as u64) as usize;
        let part = (len - done).min(PAGE - within);
        let item = (part > 0).then_some((place / PAGE as u64, within..within + part, done..done + part));
        done += part;
        item
    })
}

/// What one call writes, taken piece by piece.
pub struct Parts<'a> {
    parts: &'a [IoSlice<'a>],
    /// Of the first, so much was taken.
    taken: usize,
}

impl<'a> Parts<'a> {
    pub fn new(parts: &'a [IoSlice<'a>]) -> Self {
        Self { parts, taken: 0 }
    }

    /// There must be so much.
    pub fn next(&mut self, len: usize) -> Cow<'a, [u8]> {
        let mut piece = Cow::Borrowed(&[][..]);
        while piece.len() < len {
            let (first, rest) = self.parts.split_first().expect("no more is taken than was written");
            let left = &first[self.taken..];
            let part = &left[..left.len().min(len - piece.len())];
            match part.len() == len {
                true => piece = Cow::Borrowed(part),
                false => piece.to_mut().extend_from_slice(part),
            }
            match part.len() == left.len() {
                true => (self.parts, self.taken) = (rest, 0),
                false => self.taken += part.len(),
            }
        }
        piece
    }
}

/// Pages of zeros, of which a prepared file has many, share one.
pub fn shared(page: &Page) -> Arc<Page> {
    let zero = zero();
    if page == &**zero { zero.clone() } else { copied(page) }
}

/// A page of its own. Bytes are copied once, straight to where they stay.
pub fn copied(page: &Page) -> Arc<Page> {
    Arc::<[u8]>::from(&page[..]).try_into().expect("as long as a page")
}

fn zero() -> &'static Arc<Page> {
    static ZERO: OnceLock<Arc<Page>> = OnceLock::new();
    ZERO.get_or_init(|| Arc::new([0; PAGE]))
}

/// What `before` becomes when these bytes are written into it.
pub fn overwritten(before: Option<&Arc<Page>>, within: Range<usize>, bytes: &[u8]) -> Arc<Page> {
    if let Ok(whole) = bytes.try_into() {
        return shared(whole);
    }
    let mut page = copied(before.unwrap_or(zero()));
    Arc::get_mut(&mut page).expect("nobody else has it yet")[within].copy_from_slice(bytes);
    page
}

/// The sectors that a range within a page touches.
pub fn sectors(within: &Range<usize>) -> Sectors {
    (within.start / SECTOR..within.end.div_ceil(SECTOR)).fold(0, |sectors, sector| sectors | (1 << sector))
}
