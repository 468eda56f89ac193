//! Log directories that no record accounts for.
use std::io::ErrorKind;

use super::map::Maps;
use super::{OpenError, io_error, sync_dir};
use crate::layout;
use crate::rare::Rare;
use crate::shared::Shared;

/// No directory of ours has a higher identity; one with such a name is not to use them up.
const LOG_ID_MAX: u64 = 1 << 48;

/// Directories of deleted logs go. What nothing accounts for is kept for people to look at, out of the way, and its
/// identity is never used again.
pub(super) fn set_orphans_aside(shared: &Shared, maps: &mut Maps, checkpointed_log_id: u64) -> Result<(), OpenError> {
    let disk = &*shared.env.disk;
    let root = &shared.path;
    let known_before = maps.next_log_id;
    for entry in disk.read_dir(root).map_err(|error| io_error(root, &error))? {
        let Some(log_id) = layout::parse_log_dir(&entry.name).filter(|_| entry.is_dir) else { continue };
        if log_id < LOG_ID_MAX {
            maps.next_log_id = maps.next_log_id.max(log_id + 1);
        }
        if maps.logs.contains_key(&log_id) {
            continue;
        }
        let path = root.join(&entry.name);
        // Where records of creations may be lost, what the checkpoint does not know may be a log.
        let is_deleted = log_id < checkpointed_log_id || maps.deleted.contains(&log_id);
        if log_id < known_before && (is_deleted || !maps.may_lack_logs) {
            shared.settings.reached(Rare::OrphanOfDeleted);
            env::disk::remove_dir_all(disk, &path).map_err(|error| io_error(&path, &error))?;
            continue;
        }
        let aside = root.join(layout::SET_ASIDE);
        match disk.create_dir(&aside) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io_error(&aside, &error)),
            _ => {}
        }
        shared.settings.reached(Rare::OrphanSetAside);
        tracing::warn!(directory = %path.display(), "no record speaks of this log: set aside");
        let mut to = aside.join(&entry.name);
        for attempt in 1.. {
            match disk.read_dir(&to) {
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                _ => to = aside.join(format!("{}.{attempt}", entry.name)),
            }
        }
        disk.rename(&path, &to).map_err(|error| io_error(&path, &error))?;
        sync_dir(disk, &aside)?;
    }
    Ok(())
}
