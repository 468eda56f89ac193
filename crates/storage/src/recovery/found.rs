//! What a directory holds before anything is believed: its checkpoints, and the files of its lane.
use std::io::{ErrorKind, IoSlice};
use std::path::Path;
use std::sync::Arc;

use env::{Disk, File, OpenOptions};

use super::{OpenError, io_error};
use crate::checkpoint::{self, CheckpointError, Entry, Header};
use crate::journal::BLOCK;
use crate::journal::lane::{Slot, parse_slot, slot_path};
use crate::layout;

/// The checkpoint files, and what the newest sound one says.
pub(super) struct Found {
    pub files: [Arc<dyn File>; 2],
    pub starts: [u64; 2],
    pub newest: usize,
    pub header: Header,
    pub entries: Vec<Entry>,
}

/// A checkpoint's file and all that is in it.
pub(crate) fn read_checkpoint(
    disk: &dyn Disk,
    path: &Path,
    options: OpenOptions,
) -> std::io::Result<(Arc<dyn File>, Vec<u8>)> {
    let file = disk.open(path, options)?;
    let len = file.len()?.min(checkpoint::FILE_BYTES_MAX);
    let mut bytes = vec![0; len as usize];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok((file, bytes))
}

pub(super) fn read_checkpoints(disk: &dyn Disk, path: &Path) -> Result<Found, OpenError> {
    let mut files: Vec<Arc<dyn File>> = Vec::new();
    let mut contents = Vec::new();
    let mut found = Vec::new();
    let is_there = |name: &str, is_made: bool| {
        let path = path.join(name);
        match read_checkpoint(disk, &path, OpenOptions::WRITE) {
            Err(error) if error.kind() == ErrorKind::NotFound && !is_made => Ok(None),
            other => other.map(Some).map_err(|error| io_error(&path, &error)),
        }
    };
    // One that is gone is made again where the other is there: empty, it is one that cannot be believed.
    for (name, other) in layout::CHECKPOINTS.into_iter().zip(layout::CHECKPOINTS.into_iter().rev()) {
        let (file, bytes) = match is_there(name, false)? {
            Some(found) => found,
            None => {
                is_there(other, true)?;
                let path = path.join(name);
                let made = disk.open(&path, OpenOptions::CREATE_NEW);
                (made.map_err(|error| io_error(&path, &error))?, Vec::new())
            }
        };
        files.push(file);
        found.push(checkpoint::decode(&bytes));
        contents.push(bytes);
    }
    let starts = [&found[0], &found[1]].map(|found| found.as_ref().map_or(0, |(header, _)| header.lane_start.number));
    let sequence = |found: &Result<(Header, Vec<Entry>), CheckpointError>| found.as_ref().map(|f| f.0.sequence).ok();
    let newest = usize::from(sequence(&found[1]) > sequence(&found[0]));
    let second = found.pop().expect("two were read");
    let first = found.pop().expect("two were read");
    let reasons = [&first, &second].map(|found| found.as_ref().err().map_or(String::new(), ToString::to_string));
    let (header, entries) = [first, second]
        .into_iter()
        .nth(newest)
        .and_then(Result::ok)
        .ok_or_else(|| OpenError::Checkpoints { directory: path.display().to_string(), reasons })?;
    // It may be in the cache only, and everything from here on relies on it.
    let io = |error: std::io::Error| io_error(&path.join(layout::CHECKPOINTS[newest]), &error);
    files[newest].write_all_at(&[IoSlice::new(&contents[newest])], 0).map_err(io)?;
    files[newest].sync_data().map_err(io)?;
    let files = files.try_into().unwrap_or_else(|_| unreachable!("two were opened"));
    Ok(Found { files, starts, newest, header, entries })
}

pub(crate) fn open_lane(disk: &dyn Disk, path: &Path, options: OpenOptions) -> Result<Vec<Slot>, OpenError> {
    let directory = path.join(layout::LANE);
    let mut slots = Vec::new();
    for entry in disk.read_dir(&directory).map_err(|error| io_error(&directory, &error))? {
        let Some(number) = parse_slot(&entry.name).filter(|_| !entry.is_dir) else { continue };
        let path = slot_path(&directory, number);
        let opened = disk.open(&path, options);
        let file = opened.map_err(|error| io_error(&path, &error))?;
        let len = file.len().map_err(|error| io_error(&path, &error))?;
        slots.push(Slot { number, file, size_bytes: len / BLOCK as u64 * BLOCK as u64 });
    }
    Ok(slots)
}
