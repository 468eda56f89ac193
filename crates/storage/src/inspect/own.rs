//! Lane files, checkpoints and producer snapshots as text: what no tool of Kafka's knows.
use std::ops::Range;

use env::{AlignedBuffer, File};
use record::{Offset, ProducerId};

use super::line::Line;
use crate::checkpoint::{self, Entry};
use crate::journal::BLOCK;
use crate::journal::group::{GroupHeader, Place, SECTOR};
use crate::journal::record::{Body, Record, SegmentPlace};
use crate::leader_epochs::EpochStart;
use crate::producer_state::{BatchMetadata, ProducerEntry, ProducerState, Snapshot};
use crate::segment::{FileKind, Summary, file_name};

/// Every sound group in the file, those of earlier rounds too.
pub(super) fn lane(file: &dyn File, slot: u32, out: &mut dyn FnMut(Line) -> bool) -> std::io::Result<()> {
    let len = file.len()?;
    let mut block = AlignedBuffer::new(BLOCK);
    let mut at = 0;
    while at < len {
        let read = file.read_at(&mut block, at)?;
        let place = Place { slot, at };
        let Some((header, crc)) = GroupHeader::decode(&block[..read]).filter(|(header, _)| header.place == place)
        else {
            at += BLOCK as u64;
            continue;
        };
        let line = Line::new()
            .number("group", header.number)
            .text("kind", format!("{:?}", header.kind).to_lowercase())
            .number("position", at)
            .number("size", header.size_bytes)
            .text("run", format!("{:016x}", header.run))
            .number("durableGroup", header.durable_group)
            .number("records", header.records)
            .text("goesOn", header.goes_on)
            .text("previous", format!("{:08x}", header.previous_crc))
            .text("crc", format!("{crc:08x}"));
        if !out(line) {
            return Ok(());
        }
        let whole = len - at >= header.size_bytes;
        if !whole || !records(file, &header, out)? {
            if !out(Line::inner().text("damaged", "the group is not whole")) {
                return Ok(());
            }
            at += BLOCK as u64;
            continue;
        }
        at += header.blocks_bytes();
    }
    Ok(())
}

/// False where one does not check.
fn records(file: &dyn File, header: &GroupHeader, out: &mut dyn FnMut(Line) -> bool) -> std::io::Result<bool> {
    let mut bytes = vec![0; header.size_bytes as usize];
    let read = file.read_at(&mut bytes, header.place.at)?;
    let mut rest = &bytes[SECTOR.min(read)..read];
    for _ in 0..header.records {
        let Some((record, behind)) = Record::decode(rest, header.run) else { return Ok(false) };
        if !out(record_line(&record)) {
            return Ok(true);
        }
        rest = behind;
    }
    Ok(rest.is_empty())
}

fn record_line(record: &Record<'_>) -> Line {
    let line = |name| {
        Line::inner()
            .text("record", name)
            .text("log", format!("{:x}", record.log_id))
            .number("previousEnd", record.previous_end.0)
    };
    let at = |line: Line, place: &SegmentPlace| {
        line.text("segment", file_name(place.segment, 0, FileKind::Log)).number("position", place.position)
    };
    match &record.body {
        Body::Create { topic_id, partition, durability, log_start, topic } => line("create")
            .text("topic", topic)
            .number("partition", *partition)
            .text("topicId", topic_id)
            .text("durability", format!("{durability:?}").to_lowercase())
            .number("logStart", log_start.0),
        Body::Data { end, place, batches } => {
            at(line("data").number("end", end.0), place).number("size", batches.len() as u64)
        }
        Body::Delete => line("delete"),
        Body::Faulty { from, to } => line("faulty").number("from", from.0).number("to", to.0),
        Body::Identity { end, place, size_bytes, crc } => at(line("identity").number("end", end.0), place)
            .number("size", *size_bytes)
            .text("crc", format!("{crc:08x}")),
        Body::LogStart { to } => line("log-start").number("to", to.0),
        Body::Replace { from, to, compacted_end, summary } => segment_fields(
            line("replace").number("from", from.0).number("to", to.0).number("compactedBelow", compacted_end.0),
            summary,
        ),
        Body::SwapIn { entry } => line("swap-in").number("size", entry.len() as u64),
        Body::Synced { end, place, durability } => {
            at(line("synced").number("end", end.0), place).text("durability", format!("{durability:?}").to_lowercase())
        }
        Body::Truncate { to, epoch } => line("truncate").number("to", to.0).number("leaderEpoch", epoch.0),
    }
}

