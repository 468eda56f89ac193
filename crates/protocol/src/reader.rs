//! Reads Kafka's primitive types from bytes that are not trusted.
//!
//! The first error sticks: it is noted with its position, the rest of the input is dropped, and every later read gives
//! a default. So generated code reads field after field without a branch of its own, loops end at once, and
//! [`Reader::finish`] says at the end whether what was read may be used. It knows no message.

use std::fmt;

use crate::array::{Array, Element};
use crate::tagged::{TagSection, UnknownTags};
use crate::{ARRAY_ELEMENTS_MAX, STRING_BYTES_MAX, TAGGED_FIELDS_MAX, Uuid};

/// What is left of a message, at the version that it is written in.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
    version: i16,
    flexible: bool,
    error: Option<DecodeError>,
}

/// Why bytes are not a message, and where in the message this was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    pub kind: DecodeErrorKind,
    pub at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeErrorKind {
    /// An array of more elements than bytes remain, or than `ARRAY_ELEMENTS_MAX`.
    ArrayTooLong,
    /// A string above `STRING_BYTES_MAX`.
    StringTooLong,
    /// A tagged field that this version does not have.
    TagNotInVersion,
    /// A tagged field whose value is shorter or longer than it says.
    TagSize,
    /// A struct of more tagged fields than bytes remain, or than `TAGGED_FIELDS_MAX`.
    TooManyTags,
    Truncated,
    UnexpectedNull,
    UnsupportedVersion,
    Utf8,
    /// A varint of more than five bytes (ten for 64 bits).
    Varint,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], version: i16, flexible: bool) -> Self {
        Self { rest: bytes, length: bytes.len(), version, flexible, error: None }
    }

    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether strings, bytes and arrays have varint lengths and structs end in tagged fields (KIP-482).
    pub fn flexible(&self) -> bool {
        self.flexible
    }

    pub fn remaining(&self) -> &'a [u8] {
        self.rest
    }

    /// The bytes behind the message, or the first error. Nothing that was read counts before this said `Ok`.
    pub fn finish(&self) -> Result<&'a [u8], DecodeError> {
        self.error.map_or(Ok(self.rest), Err)
    }

    pub fn fail(&mut self, kind: DecodeErrorKind) {
        if self.error.is_none() {
            self.error = Some(DecodeError { kind, at: self.length - self.rest.len() });
        }
        self.rest = &[];
    }

    pub fn bool(&mut self) -> bool {
        self.i8() != 0
    }

    pub fn i8(&mut self) -> i8 {
        i8::from_be_bytes(self.take())
    }

    pub fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take())
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }

    pub fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    pub fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.take())
    }

    pub fn f64(&mut self) -> f64 {
        f64::from_be_bytes(self.take())
    }

    pub fn uuid(&mut self) -> Uuid {
        Uuid(self.take())
    }

    /// As Kafka's `ByteUtils.readUnsignedVarint`: a fifth byte may not continue, and what it holds above bit 31 is lost.
    pub fn unsigned_varint(&mut self) -> u32 {
        if let [byte, rest @ ..] = self.rest
            && *byte < 0x80
        {
            self.rest = rest;
            return u32::from(*byte);
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> u32 {
        let mut value = 0u32;
        for (index, &byte) in self.rest.iter().take(5).enumerate() {
            value |= u32::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return value;
            }
        }
        self.fail(if self.rest.len() < 5 { DecodeErrorKind::Truncated } else { DecodeErrorKind::Varint });
        0
    }

    pub fn string(&mut self) -> &'a str {
        self.nullable_string().unwrap_or_else(|| self.null())
    }

    pub fn nullable_string(&mut self) -> Option<&'a str> {
        let length = if self.flexible { self.compact_length() } else { i32::from(self.i16()) };
        self.string_of(length)
    }

    /// A string with a two-byte length even in a flexible version: the client id of a request header.
    pub fn nullable_old_string(&mut self) -> Option<&'a str> {
        let length = i32::from(self.i16());
        self.string_of(length)
    }

    pub fn bytes(&mut self) -> &'a [u8] {
        self.nullable_bytes().unwrap_or_else(|| self.null())
    }

    pub fn nullable_bytes(&mut self) -> Option<&'a [u8]> {
        let length = if self.flexible { self.compact_length() } else { self.i32() };
        (length >= 0).then(|| self.slice(length as usize))
    }

    pub fn array<T: Element<'a>>(&mut self) -> Array<'a, T> {
        self.nullable_array().unwrap_or_else(|| self.null())
    }

    /// Walks the elements once, so that what [`Array`] yields later has been validated.
    pub fn nullable_array<T: Element<'a>>(&mut self) -> Option<Array<'a, T>> {
        let length = if self.flexible { self.compact_length() } else { self.i32() };
        if length < 0 {
            return None;
        }
        if length as usize > self.rest.len().min(ARRAY_ELEMENTS_MAX) {
            self.fail(DecodeErrorKind::ArrayTooLong);
            return Some(Array::default());
        }
        let start = self.rest;
        T::skip(self, length as usize);
        let elements = &start[..start.len() - self.rest.len()];
        Some(Array::new(elements, length as usize, self.version, self.flexible))
    }

    /// A nullable struct: a sign byte, then its fields.
    pub fn nullable_struct<T: Element<'a>>(&mut self) -> Option<T> {
        (self.i8() >= 0).then(|| T::read(self))
    }

    /// A nullable struct in a tagged field: 0 or 1 as a varint, then its fields.
    pub fn nullable_tagged_struct<T: Element<'a>>(&mut self) -> Option<T> {
        (self.unsigned_varint() as i32 > 0).then(|| T::read(self))
    }

    /// Begins the tagged fields of a struct. There are none in a version that is not flexible.
    pub fn tags(&mut self) -> TagSection<'a> {
        if !self.flexible {
            return TagSection::default();
        }
        let count = self.unsigned_varint() as usize;
        if count > self.rest.len().min(TAGGED_FIELDS_MAX) {
            self.fail(DecodeErrorKind::TooManyTags);
            return TagSection::default();
        }
        TagSection::new(self.rest, count)
    }

    /// The next tag of the section; its value is next to be read. Checks that the value before it had its stated size.
    pub fn next_tag(&mut self, section: &mut TagSection<'a>) -> Option<u32> {
        if section.is_inside_value() && self.rest.len() != section.rest_after_value() {
            self.fail(DecodeErrorKind::TagSize);
        }
        if !section.advance() || self.error.is_some() {
            return None;
        }
        let tag = self.unsigned_varint();
        let size = self.unsigned_varint() as usize;
        if size > self.rest.len() {
            self.fail(DecodeErrorKind::TagSize);
        }
        section.enter_value(self.rest.len().saturating_sub(size));
        Some(tag)
    }

    /// Steps over the value of a tag that the schema does not know, and remembers that there was one.
    pub fn unknown_tag(&mut self, section: &mut TagSection<'a>) {
        self.rest = &self.rest[self.rest.len().saturating_sub(section.rest_after_value())..];
        section.saw_unknown();
    }

    /// The tagged fields of a struct for which the schema knows none.
    #[inline]
    pub fn unknown_tags(&mut self) -> UnknownTags<'a> {
        match self.rest {
            _ if !self.flexible => UnknownTags::default(),
            [0, rest @ ..] => {
                self.rest = rest; // None, as nearly always.
                UnknownTags::default()
            }
            _ => self.some_unknown_tags(),
        }
    }

    #[cold]
    fn some_unknown_tags(&mut self) -> UnknownTags<'a> {
        let mut section = self.tags();
        while self.next_tag(&mut section).is_some() {
            self.unknown_tag(&mut section);
        }
        section.unknown()
    }

    pub fn slice(&mut self, length: usize) -> &'a [u8] {
        let Some((head, tail)) = self.rest.split_at_checked(length) else {
            self.fail(DecodeErrorKind::Truncated);
            return &[];
        };
        self.rest = tail;
        head
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((head, tail)) = self.rest.split_first_chunk() else {
            self.fail(DecodeErrorKind::Truncated);
            return [0; N];
        };
        self.rest = tail;
        *head
    }

    /// Lengths of flexible versions are one more than they are; all that Kafka's 32 bits make negative is null.
    fn compact_length(&mut self) -> i32 {
        (self.unsigned_varint() as i32).wrapping_sub(1)
    }

    fn string_of(&mut self, length: i32) -> Option<&'a str> {
        if length < 0 {
            return None;
        }
        if length as usize > STRING_BYTES_MAX {
            self.fail(DecodeErrorKind::StringTooLong);
            return Some("");
        }
        let before = self.rest;
        let bytes = self.slice(length as usize);
        Some(std::str::from_utf8(bytes).unwrap_or_else(|_| {
            self.rest = before; // The error is where the string begins.
            self.fail(DecodeErrorKind::Utf8);
            ""
        }))
    }

    fn null<T: Default>(&mut self) -> T {
        self.fail(DecodeErrorKind::UnexpectedNull);
        T::default()
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            DecodeErrorKind::ArrayTooLong => "an array of more elements than allowed or present",
            DecodeErrorKind::StringTooLong => "a string above 32767 bytes",
            DecodeErrorKind::TagNotInVersion => "a tagged field that this version does not have",
            DecodeErrorKind::TagSize => "a tagged field of another size than stated",
            DecodeErrorKind::TooManyTags => "more tagged fields than allowed or present",
            DecodeErrorKind::Truncated => "the message is cut short",
            DecodeErrorKind::UnexpectedNull => "null where the version does not allow it",
            DecodeErrorKind::UnsupportedVersion => "unsupported version",
            DecodeErrorKind::Utf8 => "a string that is not UTF-8",
            DecodeErrorKind::Varint => "a varint of too many bytes",
        };
        write!(f, "{what}, at byte {}", self.at)
    }
}

