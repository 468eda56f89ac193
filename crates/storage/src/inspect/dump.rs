//! One file after the other as text, whatever state it is in: what `kafka-dump-log` prints of Kafka's files, in its words,
//! and the like of ours. Nothing is believed that does not check, and what does not is told and stepped over.
use std::path::Path;

use env::{Disk, File, OpenOptions};
use record::control::{ControlKind, EndTxnMarker};
use record::{BatchHeader, BatchView, Decompressor, HEADER_BYTES, Record, Records, TimestampType};

use super::line::{Line, Value};
use super::own;
use crate::OpenError;
use crate::journal::lane::parse_slot;
use crate::layout;
use crate::producer_state::Snapshot;
use crate::recovery::io_error;
use crate::segment::{FileKind, entries_of_offsets, entries_of_times, parse_file_name};

/// What of a file is printed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Depth {
    /// Every record of a batch, not the batch alone.
    pub records: bool,
    /// Keys and values too.
    pub contents: bool,
}

/// A record's key and value in other words: of a topic whose records somebody can read.
pub type Decode<'a> = &'a dyn Fn(&Record<'_>) -> Option<String>;

/// False if it is none of the log engine's files.
pub fn dump(
    disk: &dyn Disk,
    path: &Path,
    depth: Depth,
    decode: Decode<'_>,
    out: &mut dyn FnMut(Line) -> bool,
) -> Result<bool, OpenError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let io = |error: std::io::Error| io_error(path, &error);
    if let Some((base, _, kind)) = parse_file_name(&name) {
        let file = disk.open(path, OpenOptions::READ).map_err(io)?;
        match kind {
            FileKind::Log => return segment(&*file, depth, decode, out).map(|()| true).map_err(io),
            FileKind::OffsetIndex => {
                let entries = entries_of_offsets(base, &whole(&*file).map_err(io)?);
                let lines =
                    entries.iter().map(|(offset, at)| Line::new().number("offset", offset.0).number("position", *at));
                lines.into_iter().all(out);
            }
            FileKind::TimeIndex => {
                let entries = entries_of_times(base, &whole(&*file).map_err(io)?);
                let line = |(time, offset): &(record::Timestamp, record::Offset)| {
                    Line::new().number("timestamp", time.0).number("offset", offset.0)
                };
                entries.iter().map(line).all(out);
            }
            FileKind::ProducerSnapshot => {
                match Snapshot::decode(&whole(&*file).map_err(io)?) {
                    Ok(snapshot) => own::producers(&snapshot, false).into_iter().all(out),
                    Err(error) => out(Line::new().text("damaged", error)),
                };
            }
            FileKind::TransactionIndex => return Ok(false),
        }
        return Ok(true);
    }
    if let Some(slot) = parse_slot(&name) {
        let file = disk.open(path, OpenOptions::READ).map_err(io)?;
        return own::lane(&*file, slot, out).map(|()| true).map_err(io);
    }
    if layout::CHECKPOINTS.contains(&&*name) {
        let file = disk.open(path, OpenOptions::READ).map_err(io)?;
        own::checkpoint(&whole(&*file).map_err(io)?, out);
        return Ok(true);
    }
    Ok(false)
}

fn whole(file: &dyn File) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; file.len()?.min(u32::MAX.into()) as usize];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

fn segment(
    file: &dyn File,
    depth: Depth,
    decode: Decode<'_>,
    out: &mut dyn FnMut(Line) -> bool,
) -> std::io::Result<()> {
    let len = file.len()?;
    let mut at = 0;
    let mut bytes = Vec::new();
    while at < len {
        bytes.resize(HEADER_BYTES.min((len - at) as usize), 0);
        let read = file.read_at(&mut bytes, at)?;
        let size = BatchHeader::parse(&bytes[..read]).map_or(0, |header| header.size_bytes());
        // What a damaged length asks for and the file does not have is not allocated.
        if size > 0 && at + size as u64 <= len {
            bytes.resize(size, 0);
            let read = file.read_at(&mut bytes, at)?;
            bytes.truncate(read);
        }
        let batch = match BatchView::parse(&bytes) {
            Ok(batch) => batch,
            Err(error) => {
                out(Line::new().number("position", at).number("left", len - at).text("damaged", error));
                return Ok(());
            }
        };
        if !out(batch_line(&batch, at)) || depth.records && !records(&batch, depth, decode, out) {
            return Ok(());
        }
        at += batch.size_bytes() as u64;
    }
    Ok(())
}

