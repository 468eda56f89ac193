//! Writes Kafka's primitive types. Like [`Reader`](crate::Reader), the first error sticks and [`Message::encode`]
//! (crate::Message::encode) reports it, so generated code writes field after field.

use std::fmt;

use bytes::Bytes;

use crate::records::Hole;
use crate::{Records, STRING_BYTES_MAX, TaggedField, Uuid};

/// Behind the bytes of a message there is little: made room for with them, it does not move them.
const FEW_BYTES: usize = 64;

/// Appends a message to a buffer, at the version that it is written in.
#[derive(Debug)]
pub struct Writer<'o> {
    out: &'o mut Vec<u8>,
    version: i16,
    flexible: bool,
    // None if records that are elsewhere are an error.
    holes: Option<&'o mut Vec<Hole>>,
    error: Option<EncodeError>,
}

/// Why a message cannot be written at a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The field has a value, the version has no such field, and it is not one to be ignored.
    FieldNotInVersion(&'static str),
    /// The version does not allow null here.
    Null(&'static str),
    /// The frame was to be encoded into one buffer.
    RecordsElsewhere,
    /// An unknown tagged field that is a known one, comes twice, is out of order or above 31 bits.
    TagOrder(u32),
    /// Strings end at `STRING_BYTES_MAX`, all else at what 31 bits count.
    TooLong,
    /// Unknown tagged fields, and the version is not flexible.
    UnknownTags,
    UnsupportedVersion,
}

/// The tagged fields of one struct while they are written, in ascending order.
#[derive(Debug)]
pub struct TagsInProgress<'m> {
    count_at: usize,
    count: usize,
    next_tag: u32,
    unknown: &'m [TaggedField],
}

impl<'o> Writer<'o> {
    pub fn new(out: &'o mut Vec<u8>, version: i16, flexible: bool) -> Self {
        Self { out, version, flexible, holes: None, error: None }
    }

    pub(crate) fn with_holes(mut self, holes: &'o mut Vec<Hole>) -> Self {
        self.holes = Some(holes);
        self
    }

    pub fn version(&self) -> i16 {
        self.version
    }

    pub fn flexible(&self) -> bool {
        self.flexible
    }

    pub fn finish(self) -> Result<(), EncodeError> {
        self.error.map_or(Ok(()), Err)
    }

