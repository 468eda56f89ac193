//! Kafka 4.4's wire protocol: every request and response of keys 0-94 at every version, and the records of the internal
//! topics. Generated from the facts in `schema/` (written by `cargo xtask schema`, read by `build.rs`).
//!
//! Each message has two shapes, in a module named after it: an owned struct (`metadata_request::MetadataRequest`) that
//! [`Message::encode`] writes, and a view (`MetadataRequestView<'a>`) that [`View::decode`] borrows from a frame. Names
//! are Kafka's in snake_case; a field that a version lacks has the schema's default.
//!
//! Decoding validates the whole message once and allocates nothing; arrays are then read lazily ([`Array`]). Unlike
//! Kafka's, it refuses strings that are not UTF-8 and tagged fields that lie about their size. Bytes after the message
//! are ignored, as Kafka does. Record batches are bytes here: this crate knows no sockets, no clock and no batch format.

mod api_key;
mod array;
mod error_code;
mod frame;
mod hash_order;
mod message;
mod reader;
mod records;
mod tagged;
mod uuid;
mod writer;

pub use api_key::{ApiFacts, ApiKey, Listeners};
pub use array::{Array, ArrayIter, Element};
pub use error_code::ErrorCode;
pub use frame::{
    FrameError, RequestFrame, decode_response_header, encode_request, encode_response, encode_response_in_segments,
};
pub use hash_order::{HashOrder, hash_code};
pub use kind::MessageKind;
pub use message::{Message, Request, View, decode_with_version, encode_with_version};
pub use reader::{DecodeError, DecodeErrorKind, Reader};
pub use records::{Records, Segment, Segments};
pub use tagged::{TaggedField, UnknownTags};
pub use uuid::{InvalidUuid, Uuid};
pub use writer::{EncodeError, Writer};

/// More elements than this in one array are refused, as Kafka 4.4 does (`MessageUtil.MAX_ARRAY_LENGTH`).
pub const ARRAY_ELEMENTS_MAX: usize = 1_000_000;
/// More tagged fields than this in one struct are refused, as Kafka 4.4 does (`MessageUtil.MAX_TAGGED_FIELD_COUNT`).
pub const TAGGED_FIELDS_MAX: usize = 10_000;
/// Kafka's strings are never longer, also where the length is a varint.
pub const STRING_BYTES_MAX: usize = i16::MAX as usize;

include!(concat!(env!("OUT_DIR"), "/messages.rs"));
