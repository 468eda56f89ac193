//! The log directories of one node: which of them serve, and where a new log goes. What it means that a log lies in one of
//! them, or in two, and what follows when one fails, others decide.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use record::TopicId;

use crate::log_dir::LogDir;

/// A clone is the same directories.
#[derive(Clone, Debug)]
pub struct LogDirs {
    /// In the order of `log.dirs`.
    all: Arc<[ConfiguredDir]>,
}

/// One of `log.dirs`.
#[derive(Debug)]
pub struct ConfiguredDir {
    path: PathBuf,
    /// `None`: it could not be opened.
    opened: Option<LogDir>,
}

impl ConfiguredDir {
    pub fn new(path: PathBuf, opened: Option<LogDir>) -> Self {
        Self { path, opened }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `None` while it is offline, and that is until the next start.
    pub fn online(&self) -> Option<&LogDir> {
        self.opened.as_ref().filter(|directory| !directory.is_offline())
    }
}

impl LogDirs {
    pub fn new(all: Vec<ConfiguredDir>) -> Self {
        Self { all: all.into() }
    }

    pub fn all(&self) -> &[ConfiguredDir] {
        &self.all
    }

    /// Those that were opened, whatever has become of them.
    pub fn opened(&self) -> impl Iterator<Item = &LogDir> {
        self.all.iter().filter_map(|directory| directory.opened.as_ref())
    }

    pub fn online(&self) -> impl Iterator<Item = &LogDir> {
        self.all.iter().filter_map(ConfiguredDir::online)
    }

    pub fn offline_count(&self) -> usize {
        self.all.iter().filter(|directory| directory.online().is_none()).count()
    }

    /// By the text that a client writes; Kafka compares texts, too.
    pub fn find(&self, path: &str) -> Option<&ConfiguredDir> {
        self.all.iter().find(|directory| directory.path.to_str() == Some(path))
    }

    /// By Kafka's `directory.id`.
    pub fn by_id(&self, id: TopicId) -> Option<&LogDir> {
        self.opened().find(|directory| directory.id() == id)
    }

    /// Of these the one with the fewest logs, of several such the first (`LogManager.nextLogDirs`).
    pub fn emptiest(&self, is_meant: impl Fn(&LogDir) -> bool) -> Option<&LogDir> {
        self.online().filter(|directory| is_meant(directory)).min_by_key(|directory| directory.logs_count())
    }
}
