//! Every log: its segments as far as they are synced, and what the lane has of it.
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use env::{Disk, File, OpenOptions};
use record::{Batches, LeaderEpoch, Offset, Timestamp};

use super::indexes;
use super::{Finding, LogReport, Remedy, Report, is_in_lane};
use crate::OpenError;
use crate::journal::record::SegmentPlace;
use crate::journal::walk::{Walked, WalkedBody, Walker};
use crate::layout;
use crate::leader_epochs::LeaderEpochs;
use crate::log::state::Reach;
use crate::producer_state::Snapshot;
use crate::recovery::io_error;
use crate::recovery::map::{LogMap, Maps, Source};
use crate::segment::{
    BatchPlace, FileKind, IndexSettings, OpenFiles, Segment, Summary, Written, file_name, parse_file_name,
};
use crate::settings::Durability;

/// One that the log's map knows, as far as it must be whole.
struct Known {
    base: Offset,
    generation: u32,
    written: Written,
}

/// Leaders of batches that follow on one another. No checksum covers them; but they are as the checkpoint says, and behind
/// its end they never fall.
struct Leaders<'a> {
    epochs: Option<&'a LeaderEpochs>,
    known_below: Offset,
    newest: LeaderEpoch,
    wrong: Option<(LeaderEpoch, LeaderEpoch, BatchPlace)>,
}

impl<'a> Leaders<'a> {
    fn of(map: &'a LogMap) -> Self {
        let entry = map.entry.as_ref();
        let known_below = entry.map_or(Offset(0), |entry| map.cut.map_or(entry.end, |cut| cut.min(entry.end)));
        Self { epochs: entry.map(|entry| &entry.epochs), known_below, newest: LeaderEpoch(0), wrong: None }
    }

    fn see(&mut self, place: &BatchPlace, epoch: LeaderEpoch) {
        let known = self.epochs.filter(|_| place.base_offset < self.known_below);
        let known = known.and_then(|epochs| epochs.epoch_for(place.base_offset));
        if epoch < self.newest || known.is_some_and(|known| known != epoch) {
            self.wrong = self.wrong.or(Some((known.unwrap_or(self.newest), epoch, *place)));
        }
        self.newest = self.newest.max(epoch);
    }

    /// What is wrong with which batch, or with one before it.
    fn wrong(self) -> Option<(String, BatchPlace)> {
        let (other, epoch, place) = self.wrong?;
        Some((format!("a batch of leader epoch {epoch} where {other} led: one of the two is damaged"), place))
    }
}

/// One is looked at after the other.
const SEGMENTS_OPEN_MAX: usize = 64;

pub(super) struct Inspected<'a> {
    disk: &'a Arc<dyn Disk>,
    files: Arc<OpenFiles>,
    directory: Arc<Path>,
    map: &'a LogMap,
    /// Changed by a record that asks for more than appending: what the lane held before is not what the files hold.
    is_rewritten: bool,
}

pub(super) fn verify(
    disk: &Arc<dyn Disk>,
    root: &Path,
    maps: &mut Maps,
    walked: &Walked,
    walker: &mut Walker<'_>,
    report: &mut Report,
) -> Result<(), OpenError> {
    let rewrites = |body: &WalkedBody| matches!(body, WalkedBody::Truncate { .. } | WalkedBody::Replace { .. });
    let rewritten: BTreeSet<u64> =
        walked.records.iter().filter(|record| rewrites(&record.body)).map(|record| record.log_id).collect();
    let files = OpenFiles::new(disk.clone(), SEGMENTS_OPEN_MAX);
    let mut known = BTreeMap::new();
    for map in maps.logs.values() {
        let directory = root.join(layout::log_dir_name(&map.name, map.log_id)).into();
        let log =
            Inspected { disk, files: files.clone(), directory, map, is_rewritten: rewritten.contains(&map.log_id) };
        let segments = log.known()?;
        report.logs.push(log.verify(&segments, log.report(), &mut report.findings)?);
        known.insert(map.log_id, (log, segments));
    }
    for record in &walked.records {
        let Some((log, segments)) = known.get(&record.log_id) else { continue };
        log.verify_record(segments, record, walker, &mut report.findings)?;
    }
    Ok(())
}

