//! Names and lengths of a log's files, made what the repair has come to.
use std::io::ErrorKind;
use std::sync::Arc;

use record::{Offset, Timestamp};

use super::{Log, OpenError, Repair};
use crate::segment::{FileKind, Segment, Summary, parse_file_name};

impl Repair {
    /// Cuts what is beyond the end, and syncs.
    pub(super) fn settle_files(&self, log: &Log) -> Result<(), OpenError> {
        for segment in &log.segments {
            match segment.cut_files() {
                Ok(()) => {}
                // A segment of which nothing was written yet.
                Err(error) if error.io_kind() == Some(ErrorKind::NotFound) && segment.summary().size_bytes == 0 => {}
                // It is gone, and what it held is found to be lost where it is read.
                Err(error) if error.io_kind() == Some(ErrorKind::NotFound) => {
                    segment.create().map_err(|error| OpenError::Segment(error.to_string()))?;
                }
                Err(error) => return Err(OpenError::Segment(error.to_string())),
            }
            // Also where nothing was written: what is seen of the file may be in the cache only, its length too.
            let is_touched = segment.base_offset() >= self.synced.place.segment;
            if (segment.is_dirty() || is_touched) && segment.file().is_ok() {
                segment.sync().map_err(|error| OpenError::Segment(error.to_string()))?;
            }
        }
        self.env.disk.sync_dir(&self.directory).map_err(|error| self.io(error))
    }

    /// Segments behind the end hold nothing that was acknowledged. Returns how many bytes they had.
    pub(super) fn remove_beyond(&self, log: &Log) -> Result<u64, OpenError> {
        let first = log.segments[0].base_offset();
        let last = log.segments.back().expect("a log has a segment").base_offset();
        let mut bytes = 0;
        for entry in self.env.disk.read_dir(&self.directory).map_err(|error| self.io(error))? {
            let parsed = parse_file_name(&entry.name).filter(|_| !entry.is_dir);
            let Some((base, generation, kind)) = parsed else { continue };
            let is_it = |segment: &Arc<Segment>| segment.base_offset() == base && segment.generation() == generation;
            // What compaction has replaced, or has not come to replace, goes too.
            if base > last || base >= first && !log.segments.iter().any(is_it) {
                let path = self.directory.join(&entry.name);
                if kind == FileKind::Log && base > last {
                    let file = self.env.disk.open(&path, env::OpenOptions::READ).map_err(|error| self.io(error))?;
                    bytes += file.len().map_err(|error| self.io(error))?;
                }
                self.env.disk.remove_file(&path).map_err(|error| self.io(error))?;
            }
        }
        Ok(bytes)
    }

    pub(super) fn dropped(&self, log: &Log) -> Result<Vec<Arc<Segment>>, OpenError> {
        let first = log.segments[0].base_offset();
        let mut dropped: Vec<Arc<Segment>> = Vec::new();
        for (base, generation) in self.files()?.into_iter().filter(|(base, _)| *base < first) {
            let summary = Summary { generation, ..Summary::empty(base, Timestamp::NONE) };
            let segment = self.segment(summary);
            let Some(other) = dropped.pop_if(|last| last.base_offset() == base) else {
                dropped.push(segment);
                continue;
            };
            // Of what compaction has left under the same base, one was the log's.
            let is_other = self.known.contains(&(base, other.generation()));
            let (ours, orphan) = if is_other { (other, segment) } else { (segment, other) };
            orphan.remove_files().map_err(|error| OpenError::Segment(error.to_string()))?;
            dropped.push(ours);
        }
        Ok(dropped)
    }

    /// Where segments begin, in order; not those that compaction has written, which a checkpoint or the lane knows.
    pub(super) fn segment_files(&self) -> Result<Vec<Offset>, OpenError> {
        Ok(self.files()?.into_iter().filter(|(_, generation)| *generation == 0).map(|(base, _)| base).collect())
    }

    /// Base offsets and generations, in order.
    fn files(&self) -> Result<Vec<(Offset, u32)>, OpenError> {
        let entries = match self.env.disk.read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| self.io(error))?,
        };
        let log_file = |name: &str| parse_file_name(name).filter(|(.., kind)| *kind == FileKind::Log);
        let files = entries.iter().filter(|entry| !entry.is_dir).filter_map(|entry| log_file(&entry.name));
        let mut files: Vec<_> = files.map(|(base, generation, _)| (base, generation)).collect();
        files.sort_unstable();
        Ok(files)
    }
}
