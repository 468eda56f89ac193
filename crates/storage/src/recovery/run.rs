//! The end of a recovery: what was accepted is written again and synced, and a new run begins behind it.
use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSlice};
use std::path::Path;
use std::sync::Arc;

use env::{Disk, OpenOptions};

use super::pieces::directory_of;
use super::{OpenError, io_error, sync_dir};
use crate::journal::lane::{Slot, new_slot_path, parse_slot, slot_path};
use crate::journal::walk::{Walked, WalkedBody, Walker};
use crate::journal::{BLOCK, GoesOn, GroupKind, Lane, LaneSpace, Room};
use crate::layout;
use crate::rare::Rare;
use crate::segment::{FileKind, file_name};
use crate::settings::Mutant;
use crate::shared::Shared;

/// Groups that no header calls durable may be in a cache only, and so may their direct pieces: written again, and synced,
/// they are not. Before that nothing may be done that they ask for.
pub(super) fn make_durable(
    shared: &Shared,
    slots: &[Slot],
    walker: &mut Walker<'_>,
    walked: &Walked,
) -> Result<(), OpenError> {
    let disk = &*shared.env.disk;
    let directory = shared.path.join(layout::LANE);
    let io = |error: std::io::Error| io_error(&directory, &error);
    if shared.settings.has(Mutant::PublishUnsyncedAfterRecovery) {
        return Ok(());
    }
    sync_dir(disk, &directory)?;
    let mut touched: Vec<u32> = Vec::new();
    for group in walked.groups.iter().filter(|group| group.number > walked.durable_group) {
        let slot = slots.iter().find(|slot| slot.number == group.place.slot).expect("the walk came through it");
        let copy = walker.group_bytes(group)?;
        let mut aligned = env::AlignedBuffer::new(copy.len());
        aligned[..copy.len()].copy_from_slice(copy);
        slot.file.write_all_at(&[IoSlice::new(&aligned[..copy.len()])], group.place.at).map_err(io)?;
        touched.push(slot.number);
    }
    if !touched.is_empty() {
        shared.settings.reached(Rare::GroupMadeDurable);
    }
    for slot in slots.iter().filter(|slot| touched.contains(&slot.number)) {
        slot.file.sync_data().map_err(io)?;
    }
    for record in walked.records.iter().filter(|record| record.group > walked.durable_group) {
        let WalkedBody::Identity { place, size_bytes, .. } = &record.body else { continue };
        let Some(directory) = directory_of(disk, &shared.path, record.log_id)? else { continue };
        let path = directory.join(file_name(place.segment, 0, FileKind::Log));
        let io = |error: std::io::Error| io_error(&path, &error);
        let file = disk.open(&path, OpenOptions::WRITE).map_err(io)?;
        let mut bytes = vec![0; *size_bytes as usize];
        let read = file.read_at(&mut bytes, place.position.into()).map_err(io)?;
        file.write_all_at(&[IoSlice::new(&bytes[..read])], place.position.into()).map_err(io)?;
        file.sync_data().map_err(io)?;
        shared.settings.reached(Rare::DirectPieceMadeDurable);
    }
    Ok(())
}

/// Opens a new run behind what was accepted. From here on the lane may be written.
pub(super) fn open_run(
    shared: &Arc<Shared>,
    slots: &[Slot],
    heads: &[Option<u64>],
    walked: &Walked,
    oldest: u64,
) -> Result<Lane, OpenError> {
    let disk = &*shared.env.disk;
    let directory = shared.path.join(layout::LANE);
    let io = |error: std::io::Error| io_error(&directory, &error);
    // Also by what is no file of ours.
    let entries = disk.read_dir(&directory).map_err(io)?;
    let number = |name: &str| parse_slot(name).or_else(|| parse_slot(name.strip_suffix(".new")?));
    let taken = entries.iter().filter(|entry| entry.is_dir || !entry.name.ends_with(".new"));
    let taken = taken.filter_map(|entry| number(&entry.name)).collect();
    let mut space = space_of(shared, slots, heads, walked, oldest, taken);
    let run = shared.env.rng.next_u64();
    if space.used.is_empty() {
        // The file that the checkpoint speaks of is gone.
        let slot = match space.free.pop_front() {
            Some(slot) => slot,
            None => extra_slot(disk, &directory, shared.settings.lane_file_bytes, &mut space)?,
        };
        space.used.push_back((slot, walked.end.number));
    }
    let current = space.used.back().expect("just seen to").0.clone();
    let next = match walked.goes_on() {
        GoesOn::In(next) => Some(next),
        GoesOn::Here | GoesOn::Unsaid => None,
    };
    let mut lane = Lane::new(run, current, walked.end, next);
    let mut room = lane.make_room(&mut space, BLOCK as u64);
    if room == Room::Nowhere {
        // All files are full of what is needed: the opening group gets one of its own.
        shared.settings.reached(Rare::LaneFileForOpening);
        let slot = extra_slot(disk, &directory, shared.settings.lane_file_bytes, &mut space)?;
        space.free.push_back(slot);
        room = lane.make_room(&mut space, BLOCK as u64);
    }
    // In the block that was kept the opening group itself says where the next one is.
    assert!(room != Room::Nowhere, "a new file has room");
    lane.write_empty(GroupKind::Opening).map_err(io)?;
    lane.file().sync_data().map_err(io)?;
    lane.durable_group = lane.next_number() - 1;
    space.published = lane.point();
    space.wanted_bytes = None;
    space.written_bytes = walked.groups.iter().map(|group| group.size_bytes).sum();
    space.checkpoint_at_bytes = shared.settings.checkpoint_bytes;
    *shared.lane.lock() = space;
    Ok(lane)
}

