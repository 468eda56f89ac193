//! What lies in a directory and belongs to nobody.
use std::path::Path;

use env::Disk;

use super::{Finding, Remedy};
use crate::OpenError;
use crate::journal::lane::parse_slot;
use crate::layout;
use crate::recovery::io_error;
use crate::recovery::map::Maps;

/// Of the whole directory; the metadata log is another room's.
const KNOWN: [&str; 9] = [
    layout::LOCK,
    layout::META,
    layout::CHECKPOINTS[0],
    layout::CHECKPOINTS[1],
    layout::ACCEPT_LOSS,
    layout::DROP_STRAYS,
    layout::LANE,
    layout::SET_ASIDE,
    "metadata",
];

/// Whether a name in a directory tells that the directory is, or was, a log directory.
pub fn is_own(name: &str) -> bool {
    name == layout::META || name == layout::LANE || layout::CHECKPOINTS.contains(&name)
}

pub(super) fn verify(
    disk: &dyn Disk,
    path: &Path,
    maps: &Maps,
    checkpointed_log_id: u64,
    findings: &mut Vec<Finding>,
) -> Result<(), OpenError> {
    let mut notice = |path, why: &str| findings.push(Finding::of(path, why, Remedy::Nothing));
    for entry in disk.read_dir(path).map_err(|error| io_error(path, &error))? {
        let path = path.join(&entry.name);
        match layout::parse_log_dir(&entry.name).filter(|_| entry.is_dir) {
            Some(log_id) if maps.logs.contains_key(&log_id) => {}
            Some(log_id) if log_id < checkpointed_log_id || maps.deleted.contains(&log_id) => {
                notice(path, "of a deleted log: the next start removes it");
            }
            Some(_) => notice(path, "no record speaks of this log: the next start sets it aside"),
            None if KNOWN.contains(&entry.name.as_str()) => {}
            None => notice(path, "not of the broker's making"),
        }
    }
    let lane = path.join(layout::LANE);
    for entry in disk.read_dir(&lane).map_err(|error| io_error(&lane, &error))? {
        let is_new = entry.name.strip_suffix(".new").is_some_and(|name| parse_slot(name).is_some());
        if parse_slot(&entry.name).is_none() && !is_new {
            notice(lane.join(&entry.name), "not of the broker's making");
        }
    }
    Ok(())
}
