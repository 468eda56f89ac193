//! In which log directory a replica is: where metadata and disk agree, where it was found, or where a new one goes. Rules
//! of Kafka's `LogManager`; says what the controller must be told, and tells it nothing itself.
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use metadata::directory_id;
use parking_lot::Mutex;
use protocol::Uuid;
use record::{TopicId, TopicPartition};
use storage::{Log, LogDir, LogDirs};
use tokio::sync::Notify;

/// What clients have asked for and no topic has taken up. Kafka remembers any number.
const PREFERENCES_MAX: usize = 10_000;

/// A partition's replica, by the identity of its topic.
pub type Replica = (TopicId, i32);

pub struct Placement {
    directories: LogDirs,
    /// They get no new replicas.
    cordoned: Mutex<BTreeSet<PathBuf>>,
    /// Where partitions are to be made that are not here yet (AlterReplicaLogDirs).
    preferences: Mutex<BTreeMap<TopicPartition, TopicId>>,
    /// What the controller does not know yet.
    assignments: Mutex<BTreeMap<Replica, Uuid>>,
    assigned: Notify,
}

/// Where a replica is.
pub enum Place {
    Here(LogDir, Arc<Log>),
    /// It is to be made here.
    New(LogDir),
    /// In a directory that is offline, or it cannot be told.
    Nowhere,
}

/// Where a log that is not found may be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Missing {
    /// The partition is new.
    IsMade,
    /// It should be there: it may lie in a directory that is offline.
    WasThere,
    /// Nobody leads the partition, and nothing is made for it.
    StaysAway,
}

impl Placement {
    pub fn new(directories: LogDirs) -> Self {
        Self {
            directories,
            cordoned: Mutex::default(),
            preferences: Mutex::default(),
            assignments: Mutex::default(),
            assigned: Notify::new(),
        }
    }

    /// From now on these (`cordoned.log.dirs`, KIP-1066).
    pub fn cordon(&self, paths: BTreeSet<PathBuf>) {
        *self.cordoned.lock() = paths;
    }

    pub fn is_cordoned(&self, path: &Path) -> bool {
        self.cordoned.lock().contains(path)
    }

    pub fn directories(&self) -> &LogDirs {
        &self.directories
    }

    /// `assigned` is what the metadata says. It decides where a move between directories was cut short, since it is by its
    /// change that a move takes effect.
    pub fn place(&self, name: &TopicPartition, topic_id: TopicId, assigned: Uuid, missing: Missing) -> Place {
        let replica = (topic_id, name.partition);
        if !matches!(assigned, directory_id::UNASSIGNED | directory_id::LOST) {
            let Some(directory) = self.online_by_id(assigned) else { return Place::Nowhere };
            return match directory.log(topic_id, name.partition) {
                Some(log) => Place::Here(directory, log),
                None if missing == Missing::StaysAway => Place::Nowhere,
                None => Place::New(directory),
            };
        }
        let found = self
            .directories
            .online()
            .filter_map(|directory| directory.log(topic_id, name.partition).map(|log| (directory.clone(), log)));
        let mut found: Vec<_> = found.collect();
        // A move that was asked for before the controller had heard of the first place: nothing is copied before that.
        found.sort_by_key(|(_, log)| std::cmp::Reverse(log.ends().log_end));
        while found.len() > 1
            && let Some((directory, copy)) = found.pop_if(|(_, log)| holds_nothing(log))
        {
            drop(directory.delete_log(&copy));
        }
        if let [(directory, _), (other, _), ..] = &found[..] {
            tracing::error!(
                partition = %name,
                "Duplicate log directories found: {}, {}. Recover the broker by taking one of the two away.",
                directory.path().display(),
                other.path().display()
            );
            return Place::Nowhere;
        }
        if let Some((directory, log)) = found.pop() {
            self.tell(replica, Uuid(directory.id().0));
            return Place::Here(directory, log);
        }
        match missing {
            Missing::StaysAway => Place::Nowhere,
            Missing::WasThere if self.directories.offline_count() > 0 => {
                self.tell(replica, directory_id::LOST);
                Place::Nowhere
            }
            Missing::IsMade | Missing::WasThere => {
                let preferred = self.preferences.lock().remove(name).and_then(|id| self.online_by_id(Uuid(id.0)));
                match preferred.or_else(|| self.emptiest()) {
                    Some(directory) => {
                        self.tell(replica, Uuid(directory.id().0));
                        Place::New(directory)
                    }
                    None => Place::Nowhere,
                }
            }
        }
    }

    /// Of those that take replicas; of all, where none does: the controller has meant this broker before it heard of that.
    fn emptiest(&self) -> Option<LogDir> {
        let is_free = |directory: &LogDir| !self.is_cordoned(directory.path());
        self.directories.emptiest(is_free).or_else(|| self.directories.emptiest(|_| true)).cloned()
    }

    fn online_by_id(&self, id: Uuid) -> Option<LogDir> {
        self.directories.by_id(TopicId(id.0)).filter(|directory| !directory.is_offline()).cloned()
    }

    /// Of a partition that is not here yet (`LogManager.maybeUpdatePreferredLogDir`).
    pub fn prefer(&self, name: TopicPartition, directory: &LogDir) {
        let mut preferences = self.preferences.lock();
        if preferences.len() < PREFERENCES_MAX || preferences.contains_key(&name) {
            preferences.insert(name, directory.id());
        }
    }

    fn tell(&self, replica: Replica, directory: Uuid) {
        self.assignments.lock().insert(replica, directory);
        self.assigned.notify_one();
    }

    /// What the controller is to be told next, at most so many. What could not be told comes back by `tell_again`.
    pub async fn next_assignments(&self, max: usize) -> Vec<(Replica, Uuid)> {
        loop {
            let told = {
                let mut waiting = self.assignments.lock();
                let behind = waiting.keys().nth(max).copied();
                let rest = behind.map(|behind| waiting.split_off(&behind)).unwrap_or_default();
                std::mem::replace(&mut *waiting, rest)
            };
            if !told.is_empty() {
                return told.into_iter().collect();
            }
            self.assigned.notified().await;
        }
    }

    pub fn tell_again(&self, assignments: Vec<(Replica, Uuid)>) {
        let mut waiting = self.assignments.lock();
        for (replica, directory) in assignments {
            waiting.entry(replica).or_insert(directory); // A later one counts.
        }
        self.assigned.notify_one();
    }
}

/// And never has.
fn holds_nothing(log: &Log) -> bool {
    let ends = log.ends();
    ends.log_start == ends.log_end && log.faulty_ranges().is_empty()
}
