//! From maps to logs: the lane is gone through once, in its order, for all of them together.
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use record::Offset;

use super::OpenError;
use super::map::{self, Maps, Source};
use super::repair::{Mode, Repair, Repaired};
use crate::checkpoint::Entry;
use crate::journal::walk::{Walked, Walker};
use crate::layout;
use crate::log::Log;
use crate::log::damage::mark;
use crate::log::state::{Control, DirectoryState, Gate, Reach, State};
use crate::producer_state::ProducerState;
use crate::rare::Rare;
use crate::registry::Registry;
use crate::segment::{IndexSettings, OpenFiles, Segment};
use crate::settings::{Durability, LogConfig, Mutant};
use crate::shared::Shared;
use crate::tail::Tail;

/// Goes through the lane once, in its order, for all logs together.
pub(super) fn repair_all(
    shared: &Arc<Shared>,
    maps: Maps,
    walked: &Walked,
    discarded: &BTreeSet<u64>,
    walker: &mut Walker<'_>,
    registry: &Registry,
) -> Result<(), OpenError> {
    // What becomes tails again leaves room for what comes.
    let mut tail_bytes_left = shared.settings.memory_bytes_max / 2;
    let mut pieces = Vec::new();
    let mut repairs = BTreeMap::new();
    for (log_id, mut map) in maps.logs {
        let directory: Arc<Path> = shared.path.join(layout::log_dir_name(&map.name, map.log_id)).into();
        let is_relaxed = map.durability == Durability::Relaxed;
        let has_dropped = map.drops_segments();
        if !map.is_touched && !is_relaxed && !has_dropped {
            let entry = map.entry.take().expect("what no record speaks of has an entry");
            registry.insert_recovered(log_of(shared, &map, untouched(&shared.files, &directory, entry)));
            continue;
        }
        let in_tail: usize = map.pieces.iter().map(|piece| piece.size_bytes as usize).sum();
        let has_direct = map.pieces.iter().any(|piece| !matches!(piece.source, Source::Lane(_)));
        let mode = if is_relaxed || map.cut.is_some() || discarded.contains(&log_id) {
            Mode::Synced
        } else if has_direct || has_dropped || in_tail > tail_bytes_left {
            if in_tail > tail_bytes_left {
                shared.settings.reached(Rare::RecoveryBeyondMemory);
            }
            Mode::Written
        } else {
            tail_bytes_left -= in_tail;
            Mode::Tail
        };
        let mut repair = Repair::new(shared, directory, walked.durable_group, &map, mode);
        repair.keeps_snapshot = shared.settings.has(Mutant::UseSnapshotBeyondEnd);
        repair.begin(&mut map)?;
        // A log's share of a group lies together, in the order of its offsets.
        let (mut group, mut lane_at) = (0, 0);
        for piece in std::mem::take(&mut map.pieces) {
            if piece.group != group {
                (group, lane_at) = (piece.group, piece.lane_at());
            }
            pieces.push((group, lane_at, log_id, piece));
        }
        repairs.insert(log_id, (map, repair));
    }
    pieces.sort_by_key(|(group, lane_at, log_id, _)| (*group, *lane_at, *log_id));
    for (_, _, log_id, piece) in &pieces {
        let (_, repair) = repairs.get_mut(log_id).expect("its map has brought the piece");
        repair.take(piece, walker, &shared.budget)?;
    }
    for (map, repair) in repairs.into_values() {
        let repaired = repair.finish()?;
        if repaired.kept_bytes + repaired.dropped_bytes > 0 {
            tracing::warn!(
                log = %map.name, kept_bytes = repaired.kept_bytes, dropped_bytes = repaired.dropped_bytes,
                "a log was not synced to its end"
            );
        }
        if map.is_suspect {
            tracing::error!(
                log = %map.name, end = %repaired.end.offset,
                "acknowledged records may be lost behind the end of this log: it takes no more; to go on without them, \
                 make a file named accept-loss in the log directory and start again"
            );
        }
        for range in &repaired.faulty {
            tracing::error!(
                log = %map.name, from = %range.start, to = %range.end,
                "acknowledged records are lost: reads of this range are refused"
            );
        }
        registry.insert_recovered(log_of(shared, &map, repaired));
    }
    Ok(())
}

/// No record behind the checkpoint's start speaks of it: it is as the entry says, and no file of it is looked at.
fn untouched(files: &Arc<OpenFiles>, directory: &Arc<Path>, entry: Entry) -> Repaired {
    let segment = |summary| Segment::new(files, directory.clone(), summary, IndexSettings::default());
    let end = Reach { offset: entry.end, ..entry.synced };
    Repaired {
        directory_is_made: entry.segments.iter().any(|summary| summary.size_bytes > 0 || summary.generation > 0),
        segments: entry.segments.into_iter().map(segment).collect(),
        dropped: Vec::new(),
        faulty: Vec::new(),
        epochs: entry.epochs,
        producers: entry.producers,
        end,
        written: end,
        synced: end,
        tail: Tail::default(),
        kept_bytes: 0,
        dropped_bytes: 0,
    }
}

fn log_of(shared: &Arc<Shared>, map: &map::LogMap, repaired: Repaired) -> Arc<Log> {
    let first = repaired.segments[0].clone();
    let mut state = State::empty(map.log_start, first, LogConfig::default());
    let end = repaired.end;
    state.log_end = end.offset;
    state.durable_end = end.offset;
    state.lane_end = end.offset;
    state.captured_end = end.offset;
    state.written = repaired.written;
    state.synced = repaired.synced;
    state.tail = repaired.tail;
    state.lsn = map.lsn;
    state.compacted_end = map.compacted_end;
    state.sealed_below = repaired.synced.place.segment;
    state.made_names = map.is_touched;
    state.segments = repaired.segments;
    state.dropped = repaired.dropped;
    state.faulty = map.faulty.clone();
    if !state.faulty.is_empty() {
        shared.settings.reached(Rare::DamageFound);
    }
    for range in repaired.faulty {
        mark(&mut state.faulty, range);
    }
    if map.is_suspect {
        mark(&mut state.faulty, end.offset..Offset(i64::MAX));
    }
    state.unmark_below(map.log_start);
    state.epochs = repaired.epochs;
    state.producers = repaired.producers;
    if shared.settings.has(Mutant::ForgetProducersInRecovery) {
        state.producers = ProducerState::new(end.offset);
    }
    state.recorded_as = map.durability;
    if map.durability == Durability::Relaxed {
        state.gate = Gate::Paused;
        state.controls.push(Control::Synced { end });
    }
    let active = state.active().summary();
    let synced = state.synced.place;
    let is_named = synced.segment == active.base_offset && synced.position > 0;
    state.named = is_named.then_some(active.base_offset);
    let has_controls = !state.controls.is_empty();
    state.directory = DirectoryState { is_made: repaired.directory_is_made, is_synced: repaired.directory_is_made };
    let log = Log::new(shared.clone(), map.name.clone(), map.topic_id, map.log_id, map.high_watermark, state);
    if has_controls {
        log.enqueue(&mut log.state());
    }
    log
}
