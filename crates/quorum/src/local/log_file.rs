//! How one file of the log begins and how it ends, for whoever opens the log and for the worker that goes on with it.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use env::{Disk, File, OpenOptions};

use super::format::{BLOCK, FileHeader, GroupBuilder, Place, SPARE_BYTES};
use super::recover::End;

pub fn header_after(end: &End, number: u64, run: u64) -> FileHeader {
    FileHeader {
        number,
        run,
        previous_group: end.group,
        previous_chain: end.chain,
        previous: end.last,
        has_spare: true,
    }
}

/// The group that says that the next file exists.
pub fn last_group(end: &End, run: u64) -> Vec<u8> {
    let place = Place {
        run,
        number: end.group + 1,
        durable: end.group,
        first_index: end.last.index + 1,
        previous_chain: end.chain,
        is_last_of_file: true,
    };
    GroupBuilder::default().finish(place).0
}

/// How long a new file is.
pub const NEW_FILE_BYTES: u64 = BLOCK + SPARE_BYTES;

/// The name is the caller's to make durable.
pub fn make_file(disk: &dyn Disk, path: &Path, header: &FileHeader) -> io::Result<Arc<dyn File>> {
    let file = disk.open(path, OpenOptions::CREATE_NEW)?;
    let mut bytes = header.encode();
    bytes.resize(NEW_FILE_BYTES as usize, 0);
    file.write_all_at(&[IoSlice::new(&bytes)], 0)?;
    file.sync_data()?;
    Ok(file)
}

pub fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