/// Files with accepted groups are in use, in the order of their groups, and so are those that only the older checkpoint
/// needs; all others are free.
fn space_of(
    shared: &Shared,
    slots: &[Slot],
    heads: &[Option<u64>],
    walked: &Walked,
    oldest: u64,
    taken: BTreeSet<u32>,
) -> LaneSpace {
    let mut space = LaneSpace::default();
    let find = |number: u32| slots.iter().find(|slot| slot.number == number).cloned();
    let start = &walked.start;
    if let Some(slot) = find(start.place.slot) {
        space.used.push_back((slot, start.number));
    }
    for group in &walked.groups {
        let is_current = space.used.back().is_some_and(|(slot, _)| slot.number == group.place.slot);
        if let Some(slot) = find(group.place.slot).filter(|_| !is_current) {
            space.used.push_back((slot, group.number));
        }
    }
    let is_walked = |slot: &Slot| space.used.iter().any(|(used, _)| used.number == slot.number);
    let mut before: Vec<(u64, &Slot)> = heads
        .iter()
        .zip(slots)
        .filter(|(_, slot)| !is_walked(slot))
        .filter_map(|(head, slot)| Some(((*head)?, slot)))
        .collect();
    before.retain(|(first, _)| *first < start.number);
    before.sort_by_key(|(first, _)| *first);
    let mut next = start.number;
    for (first, slot) in before.into_iter().rev() {
        // Its last group is the one before the next file's first.
        if next > oldest {
            space.used.push_front((slot.clone(), first));
        }
        next = first;
    }
    for slot in slots {
        let is_used = space.used.iter().any(|(used, _)| used.number == slot.number);
        // One that was cut is passed over.
        if !is_used && slot.size_bytes >= shared.settings.lane_file_bytes / BLOCK as u64 * BLOCK as u64 {
            space.free.push_back(slot.clone());
        }
    }
    let is_short = |slot: &&Slot| slot.size_bytes < shared.settings.lane_file_bytes / BLOCK as u64 * BLOCK as u64;
    let highest = slots.iter().filter(|slot| !is_short(slot)).map(|slot| slot.number).max().unwrap_or(0);
    space.gaps = (0..highest).filter(|number| !taken.contains(number)).collect();
    space.taken = taken;
    space.short = slots.iter().filter(is_short).cloned().collect();
    space.total_bytes = slots.iter().map(|slot| slot.size_bytes).sum();
    space
}

pub(crate) fn extra_slot(
    disk: &dyn Disk,
    directory: &Path,
    size_bytes: u64,
    space: &mut LaneSpace,
) -> Result<Slot, OpenError> {
    let number = space.take_number();
    let path = new_slot_path(directory, number);
    let io = |error: std::io::Error| io_error(&path, &error);
    match disk.remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let file = disk.open(&path, OpenOptions::CREATE_NEW.direct()).map_err(io)?;
    let zeroes = env::AlignedBuffer::new((1 << 20).min(size_bytes as usize));
    let mut at = 0;
    while at < size_bytes {
        let len = (zeroes.len() as u64).min(size_bytes - at) as usize;
        file.write_all_at(&[IoSlice::new(&zeroes[..len])], at).map_err(io)?;
        at += len as u64;
    }
    file.sync_data().map_err(io)?;
    disk.rename(&path, &slot_path(directory, number)).map_err(io)?;
    sync_dir(disk, directory)?;
    space.total_bytes += size_bytes;
    Ok(Slot { number, file, size_bytes })
}