fn segment_fields(line: Line, summary: &Summary) -> Line {
    line.text("segment", file_name(summary.base_offset, summary.generation, FileKind::Log))
        .number("endOffset", summary.end_offset.0)
        .number("size", summary.size_bytes)
        .number("created", summary.created.0)
        .number("firstTimestamp", summary.first_timestamp.0)
        .number("maxTimestamp", summary.max_timestamp.0)
        .number("maxTimestampOffset", summary.max_timestamp_offset.0)
}

pub(super) fn checkpoint(bytes: &[u8], out: &mut dyn FnMut(Line) -> bool) {
    let (header, entries) = match checkpoint::decode(bytes) {
        Ok(found) => found,
        Err(error) => {
            out(Line::new().text("damaged", error));
            return;
        }
    };
    let start = &header.lane_start;
    let line = Line::new()
        .number("sequence", header.sequence)
        .flag("clean", header.is_clean)
        .number("nextLogId", header.next_log_id)
        .number("durableGroup", header.durable_group)
        .number("laneStartGroup", start.number)
        .number("laneStartFile", start.place.slot)
        .number("laneStartPosition", start.place.at)
        .number("laneFileBytes", header.lane_file_bytes)
        .number("entries", header.entries);
    let _ = out(line) && entries.iter().flat_map(entry_lines).all(out);
}

fn entry_lines(entry: &Entry) -> Vec<Line> {
    let mut lines = vec![
        Line::new()
            .text("log", format!("{:x}", entry.log_id))
            .text("topic", &entry.name.topic)
            .number("partition", entry.name.partition)
            .text("topicId", entry.topic_id)
            .text("durability", format!("{:?}", entry.durability).to_lowercase())
            .number("logStart", entry.log_start.0)
            .number("end", entry.end.0)
            .number("synced", entry.synced.offset.0)
            .text("segment", file_name(entry.synced.place.segment, 0, FileKind::Log))
            .number("position", entry.synced.place.position)
            .number("highWatermark", entry.high_watermark.0)
            .number("lsn", entry.lsn)
            .number("compactedBelow", entry.compacted_end.0),
    ];
    lines.extend(entry.segments.iter().map(|summary| segment_fields(Line::inner(), summary)));
    let epoch = |start: EpochStart| Line::inner().number("leaderEpoch", start.epoch.0).number("from", start.start.0);
    lines.extend(entry.epochs.iter().map(epoch));
    let faulty = |range: &Range<Offset>| Line::inner().number("faultyFrom", range.start.0).number("to", range.end.0);
    lines.extend(entry.faulty.iter().map(faulty));
    lines.extend(producer_lines(&entry.producers, true));
    lines
}

pub(super) fn producers(snapshot: &Snapshot, is_inner: bool) -> Vec<Line> {
    producer_lines(&snapshot.state, is_inner)
}

/// In the words of Kafka's dump of a producer snapshot.
fn producer_lines(state: &ProducerState, is_inner: bool) -> Vec<Line> {
    let batch = |line: Line, first: &BatchMetadata, last: &BatchMetadata| {
        line.number("firstSequence", first.first_sequence().0)
            .number("lastSequence", last.last_sequence.0)
            .number("lastOffset", last.last_offset.0)
            .number("offsetDelta", last.offset_delta)
            .number("timestamp", last.timestamp.0)
    };
    let line = |(id, entry): (ProducerId, &ProducerEntry)| {
        let first = entry.txn_first_offset;
        let first = first.map_or("OptionalLong.empty".to_owned(), |offset| format!("OptionalLong[{offset}]"));
        let line = if is_inner { Line::inner() } else { Line::new() };
        let line = line
            .number("producerId", id.0)
            .number("producerEpoch", entry.epoch.0)
            .number("lastTimestamp", entry.last_timestamp.0)
            .number("coordinatorEpoch", entry.coordinator_epoch)
            .text("currentTxnFirstOffset", first);
        match entry.batches() {
            [first, .., last] => batch(line, first, last),
            [only] => batch(line, only, only),
            [] => line,
        }
    };
    state.producers().map(line).collect()
}
