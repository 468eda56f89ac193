//! What a crash has left of a compaction: new files that no record speaks of, old ones that were replaced. Names with a
//! generation are made here and nowhere else, and where a compacted segment stands no other is made.
use std::path::PathBuf;
use std::sync::Arc;

use env::Next;
use record::Offset;

use super::{Compactor, Stage};
use crate::log::Log;
use crate::segment::parse_file_name;

impl Compactor {
    pub(super) fn wants_sweep(&self, log: &Log) -> bool {
        if self.swept.contains(&log.log_id()) {
            return false;
        }
        let state = log.state();
        state.is_configured && state.config.compacts || state.segments.iter().any(|segment| segment.generation() > 0)
    }

    pub(super) fn begin_sweep(&mut self, log: &Arc<Log>) -> Next {
        self.swept.insert(log.log_id());
        // Before the list of segments: what is made meanwhile is not listed.
        let Ok(entries) = self.shared.env.disk.read_dir(&log.directory()) else { return Next::Again };
        let (listed, compacted) = {
            let state = log.state();
            let all = state.dropped.iter().chain(&state.segments);
            let listed: Vec<(Offset, u32)> = all.map(|it| (it.base_offset(), it.generation())).collect();
            let ends = state.segments.iter().skip(1).map(|next| next.base_offset());
            let pairs = state.segments.iter().zip(ends).filter(|(segment, _)| segment.generation() > 0);
            let compacted: Vec<_> = pairs.map(|(segment, end)| segment.base_offset()..end).collect();
            (listed, compacted)
        };
        let is_orphan = |name: &str| {
            let Some((base, generation, _)) = parse_file_name(name) else { return false };
            let is_made_here = generation > 0 || compacted.iter().any(|range| range.contains(&base));
            is_made_here && !listed.contains(&(base, generation))
        };
        let orphans = entries.iter().filter(|entry| !entry.is_dir && is_orphan(&entry.name));
        let orphans: Vec<PathBuf> = orphans.map(|entry| log.directory().join(&entry.name)).collect();
        self.stage = Stage::Sweep { orphans };
        Next::Again
    }

    pub(super) fn sweep_one(&mut self, mut orphans: Vec<PathBuf>) -> Next {
        let Some(path) = orphans.pop() else { return Next::Again };
        match self.shared.env.disk.remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!("{}: what a compaction has left cannot be removed: {error}", path.display());
            }
            _ => {}
        }
        self.stage = Stage::Sweep { orphans };
        Next::Again
    }
}
