//! What the broker was seen to do on its disk: how often it made a checkpoint, took a lane file again, rolled, let go of
//! old segments. Counted from the calls, not told by the broker.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use env::sim::Disk;
use env::sim::disk::Call;

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Observed {
    pub checkpoints: u64,
    pub lane_files_recycled: u64,
    pub segments_made: u64,
    pub segments_removed: u64,
    /// Segments that a compaction wrote, of `__consumer_offsets` too: their names have a generation.
    pub segments_compacted: u64,
    pub syncs: u64,
    pub written: u64,
}

#[derive(Clone, Default)]
pub struct Observer {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    observed: Observed,
    /// Whether a lane file was written last by a group, by name: then a rename, or a change of the file that is written,
    /// says that one is used again.
    lane_files: BTreeMap<String, u64>,
    /// By lane.
    lane_file_now: BTreeMap<String, String>,
}

impl Observer {
    pub fn watch(&self, disk: &Disk) {
        let state = self.state.clone();
        disk.observe(move |call, path| state.lock().unwrap_or_else(PoisonError::into_inner).note(call, path));
    }

    pub fn observed(&self) -> Observed {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).observed
    }
}

impl State {
    fn note(&mut self, call: Call, path: &str) {
        let observed = &mut self.observed;
        let name = path.rsplit('/').next().unwrap_or_default();
        match call {
            Call::SyncData => {
                observed.syncs += 1;
                observed.checkpoints += u64::from(name.starts_with("checkpoint-"));
            }
            Call::Write => {
                observed.written += 1;
                let Some((directory, _)) = path.split_once("/lane/") else { return };
                let now = self.lane_file_now.get(directory);
                if now.is_none_or(|now| now != path) {
                    // Writing moves on to a file that writing has left before.
                    let times = self.lane_files.entry(path.to_owned()).or_default();
                    *times += 1;
                    observed.lane_files_recycled += u64::from(*times > 1);
                    self.lane_file_now.insert(directory.to_owned(), path.to_owned());
                }
            }
            Call::CreateFile => {
                observed.segments_made += u64::from(name.ends_with(".log"));
                observed.segments_compacted += u64::from(name.ends_with(".log") && name.matches('.').count() == 2);
            }
            Call::RemoveFile => observed.segments_removed += u64::from(name.ends_with(".log")),
            _ => {}
        }
    }
}
