//! What the simulated disk does wrong when told to: errors of single calls, rot, pages that land elsewhere, wrong lengths,
//! reads that find nothing in the cache. It is kept apart from the content, so that a test can always ask what the truth was.
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;

use super::pages::{PAGE, Page};

/// A call of the disk, by what it does.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Call {
    CreateDir,
    CreateFile,
    Read,
    RemoveDir,
    RemoveFile,
    Rename,
    SetLen,
    SyncData,
    SyncDir,
    Write,
}

/// Errors to be answered by some calls to come.
#[derive(Clone, Debug)]
pub struct Fault {
    call: Call,
    /// All of them are in it.
    path_parts: Vec<String>,
    skip: u64,
    times: u64,
    errno: i32,
}

impl Fault {
    /// The next such call, of any path, fails with this error number. A failed write leaves a prefix written. A failed
    /// sync drops the dirty pages as Linux does: they stay visible while cached, and no later sync writes them.
    pub fn new(call: Call, errno: i32) -> Self {
        Self { call, path_parts: Vec::new(), skip: 0, times: 1, errno }
    }

    pub fn input_output(call: Call) -> Self {
        Self::new(call, libc::EIO)
    }

    pub fn no_space(call: Call) -> Self {
        Self::new(call, libc::ENOSPC)
    }

    pub fn no_descriptors(call: Call) -> Self {
        Self::new(call, libc::EMFILE)
    }

    /// Only paths that contain this, too.
    pub fn on_path(mut self, part: &str) -> Self {
        self.path_parts.push(part.to_owned());
        self
    }

    /// Lets this many calls pass first.
    pub fn after(self, skip: u64) -> Self {
        Self { skip, ..self }
    }

    pub fn times(self, times: u64) -> Self {
        Self { times, ..self }
    }
}

/// A page that a sync will bring to another place than it says.
#[derive(Clone)]
pub(super) struct Misdirection {
    pub path_part: String,
    /// The inode and the page where it lands.
    pub onto: (u64, u64),
}

#[derive(Clone, Default)]
pub(super) struct Faults {
    errors: Vec<Fault>,
    /// By inode and place: what is XORed into the byte that is read.
    rot: BTreeMap<(u64, u64), u8>,
    /// Pages whose rot does not show yet: the page cache holds what was written.
    hidden: BTreeSet<(u64, u64)>,
    misdirection: Option<Misdirection>,
    /// By inode: the length that the medium tells.
    lengths: BTreeMap<u64, u64>,
    /// How probably a read that may only use the page cache finds its bytes missing though they are there.
    pub cold_probability: f64,
}

impl Faults {
    pub fn inject(&mut self, fault: Fault) {
        self.errors.push(fault);
    }

    pub fn strike(&mut self, call: Call, path: &str) -> io::Result<()> {
        for (index, fault) in self.errors.iter_mut().enumerate() {
            if fault.call != call || !fault.path_parts.iter().all(|part| path.contains(part)) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            let errno = fault.errno;
            fault.times -= 1;
            if fault.times == 0 {
                self.errors.remove(index);
            }
            return Err(io::Error::from_raw_os_error(errno));
        }
        Ok(())
    }

    pub fn clear_errors(&mut self) {
        self.errors.clear();
    }

    pub fn rot(&mut self, inode: u64, at: u64, flip: u8) {
        *self.rot.entry((inode, at)).or_default() ^= flip;
    }

    pub fn apply_rot(&self, inode: u64, bytes: &mut [u8], at: u64) {
        for ((_, place), flip) in self.rot.range((inode, at)..(inode, at + bytes.len() as u64)) {
            if !self.hidden.contains(&(inode, place / PAGE as u64)) {
                bytes[(place - at) as usize] ^= flip;
            }
        }
    }

    /// What is written anew is sound again.
    pub fn heal(&mut self, inode: u64, range: Range<u64>) {
        if !self.rot.is_empty() {
            self.rot.retain(|&(rotten, place), _| rotten != inode || !range.contains(&place));
        }
        self.lengths.remove(&inode);
    }

    // Pages that land elsewhere.

    pub fn misdirect(&mut self, misdirection: Misdirection) {
        self.misdirection = Some(misdirection);
    }

    /// Where a page of this file lands instead of its place. Once only.
    pub fn take_misdirection(&mut self, path: &str) -> Option<(u64, u64)> {
        let misdirection = self.misdirection.take_if(|misdirection| path.contains(&misdirection.path_part))?;
        Some(misdirection.onto)
    }

    /// From now on this page reads as `shown`, where the truth is `truth`; not yet, if it is cached.
    pub fn show(&mut self, (inode, page): (u64, u64), truth: &Page, shown: &Page, is_cached: bool) {
        let start = page * PAGE as u64;
        let before = self.rot.range((inode, start)..(inode, start + PAGE as u64));
        for place in before.map(|(place, _)| *place).collect::<Vec<_>>() {
            self.rot.remove(&place);
        }
        let flips = truth.iter().zip(shown).map(|(truth, shown)| truth ^ shown);
        let flips = (start..).zip(flips).filter(|(_, flip)| *flip != 0);
        self.rot.extend(flips.map(|(place, flip)| ((inode, place), flip)));
        if is_cached {
            self.hidden.insert((inode, page));
        }
    }

    /// The page has left the cache: what the medium holds shows.
    pub fn uncover(&mut self, inode: u64, page: u64) {
        self.hidden.remove(&(inode, page));
    }

    pub fn uncover_all(&mut self) {
        self.hidden.clear();
    }

    // Lengths.

    pub fn lie_about_len(&mut self, inode: u64, len: u64) {
        self.lengths.insert(inode, len);
    }

    pub fn len(&self, inode: u64, truth: u64) -> u64 {
        self.lengths.get(&inode).copied().unwrap_or(truth)
    }
}