fn batch_line(batch: &BatchView<'_>, position: u64) -> Line {
    let horizon = batch.delete_horizon();
    let horizon = horizon.map_or("OptionalLong.empty".to_owned(), |time| format!("OptionalLong[{time}]"));
    let codec = batch.compression().map_or_else(|error| error.to_string(), |codec| codec.name().to_owned());
    Line::new()
        .number("baseOffset", batch.base_offset().0)
        .number("lastOffset", batch.last_offset().0)
        .number("count", batch.record_count())
        .number("baseSequence", batch.base_sequence().0)
        .number("lastSequence", batch.last_sequence().0)
        .number("producerId", batch.producer_id().0)
        .number("producerEpoch", batch.producer_epoch().0)
        .number("partitionLeaderEpoch", batch.partition_leader_epoch().0)
        .flag("isTransactional", batch.is_transactional())
        .flag("isControl", batch.is_control())
        .text("deleteHorizonMs", horizon)
        .number("position", position)
        .number(time_name(batch), batch.max_timestamp().0)
        .number("size", batch.size_bytes() as u64)
        .number("magic", 2)
        .text("compresscodec", codec)
        .number("crc", batch.crc())
        .flag("isvalid", batch.crc_is_valid())
}

fn time_name(batch: &BatchView<'_>) -> &'static str {
    match batch.timestamp_type() {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

/// A batch's records may be this large, decompressed.
const BODY_BYTES_MAX: usize = 1 << 30;

fn records(batch: &BatchView<'_>, depth: Depth, decode: Decode<'_>, out: &mut dyn FnMut(Line) -> bool) -> bool {
    if !batch.crc_is_valid() {
        return true; // Told by the batch's line.
    }
    let mut decompressor = Decompressor::default();
    let body = match decompressor.body(batch, BODY_BYTES_MAX) {
        Ok(body) => body,
        Err(error) => return out(Line::inner().text("damaged", error)),
    };
    let records = match Records::new(batch, body) {
        Ok(records) => records,
        Err(error) => return out(Line::inner().text("damaged", error)),
    };
    for record in records {
        let line = match record {
            Ok(record) => record_line(batch, &record, depth, decode),
            Err(error) => Line::inner().text("damaged", error),
        };
        if !out(line) {
            return false;
        }
    }
    true
}

fn record_line(batch: &BatchView<'_>, record: &Record<'_>, depth: Depth, decode: Decode<'_>) -> Line {
    let size = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i64);
    let names = record.headers.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned());
    let sequence = match batch.base_sequence().0 {
        -1 => -1,
        base => record::Sequence(base).advance(record.offset_delta).0,
    };
    let line = Line::inner()
        .number("offset", record.offset.0)
        .number(time_name(batch), record.timestamp.0)
        .number("keySize", size(record.key))
        .number("valueSize", size(record.value))
        .number("sequence", sequence)
        .text("headerKeys", format!("[{}]", names.collect::<Vec<_>>().join(",")));
    if batch.is_control() {
        return control(record, line);
    }
    if !depth.contents {
        return line;
    }
    if let Some(decoded) = decode(record) {
        return line.text("record", decoded);
    }
    let with = |line: Line, name, bytes: Option<&[u8]>| match bytes {
        Some(bytes) => line.with(name, Value::Bytes(Some(bytes.to_vec()))),
        None => line,
    };
    with(with(line, "key", record.key), "payload", record.value)
}

fn control(record: &Record<'_>, line: Line) -> Line {
    match (ControlKind::of(record), EndTxnMarker::parse(record)) {
        (Ok(_), Ok(marker)) => line
            .text("endTxnMarker", if marker.committed { "COMMIT" } else { "ABORT" })
            .number("coordinatorEpoch", marker.coordinator_epoch),
        (Ok(kind), Err(_)) => line.text("controlType", format!("{kind:?}({})", kind.id())),
        (Err(error), _) => line.text("damaged", error),
    }
}
