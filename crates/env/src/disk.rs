//! Files and directories. Calls are plain and synchronous; a thread's `step` makes at most one write or sync, so that in
//! the simulator any other event, and a power loss, may fall between two of them.
//!
//! What a caller may rely on after a power loss is what POSIX and ext4 promise, and no more: a byte is there if
//! `sync_data` of its file returned after it was written; a name is there if `sync_dir` of its directory returned after
//! it was made; anything else is there, or not, or torn at 512 bytes.
use std::io;
use std::ops::Range;
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::Arc;

pub trait Disk: Send + Sync {
    fn open(&self, path: &Path, options: OpenOptions) -> io::Result<Arc<dyn File>>;
    /// Makes one directory; its parent must exist. AlreadyExists if it is there.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Sorted by name.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// The directory must be empty.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in this directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    fn space(&self, path: &Path) -> io::Result<Space>;
    /// Takes the exclusive lock of a directory, held until the answer is dropped or the process ends. `WouldBlock` if
    /// another process has it. Makes the file `name` in it.
    fn lock(&self, path: &Path, name: &str) -> io::Result<Box<dyn Lock>>;
    /// The same lock, for who makes nothing: `None` if the file is not there, so that nobody can have it.
    fn lock_existing(&self, path: &Path, name: &str) -> io::Result<Option<Box<dyn Lock>>>;
}

pub trait File: Send + Sync {
    fn len(&self) -> io::Result<u64>;
    /// Reads until the buffer is full or the file ends; returns how much was read.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize>;
    /// As `read_at`, but returns `None` if any of it is not in the page cache.
    fn read_cached_at(&self, bytes: &mut [u8], at: u64) -> io::Result<Option<usize>>;
    /// Writes all parts, one after the other, from `at` on. An error leaves any prefix of it written. A `direct` file
    /// wants the place, the addresses and the lengths in multiples of [`crate::buffer::BLOCK`].
    fn write_all_at(&self, parts: &[io::IoSlice<'_>], at: u64) -> io::Result<()>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// fdatasync: the data, and what of the metadata is needed to read it again, such as the length.
    fn sync_data(&self) -> io::Result<()>;
    /// Asks the kernel to begin writing these dirty pages. Promises nothing.
    fn start_writeback(&self, range: Range<u64>) -> io::Result<()>;
    /// Drops clean pages of this range from the page cache (a hint, for what is read once).
    fn forget_cached(&self, range: Range<u64>) -> io::Result<()>;
    /// Milliseconds since the Unix epoch.
    fn modified_ms(&self) -> io::Result<i64>;
    /// For `sendfile`; the simulated file has none.
    fn raw_fd(&self) -> Option<RawFd>;

    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Released when dropped.
pub trait Lock: Send + Sync {}

#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions {
    pub write: bool,
    /// Make it, and fail with AlreadyExists if it is there (O_EXCL).
    pub create_new: bool,
    /// Bypass the page cache (O_DIRECT). Falls back to ordinary writes where the file system refuses it.
    pub direct: bool,
}

impl OpenOptions {
    pub const READ: Self = Self { write: false, create_new: false, direct: false };
    pub const WRITE: Self = Self { write: true, create_new: false, direct: false };
    pub const CREATE_NEW: Self = Self { write: true, create_new: true, direct: false };

    pub fn direct(self) -> Self {
        Self { direct: true, ..self }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DirEntry {
    pub name: String,
    pub is_dir: bool,
}

/// The process has as many files and sockets open as it may, or the system as a whole.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// There is not enough of something now, and later there may be: room on the disk, descriptors.
pub fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) || is_out_of_descriptors(error)
}

/// Of the file system that holds a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Space {
    pub free_bytes: u64,
    pub total_bytes: u64,
    /// Tells two directories on one file system from two on different ones.
    pub file_system_id: u64,
}

/// Replaces a small file whole: write beside it, sync, rename, sync the directory. After a power loss the old or the new
/// content is there, never a mixture.
pub fn replace_file(disk: &dyn Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().expect("a file path has a parent");
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let beside = Path::new(&beside);
    match disk.remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.open(beside, OpenOptions::CREATE_NEW)?;
    file.write_all_at(&[io::IoSlice::new(content)], 0)?;
    file.sync_data()?;
    disk.rename(beside, path)?;
    disk.sync_dir(directory)
}

/// A small file, whole. `bytes_max` bounds what a planted file can make us allocate.
pub fn read_file(disk: &dyn Disk, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path, OpenOptions::READ)?;
    let len = file.len()?;
    if len > bytes_max {
        let message = format!("{} has {len} bytes, more than the {bytes_max} it may have", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let mut bytes = vec![0; len as usize];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Makes a directory and its missing parents, each name durable.
pub fn create_dir_all(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.read_dir(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(io::ErrorKind::NotFound.into()),
    };
    create_dir_all(disk, parent)?;
    match disk.create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    disk.sync_dir(parent)
}

/// Removes a directory and all that is in it. Nothing is made durable: for what nobody will miss.
pub fn remove_dir_all(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    for entry in disk.read_dir(path)? {
        let path = path.join(&entry.name);
        match entry.is_dir {
            true => remove_dir_all(disk, &path)?,
            false => disk.remove_file(&path)?,
        }
    }
    disk.remove_dir(path)
}