    pub fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }

    pub fn bool(&mut self, value: bool) {
        self.out.push(u8::from(value));
    }

    pub fn i8(&mut self, value: i8) {
        self.out.push(value as u8);
    }

    pub fn i16(&mut self, value: i16) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub fn u16(&mut self, value: u16) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub fn i32(&mut self, value: i32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub fn u32(&mut self, value: u32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub fn i64(&mut self, value: i64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub fn f64(&mut self, value: f64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub fn uuid(&mut self, value: &Uuid) {
        self.out.extend_from_slice(&value.0);
    }

    pub fn unsigned_varint(&mut self, value: u32) {
        if value < 0x80 {
            return self.out.push(value as u8);
        }
        let (bytes, length) = varint(value);
        self.out.extend_from_slice(&bytes[..length]);
    }

    pub fn string(&mut self, value: &str) {
        if value.len() > STRING_BYTES_MAX {
            return self.fail(EncodeError::TooLong);
        }
        if self.flexible {
            self.unsigned_varint(value.len() as u32 + 1);
        } else {
            self.i16(value.len() as i16);
        }
        self.out.extend_from_slice(value.as_bytes());
    }

    pub fn nullable_string(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None if self.flexible => self.out.push(0),
            None => self.i16(-1),
        }
    }

    /// A string with a two-byte length even in a flexible version: the client id of a request header.
    pub fn nullable_old_string(&mut self, value: Option<&str>) {
        let flexible = std::mem::replace(&mut self.flexible, false);
        self.nullable_string(value);
        self.flexible = flexible;
    }

    pub fn bytes(&mut self, value: &[u8]) {
        self.out.reserve(value.len() + FEW_BYTES);
        self.length(value.len());
        self.out.extend_from_slice(value);
    }

    pub fn nullable_bytes(&mut self, value: Option<&Bytes>) {
        match value {
            Some(value) => self.bytes(value),
            None => self.null_length(),
        }
    }

    pub fn records(&mut self, value: &Records) {
        match value {
            Records::Here(bytes) => self.bytes(bytes),
            Records::Elsewhere(length) => {
                self.length(*length);
                let at = self.out.len();
                match &mut self.holes {
                    Some(holes) => holes.push(Hole { at, length: *length }),
                    None => self.fail(EncodeError::RecordsElsewhere),
                }
            }
        }
    }

    pub fn nullable_records(&mut self, value: Option<&Records>) {
        match value {
            Some(value) => self.records(value),
            None => self.null_length(),
        }
    }

    pub fn strings(&mut self, values: &[String]) {
        self.length(values.len());
        values.iter().for_each(|value| self.string(value));
    }

    pub fn i8s(&mut self, values: &[i8]) {
        self.length(values.len());
        values.iter().for_each(|value| self.i8(*value));
    }

    pub fn i16s(&mut self, values: &[i16]) {
        self.length(values.len());
        values.iter().for_each(|value| self.i16(*value));
    }

    pub fn i32s(&mut self, values: &[i32]) {
        self.length(values.len());
        values.iter().for_each(|value| self.i32(*value));
    }

    pub fn i64s(&mut self, values: &[i64]) {
        self.length(values.len());
        values.iter().for_each(|value| self.i64(*value));
    }

    pub fn uuids(&mut self, values: &[Uuid]) {
        self.length(values.len());
        values.iter().for_each(|value| self.uuid(value));
    }

    /// The length of bytes or of an array.
    pub fn length(&mut self, length: usize) {
        if length >= i32::MAX as usize {
            self.fail(EncodeError::TooLong);
        } else if self.flexible {
            self.unsigned_varint(length as u32 + 1);
        } else {
            self.i32(length as i32);
        }
    }

    /// Null bytes or a null array.
    pub fn null_length(&mut self) {
        if self.flexible {
            self.out.push(0);
        } else {
            self.i32(-1);
        }
    }

    /// The tagged fields of a struct for which the schema knows none.
    pub fn unknown_tags(&mut self, unknown: &[TaggedField]) {
        match (self.flexible, unknown) {
            (true, []) => self.out.push(0),
            (true, _) => {
                let tags = self.begin_tags(unknown);
                self.end_tags(tags);
            }
            (false, []) => {}
            (false, _) => self.fail(EncodeError::UnknownTags),
        }
    }

    pub fn begin_tags<'m>(&mut self, unknown: &'m [TaggedField]) -> TagsInProgress<'m> {
        let count_at = self.out.len();
        self.out.push(0); // Room for the count, as long as it is below 128.
        TagsInProgress { count_at, count: 0, next_tag: 0, unknown }
    }

    /// Writes the unknown tags below `tag` and then `tag`. The value follows; [`Writer::end_tag`] puts its size before it.
    pub fn begin_tag(&mut self, tags: &mut TagsInProgress<'_>, tag: u32) -> usize {
        while let [field, rest @ ..] = tags.unknown
            && field.tag < tag
        {
            tags.unknown = rest;
            self.tag_number(tags, field.tag);
            self.unsigned_varint(field.value.len() as u32);
            self.out.extend_from_slice(&field.value);
        }
        self.tag_number(tags, tag);
        self.out.push(0); // Room for the size, as long as it is below 128.
        self.out.len()
    }

    pub fn end_tag(&mut self, value_at: usize) {
        let size = self.out.len() - value_at;
        self.patch_varint(value_at - 1, size);
    }

    pub fn end_tags(&mut self, mut tags: TagsInProgress<'_>) {
        for field in std::mem::take(&mut tags.unknown) {
            self.tag_number(&mut tags, field.tag);
            self.unsigned_varint(field.value.len() as u32);
            self.out.extend_from_slice(&field.value);
        }
        self.patch_varint(tags.count_at, tags.count);
    }

    fn tag_number(&mut self, tags: &mut TagsInProgress<'_>, tag: u32) {
        if tag < tags.next_tag || tag > i32::MAX as u32 {
            self.fail(EncodeError::TagOrder(tag));
        }
        tags.next_tag = tag.saturating_add(1);
        tags.count += 1;
        self.unsigned_varint(tag);
    }

    /// Puts a varint where one byte of room was left, moving what is behind it when it takes more.
    fn patch_varint(&mut self, at: usize, value: usize) {
        let (bytes, length) = varint(value as u32);
        self.out[at] = bytes[0];
        if length > 1 {
            // No holes are behind `at`: no tagged field holds records (checked by the generator).
            self.out.splice(at + 1..at + 1, bytes[1..length].iter().copied());
        }
    }
}

fn varint(value: u32) -> ([u8; 5], usize) {
    let mut bytes = [0; 5];
    let mut rest = value;
    let mut length = 0;
    while rest >= 0x80 {
        bytes[length] = rest as u8 | 0x80;
        rest >>= 7;
        length += 1;
    }
    bytes[length] = rest as u8;
    (bytes, length + 1)
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FieldNotInVersion(field) => write!(f, "{field} is set, and this version has no such field"),
            Self::Null(field) => write!(f, "{field} is null, which this version does not allow"),
            Self::RecordsElsewhere => f.write_str("records are elsewhere, and one buffer was asked for"),
            Self::TagOrder(tag) => write!(f, "unknown tagged field {tag} is out of order"),
            Self::TooLong => f.write_str("a string, array or byte field is longer than its length can say"),
            Self::UnknownTags => f.write_str("unknown tagged fields are set, and this version is not flexible"),
            Self::UnsupportedVersion => f.write_str("unsupported version"),
        }
    }
}

impl std::error::Error for EncodeError {}
