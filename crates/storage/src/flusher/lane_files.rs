//! New lane files, written before they are used: whole, synced, their name synced too. One is kept ready, so that the
//! committer hardly ever waits for one.
use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;

use env::{AlignedBuffer, File, OpenOptions};

use super::{Did, Flusher, Step, fatal, io_trouble};
use crate::journal::BLOCK;
use crate::journal::lane::{Slot, new_slot_path, slot_path};
use crate::layout;

const CHUNK_BYTES: usize = 1 << 20;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Write,
    Name,
    SyncName,
}

pub(super) struct NewLaneFile {
    slot: Slot,
    written_bytes: u64,
    stage: Stage,
    zeroes: AlignedBuffer,
}

impl Flusher {
    pub(super) fn step_lane_file(&mut self) -> Step {
        if self.is_waiting_for_space() {
            return Ok(Did::Nothing);
        }
        let Some(mut new) = self.lane_file.take() else { return self.begin_lane_file() };
        let what = "a lane file cannot be made";
        if new.written_bytes < new.slot.size_bytes {
            let len = (new.slot.size_bytes - new.written_bytes).min(CHUNK_BYTES as u64) as usize;
            let written = new.slot.file.write_all_at(&[IoSlice::new(&new.zeroes[..len])], new.written_bytes);
            if written.is_ok() {
                new.written_bytes += len as u64;
            }
            self.lane_file = Some(new);
            written.map_err(|error| io_trouble(what, &error))?;
            return Ok(Did::Something);
        }
        let directory = self.shared.path.join(layout::LANE);
        if new.stage == Stage::Write {
            new.slot.file.sync_data().map_err(|error| fatal(what, &error))?;
            new.stage = Stage::Name;
            self.lane_file = Some(new);
        } else if new.stage == Stage::Name {
            let (from, to) = (new_slot_path(&directory, new.slot.number), slot_path(&directory, new.slot.number));
            self.shared.env.disk.rename(&from, &to).map_err(|error| fatal(what, &error))?;
            new.stage = Stage::SyncName;
            self.lane_file = Some(new);
        } else {
            self.shared.env.disk.sync_dir(&directory).map_err(|error| fatal(what, &error))?;
            self.shared.lane.lock().free.push_back(new.slot);
            self.shared.wake_committer();
        }
        Ok(Did::Something)
    }

    fn begin_lane_file(&mut self) -> Step {
        let settings = &self.shared.settings;
        let may_exceed = self.checkpoint_waits_for_groups();
        let (number, size_bytes) = {
            let mut lane = self.shared.lane.lock();
            let wanted = lane.wanted_bytes.unwrap_or(0).next_multiple_of(BLOCK as u64);
            let size_bytes = settings.lane_file_bytes.max(wanted);
            let is_bounded = lane.total_bytes + size_bytes <= settings.lane_bytes_max;
            // A group larger than any file is let through, or it would wait for ever.
            let is_needed = lane.wanted_bytes.is_some() && (may_exceed || wanted > settings.lane_file_bytes);
            let fits = lane.free.iter().any(|slot| slot.size_bytes >= wanted);
            let is_enough = fits && lane.gaps.is_empty();
            if is_enough || !(is_bounded || is_needed) || self.closing.is_some() && lane.wanted_bytes.is_none() {
                return Ok(Did::Nothing);
            }
            let number = lane.take_number();
            lane.total_bytes += size_bytes;
            (number, size_bytes)
        };
        let path = new_slot_path(&self.shared.path.join(layout::LANE), number);
        let made = match self.shared.env.disk.open(&path, OpenOptions::CREATE_NEW.direct()) {
            // Left by one that did not come to its end.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                self.shared.env.disk.open(&path, OpenOptions::WRITE.direct())
            }
            other => other,
        };
        let file: Arc<dyn File> = match made {
            Ok(file) => file,
            Err(error) => {
                let mut lane = self.shared.lane.lock();
                lane.gaps.insert(number);
                lane.total_bytes -= size_bytes;
                return Err(io_trouble("a lane file cannot be made", &error));
            }
        };
        let slot = Slot { number, file, size_bytes };
        let zeroes = AlignedBuffer::new(CHUNK_BYTES.min(size_bytes as usize));
        self.lane_file = Some(NewLaneFile { slot, written_bytes: 0, stage: Stage::Write, zeroes });
        Ok(Did::Something)
    }
}
