//! Logs that a start finds and the metadata does not count as replicas. Deleted is only what surely may go: what this very
//! metadata says was deleted, and what a move has left where all of it is elsewhere. Of anything else, the metadata may be
//! the older copy, or another's: it stays untouched, as Kafka keeps it under `-stray`, until somebody decides.
use std::collections::BTreeSet;
use std::sync::Arc;

use metadata::{Image, Unplaced};
use record::{BrokerId, TopicId};
use storage::{Log, LogDir, LogDirs};

use crate::partition::Location;

enum Fate {
    /// Of a move that was cut short: it goes on once the partition is there.
    Copy,
    Deleted(&'static str),
    Kept(&'static str),
}

/// Returns the copies of moves that were cut short.
pub fn settle(image: &Image, node_id: BrokerId, directories: &LogDirs) -> Vec<Location> {
    let judge = Judge { image, removed: image.removed.iter().collect(), node_id, directories };
    let mut cut_short = Vec::new();
    for directory in directories.online() {
        let drops = directory.is_to_drop_strays();
        let hidden = directory.strays().into_iter().map(|log| (judge.fate_of_hidden(directory, &log), log));
        let found = directory.logs().into_iter().filter_map(|log| Some((judge.fate(directory, &log)?, log)));
        for (fate, log) in hidden.chain(found).collect::<Vec<_>>() {
            let reason = match fate {
                Fate::Copy => {
                    cut_short.push(Location { directory: directory.clone(), log });
                    continue;
                }
                Fate::Kept(reason) if !drops => {
                    directory.keep_stray(&log);
                    let ends = log.ends();
                    tracing::error!(
                        partition = %log.name(), topic_id = %log.topic_id(), directory = %log.directory().display(),
                        log_start = ends.log_start.0, log_end = ends.log_end.0,
                        "a stray log is kept and not served: {reason}. With the metadata that knows it, it is served again; \
                         to delete it, make a file named drop-strays in the log directory and start again"
                    );
                    continue;
                }
                Fate::Deleted(reason) | Fate::Kept(reason) => reason,
            };
            tracing::info!(partition = %log.name(), topic_id = %log.topic_id(), "deleted: {reason}");
            // Not awaited: whoever asks again finds it gone, and after a crash this comes again.
            drop(directory.delete_log(&log));
        }
        if drops {
            directory.has_dropped_strays();
        }
    }
    cut_short
}

struct Judge<'a> {
    image: &'a Image,
    removed: BTreeSet<TopicId>,
    node_id: BrokerId,
    directories: &'a LogDirs,
}

impl Judge<'_> {
    /// `None`: it is a replica, or may be one.
    fn fate(&self, directory: &LogDir, log: &Log) -> Option<Fate> {
        let assigned = match self.assigned(log) {
            Ok(assigned) => assigned,
            Err(fate) => return Some(fate),
        };
        // While the other one is offline, nothing is certain enough to do anything.
        let replica = self.replica(assigned, log).filter(|_| assigned != directory.id())?;
        Some(if directory.is_copy(log) {
            Fate::Copy
        } else if replica.ends().log_end >= log.ends().log_end {
            // A copy becomes the replica when it has everything.
            Fate::Deleted("its replica is in another log directory")
        } else {
            Fate::Kept("its replica is in another log directory, and ends before this one does")
        })
    }

    /// Of a log behind which the directory has another one of the same partition.
    fn fate_of_hidden(&self, directory: &LogDir, log: &Log) -> Fate {
        let replica = match self.assigned(log) {
            Err(fate @ Fate::Deleted(_)) => return fate,
            assigned => assigned.ok().and_then(|assigned| self.replica(assigned, log)),
        };
        match (directory.log(log.topic_id(), log.name().partition), replica) {
            (Some(newer), Some(replica)) if directory.is_copy(log) && replica.ends().log_end >= log.ends().log_end => {
                // A copy that is begun anew is there twice until the new one is marked.
                match Arc::ptr_eq(&newer, &replica) || directory.is_copy(&newer) {
                    true => Fate::Deleted("the copy was begun anew"),
                    false => Fate::Copy,
                }
            }
            _ => Fate::Kept("the partition was made anew without it"),
        }
    }

    /// The directory that the metadata has this partition in, on this broker; or what becomes of a log that it has in none.
    fn assigned(&self, log: &Log) -> Result<TopicId, Fate> {
        let topic_id = log.topic_id();
        let place = self.image.place_of(topic_id, log.name().partition, self.node_id);
        place.map(|directory| TopicId(directory.0)).map_err(|unplaced| match unplaced {
            Unplaced::Topic if self.removed.contains(&topic_id) => Fate::Deleted("its topic is gone"),
            unplaced => Fate::Kept(unplaced.reason()),
        })
    }

    /// What a directory that is online has of the same partition.
    fn replica(&self, directory: TopicId, log: &Log) -> Option<Arc<Log>> {
        let directory = self.directories.by_id(directory).filter(|directory| !directory.is_offline())?;
        directory.log(log.topic_id(), log.name().partition)
    }
}
