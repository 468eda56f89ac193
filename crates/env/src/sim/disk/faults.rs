//! What the simulated disk does wrong when told to: errors of single calls, rot, reads that find nothing in the cache.
//! It is kept apart from the content, so that a test can always ask what the truth was.
use std::collections::BTreeMap;
use std::io;

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
    path_part: String,
    skip: u64,
    times: u64,
    errno: i32,
}

impl Fault {
    /// The next such call, of any path, fails with this error number. A failed write leaves a prefix written. A failed
    /// sync drops the dirty pages as Linux does: they stay visible while cached, and no later sync writes them.
    pub fn new(call: Call, errno: i32) -> Self {
        Self { call, path_part: String::new(), skip: 0, times: 1, errno }
    }

    pub fn input_output(call: Call) -> Self {
        Self::new(call, libc::EIO)
    }

    pub fn no_space(call: Call) -> Self {
        Self::new(call, libc::ENOSPC)
    }

    /// Only paths that contain this.
    pub fn on_path(self, part: &str) -> Self {
        Self { path_part: part.to_owned(), ..self }
    }

    /// Lets this many calls pass first.
    pub fn after(self, skip: u64) -> Self {
        Self { skip, ..self }
    }

    pub fn times(self, times: u64) -> Self {
        Self { times, ..self }
    }
}

#[derive(Clone, Default)]
pub(super) struct Faults {
    errors: Vec<Fault>,
    /// By inode and place: what is XORed into the byte that is read.
    rot: BTreeMap<(u64, u64), u8>,
    /// How probably a read that may only use the page cache finds its bytes missing though they are there.
    pub cold_probability: f64,
}

impl Faults {
    pub fn inject(&mut self, fault: Fault) {
        self.errors.push(fault);
    }

    pub fn strike(&mut self, call: Call, path: &str) -> io::Result<()> {
        for (index, fault) in self.errors.iter_mut().enumerate() {
            if fault.call != call || !path.contains(&fault.path_part) {
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
            bytes[(place - at) as usize] ^= flip;
        }
    }

    /// What is written anew is sound again.
    pub fn heal(&mut self, inode: u64, at: u64, len: u64) {
        if !self.rot.is_empty() {
            self.rot.retain(|&(rotten, place), _| rotten != inode || !(at..at + len).contains(&place));
        }
    }
}
