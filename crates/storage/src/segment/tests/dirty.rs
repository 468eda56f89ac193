//! A file is closed only when all that was written to it is synced: the kernel forgets a failed write-back of a file that
//! nobody has open.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::RawFd;
use std::sync::{Arc, Weak};

use env::File;
use record::Timestamp;

use super::super::*;
use super::model::Model;

/// While it is written, somebody else syncs the segment.
struct SyncedMeanwhile {
    file: Arc<dyn File>,
    segment: Weak<Segment>,
}

impl File for SyncedMeanwhile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(bytes, at)
    }

    fn read_cached_at(&self, bytes: &mut [u8], at: u64) -> io::Result<Option<usize>> {
        self.file.read_cached_at(bytes, at)
    }

    fn write_all_at(&self, parts: &[IoSlice<'_>], at: u64) -> io::Result<()> {
        self.segment.upgrade().expect("it is being written").sync().expect("synced");
        self.file.write_all_at(parts, at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn start_writeback(&self, range: Range<u64>) -> io::Result<()> {
        self.file.start_writeback(range)
    }

    fn forget_cached(&self, range: Range<u64>) -> io::Result<()> {
        self.file.forget_cached(range)
    }

    fn modified_ms(&self) -> io::Result<i64> {
        self.file.modified_ms()
    }

    fn raw_fd(&self) -> Option<RawFd> {
        self.file.raw_fd()
    }
}

#[test]
fn a_sync_that_is_begun_before_a_write_does_not_count_for_it() {
    let mut model = Model::new(3);
    model.append_random(Timestamp(1));
    model.write_all();
    let segment = model.segment.clone();
    segment.sync().unwrap();
    assert!(!segment.is_dirty());
    let file = segment.file().unwrap();
    let hooked = SyncedMeanwhile { file, segment: Arc::downgrade(&segment) };
    segment.state.lock().log = Some(Arc::new(hooked));
    segment.write_at(&[IoSlice::new(b"bytes")], segment.summary().size_bytes).unwrap();
    assert!(segment.is_dirty());
    assert!(!segment.close_if_idle());
    segment.sync().unwrap();
    assert!(!segment.is_dirty() && segment.close_if_idle());
}
