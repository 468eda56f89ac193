//! The records of a batch without their keys and values, from a body of which only a window is there at a time: whoever
//! has to check a batch need not hold it. Takes and refuses exactly what `Records` takes and refuses.

use crate::batch::BatchView;
use crate::ids::{Offset, Timestamp};
use crate::record::{Place, RecordError};
use crate::varint::{VARINT_BYTES_MAX, VARLONG_BYTES_MAX, take_i32, take_i64};

/// What stays of a record whose bytes were passed over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordOutline {
    pub key_bytes: Option<usize>,
    pub offset: Offset,
    pub offset_delta: i32,
    pub timestamp: Timestamp,
    pub value_bytes: Option<usize>,
}

pub struct OutlineWalk {
    place: Place,
    record_bytes_max: usize,
    /// The record that the window ended in.
    large: Option<Box<LargeRecord>>,
}

pub enum Outlined {
    Record(RecordOutline),
    /// The window ends before the record does: more must come behind what was left in it.
    NeedsMore,
    /// As many records as the header counts, and nothing behind them.
    End,
}

/// Up to here a record that the window ends in is left in it, and read when all of it is there.
const WHOLE_RECORD_BYTES_MAX: usize = 64 << 10;

impl OutlineWalk {
    /// A record of more than `record_bytes_max` is refused before its bytes are asked for.
    pub fn new(batch: &BatchView<'_>, record_bytes_max: usize) -> Result<OutlineWalk, RecordError> {
        Ok(OutlineWalk { place: Place::new(batch)?, record_bytes_max, large: None })
    }

    /// The next record, taken from the front of `window`. `is_all`: nothing comes behind it. An error is final.
    pub fn next(&mut self, window: &mut &[u8], is_all: bool) -> Result<Outlined, RecordError> {
        if self.large.is_some() {
            return self.next_of_large(window, is_all);
        }
        if self.place.index == self.place.count {
            return self.end(window, is_all);
        }
        if window.len() < VARINT_BYTES_MAX && !is_all {
            return Ok(Outlined::NeedsMore);
        }
        let mut rest = *window;
        let size = self.place.take_size(&mut rest)?;
        let index = self.place.index;
        if size > self.record_bytes_max {
            return Err(RecordError::TooLarge { index, size });
        }
        if size <= rest.len() {
            let (fields, after) = rest.split_at(size);
            let record = self.place.parse(fields, window.len() - after.len())?;
            *window = after;
            self.place.index += 1;
            return Ok(Outlined::Record(RecordOutline {
                key_bytes: record.key.map(<[u8]>::len),
                offset: record.offset,
                offset_delta: record.offset_delta,
                timestamp: record.timestamp,
                value_bytes: record.value.map(<[u8]>::len),
            }));
        }
        if is_all {
            return Err(RecordError::BadSize { index, size: size as i32, left: rest.len() });
        }
        if size > WHOLE_RECORD_BYTES_MAX {
            *window = rest;
            self.large = Some(Box::new(LargeRecord::new(size)));
            return self.next_of_large(window, is_all);
        }
        Ok(Outlined::NeedsMore)
    }

    fn end(&self, window: &[u8], is_all: bool) -> Result<Outlined, RecordError> {
        match window.len() {
            // As `Records`, which looks for what is left only behind a record.
            _ if self.place.count == 0 => Ok(Outlined::End),
            0 if is_all => Ok(Outlined::End),
            0 => Ok(Outlined::NeedsMore),
            bytes => Err(RecordError::BytesLeft { bytes }),
        }
    }

    fn next_of_large(&mut self, window: &mut &[u8], is_all: bool) -> Result<Outlined, RecordError> {
        let index = self.place.index;
        let large = self.large.as_mut().expect("only called within a large record");
        if !large.walk(window, index)? {
            let (size, left) = (large.size as i32, large.size - large.left);
            return if is_all { Err(RecordError::BadSize { index, size, left }) } else { Ok(Outlined::NeedsMore) };
        }
        let outline = RecordOutline {
            key_bytes: large.key_bytes,
            offset: self.place.offset(large.offset_delta),
            offset_delta: large.offset_delta,
            timestamp: self.place.timestamp(large.timestamp_delta),
            value_bytes: large.value_bytes,
        };
        self.large = None;
        self.place.index += 1;
        Ok(Outlined::Record(outline))
    }
}

