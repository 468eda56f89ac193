//! A log that is being filled with what another directory has says so by a file in its own directory. A start that finds it
//! where the metadata has the replica elsewhere knows then that this is no leftover: the move was cut short. Says nothing of
//! what the log holds; what it names a copy is deleted like any other log.
use std::io::{self, ErrorKind};
use std::sync::Arc;

use env::OpenOptions;

use crate::layout;
use crate::log::state::Gate;
use crate::log::{Log, LogListener};
use crate::log_dir::LogDir;
use crate::settings::{Durability, LogConfig};
use crate::shared::{Offline, Shared, Ticket};

impl LogDir {
    /// Whether this log was a copy that was not complete, or of which nobody knows that it was.
    pub fn is_copy(&self, log: &Log) -> bool {
        self.shared().env.disk.open(&log.directory().join(layout::COPY), OpenOptions::READ).is_ok()
    }

    /// The ticket comes when a start would know. Without room for it the copy is one of which no start knows.
    pub fn mark_copy(&self, log: &Arc<Log>) -> Ticket<Result<(), Offline>> {
        self.change_mark(log, |shared, log| {
            if log.state().gate == Gate::Deleted {
                return Ok(false);
            }
            let disk = &*shared.env.disk;
            let is_there = |error: &io::Error| error.kind() == ErrorKind::AlreadyExists;
            // The flusher makes it for the first segment otherwise, and takes one that is there.
            disk.create_dir(&log.directory()).or_else(|error| if is_there(&error) { Ok(()) } else { Err(error) })?;
            match disk.open(&log.directory().join(layout::COPY), OpenOptions::CREATE_NEW) {
                Err(error) if !is_there(&error) => Err(error),
                _ => Ok(true),
            }
        })
    }

    /// It has become the replica.
    pub fn unmark_copy(&self, log: &Arc<Log>) -> Ticket<Result<(), Offline>> {
        self.change_mark(log, |shared, log| match shared.env.disk.remove_file(&log.directory().join(layout::COPY)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            other => other.map(|()| true),
        })
    }

    /// Goes on with what a start has found. False if that is not surely a beginning of what the source is now: a relaxed one
    /// may have lost its end to a power loss, and others are at its offsets since; a compacted one may have been rewritten.
    pub fn adopt_copy(&self, copy: &Log, source: &Log, listener: Arc<dyn LogListener>) -> bool {
        let (start, config) = source.start_and_config();
        let (end, was_compacted, epochs) = (source.ends().log_end, source.was_compacted(), source.epochs());
        let mut state = copy.state();
        let copied = start..state.log_end;
        // Every start has an epoch of its own, so what was written anew at the same offsets is not of the same one.
        let is_same = state.epochs.within(&copied) == epochs.within(&copied);
        let is_beginning = state.log_start <= start && start <= state.log_end && state.log_end <= end && is_same;
        // Also one that is compacted no more: its copy may have the record of a key whose tombstone is gone.
        let is_rewritten = config.compacts || was_compacted;
        if !is_beginning || is_rewritten || config.durability != Durability::Flush || !state.faulty.is_empty() {
            return false;
        }
        state.configure(LogConfig { durability: Durability::Flush, ..config });
        // As after `create_copy`: neither retention nor compaction touches it.
        state.is_configured = false;
        state.listener = Some(listener);
        true
    }

    /// On the reader's thread, one after the other. `change` says whether names have changed.
    fn change_mark(
        &self,
        log: &Arc<Log>,
        change: impl FnOnce(&Shared, &Log) -> io::Result<bool> + Send + 'static,
    ) -> Ticket<Result<(), Offline>> {
        let (shared, log) = (self.shared().clone(), log.clone());
        let change = move || {
            match change(&shared, &log) {
                Ok(false) => return Ok(()),
                Ok(true) => {}
                Err(error) => {
                    tracing::warn!(log = %log.name(), "a start would not know of the move to here: {error}");
                    return if shared.is_offline() { Err(Offline) } else { Ok(()) };
                }
            }
            let disk = &*shared.env.disk;
            disk.sync_dir(&log.directory()).and_then(|()| disk.sync_dir(&shared.path)).map_err(|error| {
                shared.go_offline("a sync of a directory failed", &error);
                Offline
            })
        };
        self.shared().read_later(|_| 0, change)
    }
}
