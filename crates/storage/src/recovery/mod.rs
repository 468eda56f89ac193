//! Coming back: the newest sound checkpoint, the lane behind it, the map of every log, the repairs; then an opening group
//! of a new run, and only then is anything said to be durable. A crash anywhere in here finds the same state again.
mod error;
pub(crate) mod found;
mod logs;
pub(crate) mod map;
mod orphans;
pub(crate) mod pieces;
mod repair;
mod run;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use env::{Disk, OpenOptions};
pub use error::OpenError;
pub(crate) use error::io_error;
use error::lane_error;
use found::{open_lane, read_checkpoints};
use logs::repair_all;
use map::Maps;
use orphans::set_orphans_aside;
use pieces::end_at_torn_piece;
pub(crate) use run::extra_slot;
use run::{make_durable, open_run};

use crate::flusher::Checkpoints;
use crate::journal::Lane;
use crate::journal::walk::{LaneDamage, WalkedBody, WalkedRecord, Walker};
use crate::layout;
use crate::rare::Rare;
use crate::registry::Registry;
use crate::settings::Mutant;
use crate::shared::Shared;

pub(crate) struct Recovered {
    pub lane: Lane,
    pub checkpoints: Checkpoints,
    pub registry: Registry,
    pub was_clean: bool,
    /// What is damaged is to be remembered soon, and two sound checkpoints are to be there.
    pub wants_checkpoint: bool,
    /// Logs may be missing of which nothing is known any more.
    pub may_lack_logs: bool,
}

pub(crate) fn recover(shared: &Arc<Shared>) -> Result<Recovered, OpenError> {
    let env = &shared.env;
    let found = read_checkpoints(&*env.disk, &shared.path)?;
    let header = found.header.clone();
    let slots = open_lane(&*env.disk, &shared.path, OpenOptions::WRITE.direct())?;
    let mut walker = Walker::new(&slots)?;
    let keeps_torn = shared.settings.has(Mutant::ReplayDiscardedGroup);
    let mut walked = walker.walk(header.lane_start, header.durable_group, keeps_torn)?;
    let file_bytes = header.lane_file_bytes.min(shared.settings.lane_file_bytes);
    if walker.may_be_cut(&walked, file_bytes, shared.settings.group_bytes_max as u64) {
        let (group, place) = (walked.end.number, walked.end.place);
        walked.damage.push(LaneDamage { group, place, is_unattributed: true });
    }
    for damage in &walked.damage {
        shared.settings.reached(Rare::DamageFound);
        tracing::error!(
            directory = %shared.path.display(), group = damage.group, file = damage.place.slot, at = damage.place.at,
            "the lane is damaged where it was acknowledged"
        );
    }
    let discarded = end_at_torn_piece(&*env.disk, &shared.path, &mut walked)?;
    if walked.is_torn {
        shared.settings.reached(Rare::GroupTorn);
    }
    if !discarded.is_empty() {
        shared.settings.reached(Rare::TornDirectPiece);
    }
    if found.starts.contains(&0) {
        shared.settings.reached(Rare::CheckpointTorn);
    }
    if shared.settings.has(Mutant::CutAcknowledgedGroup) && walked.groups.len() > 1 {
        walked.end_before(walked.groups.len() - 1);
    }
    make_durable(shared, &slots, &mut walker, &walked)?;
    let mut maps = Maps::new(found.entries, header.next_log_id);
    let ignored = |record: &&WalkedRecord| match record.body {
        WalkedBody::Create { .. } => shared.settings.has(Mutant::IgnoreCreateInReplay),
        WalkedBody::Delete => shared.settings.has(Mutant::IgnoreDeleteInReplay),
        WalkedBody::Replace { .. } => shared.settings.has(Mutant::IgnoreReplaceInReplay),
        WalkedBody::Truncate { .. } => shared.settings.has(Mutant::IgnoreTruncateInReplay),
        _ => false,
    };
    maps.replay(walked.records.iter().filter(|record| !ignored(record)), &walked.damage)
        .map_err(|error| lane_error(&shared.path, &error))?;
    if !maps.deleted.is_empty() {
        shared.settings.reached(Rare::DeletedLogInLane);
    }
    if has_accepted_loss(shared)? {
        let count = maps.logs.values_mut().map(|map| map.accept_loss()).filter(|was_suspect| *was_suspect).count();
        tracing::warn!(logs = count, "logs whose last records may be lost go on without them, as they were told to");
        // Gone once a checkpoint knows.
        shared.has_accepted_loss.store(true, Ordering::Relaxed);
    }
    set_orphans_aside(shared, &mut maps, header.next_log_id)?;
    let may_lack_logs = maps.may_lack_logs;

    let registry = Registry::new(maps.next_log_id);
    repair_all(shared, maps, &walked, &discarded, &mut walker, &registry)?;
    sync_dir(&*env.disk, &shared.path)?;

    let has_damage = !walked.damage.is_empty() || found.starts.contains(&0);
    let wants_checkpoint = has_damage || shared.has_accepted_loss.load(Ordering::Relaxed);
    // What a clean stop has left in the lane is all that is there.
    let was_clean = header.is_clean && walked.end.number == header.durable_group + 1 && walked.damage.is_empty();
    let oldest = found.starts[0].min(found.starts[1]);
    let lane = open_run(shared, &slots, &walker.heads(), &walked, oldest)?;
    let checkpoints = Checkpoints {
        files: found.files,
        starts: found.starts,
        older: 1 - found.newest,
        sequence: header.sequence,
        start: header.lane_start,
    };
    Ok(Recovered { lane, checkpoints, registry, was_clean, wants_checkpoint, may_lack_logs })
}

fn has_accepted_loss(shared: &Shared) -> Result<bool, OpenError> {
    shared.is_asked(layout::ACCEPT_LOSS).map_err(|error| io_error(&shared.path, &error))
}

pub(crate) fn sync_dir(disk: &dyn Disk, path: &Path) -> Result<(), OpenError> {
    disk.sync_dir(path).map_err(|error| io_error(path, &error))
}
