//! The records inside a batch, one after the other, borrowed from its (decompressed) body.
//! Takes what Kafka's `DefaultRecord` takes and refuses what it refuses; knows no codec.

use std::fmt;

use crate::batch::BatchView;
use crate::ids::{Offset, Timestamp, TimestampType};
use crate::varint::{VARINT_BYTES_MAX, take_i32, take_i64};

/// One record. Headers are checked already, but found again only when asked for.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub attributes: i8,
    /// Without the length field, before compression: what `max.decompressed.message.bytes` bounds.
    pub body_size_bytes: usize,
    pub headers: Headers<'a>,
    pub key: Option<&'a [u8]>,
    pub offset: Offset,
    pub offset_delta: i32,
    /// With the length field.
    pub size_bytes: usize,
    pub timestamp: Timestamp,
    pub value: Option<&'a [u8]>,
}

/// Walks the records of a batch. Yields as many as the header counts, and fails once if the body holds less,
/// more, or something else.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    place: Place,
}

/// How far the records of a batch were read, and what the batch's header says of them all.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    // 0 <= index <= count
    pub index: i32,
    pub count: i32,
    base_offset: Offset,
    base_timestamp: Timestamp,
    // Set where the broker's time counts instead of the records' own.
    log_append_time: Option<Timestamp>,
}

/// The headers of one record, in order; names may repeat.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    count: usize,
}

/// Why the body is not the records that its header promises. `index` counts records from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecordError {
    /// A negative count in the batch's header.
    BadCount { count: i32 },
    /// A header count beyond the bytes of the record, or a header without a name.
    BadHeaders { index: i32 },
    /// The body ends before the record does, or the record is shorter than nothing.
    BadSize { index: i32, size: i32, left: usize },
    /// Fewer or more bytes inside a record than its length says, or an endless varint.
    BadStructure { index: i32 },
    /// Bytes after the last record.
    BytesLeft { bytes: usize },
    /// The length of a record is a varint that goes on after its fifth byte.
    EndlessSize { index: i32 },
    /// Longer than the reader takes (`max.decompressed.message.bytes`).
    TooLarge { index: i32, size: usize },
}

impl<'a> Records<'a> {
    /// The records of `batch`, whose body, decompressed where it was compressed, is `body`.
    pub fn new(batch: &BatchView<'_>, body: &'a [u8]) -> Result<Records<'a>, RecordError> {
        Ok(Records { rest: body, place: Place::new(batch)? })
    }

    fn take(&mut self) -> Result<Record<'a>, RecordError> {
        let place = &mut self.place;
        let before = self.rest;
        let size = place.take_size(&mut self.rest)?;
        if size > self.rest.len() {
            return Err(RecordError::BadSize { index: place.index, size: size as i32, left: self.rest.len() });
        }
        let (fields, rest) = self.rest.split_at(size);
        self.rest = rest;
        let record = place.parse(fields, before.len() - rest.len())?;
        place.index += 1;
        if place.index == place.count && !rest.is_empty() {
            return Err(RecordError::BytesLeft { bytes: rest.len() });
        }
        Ok(record)
    }
}

impl Place {
    pub fn new(batch: &BatchView<'_>) -> Result<Place, RecordError> {
        let count = batch.record_count();
        if count < 0 {
            return Err(RecordError::BadCount { count });
        }
        let log_append_time = match batch.timestamp_type() {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(batch.max_timestamp()),
        };
        let (base_offset, base_timestamp) = (batch.base_offset(), batch.base_timestamp());
        Ok(Place { index: 0, count, base_offset, base_timestamp, log_append_time })
    }

    /// The length at the front of a record.
    #[inline]
    pub fn take_size(&self, bytes: &mut &[u8]) -> Result<usize, RecordError> {
        let index = self.index;
        match take_i32(bytes) {
            Some(size) => usize::try_from(size).map_err(|_| RecordError::BadSize { index, size, left: bytes.len() }),
            None if bytes.len() >= VARINT_BYTES_MAX => Err(RecordError::EndlessSize { index }),
            None => Err(RecordError::BadStructure { index }),
        }
    }

