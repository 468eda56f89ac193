//! What is below S, or was never in the lane, is read from the files, batch by batch.
use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice};
use std::ops::ControlFlow;

use record::{BatchView, LeaderEpoch, Offset};

use super::{Log, OpenError, Repair};
use crate::journal::record::SegmentPlace;
use crate::leader_epochs::LeaderEpochs;
use crate::log::state::Reach;
use crate::producer_state::ProducerState;
use crate::recovery::map::LogMap;
use crate::segment::{Segment, Summary, Written};

impl Repair {
    /// The log as far as the checkpoint's entry is still true.
    pub(super) fn begin_log(&self, map: &mut LogMap) -> Result<Log, OpenError> {
        let Some(entry) = map.entry.take() else {
            // Made since the checkpoint: nothing of it was in segments when that was taken, unless a sync has said so.
            let base = map.base;
            return Ok(Log {
                segments: VecDeque::from([self.empty_segment(base)]),
                epochs: LeaderEpochs::default(),
                producers: ProducerState::new(base),
                noted: base,
            });
        };
        let cut = map.cut.filter(|cut| *cut < entry.end);
        let Some(cut) = cut else {
            return Ok(Log {
                segments: entry.segments.iter().map(|summary| self.segment(*summary)).collect(),
                epochs: entry.epochs,
                producers: entry.producers,
                noted: entry.end,
            });
        };
        // What is left below the cut is read again: a cut is rare, and its log's beginning is in the files.
        let mut log = Log {
            segments: VecDeque::new(),
            epochs: entry.epochs,
            producers: ProducerState::new(map.log_start),
            noted: entry.segments[0].base_offset,
        };
        let left = cut.min(map.synced.offset);
        log.epochs.truncate_from_end(left);
        for summary in entry.segments.iter().filter(|summary| summary.base_offset < left) {
            let empty = Summary::empty(summary.base_offset, summary.created);
            log.segments.push_back(self.segment(Summary { generation: summary.generation, ..empty }));
            let until = summary.end_offset.min(left);
            self.note_active(&mut log, until)?;
        }
        if self.keeps_snapshot {
            log.producers = entry.producers;
        } else {
            log.producers.keep_below(left, &entry.producers);
        }
        // Where a compacted segment ends says nothing, and nothing is appended to one.
        if log.segments.back().is_none_or(|last| last.generation() > 0) {
            log.segments.push_back(self.empty_segment(left));
            log.noted = left;
        }
        if map.synced.offset == left {
            let last = log.segments.back().expect("just seen to").summary();
            map.synced.place = SegmentPlace { segment: last.base_offset, position: last.size_bytes };
        }
        Ok(log)
    }

    /// Segments that a sync has covered since a log was made, in the order of their names.
    pub(super) fn note_from_files(&mut self, log: &mut Log, until: Reach) -> Result<(), OpenError> {
        self.note_active(log, until.offset)?;
        for base in self.segment_files()? {
            // Below the log start there may be a gap, where a relaxed log was reset.
            let follows = base == log.noted || base > log.noted && base <= self.log_start;
            if follows && base < until.offset && base > log.segments[0].base_offset() {
                log.noted = base;
                log.segments.push_back(self.empty_segment(base));
                self.note_active(log, until.offset)?;
            }
        }
        if log.noted < until.offset {
            self.note_damaged_files(log, until)?;
        }
        Ok(())
    }

    /// Takes note of what the last segment's file holds below `until`.
    fn note_active(&self, log: &mut Log, until: Offset) -> Result<u64, OpenError> {
        self.note_while(log, &mut |batch, _| batch.last_offset() < until)
    }

    fn note_while(
        &self,
        log: &mut Log,
        belongs: &mut dyn FnMut(&BatchView<'_>, &LeaderEpochs) -> bool,
    ) -> Result<u64, OpenError> {
        let segment = log.segments.back().expect("a log has a segment").clone();
        let size = match segment.file() {
            Ok(file) => file.len().map_err(|error| self.io(error))?,
            Err(error) if error.io_kind() == Some(ErrorKind::NotFound) => return Ok(0),
            Err(error) => return Err(OpenError::Segment(error.to_string())),
        };
        let summary = segment.summary();
        let from = Written { position: summary.size_bytes, offset: log.noted };
        let before = summary.size_bytes;
        let scanned = segment.scan(from, size.min(u32::MAX.into()) as u32, &mut |batch, place| {
            if !belongs(batch, &log.epochs) {
                return ControlFlow::Break(());
            }
            segment.note(&place);
            log.note(batch);
            ControlFlow::Continue(())
        });
        scanned.map_err(|error| OpenError::Segment(error.to_string()))?;
        Ok(u64::from(segment.summary().size_bytes - before))
    }

    /// Of a relaxed log, what is behind S in the files as far as it is sound. Returns how many bytes were kept, and how many
    /// are behind those.
    pub(super) fn take_unsynced(&self, log: &mut Log) -> Result<(u64, u64), OpenError> {
        let kept = self.take_following(log, self.open_cut.unwrap_or(Offset(i64::MAX)))?;
        let active = log.segments.back().expect("a log has a segment");
        let size = match active.file() {
            Ok(file) => file.len().map_err(|error| self.io(error))?,
            Err(_) => 0,
        };
        Ok((kept, size.saturating_sub(active.summary().size_bytes.into())))
    }

    /// What the files have behind what was noted and below `limit`, as long as one batch follows on the other: written again,
    /// since a page that is clean in memory may never have reached the disk. Returns how many bytes that were.
    pub(super) fn take_following(&self, log: &mut Log, limit: Offset) -> Result<u64, OpenError> {
        let mut taken_bytes = 0;
        loop {
            let segment = log.segments.back().expect("a log has a segment").clone();
            let from = segment.summary().size_bytes;
            let mut next = log.noted;
            let taken = self.note_while(log, &mut |batch, epochs| {
                let latest = epochs.latest().map_or(LeaderEpoch::NONE, |latest| latest.epoch);
                let follows = batch.base_offset() == next && batch.partition_leader_epoch() >= latest;
                next = batch.next_offset();
                follows && batch.last_offset() < limit
            })?;
            if taken > 0 {
                self.rewrite(&segment, from, taken)?;
                taken_bytes += taken;
            }
            let follows = |base: &Offset| *base == log.noted && *base > segment.base_offset() && *base < limit;
            let Some(base) = self.segment_files()?.into_iter().find(follows) else { return Ok(taken_bytes) };
            log.segments.push_back(self.empty_segment(base));
        }
    }

    fn rewrite(&self, segment: &Segment, from: u32, size_bytes: u64) -> Result<(), OpenError> {
        let file = segment.file().map_err(|error| OpenError::Segment(error.to_string()))?;
        let mut at = from;
        let end = from + size_bytes as u32;
        let mut bytes = vec![0; (1 << 20).min(size_bytes as usize)];
        while at < end {
            let len = bytes.len().min((end - at) as usize);
            let read = file.read_at(&mut bytes[..len], at.into()).map_err(|error| self.io(error))?;
            if read < len {
                return Err(self.io(ErrorKind::UnexpectedEof.into()));
            }
            let written = segment.write_at(&[IoSlice::new(&bytes[..len])], at);
            written.map_err(|error| OpenError::Segment(error.to_string()))?;
            at += len as u32;
        }
        Ok(())
    }
}
