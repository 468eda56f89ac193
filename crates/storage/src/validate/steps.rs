//! The check of one batch, in steps that are short whatever the batch inflates to, and in memory that is bounded by one
//! piece of it: a megabyte can hold a gigabyte of records, and Kafka takes it. Knows nothing of who else wants to run.

use record::control::EndTxnMarker;
use record::{
    BatchHeader, BatchView, BodyReader, Compression, CompressionError, Decompressor, OutlineWalk, Outlined,
    RecordError, Records, Timestamp, TimestampType,
};

use super::error::ValidateError;
use super::walk::Walk;
use super::{CompressionPolicy, Origin, Rules, Validated, check_as_a_whole, check_header, only_batch, rebuild};
use crate::producer_state::ProducerBatch;

/// A batch whose header was checked, and some of whose records were.
pub struct Validation<'a> {
    batch: BatchView<'a>,
    rules: Rules,
    origin: Origin,
    now: Timestamp,
    source: Compression,
    target: Compression,
    body: BodyReader<'a>,
    records: OutlineWalk,
    walk: Walk,
}

pub enum Step {
    Done(Validated),
    /// There is more to do, and others may run first.
    More,
}

/// A step's work, read or decompressed: a millisecond or two.
const STEP_BYTES: usize = 1 << 20;
/// What the least piece counts as, so that a body of empty pieces has steps too.
const PIECE_BYTES_MIN: usize = 4 << 10;
/// Records that another codec is to write anew are held whole, and so bounded: by this or so often `max.message.bytes`.
const REWRITTEN_BYTES_MAX: usize = 64 << 20;
const REWRITTEN_TO_STORED_MAX: usize = 16;