    pub fn offset(&self, delta: i32) -> Offset {
        self.base_offset + i64::from(delta)
    }

    pub fn timestamp(&self, delta: i64) -> Timestamp {
        // Java's sum wraps, and a client may send any base and any delta.
        self.log_append_time.unwrap_or(Timestamp(self.base_timestamp.0.wrapping_add(delta)))
    }

    pub fn parse<'a>(&self, mut fields: &'a [u8], size_bytes: usize) -> Result<Record<'a>, RecordError> {
        let bad = RecordError::BadStructure { index: self.index };
        let body_size_bytes = fields.len();
        let (&attributes, rest) = fields.split_first().ok_or(bad)?;
        fields = rest;
        let timestamp_delta = take_i64(&mut fields).ok_or(bad)?;
        let offset_delta = take_i32(&mut fields).ok_or(bad)?;
        let key = take_bytes(&mut fields).ok_or(bad)?;
        let value = take_bytes(&mut fields).ok_or(bad)?;
        let headers = take_headers(&mut fields).ok_or(RecordError::BadHeaders { index: self.index })?;
        if !fields.is_empty() {
            return Err(bad);
        }
        Ok(Record {
            attributes: attributes as i8,
            body_size_bytes,
            headers,
            key,
            offset: self.offset(offset_delta),
            offset_delta,
            size_bytes,
            timestamp: self.timestamp(timestamp_delta),
            value,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.place.index == self.place.count {
            return None;
        }
        let record = self.take();
        if record.is_err() {
            self.place.index = self.place.count;
        }
        Some(record)
    }
}

impl<'a> Headers<'a> {
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Names are UTF-8 by convention only: nothing on the way to the log checks them, so they are bytes here.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut rest = self.bytes;
        (0..self.count).map_while(move |_| take_header(&mut rest))
    }

    /// As they stand in the record, without their count.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::BadCount { count } => write!(f, "Found invalid record count {count} in magic v2 batch"),
            RecordError::BadHeaders { index } => write!(f, "Found invalid record headers in record {index}"),
            RecordError::BadSize { index, size, left } => {
                write!(f, "Invalid record size: {size} bytes in record {index}, but only {left} are left in the batch")
            }
            RecordError::BadStructure { index } => write!(f, "Found invalid record structure in record {index}"),
            RecordError::BytesLeft { bytes } => {
                write!(f, "Incorrect declared batch size, {bytes} bytes still remaining after the last record")
            }
            RecordError::EndlessSize { index } => write!(f, "Varint is too long: the length of record {index}"),
            RecordError::TooLarge { index, size } => write!(f, "Record {index} has {size} bytes, too many"),
        }
    }
}

impl std::error::Error for RecordError {}

/// A nullable byte string: any negative length is null (`Utils.readBytes`).
fn take_bytes<'a>(fields: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = take_i32(fields)?;
    if length < 0 {
        return Some(None);
    }
    let (bytes, rest) = fields.split_at_checked(length as usize)?;
    *fields = rest;
    Some(Some(bytes))
}

fn take_header<'a>(fields: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let name = take_bytes(fields)??;
    Some((name, take_bytes(fields)?))
}

/// Every header is walked once, so that later walks cannot fail. The count is bounded by the bytes that remain.
fn take_headers<'a>(fields: &mut &'a [u8]) -> Option<Headers<'a>> {
    let count = usize::try_from(take_i32(fields)?).ok()?;
    if count > fields.len() {
        return None;
    }
    let bytes = *fields;
    for _ in 0..count {
        take_header(fields)?;
    }
    Some(Headers { bytes: &bytes[..bytes.len() - fields.len()], count })
}
