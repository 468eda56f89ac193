//! A relaxed append: the one write to a file that a runtime thread makes, and only into the page cache. What a power loss
//! may take of it is bounded by a window; the flusher syncs when that is full.
use std::io::{ErrorKind, IoSlice};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::append::NewBatch;
use super::{AppendError, Log, State};
use crate::journal::record::SegmentPlace;
use crate::log::state::Reach;

impl Log {
    pub(super) fn write_relaxed(
        &self,
        state: &mut State,
        new: &NewBatch<'_>,
        place: SegmentPlace,
    ) -> Result<(), AppendError> {
        let failed = |error: &dyn std::fmt::Display| AppendError::Write(error.to_string());
        let segment = state.active().clone();
        if !state.directory.is_made {
            match self.shared.env.disk.create_dir(&self.directory()) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(&error)),
                _ => {}
            }
            state.directory.is_made = true;
            state.made_names = true;
        }
        // Also behind what was written: the file may have gone while no broker ran.
        if segment.open_or_create().map_err(|error| failed(&error))? {
            state.made_names = true;
        }
        let parts = new.parts.map(IoSlice::new);
        segment.write_at(&parts, place.position).map_err(|error| failed(&error))?;
        let size_bytes = parts.iter().map(|part| part.len()).sum::<usize>();
        state.written = Reach { offset: new.last.next(), place: place.after(size_bytes as u32) };
        self.open_window(state, size_bytes as u64);
        Ok(())
    }

    fn open_window(&self, state: &mut State, size_bytes: u64) {
        let settings = &self.shared.settings;
        state.unsynced_bytes += size_bytes;
        let unsynced = self.shared.relaxed_bytes.fetch_add(size_bytes, Ordering::Relaxed) + size_bytes;
        let many = state.log_end - state.durable_end >= state.config.flush_messages;
        let mut is_first = false;
        if !state.is_window_open {
            state.is_window_open = true;
            let narrowed = Duration::from_millis(u64::try_from(state.config.flush_ms).unwrap_or(0));
            let wait = if many { Duration::ZERO } else { settings.relaxed_window.min(narrowed) };
            let mut work = self.shared.work.lock();
            let at = self.shared.env.clock.now() + wait;
            is_first = work.relaxed.front().is_none_or(|(first, _)| at < *first);
            if is_first {
                work.relaxed.push_front((at, self.me.clone()));
            } else {
                work.relaxed.push_back((at, self.me.clone()));
            }
        }
        if is_first || many || unsynced > settings.relaxed_window_bytes / 2 {
            self.shared.wake_flusher();
        }
    }

    /// It is about to be synced, or is gone. Whoever found the window full looks again.
    pub(crate) fn take_unsynced(&self, state: &mut State) {
        let unsynced = std::mem::take(&mut state.unsynced_bytes);
        let before = self.shared.relaxed_bytes.fetch_sub(unsynced, Ordering::Relaxed);
        if before >= self.shared.settings.relaxed_window_bytes {
            self.shared.budget.room.notify_waiters();
        }
    }
}
