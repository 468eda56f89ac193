//! The only unsafe code of Ottla: system calls that no safe wrapper we use offers, and the file descriptor that the
//! `File` trait must hand out as a bare number so that a simulated file can have none. Each call passes plain numbers or
//! a struct of its own to the kernel; no memory outlives the call.
#![allow(unsafe_code)]
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::disk::File;

/// Asks the kernel to begin writing the dirty pages of this range.
pub fn start_writeback(file: BorrowedFd<'_>, range: Range<u64>) -> io::Result<()> {
    let (at, len) = (range.start as i64, range.end.saturating_sub(range.start) as i64);
    if len <= 0 {
        return Ok(()); // A length of 0 would mean the whole file.
    }
    // SAFETY: takes a descriptor that is open while it is borrowed, and numbers.
    match unsafe { libc::sync_file_range(file.as_raw_fd(), at, len, libc::SYNC_FILE_RANGE_WRITE) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The descriptor of a file, if it has one.
pub fn descriptor(file: &dyn File) -> Option<BorrowedFd<'_>> {
    // SAFETY: `raw_fd` answers a descriptor that the file owns and closes only when it is dropped, and the answer here
    // borrows the file.
    file.raw_fd().map(|fd| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Of the C library and not of rustix, which ends the process where there is no vDSO, as under valgrind.
pub fn monotonic_nanos() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes into `now`, which outlives it, and keeps nothing.
    match unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) } {
        0 => now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64,
        _ => panic!("the system has no monotonic clock"),
    }
}