impl<'a> Validation<'a> {
    /// Checks all but the records.
    pub fn new(
        bytes: &'a [u8],
        rules: &Rules,
        origin: Origin,
        now: Timestamp,
        decompressor: &'a mut Decompressor,
    ) -> Result<Validation<'a>, ValidateError> {
        let batch = only_batch(bytes, origin)?;
        check_as_a_whole(&batch, rules, origin)?;
        let source = batch.compression()?;
        check_header(&batch, origin)?;
        let target = match rules.compression {
            CompressionPolicy::Producer => source,
            // Control records are never compressed, and a batch of them never rewritten.
            CompressionPolicy::Codec { .. } if batch.is_control() => source,
            CompressionPolicy::Codec { compression, .. } => compression,
        };
        let (is_held, record_bytes_max) = match source {
            Compression::None => (false, usize::MAX),
            _ => (source != target || batch.is_control(), rules.record_bytes_max),
        };
        let size_bytes_max = if is_held { held_bytes_max(rules) } else { usize::MAX };
        Ok(Validation {
            batch,
            rules: *rules,
            origin,
            now,
            source,
            target,
            body: BodyReader::new(decompressor, &batch, size_bytes_max, is_held)?,
            records: OutlineWalk::new(&batch, record_bytes_max)?,
            walk: Walk::new(source, target),
        })
    }

    /// Goes on. Nothing is left to be done after an error, or after `Done`.
    pub fn step(&mut self) -> Result<Step, ValidateError> {
        let mut work = 0;
        while work < STEP_BYTES {
            let window = self.body.window();
            let mut rest = window;
            let is_over = loop {
                if work + window.len() - rest.len() >= STEP_BYTES {
                    break None;
                }
                match self.records.next(&mut rest, self.body.is_all_there()) {
                    Ok(Outlined::Record(record)) => self.walk.take_note(&self.batch, &record, &self.rules, self.now),
                    Ok(Outlined::NeedsMore) => break Some(false),
                    Ok(Outlined::End) => break Some(true),
                    Err(error) => return Err(self.read_on_behind(error)),
                }
            };
            let taken = window.len() - rest.len();
            self.body.take(taken);
            match is_over {
                None => return Ok(Step::More),
                Some(true) => return self.finish().map(Step::Done),
                Some(false) => {
                    let piece_bytes = self.body.more().map_err(|error| self.uncompressed_refusal(error))?;
                    work += piece_bytes.max(PIECE_BYTES_MIN);
                }
            }
        }
        Ok(Step::More)
    }

    /// Gives up. What the decompressor holds is of no use to the next batch.
    pub fn into_decompressor(self) -> &'a mut Decompressor {
        self.body.into_decompressor()
    }

    /// What a field claims beyond its record Kafka takes from the records behind it: if these cannot be read, that is told.
    fn read_on_behind(&mut self, error: RecordError) -> ValidateError {
        let claims_more = matches!(error, RecordError::BadHeaders { .. } | RecordError::BadStructure { .. });
        if claims_more
            && !self.body.is_all_there()
            && let Err(unreadable) = self.body.more()
        {
            return self.uncompressed_refusal(unreadable);
        }
        self.refusal(error)
    }

    fn refusal(&self, error: RecordError) -> ValidateError {
        match error {
            RecordError::EndlessSize { index } if self.source == Compression::None => {
                ValidateError::EndlessRecordSize { index }
            }
            RecordError::TooLarge { size, .. } => {
                ValidateError::RecordTooLarge { size_bytes: size, size_bytes_max: self.rules.record_bytes_max }
            }
            error => ValidateError::Record(error),
        }
    }

    /// What is too large to be held would also be too large to be stored without a codec.
    fn uncompressed_refusal(&self, error: CompressionError) -> ValidateError {
        match error {
            CompressionError::TooLarge { size_bytes_max } if self.target == Compression::None => {
                ValidateError::RebuiltTooLarge {
                    size_bytes: size_bytes_max,
                    size_bytes_max: self.rules.message_bytes_max,
                }
            }
            error => ValidateError::Compression(error),
        }
    }

    fn finish(&mut self) -> Result<Validated, ValidateError> {
        let Validation { batch, ref rules, origin, now, source, target, ref body, ref mut walk, .. } = *self;
        if !walk.faults.is_empty() {
            return Err(ValidateError::Records(std::mem::take(&mut walk.faults)));
        }
        if source == target && source != Compression::None && !walk.offsets_in_sequence && origin != Origin::Coordinator
        {
            // Kafka means to rewrite it, but has skipped the keys and values that it would need.
            return Err(ValidateError::NotRebuildable { reason: "Offsets of compressed records are not in sequence" });
        }
        // Kafka keeps an uncompressed batch whose offsets are not 0, 1, 2: two records could then have one offset.
        let keeps_bytes = source == target && (walk.offsets_in_sequence || origin == Origin::Coordinator);
        let rebuilt = if keeps_bytes { None } else { Some(rebuild::rebuild(&batch, body.kept(), rules, target, now)?) };
        let stored = match &rebuilt {
            None => batch,
            Some(bytes) => BatchView::parse(bytes).expect("a batch that was just built"),
        };
        if rebuilt.is_some() && stored.size_bytes() > rules.message_bytes_max {
            let (size_bytes, size_bytes_max) = (stored.size_bytes(), rules.message_bytes_max);
            return Err(ValidateError::RebuiltTooLarge { size_bytes, size_bytes_max });
        }
        if stored.size_bytes() > rules.segment_bytes_max {
            let (size_bytes, size_bytes_max) = (stored.size_bytes(), rules.segment_bytes_max);
            return Err(ValidateError::TooLargeForSegment { size_bytes, size_bytes_max });
        }

        let log_append_time = (rules.timestamp_type == TimestampType::LogAppendTime).then_some(now);
        let max_timestamp = log_append_time.unwrap_or(walk.max_timestamp);
        let mut header = BatchHeader::of(&stored);
        // A producer's own maximum is not believed, and its bit for LogAppendTime not kept.
        header.set_max_timestamp(stored.body(), rules.timestamp_type, max_timestamp);
        Ok(Validated {
            compression: target,
            last_offset_delta: stored.last_offset_delta(),
            log_append_time,
            marker: marker(&batch, body),
            max_timestamp,
            max_timestamp_offset_delta: if log_append_time.is_some() { 0 } else { walk.max_timestamp_index },
            producer: ProducerBatch::of(&batch),
            record_count: stored.record_count(),
            header,
            verbatim_bytes: batch.size_bytes(),
            rebuilt,
        })
    }
}

fn held_bytes_max(rules: &Rules) -> usize {
    REWRITTEN_BYTES_MAX.max(rules.message_bytes_max.saturating_mul(REWRITTEN_TO_STORED_MAX))
}

fn marker(batch: &BatchView<'_>, body: &BodyReader<'_>) -> Option<EndTxnMarker> {
    if !batch.is_control() {
        return None;
    }
    let first = Records::new(batch, body.kept()).ok()?.next()?.ok()?;
    EndTxnMarker::parse(&first).ok()
}
