//! Which segments have files open, oldest first, so that there are never too many: the rest of the process needs
//! descriptors too, and a directory that cannot open a file cannot keep what it has promised. Kafka keeps every file of
//! every segment open and asks for a limit of 100,000; here any limit will do.
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Weak};

use env::disk::is_out_of_descriptors;
use env::{Disk, File, OpenOptions};
use parking_lot::Mutex;

use super::Segment;

pub struct OpenFiles {
    pub(super) disk: Arc<dyn Disk>,
    segments_max: usize,
    /// Those that have opened a file since they were last closed. Each at most once.
    opened: Mutex<VecDeque<Weak<Segment>>>,
}

/// How many are asked, for one that is opened, to close theirs. Who has unsynced bytes, or a reader, cannot.
const ASKED_MAX: usize = 16;

impl OpenFiles {
    pub fn new(disk: Arc<dyn Disk>, segments_max: usize) -> Arc<Self> {
        Arc::new(Self { disk, segments_max, opened: Mutex::default() })
    }

    /// If there is no descriptor left, those that nobody needs are given back first.
    pub(super) fn open(&self, path: &Path, options: OpenOptions) -> io::Result<Arc<dyn File>> {
        match self.disk.open(path, options) {
            Err(error) if is_out_of_descriptors(&error) => {
                self.close_idle(0, usize::MAX);
                self.disk.open(path, options)
            }
            other => other,
        }
    }

    pub(super) fn note(&self, segment: &Weak<Segment>) {
        self.opened.lock().push_back(segment.clone());
        self.close_idle(self.segments_max, ASKED_MAX);
    }

    /// Until no more than so many are open, or so many were asked.
    fn close_idle(&self, segments_max: usize, asked_max: usize) {
        let mut opened = self.opened.lock();
        for _ in 0..asked_max.min(opened.len()) {
            if opened.len() <= segments_max {
                return;
            }
            let Some(oldest) = opened.pop_front() else { return };
            if oldest.upgrade().is_some_and(|segment| !segment.close_if_idle()) {
                opened.push_back(oldest);
            }
        }
    }
}