impl Inspected<'_> {
    /// As far as the map tells.
    fn report(&self) -> LogReport {
        let map = self.map;
        let in_lane = map.pieces.iter().filter(|piece| is_in_lane(&piece.source));
        LogReport {
            name: map.name.clone(),
            topic_id: map.topic_id,
            log_id: map.log_id,
            directory: self.directory.to_path_buf(),
            is_copy: self.disk.open(&self.directory.join(layout::COPY), OpenOptions::READ).is_ok(),
            durability: map.durability,
            log_start: map.log_start,
            log_end: map.pieces.last().map_or(map.synced.offset, |piece| piece.to).max(map.log_start),
            segments: 0,
            batches: 0,
            size_bytes: 0,
            lane_bytes: in_lane.map(|piece| u64::from(piece.size_bytes)).sum(),
        }
    }

    fn path(&self, base: Offset, generation: u32, kind: FileKind) -> PathBuf {
        self.directory.join(file_name(base, generation, kind))
    }

    fn open(&self, path: &Path) -> Result<Option<Arc<dyn File>>, OpenError> {
        match self.disk.open(path, OpenOptions::READ) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error(path, &error)),
        }
    }

    /// The segments below S, with what each must hold. Of a log that was cut, those wholly below the cut.
    fn known(&self) -> Result<Vec<Known>, OpenError> {
        let map = self.map;
        let entry = map.entry.as_ref();
        let end = map.synced.offset.min(map.cut.unwrap_or(Offset(i64::MAX)));
        let SegmentPlace { segment: last, position } = map.synced.place;
        let mut bases: BTreeMap<Offset, (u32, Option<Summary>)> = entry
            .into_iter()
            .flat_map(|entry| &entry.segments)
            .map(|summary| (summary.base_offset, (summary.generation, Some(*summary))))
            .collect();
        // Those that a sync has covered since the entry was taken.
        let youngest = bases.keys().next_back().copied();
        for base in self.files()?.filter(|base| youngest.is_none_or(|youngest| *base > youngest) && *base <= last) {
            bases.insert(base, (0, None));
        }
        let mut known = Vec::new();
        let all: Vec<_> = bases.into_iter().collect();
        for (index, (base, (generation, summary))) in all.iter().enumerate() {
            // Below the log start everything may go at any time.
            let next = all.get(index + 1).map(|(next, _)| *next);
            if next.is_some_and(|next| next <= map.log_start) || *base > last || *base >= end {
                continue;
            }
            let written = if *base == last {
                if map.cut.is_some_and(|cut| cut <= map.synced.offset) {
                    continue; // Where the cut falls in it is not known before it is made.
                }
                Written { position, offset: map.synced.offset }
            } else {
                let end_offset = next.unwrap_or(map.synced.offset);
                if end_offset > end {
                    continue;
                }
                let position = match summary {
                    Some(summary) => summary.size_bytes,
                    None => self.len(*base)?,
                };
                Written { position, offset: end_offset }
            };
            if written.position > 0 {
                known.push(Known { base: *base, generation: *generation, written });
            }
        }
        Ok(known)
    }

    /// Base offsets of the log files that compaction has not written.
    fn files(&self) -> Result<impl Iterator<Item = Offset> + use<>, OpenError> {
        let entries = match self.disk.read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(io_error(&self.directory, &error)),
        };
        let parsed = entries.into_iter().filter_map(|entry| parse_file_name(&entry.name));
        Ok(parsed.filter(|(_, generation, kind)| *generation == 0 && *kind == FileKind::Log).map(|(base, ..)| base))
    }

    fn len(&self, base: Offset) -> Result<u32, OpenError> {
        let path = self.path(base, 0, FileKind::Log);
        let Some(file) = self.open(&path)? else { return Ok(0) };
        let len = file.len().map_err(|error| io_error(&path, &error))?;
        Ok(len.min(u32::MAX.into()) as u32)
    }

    fn verify(
        &self,
        segments: &[Known],
        mut report: LogReport,
        findings: &mut Vec<Finding>,
    ) -> Result<LogReport, OpenError> {
        let map = self.map;
        for range in &map.faulty {
            let why = "known to be lost since an earlier start";
            findings
                .push(Finding::of(self.directory.to_path_buf(), why, Remedy::Start).in_log(&map.name, range.clone()));
        }
        if map.is_suspect {
            let why = "acknowledged records may be lost behind the end that is known";
            let range = report.log_end..Offset(i64::MAX);
            let finding = Finding::of(self.directory.to_path_buf(), why, Remedy::AcceptLoss);
            findings.push(finding.in_log(&map.name, range));
        }
        for piece in map.pieces.iter().filter(|piece| matches!(piece.source, Source::Lost)) {
            let why = format!("group {} of the lane does not hold it any more", piece.group);
            let finding = Finding::of(self.directory.to_path_buf(), why, Remedy::Start);
            findings.push(finding.in_log(&map.name, piece.from..piece.to));
        }
        for known in segments {
            report.segments += 1;
            report.size_bytes += u64::from(known.written.position);
            report.batches += self.verify_segment(known, findings)?;
        }
        if map.durability == Durability::Relaxed && map.open_cut.is_none() {
            self.follow(&mut report, findings)?;
        }
        self.verify_snapshots(findings)?;
        Ok(report)
    }

    /// Of a relaxed log nothing but the files tells how far it reaches beyond S: as far as one sound batch follows on the
    /// other.
    fn follow(&self, report: &mut LogReport, findings: &mut Vec<Finding>) -> Result<(), OpenError> {
        let mut at = self.map.synced;
        loop {
            let path = self.path(at.place.segment, 0, FileKind::Log);
            let Some(file) = self.open(&path)? else { return Ok(()) };
            let len = self.len(at.place.segment)?;
            let segment = self.segment(at.place.segment, 0);
            let from = Written { position: at.place.position, offset: at.offset };
            let (mut next, mut position, mut batches) = (at.offset, at.place.position, 0);
            let mut leaders = Leaders::of(self.map);
            let scanned = segment.scan_file(&*file, from, len, &mut |batch, place| {
                if batch.base_offset() != next {
                    return ControlFlow::Break(());
                }
                (next, position) = (batch.next_offset(), place.end().position);
                leaders.see(&place, batch.partition_leader_epoch());
                batches += 1;
                ControlFlow::Continue(())
            });
            scanned.map_err(|error| OpenError::Segment(error.to_string()))?;
            report.batches += batches;
            report.log_end = report.log_end.max(next);
            if let Some((why, place)) = leaders.wrong() {
                let finding = Finding::of(path.clone(), why, Remedy::Start).at(0..u64::from(place.position) + 1);
                findings.push(finding.in_log(&self.map.name, at.place.segment..place.last_offset.next()));
            }
            let has_next = next > at.place.segment && self.open(&self.path(next, 0, FileKind::Log))?.is_some();
            if !has_next {
                if position < len {
                    let why = "not the next batch of a relaxed log: it ends here, as after a power loss";
                    let finding = Finding::of(path, why, Remedy::Nothing);
                    findings.push(finding.at(position.into()..len.into()));
                }
                return Ok(());
            }
            at = Reach { offset: next, place: SegmentPlace { segment: next, position: 0 } };
        }
    }

    fn segment(&self, base: Offset, generation: u32) -> Arc<Segment> {
        let summary = Summary { generation, ..Summary::empty(base, Timestamp::NONE) };
        Segment::new(&self.files, self.directory.clone(), summary, IndexSettings::default())
    }

    /// Returns how many batches are sound.
    fn verify_segment(&self, known: &Known, findings: &mut Vec<Finding>) -> Result<u64, OpenError> {
        let Known { base, generation, written } = *known;
        let name = &self.map.name;
        let path = self.path(base, generation, FileKind::Log);
        let found = |reason: &dyn std::fmt::Display, positions: Range<u32>, offsets: Range<Offset>| {
            let positions = u64::from(positions.start)..u64::from(positions.end);
            // Of what lies below the log start nobody asks.
            let is_read = offsets.end > self.map.log_start;
            let remedy = if is_read { Remedy::Start } else { Remedy::Nothing };
            Finding::of(path.clone(), reason, remedy).at(positions).in_log(name, offsets)
        };
        let Some(file) = self.open(&path)? else {
            findings.push(found(&"the file is lost", 0..written.position, base..written.offset));
            return Ok(0);
        };
        let segment = self.segment(base, generation);
        let none = LeaderEpochs::default();
        let entry = self.map.entry.as_ref().filter(|entry| entry.end >= written.offset);
        let epochs = entry.map_or(&none, |entry| &entry.epochs);
        let segment_error = |error: crate::segment::SegmentError| OpenError::Segment(error.to_string());
        let damage = segment.look(&*file, written, epochs).map_err(segment_error)?;
        for (damage, fault) in &damage {
            findings.push(found(fault, damage.positions.clone(), damage.offsets.clone()));
        }
        let damage: Vec<_> = damage.into_iter().map(|(damage, _)| damage).collect();
        if entry.is_none() {
            // Of what was appended since the checkpoint only the order of leaders is known.
            let mut leaders = Leaders::of(self.map);
            segment.each_batch(&*file, written, &damage, &mut |place, epoch| leaders.see(place, epoch));
            if let Some((why, place)) = leaders.wrong() {
                findings.push(found(&why, 0..place.position + 1, base..place.last_offset.next()));
            }
        }
        indexes::verify(self, &segment, &*file, written, &damage, findings)
    }

    /// Files of an index, for `indexes`.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, OpenError> {
        let Some(file) = self.open(path)? else { return Ok(None) };
        let read = || {
            let mut bytes = vec![0; file.len()?.min(u32::MAX.into()) as usize];
            let read = file.read_at(&mut bytes, 0)?;
            bytes.truncate(read);
            Ok(bytes)
        };
        read().map(Some).map_err(|error: std::io::Error| io_error(path, &error))
    }

    pub(super) fn map(&self) -> &LogMap {
        self.map
    }

    fn verify_snapshots(&self, findings: &mut Vec<Finding>) -> Result<(), OpenError> {
        let entries = match self.disk.read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io_error(&self.directory, &error)),
        };
        for entry in entries {
            let path = self.directory.join(&entry.name);
            match parse_file_name(&entry.name) {
                Some((_, _, FileKind::ProducerSnapshot)) => {
                    let bytes = self.read(&path)?.unwrap_or_default();
                    if let Err(error) = Snapshot::decode(&bytes) {
                        findings.push(Finding::of(path, error, Remedy::MadeAnew));
                    }
                }
                Some(_) => {}
                None => findings.push(Finding::of(path, "not of the broker's making", Remedy::Nothing)),
            }
        }
        Ok(())
    }

    /// What the lane says of the log: its batches are whole, and where they are in a segment too they are the same there.
    fn verify_record(
        &self,
        segments: &[Known],
        record: &crate::journal::walk::WalkedRecord,
        walker: &mut Walker<'_>,
        findings: &mut Vec<Finding>,
    ) -> Result<(), OpenError> {
        let name = &self.map.name;
        let from = record.previous_end;
        match &record.body {
            WalkedBody::Data { end, place, lane, size_bytes } => {
                let bytes = walker.data(*lane, *size_bytes)?;
                if let Err(reason) = whole_batches(&bytes, from, *end) {
                    let finding = Finding::of(self.directory.to_path_buf(), reason, Remedy::Start);
                    findings.push(finding.in_log(name, from..*end));
                }
                let Some(there) = self.in_segment(segments, *place, *end, bytes.len())? else { return Ok(()) };
                if there != bytes {
                    let at = there.iter().zip(&bytes).take_while(|(one, other)| one == other).count();
                    let why = format!("group {} of the lane has other bytes", record.group);
                    let path = self.path(place.segment, 0, FileKind::Log);
                    let at = u64::from(place.position) + at as u64;
                    findings.push(Finding::of(path, why, Remedy::Start).at(at..at + 1).in_log(name, from..*end));
                }
            }
            WalkedBody::Identity { end, place, size_bytes, crc } => {
                let path = self.path(place.segment, 0, FileKind::Log);
                let is_needed = *end > self.map.synced.offset && !self.is_rewritten;
                let there = match is_needed {
                    true => self.range(&path, *place, *size_bytes as usize)?,
                    false => self.in_segment(segments, *place, *end, *size_bytes as usize)?,
                };
                if there.as_ref().map_or(is_needed, |there| crc32c::crc32c(there) != *crc) {
                    let why = format!("not the piece that group {} of the lane speaks of", record.group);
                    let positions = u64::from(place.position)..u64::from(place.position) + u64::from(*size_bytes);
                    findings.push(Finding::of(path, why, Remedy::Start).at(positions).in_log(name, from..*end));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What lies there, if the segment is one that must hold it.
    fn in_segment(
        &self,
        segments: &[Known],
        place: SegmentPlace,
        end: Offset,
        size_bytes: usize,
    ) -> Result<Option<Vec<u8>>, OpenError> {
        let holds = |known: &Known| known.base == place.segment && known.generation == 0 && end <= known.written.offset;
        if self.is_rewritten || self.map.durability == Durability::Relaxed || !segments.iter().any(holds) {
            return Ok(None);
        }
        let path = self.path(place.segment, 0, FileKind::Log);
        if self.open(&path)?.is_none() {
            return Ok(None); // Told already.
        }
        Ok(Some(self.range(&path, place, size_bytes)?.unwrap_or_default()))
    }

    fn range(&self, path: &Path, place: SegmentPlace, size_bytes: usize) -> Result<Option<Vec<u8>>, OpenError> {
        let Some(file) = self.open(path)? else { return Ok(None) };
        let mut bytes = vec![0; size_bytes];
        let read = file.read_at(&mut bytes, place.position.into()).map_err(|error| io_error(path, &error))?;
        bytes.truncate(read);
        Ok(Some(bytes))
    }
}

/// Batches from one offset to the other, each with its checksum.
fn whole_batches(bytes: &[u8], from: Offset, to: Offset) -> Result<(), String> {
    let mut next = from;
    for batch in Batches::new(bytes) {
        let batch = batch.map_err(|error| error.to_string())?;
        if !batch.crc_is_valid() {
            return Err(format!("a batch in the lane at offset {} whose checksum does not hold", batch.base_offset()));
        }
        if batch.base_offset() != next {
            return Err(format!("a batch in the lane at offset {} where {next} comes next", batch.base_offset()));
        }
        next = batch.next_offset();
    }
    if next == to { Ok(()) } else { Err(format!("batches in the lane that end at offset {next} and not at {to}")) }
}