/// A record that is read field by field, as its bytes come.
struct LargeRecord {
    size: usize,
    // skip <= left <= size
    left: usize,
    /// Of the field whose length was read last.
    skip: usize,
    next: Field,
    headers_left: usize,
    key_bytes: Option<usize>,
    offset_delta: i32,
    timestamp_delta: i64,
    value_bytes: Option<usize>,
}

#[derive(Clone, Copy)]
enum Field {
    Attributes,
    TimestampDelta,
    OffsetDelta,
    Key,
    Value,
    HeaderCount,
    HeaderName,
    HeaderValue,
    End,
}

/// A field's bytes are there, and are no such field.
struct Bad;

impl LargeRecord {
    fn new(size: usize) -> LargeRecord {
        LargeRecord {
            size,
            left: size,
            skip: 0,
            next: Field::Attributes,
            headers_left: 0,
            key_bytes: None,
            offset_delta: 0,
            timestamp_delta: 0,
            value_bytes: None,
        }
    }

    /// Whether the record has ended; if it has not, the window is too short for the next field.
    fn walk(&mut self, window: &mut &[u8], index: i32) -> Result<bool, RecordError> {
        loop {
            let skipped = self.skip.min(window.len());
            *window = &window[skipped..];
            self.skip -= skipped;
            self.left -= skipped;
            if self.skip > 0 {
                return Ok(false);
            }
            if let Field::End = self.next {
                return if self.left == 0 { Ok(true) } else { Err(RecordError::BadStructure { index }) };
            }
            let fields = &window[..window.len().min(self.left)];
            let mut rest = fields;
            match self.take_field(&mut rest) {
                Ok(Some(next)) => self.next = next,
                Ok(None) if fields.len() < self.left.min(VARLONG_BYTES_MAX) => return Ok(false),
                Err(Bad) if matches!(self.next, Field::HeaderCount | Field::HeaderName | Field::HeaderValue) => {
                    return Err(RecordError::BadHeaders { index });
                }
                Ok(None) | Err(Bad) => return Err(RecordError::BadStructure { index }),
            }
            let taken = fields.len() - rest.len();
            *window = &window[taken..];
            self.left -= taken;
            if self.skip > self.left {
                return Err(RecordError::BadStructure { index });
            }
        }
    }

    /// Reads one field, of byte strings only the length. `None` if it is cut off, and nothing was read then.
    fn take_field(&mut self, fields: &mut &[u8]) -> Result<Option<Field>, Bad> {
        if let Field::TimestampDelta = self.next {
            return Ok(take_i64(fields).map(|delta| {
                self.timestamp_delta = delta;
                Field::OffsetDelta
            }));
        }
        if let Field::Attributes = self.next {
            return Ok(fields.split_off_first().map(|_| Field::TimestampDelta));
        }
        let Some(number) = take_i32(fields) else { return Ok(None) };
        // A negative length is null.
        let length = usize::try_from(number).ok();
        Ok(Some(match self.next {
            Field::OffsetDelta => {
                self.offset_delta = number;
                Field::Key
            }
            Field::Key => {
                self.key_bytes = length;
                self.skip = length.unwrap_or(0);
                Field::Value
            }
            Field::Value => {
                self.value_bytes = length;
                self.skip = length.unwrap_or(0);
                Field::HeaderCount
            }
            Field::HeaderCount => {
                self.headers_left = length.filter(|count| *count <= self.left).ok_or(Bad)?;
                self.next_header()
            }
            Field::HeaderName => {
                self.skip = length.ok_or(Bad)?;
                Field::HeaderValue
            }
            Field::HeaderValue => {
                self.skip = length.unwrap_or(0);
                self.headers_left -= 1;
                self.next_header()
            }
            Field::Attributes | Field::TimestampDelta | Field::End => unreachable!("read above, or nothing to read"),
        }))
    }

    fn next_header(&self) -> Field {
        if self.headers_left == 0 { Field::End } else { Field::HeaderName }
    }
}
