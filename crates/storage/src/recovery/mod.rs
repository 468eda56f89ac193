//! Coming back: the newest sound checkpoint, the lane behind it, the map of every log, the repairs; then an opening group
//! of a new run, and only then is anything said to be durable. A crash anywhere in here finds the same state again.
mod map;
mod repair;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{ErrorKind, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use env::{Disk, Env, File, OpenOptions};
use map::{MapError, Maps, Source};
use repair::{Mode, Repair, Repaired};

use crate::checkpoint::{self, CheckpointError, Entry, Header};
use crate::flusher::Checkpoints;
use crate::journal::lane::{Slot, parse_slot, slot_path};
use crate::journal::walk::{WalkError, Walked, WalkedBody, WalkedRecord, Walker};
use crate::journal::{BLOCK, GroupBuilder, GroupKind, Lane, LaneSpace};
use crate::layout;
use crate::log::Log;
use crate::log::state::{Control, DirectoryState, Gate, State, Then};
use crate::meta::MetaError;
use crate::registry::Registry;
use crate::segment::{FileKind, IndexSettings, Segment, file_name};
use crate::settings::{Durability, LogConfig, Mutant};
use crate::shared::Shared;
use crate::tail::Tail;

/// Why a directory is not opened. Nothing in it was changed for the worse.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OpenError {
    /// Neither checkpoint can be believed, and without one nobody knows what was acknowledged.
    Checkpoints {
        directory: String,
        reasons: [String; 2],
    },
    /// A piece that was acknowledged is not in its segment any more.
    DamagedPiece {
        path: String,
        position: u32,
        group: u64,
    },
    Io {
        path: String,
        error: String,
    },
    /// The lane does not hold what was acknowledged, or contradicts itself.
    Lane {
        directory: String,
        error: String,
    },
    /// Another process has it.
    Locked {
        directory: String,
    },
    Meta(MetaError),
    Segment(String),
}

pub(crate) struct Recovered {
    pub lane: Lane,
    pub checkpoints: Checkpoints,
    pub registry: Registry,
    pub was_clean: bool,
}

/// The checkpoint files, and what the newest sound one says.
struct Found {
    files: [Arc<dyn File>; 2],
    starts: [u64; 2],
    newest: usize,
    header: Header,
    entries: Vec<Entry>,
}

pub(crate) fn recover(shared: &Arc<Shared>) -> Result<Recovered, OpenError> {
    let env = &shared.env;
    let found = read_checkpoints(&*env.disk, &shared.path)?;
    let header = found.header.clone();
    let slots = open_lane(&*env.disk, &shared.path)?;
    let mut walker = Walker::new(&slots)?;
    let keeps_torn = shared.settings.has(Mutant::ReplayDiscardedGroup);
    let mut walked = walker.walk(header.lane_start, header.durable_group, keeps_torn)?;
    let discarded = end_at_torn_piece(shared, &mut walked)?;
    if shared.settings.has(Mutant::CutAcknowledgedGroup) && walked.groups.len() > 1 {
        walked.end_before(walked.groups.len() - 1);
    }
    make_durable(shared, &slots, &mut walker, &walked)?;
    let mut maps = Maps::new(found.entries, header.next_log_id);
    let ignored = |record: &&WalkedRecord| match record.body {
        WalkedBody::Create { .. } => shared.settings.has(Mutant::IgnoreCreateInReplay),
        WalkedBody::Delete => shared.settings.has(Mutant::IgnoreDeleteInReplay),
        WalkedBody::Truncate { .. } => shared.settings.has(Mutant::IgnoreTruncateInReplay),
        _ => false,
    };
    maps.replay(walked.records.iter().filter(|record| !ignored(record)))
        .map_err(|error| lane_error(&shared.path, &error))?;
    set_orphans_aside(shared, &mut maps)?;

    let registry = Registry::new(maps.next_log_id);
    repair_all(shared, maps, &walked, &discarded, &mut walker, &registry)?;
    sync_dir(&*env.disk, &shared.path)?;

    let was_clean = header.is_clean && walked.groups.is_empty();
    let oldest = found.starts[0].min(found.starts[1]);
    let lane = open_run(shared, &slots, &walker.heads(), &walked, oldest)?;
    let checkpoints =
        Checkpoints { files: found.files, starts: found.starts, older: 1 - found.newest, sequence: header.sequence };
    Ok(Recovered { lane, checkpoints, registry, was_clean })
}

