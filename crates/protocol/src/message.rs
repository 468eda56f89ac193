//! What all generated messages have in common: owned structs are [`Message`]s and write themselves, views are
//! [`View`]s and read themselves.

use std::fmt::Debug;
use std::ops::RangeInclusive;

use crate::records::Hole;
use crate::{ApiKey, DecodeError, DecodeErrorKind, Element, EncodeError, Reader, Writer};

/// An owned message.
pub trait Message: Clone + Debug + Default + PartialEq {
    const NAME: &'static str;
    const VERSIONS: RangeInclusive<i16>;
    type View<'a>: View<'a, Owned = Self>;

    fn is_flexible(version: i16) -> bool;

    /// Writes all fields. [`Message::encode`] is what callers want.
    fn write(&self, writer: &mut Writer<'_>);

    /// For how long the broker holds the client back; nothing in a message that cannot say it.
    fn set_throttle_time_ms(&mut self, _: i32) {}

    /// Each error code of a response, as it counts in Kafka's metrics of errors (`AbstractResponse.errorCounts`). One that
    /// the version lacks does not count.
    fn each_error_code(&self, _version: i16, _tell: &mut impl FnMut(i16)) {}

    /// Appends the message to `out`, or fails and leaves `out` as it was. A field that the version lacks must have its
    /// default, unless the schema says that it may be ignored.
    fn encode(&self, version: i16, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode_into(self, version, out, None)
    }

    /// Decodes to the owned shape, unknown tagged fields included. Servers want [`View::decode`].
    fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self::View::decode(version, bytes)?.to_message())
    }
}

/// A message that is asked of a broker or controller.
pub trait Request: Message {
    const KEY: ApiKey;
    type Response: Message;
}

/// A message that lies in a frame.
pub trait View<'a>: Element<'a> {
    type Owned: Message<View<'a> = Self>;

    /// Copies what is borrowed; every view has it as `to_owned` too.
    fn to_message(&self) -> Self::Owned;

    /// Validates the whole message. Bytes behind it are ignored, as in Kafka.
    fn decode(version: i16, bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(Self::decode_prefix(version, bytes)?.0)
    }

    /// Validates the message and says what follows it.
    fn decode_prefix(version: i16, bytes: &'a [u8]) -> Result<(Self, &'a [u8]), DecodeError> {
        if !Self::Owned::VERSIONS.contains(&version) {
            return Err(DecodeError { kind: DecodeErrorKind::UnsupportedVersion, at: 0 });
        }
        let mut reader = Reader::new(bytes, version, Self::Owned::is_flexible(version));
        let view = Self::read(&mut reader);
        Ok((view, reader.finish()?))
    }
}

/// Records of internal topics and the consumer protocol are a message behind two bytes that say its version.
pub fn encode_with_version<M: Message>(message: &M, version: i16) -> Result<Vec<u8>, EncodeError> {
    let mut out = version.to_be_bytes().to_vec();
    message.encode(version, &mut out)?;
    Ok(out)
}

/// The counterpart of [`encode_with_version`]: the version that the bytes state, and the message. A version above the
/// newest is read as the newest, as Kafka does with the consumer protocol, whose later versions only append; a caller
/// that must refuse such a one looks at the version.
pub fn decode_with_version<'a, V: View<'a>>(bytes: &'a [u8]) -> Result<(i16, V), DecodeError> {
    let Some((version, body)) = bytes.split_first_chunk() else {
        return Err(DecodeError { kind: DecodeErrorKind::Truncated, at: 0 });
    };
    let version = i16::from_be_bytes(*version);
    let readable = version.min(*V::Owned::VERSIONS.end());
    let view = V::decode(readable, body).map_err(|error| DecodeError { at: error.at + 2, ..error })?;
    Ok((version, view))
}

pub(crate) fn encode_into<M: Message>(
    message: &M,
    version: i16,
    out: &mut Vec<u8>,
    holes: Option<&mut Vec<Hole>>,
) -> Result<(), EncodeError> {
    if !M::VERSIONS.contains(&version) {
        return Err(EncodeError::UnsupportedVersion);
    }
    let length_before = out.len();
    let mut writer = Writer::new(out, version, M::is_flexible(version));
    if let Some(holes) = holes {
        writer = writer.with_holes(holes);
    }
    message.write(&mut writer);
    let written = writer.finish();
    if written.is_err() {
        out.truncate(length_before);
    }
    written
}