impl std::error::Error for DecodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn error<'b, R>(bytes: &'b [u8], read: impl FnOnce(&mut Reader<'b>) -> R) -> Option<DecodeErrorKind> {
        let mut reader = Reader::new(bytes, 0, true);
        read(&mut reader);
        reader.finish().err().map(|error| error.kind)
    }

    #[test]
    fn a_varint_of_five_bytes_is_the_longest_and_loses_its_high_bits_as_in_kafka() {
        let mut reader = Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x7f, 9], 0, true);
        assert_eq!(reader.unsigned_varint(), u32::MAX);
        assert_eq!(reader.i8(), 9);
        let six = [0x80, 0x80, 0x80, 0x80, 0x80, 0];
        assert_eq!(error(&six, |reader| reader.unsigned_varint()), Some(DecodeErrorKind::Varint));
        assert_eq!(error(&six[..4], |reader| reader.unsigned_varint()), Some(DecodeErrorKind::Truncated));
    }

    #[test]
    fn the_first_error_sticks_with_its_position() {
        let mut reader = Reader::new(&[0, 1, 0xff, 0xff, 0, 3, b'a'], 0, false);
        assert_eq!(reader.i16(), 1);
        assert_eq!(reader.string(), "");
        assert_eq!(reader.i64(), 0);
        assert_eq!(reader.finish(), Err(DecodeError { kind: DecodeErrorKind::UnexpectedNull, at: 4 }));
    }

    #[test]
    fn lengths_beyond_the_input_are_refused_before_anything_is_walked() {
        let long = [0xff, 0xff, 0xff, 0xff, 0x07, 1, 2, 3];
        assert_eq!(error(&long, |reader| reader.bytes()), Some(DecodeErrorKind::Truncated));
        assert_eq!(error(&long, |reader| reader.string()), Some(DecodeErrorKind::StringTooLong));
        assert_eq!(error(&long, |reader| reader.array::<i8>()), Some(DecodeErrorKind::ArrayTooLong));
        assert_eq!(error(&long, |reader| reader.unknown_tags()), Some(DecodeErrorKind::TooManyTags));
    }

    #[test]
    fn a_million_elements_and_ten_thousand_tags_are_the_most() {
        let array = |elements: usize| {
            let mut bytes = (elements as i32).to_be_bytes().to_vec();
            bytes.resize(4 + elements, 0);
            let mut reader = Reader::new(&bytes, 0, false);
            reader.array::<i8>();
            reader.finish().err().map(|error| error.kind)
        };
        assert_eq!(array(ARRAY_ELEMENTS_MAX), None);
        assert_eq!(array(ARRAY_ELEMENTS_MAX + 1), Some(DecodeErrorKind::ArrayTooLong));
        let tags = |count: usize| {
            let mut bytes = vec![(count & 0x7f) as u8 | 0x80, (count >> 7) as u8];
            bytes.resize(2 + 2 * count, 0);
            error(&bytes, |reader| reader.unknown_tags())
        };
        assert_eq!(tags(TAGGED_FIELDS_MAX), None);
        assert_eq!(tags(TAGGED_FIELDS_MAX + 1), Some(DecodeErrorKind::TooManyTags));
    }

    #[test]
    fn a_tag_whose_value_is_shorter_than_stated_is_refused() {
        let read = |reader: &mut Reader<'_>| {
            let mut section = reader.tags();
            while let Some(tag) = reader.next_tag(&mut section) {
                assert_eq!(tag, 5);
                reader.i16();
            }
        };
        assert_eq!(error(&[1, 5, 2, 0, 0], read), None);
        assert_eq!(error(&[1, 5, 3, 0, 0, 0], read), Some(DecodeErrorKind::TagSize));
        assert_eq!(error(&[1, 5, 1, 0, 0], read), Some(DecodeErrorKind::TagSize));
    }

    #[test]
    fn strings_that_are_not_utf_8_are_refused() {
        assert_eq!(error(&[3, 0xc3, 0x28], |reader| reader.string()), Some(DecodeErrorKind::Utf8));
    }
}
