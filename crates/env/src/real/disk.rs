//! Files through the kernel. Every call is one system call where the kernel does it whole, and goes on where it stops
//! half-way; none is retried after an error of a sync.
use std::fs::{self, TryLockError};
use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rustix::io::{Errno, ReadWriteFlags};

use super::calls;
use crate::buffer::BLOCK;
use crate::disk::{DirEntry, File, Lock, OpenOptions, Space};

/// What one pwritev takes (IOV_MAX of Linux).
const PARTS_MAX: usize = 1024;

#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl crate::disk::Disk for Disk {
    fn open(&self, path: &Path, options: OpenOptions) -> io::Result<Arc<dyn File>> {
        let open = |create_new: bool, flags: i32| {
            let mut how = fs::OpenOptions::new();
            how.read(true).write(options.write).create_new(create_new).custom_flags(flags).open(path)
        };
        let refused = |error: &io::Error| error.raw_os_error() == Some(libc::EINVAL);
        let file = if options.direct {
            match open(options.create_new, libc::O_DIRECT) {
                // A file system without O_DIRECT. Some kernels find that out only after they have made the file.
                Err(error) if refused(&error) => open(false, 0).or_else(|_| open(options.create_new, 0))?,
                other => other?,
            }
        } else {
            open(options.create_new, 0)?
        };
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Arc::new(OpenFile { file, direct: options.direct }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let is_dir = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
            entries.push(DirEntry { name: entry.file_name().to_string_lossy().into_owned(), is_dir });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let dir = fs::File::open(path)?;
        if !dir.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        dir.sync_all()
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let found = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Space {
            free_bytes: bytes(found.f_bavail),
            total_bytes: bytes(found.f_blocks),
            file_system_id: fs::metadata(path)?.dev(),
        })
    }

    fn lock(&self, path: &Path, name: &str) -> io::Result<Box<dyn Lock>> {
        hold(fs::OpenOptions::new().write(true).create(true).truncate(false).open(path.join(name))?)
    }

    fn lock_existing(&self, path: &Path, name: &str) -> io::Result<Option<Box<dyn Lock>>> {
        match fs::File::open(path.join(name)) {
            Ok(file) => hold(file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn hold(file: fs::File) -> io::Result<Box<dyn Lock>> {
    match file.try_lock() {
        Ok(()) => Ok(Box::new(HeldLock { _file: file })),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The kernel releases it when the file is closed, also by the death of the process.
struct HeldLock {
    _file: fs::File,
}

impl Lock for HeldLock {}

struct OpenFile {
    file: fs::File,
    direct: bool,
}

impl OpenFile {
    /// The kernel's own check depends on the device; ours holds everywhere, also where O_DIRECT was refused.
    fn check_direct(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let aligned = bytes.as_ptr().addr().is_multiple_of(BLOCK)
            && bytes.len().is_multiple_of(BLOCK)
            && at.is_multiple_of(BLOCK as u64);
        if aligned || !self.direct { Ok(()) } else { Err(Errno::INVAL.into()) }
    }
}

impl File for OpenFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        self.check_direct(bytes, at)?;
        let mut done = 0;
        while done < bytes.len() {
            match self.file.read_at(&mut bytes[done..], at + done as u64) {
                Ok(0) => break,
                // A direct read stops short only at the end, which leaves no aligned place to go on from.
                Ok(read) if self.direct && !read.is_multiple_of(BLOCK) => return Ok(done + read),
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn read_cached_at(&self, bytes: &mut [u8], at: u64) -> io::Result<Option<usize>> {
        self.check_direct(bytes, at)?;
        let mut done = 0;
        while done < bytes.len() {
            let mut part = [IoSliceMut::new(&mut bytes[done..])];
            match rustix::io::preadv2(&self.file, &mut part, at + done as u64, ReadWriteFlags::NOWAIT) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(Errno::INTR) => {}
                // Not cached; or the file system cannot tell, and then the reader threads are the safe place.
                Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(done))
    }

    fn write_all_at(&self, parts: &[IoSlice<'_>], mut at: u64) -> io::Result<()> {
        let mut place = at;
        for part in parts {
            self.check_direct(part, place)?;
            place += part.len() as u64;
        }
        for parts in parts.chunks(PARTS_MAX) {
            let len = parts.iter().map(|part| part.len()).sum::<usize>();
            let written = pwritev(&self.file, parts, at)?;
            if written < len {
                self.write_rest(parts, written, at)?;
            }
            at += len as u64;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        // Not std's `sync_data`, which tries again after EINTR: what a sync that failed has written is unknown.
        Ok(rustix::fs::fdatasync(&self.file)?)
    }

    fn start_writeback(&self, range: Range<u64>) -> io::Result<()> {
        calls::start_writeback(self.file.as_fd(), range)
    }

    fn forget_cached(&self, range: Range<u64>) -> io::Result<()> {
        let Some(len) = NonZeroU64::new(range.end.saturating_sub(range.start)) else { return Ok(()) };
        Ok(rustix::fs::fadvise(&self.file, range.start, Some(len), rustix::fs::Advice::DontNeed)?)
    }

    fn modified_ms(&self) -> io::Result<i64> {
        let modified = self.file.metadata()?.modified()?;
        Ok(match modified.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_millis() as i64,
            Err(before) => -(before.duration().as_millis() as i64),
        })
    }

    fn raw_fd(&self) -> Option<RawFd> {
        Some(self.file.as_raw_fd())
    }
}

impl OpenFile {
    /// Goes on where the kernel stopped.
    fn write_rest(&self, parts: &[IoSlice<'_>], mut written: usize, at: u64) -> io::Result<()> {
        let mut place = at;
        for part in parts {
            let skipped = written.min(part.len());
            written -= skipped;
            if skipped < part.len() {
                self.file.write_all_at(&part[skipped..], place + skipped as u64)?;
            }
            place += part.len() as u64;
        }
        Ok(())
    }
}

fn pwritev(file: &fs::File, parts: &[IoSlice<'_>], at: u64) -> io::Result<usize> {
    loop {
        match rustix::io::pwritev(file, parts, at) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}
