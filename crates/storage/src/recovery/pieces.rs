//! Pieces that went straight to their segments: whether what the lane says of them is there.
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use env::{Disk, OpenOptions};

use super::{OpenError, io_error};
use crate::journal::record::SegmentPlace;
use crate::journal::walk::{Walked, WalkedBody, WalkedRecord};
use crate::layout;
use crate::segment::{FileKind, file_name};

/// A group behind the last one that is known to be durable counts only if its direct pieces are whole too.
/// Returns the logs with pieces that were discarded.
pub(crate) fn end_at_torn_piece(disk: &dyn Disk, root: &Path, walked: &mut Walked) -> Result<BTreeSet<u64>, OpenError> {
    let mut torn = None;
    for record in walked.records.iter().filter(|record| record.group > walked.durable_group) {
        let WalkedBody::Identity { place, size_bytes, crc, .. } = &record.body else { continue };
        if !is_piece_whole(disk, root, record.log_id, place, *size_bytes, *crc)? {
            torn = Some(record.group);
            break;
        }
    }
    let Some(torn) = torn else { return Ok(BTreeSet::new()) };
    let kept = walked.groups.partition_point(|group| group.number < torn);
    let discarded = walked.end_before(kept);
    let is_piece = |record: &&WalkedRecord| matches!(record.body, WalkedBody::Identity { .. });
    Ok(discarded.iter().filter(is_piece).map(|record| record.log_id).collect())
}

pub(crate) fn is_piece_whole(
    disk: &dyn Disk,
    root: &Path,
    log_id: u64,
    place: &SegmentPlace,
    size_bytes: u32,
    crc: u32,
) -> Result<bool, OpenError> {
    let Some(directory) = directory_of(disk, root, log_id)? else { return Ok(false) };
    let path = directory.join(file_name(place.segment, 0, FileKind::Log));
    let file = match disk.open(&path, OpenOptions::READ) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        other => other.map_err(|error| io_error(&path, &error))?,
    };
    let len = file.len().map_err(|error| io_error(&path, &error))?;
    if len < u64::from(place.position) + u64::from(size_bytes) {
        return Ok(false);
    }
    let mut bytes = vec![0; size_bytes as usize];
    let read = file.read_at(&mut bytes, place.position.into()).map_err(|error| io_error(&path, &error))?;
    Ok(read == bytes.len() && crc32c::crc32c(&bytes) == crc)
}

pub(super) fn directory_of(disk: &dyn Disk, root: &Path, log_id: u64) -> Result<Option<PathBuf>, OpenError> {
    let entries = disk.read_dir(root).map_err(|error| io_error(root, &error))?;
    let is_it = |name: &str| layout::parse_log_dir(name) == Some(log_id);
    Ok(entries.iter().find(|entry| is_it(&entry.name)).map(|entry| root.join(&entry.name)))
}