/// Goes through the lane once, in its order, for all logs together.
fn repair_all(
    shared: &Arc<Shared>,
    maps: Maps,
    walked: &Walked,
    discarded: &BTreeSet<u64>,
    walker: &mut Walker<'_>,
    registry: &Registry,
) -> Result<(), OpenError> {
    let env = &shared.env;
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
            registry.insert_recovered(log_of(shared, &map, untouched(env, &directory, entry)));
            continue;
        }
        let in_tail: usize = map.pieces.iter().map(|piece| piece.size_bytes as usize).sum();
        let has_direct = map.pieces.iter().any(|piece| matches!(piece.source, Source::Direct { .. }));
        let mode = if is_relaxed || map.cut.is_some() || discarded.contains(&log_id) {
            Mode::Synced
        } else if has_direct || has_dropped || in_tail > tail_bytes_left {
            Mode::Written
        } else {
            tail_bytes_left -= in_tail;
            Mode::Tail
        };
        let mut repair = Repair::new(env, directory, walked.durable_group, &map, mode);
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
        registry.insert_recovered(log_of(shared, &map, repaired));
    }
    Ok(())
}

fn read_checkpoints(disk: &dyn Disk, path: &Path) -> Result<Found, OpenError> {
    let mut files: Vec<Arc<dyn File>> = Vec::new();
    let mut contents = Vec::new();
    let mut found = Vec::new();
    for name in layout::CHECKPOINTS {
        let path = path.join(name);
        let read = || -> std::io::Result<(Arc<dyn File>, Vec<u8>)> {
            let file = disk.open(&path, OpenOptions::WRITE)?;
            let len = file.len()?.min(checkpoint::FILE_BYTES_MAX);
            let mut bytes = vec![0; len as usize];
            let read = file.read_at(&mut bytes, 0)?;
            bytes.truncate(read);
            Ok((file, bytes))
        };
        let (file, bytes) = read().map_err(|error| io_error(&path, &error))?;
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

fn open_lane(disk: &dyn Disk, path: &Path) -> Result<Vec<Slot>, OpenError> {
    let directory = path.join(layout::LANE);
    let mut slots = Vec::new();
    for entry in disk.read_dir(&directory).map_err(|error| io_error(&directory, &error))? {
        let Some(number) = parse_slot(&entry.name) else { continue };
        let path = slot_path(&directory, number);
        let opened = disk.open(&path, OpenOptions::WRITE.direct());
        let file = opened.map_err(|error| io_error(&path, &error))?;
        let len = file.len().map_err(|error| io_error(&path, &error))?;
        slots.push(Slot { number, file, size_bytes: len / BLOCK as u64 * BLOCK as u64 });
    }
    Ok(slots)
}

/// A group behind the last one that is known to be durable counts only if its direct pieces are whole too.
/// Returns the logs with pieces that were discarded.
fn end_at_torn_piece(shared: &Shared, walked: &mut Walked) -> Result<BTreeSet<u64>, OpenError> {
    let mut torn = None;
    for record in walked.records.iter().filter(|record| record.group > walked.durable_group) {
        let WalkedBody::Identity { place, size_bytes, crc, .. } = &record.body else { continue };
        if !is_piece_whole(shared, record.log_id, place, *size_bytes, *crc)? {
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

fn is_piece_whole(
    shared: &Shared,
    log_id: u64,
    place: &crate::journal::record::SegmentPlace,
    size_bytes: u32,
    crc: u32,
) -> Result<bool, OpenError> {
    let Some(directory) = directory_of(shared, log_id)? else { return Ok(false) };
    let path = directory.join(file_name(place.segment, FileKind::Log));
    let file = match shared.env.disk.open(&path, OpenOptions::READ) {
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

fn directory_of(shared: &Shared, log_id: u64) -> Result<Option<PathBuf>, OpenError> {
    let entries = shared.env.disk.read_dir(&shared.path).map_err(|error| io_error(&shared.path, &error))?;
    let is_it = |name: &str| layout::parse_log_dir(name) == Some(log_id);
    Ok(entries.iter().find(|entry| is_it(&entry.name)).map(|entry| shared.path.join(&entry.name)))
}

/// Directories of deleted logs go. What nothing accounts for is kept for people to look at, out of the way, and its
/// identity is never used again.
fn set_orphans_aside(shared: &Shared, maps: &mut Maps) -> Result<(), OpenError> {
    let disk = &*shared.env.disk;
    let root = &shared.path;
    let known_before = maps.next_log_id;
    for entry in disk.read_dir(root).map_err(|error| io_error(root, &error))? {
        let Some(log_id) = layout::parse_log_dir(&entry.name).filter(|_| entry.is_dir) else { continue };
        maps.next_log_id = maps.next_log_id.max(log_id.saturating_add(1));
        if maps.logs.contains_key(&log_id) {
            continue;
        }
        let path = root.join(&entry.name);
        if log_id < known_before {
            remove_dir_all(disk, &path)?;
            continue;
        }
        let aside = root.join(layout::SET_ASIDE);
        match disk.create_dir(&aside) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io_error(&aside, &error)),
            _ => {}
        }
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

fn remove_dir_all(disk: &dyn Disk, path: &Path) -> Result<(), OpenError> {
    for entry in disk.read_dir(path).map_err(|error| io_error(path, &error))? {
        let path = path.join(&entry.name);
        disk.remove_file(&path).map_err(|error| io_error(&path, &error))?;
    }
    disk.remove_dir(path).map_err(|error| io_error(path, &error))
}

/// No record behind the checkpoint's start speaks of it: it is as the entry says, and no file of it is looked at.
fn untouched(env: &Env, directory: &Arc<Path>, entry: Entry) -> Repaired {
    let segment = |summary| Segment::new(env.disk.clone(), directory.clone(), summary, IndexSettings::default());
    let end = crate::log::state::Reach { offset: entry.end, ..entry.synced };
    Repaired {
        directory_is_made: entry.segments.iter().any(|summary| summary.size_bytes > 0),
        segments: entry.segments.into_iter().map(|summary| Arc::new(segment(summary))).collect(),
        dropped: Vec::new(),
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
    let mut state = State::empty(map.log_start, first, LogConfig::default(), map.durability);
    let end = repaired.end;
    state.log_end = end.offset;
    state.durable_end = end.offset;
    state.captured_end = end.offset;
    state.written = repaired.written;
    state.synced = repaired.synced;
    state.tail = repaired.tail;
    state.lsn = map.lsn;
    state.sealed_below = repaired.synced.place.segment;
    // Files may be there already whose names were never synced.
    state.made_names = map.is_touched;
    state.segments = repaired.segments;
    state.dropped = repaired.dropped;
    state.faulty = map.faulty.clone();
    state.epochs = repaired.epochs;
    state.producers = repaired.producers;
    state.config.durability = map.durability;
    if map.open_cut.is_some() && map.durability == Durability::Relaxed {
        state.gate = Gate::Paused;
        let then = Then::Open { answer: None };
        state.controls.push(Control::Synced { end, durability: map.durability, then });
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

/// Groups that no header calls durable may be in a cache only, and so may their direct pieces: written again, and synced,
/// they are not. Before that nothing may be done that they ask for.
fn make_durable(shared: &Shared, slots: &[Slot], walker: &mut Walker<'_>, walked: &Walked) -> Result<(), OpenError> {
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
    for slot in slots.iter().filter(|slot| touched.contains(&slot.number)) {
        slot.file.sync_data().map_err(io)?;
    }
    for record in walked.records.iter().filter(|record| record.group > walked.durable_group) {
        let WalkedBody::Identity { place, size_bytes, .. } = &record.body else { continue };
        let Some(directory) = directory_of(shared, record.log_id)? else { continue };
        let path = directory.join(file_name(place.segment, FileKind::Log));
        let io = |error: std::io::Error| io_error(&path, &error);
        let file = disk.open(&path, OpenOptions::WRITE).map_err(io)?;
        let mut bytes = vec![0; *size_bytes as usize];
        let read = file.read_at(&mut bytes, place.position.into()).map_err(io)?;
        file.write_all_at(&[IoSlice::new(&bytes[..read])], place.position.into()).map_err(io)?;
        file.sync_data().map_err(io)?;
    }
    Ok(())
}

/// Opens a new run behind what was accepted. From here on the lane may be written.
fn open_run(
    shared: &Arc<Shared>,
    slots: &[Slot],
    heads: &[Option<u64>],
    walked: &Walked,
    oldest: u64,
) -> Result<Lane, OpenError> {
    let disk = &*shared.env.disk;
    let directory = shared.path.join(layout::LANE);
    let io = |error: std::io::Error| io_error(&directory, &error);
    let mut space = space_of(shared, slots, heads, walked, oldest);
    let run = shared.env.rng.next_u64();
    let current = space.used.back().expect("the lane has a file").0.clone();
    let mut lane = Lane::new(run, current, walked.end, walked.end.number - 1);
    if !lane.make_room(&mut space, BLOCK as u64) {
        // All files are full of what is needed: the opening group gets one of its own.
        let slot = extra_slot(disk, &directory, shared.settings.lane_file_bytes, &mut space)?;
        space.free.push_back(slot);
        assert!(lane.make_room(&mut space, BLOCK as u64), "a new file has room");
    }
    let mut builder = GroupBuilder::new(run, BLOCK);
    let (header, place) = lane.next_header(GroupKind::Opening);
    let header = builder.header(header, place);
    let (bytes, crc) = builder.finish(header);
    lane.write(bytes, crc).map_err(io)?;
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
fn space_of(shared: &Shared, slots: &[Slot], heads: &[Option<u64>], walked: &Walked, oldest: u64) -> LaneSpace {
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
        // One that was being made when the process ended is too small, and is passed over.
        if !is_used && slot.size_bytes >= shared.settings.lane_file_bytes / BLOCK as u64 * BLOCK as u64 {
            space.free.push_back(slot.clone());
        }
    }
    space.next_slot = slots.iter().map(|slot| slot.number + 1).max().unwrap_or(0);
    space.total_bytes = slots.iter().map(|slot| slot.size_bytes).sum();
    space
}

pub(crate) fn extra_slot(
    disk: &dyn Disk,
    directory: &Path,
    size_bytes: u64,
    space: &mut LaneSpace,
) -> Result<Slot, OpenError> {
    let number = space.next_slot;
    let path = slot_path(directory, number);
    let io = |error: std::io::Error| io_error(&path, &error);
    let file = disk.open(&path, OpenOptions::CREATE_NEW.direct()).map_err(io)?;
    let zeroes = env::AlignedBuffer::new((1 << 20).min(size_bytes as usize));
    let mut at = 0;
    while at < size_bytes {
        let len = (zeroes.len() as u64).min(size_bytes - at) as usize;
        file.write_all_at(&[IoSlice::new(&zeroes[..len])], at).map_err(io)?;
        at += len as u64;
    }
    file.sync_data().map_err(io)?;
    sync_dir(disk, directory)?;
    space.next_slot += 1;
    space.total_bytes += size_bytes;
    Ok(Slot { number, file, size_bytes })
}

pub(crate) fn sync_dir(disk: &dyn Disk, path: &Path) -> Result<(), OpenError> {
    disk.sync_dir(path).map_err(|error| io_error(path, &error))
}

pub(crate) fn io_error(path: &Path, error: &std::io::Error) -> OpenError {
    OpenError::Io { path: path.display().to_string(), error: error.to_string() }
}

fn lane_error(path: &Path, error: &MapError) -> OpenError {
    OpenError::Lane { directory: path.display().to_string(), error: error.to_string() }
}

impl From<WalkError> for OpenError {
    fn from(error: WalkError) -> Self {
        OpenError::Lane { directory: String::new(), error: error.to_string() }
    }
}

impl From<MetaError> for OpenError {
    fn from(error: MetaError) -> Self {
        OpenError::Meta(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Checkpoints { directory, reasons: [first, second] } => {
                write!(f, "{directory}: neither checkpoint can be believed ({first}; {second})")
            }
            OpenError::DamagedPiece { path, position, group } => {
                write!(f, "{path}: what group {group} wrote at {position}, and was acknowledged, is damaged")
            }
            OpenError::Io { path, error } => write!(f, "{path}: {error}"),
            OpenError::Lane { directory, error } => write!(f, "{directory}: {error}"),
            OpenError::Locked { directory } => write!(f, "{directory} is used by another process"),
            OpenError::Meta(error) => error.fmt(f),
            OpenError::Segment(error) => f.write_str(error),
        }
    }
}

impl std::error::Error for OpenError {}
