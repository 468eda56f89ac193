//! Frames: four bytes of length, a header, a message. How long a frame may be is for the server to say.

use std::fmt;
use std::ops::RangeInclusive;

use crate::message::encode_into;
use crate::request_header::{RequestHeader, RequestHeaderView};
use crate::response_header::{ResponseHeader, ResponseHeaderView};
use crate::{ApiKey, DecodeError, EncodeError, Message, Request, Segments, View};

const FRAME_CAPACITY: usize = 256;

/// A request as it came: its header read, its body not yet. Whether the version is served is not checked here, since
/// ApiVersions is answered at any version.
#[derive(Clone, Copy, Debug)]
pub struct RequestFrame<'a> {
    pub api_key: ApiKey,
    pub api_version: i16,
    pub correlation_id: i32,
    pub client_id: Option<&'a str>,
    /// What is behind the header: `View::decode(api_version, body)`.
    pub body: &'a [u8],
}

/// Why a frame is not a request. Kafka closes the connection on either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    Header(DecodeError),
    UnknownApiKey(i16),
}

impl<'a> RequestFrame<'a> {
    /// Reads the header of a frame, which is given without its four bytes of length.
    pub fn parse(frame: &'a [u8]) -> Result<Self, FrameError> {
        let truncated = DecodeError { kind: crate::DecodeErrorKind::Truncated, at: frame.len() };
        let Some((&[key_high, key_low, version_high, version_low], _)) = frame.split_first_chunk() else {
            return Err(FrameError::Header(truncated));
        };
        let key = i16::from_be_bytes([key_high, key_low]);
        let api_key = ApiKey::from_code(key).ok_or(FrameError::UnknownApiKey(key))?;
        let api_version = i16::from_be_bytes([version_high, version_low]);
        let header_version = api_key.request_header_version(api_version);
        let (header, body) = RequestHeaderView::decode_prefix(header_version, frame).map_err(FrameError::Header)?;
        let RequestHeaderView { correlation_id, client_id, .. } = header;
        Ok(Self { api_key, api_version, correlation_id, client_id, body })
    }
}

impl RequestFrame<'_> {
    /// The version to answer at, of those that are served: the one that was asked for. ApiVersions at a version that is
    /// not served is answered at version 0 with UNSUPPORTED_VERSION, its body unread (KIP-511); on all else Kafka closes
    /// the connection, which is `None`.
    pub fn answered_at(&self, served: &RangeInclusive<i16>) -> Option<i16> {
        match served.contains(&self.api_version) {
            true => Some(self.api_version),
            false => (self.api_key == ApiKey::ApiVersions).then_some(0),
        }
    }
}

/// The whole frame of a request, its length included.
pub fn encode_request<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<Vec<u8>, EncodeError> {
    let mut frame = frame_begun();
    let header = RequestHeader {
        request_api_key: R::KEY.code(),
        request_api_version: version,
        correlation_id,
        client_id: client_id.map(str::to_owned),
        ..Default::default()
    };
    header.encode(R::KEY.request_header_version(version), &mut frame)?;
    request.encode(version, &mut frame)?;
    let length = frame.len() - 4;
    put_length(frame, length)
}

/// The whole frame of a response to a request of `api_key` at `version`, its length included.
pub fn encode_response<M: Message>(
    response: &M,
    api_key: ApiKey,
    version: i16,
    correlation_id: i32,
) -> Result<Vec<u8>, EncodeError> {
    let mut frame = response_header(api_key, version, correlation_id)?;
    response.encode(version, &mut frame)?;
    let length = frame.len() - 4;
    put_length(frame, length)
}

/// As [`encode_response`], but records may be [`Records::Elsewhere`](crate::Records::Elsewhere): the frame comes in
/// segments between which the caller writes them, with `writev` or `sendfile`. Nothing of the records is copied.
pub fn encode_response_in_segments<M: Message>(
    response: &M,
    api_key: ApiKey,
    version: i16,
    correlation_id: i32,
) -> Result<Segments, EncodeError> {
    let mut bytes = response_header(api_key, version, correlation_id)?;
    let mut holes = Vec::new();
    encode_into(response, version, &mut bytes, Some(&mut holes))?;
    let mut segments = Segments { bytes, holes };
    let length = segments.len() - 4;
    segments.bytes = put_length(segments.bytes, length)?;
    Ok(segments)
}

/// Reads the header of a response to a request of `api_key` at `version`: its correlation id, and the message behind it.
pub fn decode_response_header(api_key: ApiKey, version: i16, frame: &[u8]) -> Result<(i32, &[u8]), DecodeError> {
    let header_version = api_key.response_header_version(version);
    let (header, body) = ResponseHeaderView::decode_prefix(header_version, frame)?;
    Ok((header.correlation_id, body))
}

fn response_header(api_key: ApiKey, version: i16, correlation_id: i32) -> Result<Vec<u8>, EncodeError> {
    let mut frame = frame_begun();
    let header = ResponseHeader { correlation_id, ..Default::default() };
    header.encode(api_key.response_header_version(version), &mut frame)?;
    Ok(frame)
}

/// Room for the length, and for most responses: a vector that grows from nothing costs more than the encoding.
fn frame_begun() -> Vec<u8> {
    let mut frame = Vec::with_capacity(FRAME_CAPACITY);
    frame.extend_from_slice(&[0; 4]);
    frame
}

fn put_length(mut frame: Vec<u8>, length: usize) -> Result<Vec<u8>, EncodeError> {
    let length = i32::try_from(length).map_err(|_| EncodeError::TooLong)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(error) => write!(f, "request header: {error}"),
            Self::UnknownApiKey(key) => write!(f, "unknown API key {key}"),
        }
    }
}

impl std::error::Error for FrameError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_versions_response::{ApiVersionsResponse, ApiVersionsResponseView};

    #[test]
    fn api_versions_of_the_future_is_answered_at_version_0_with_the_oldest_header() {
        // Key 18, version 99, correlation id 7, no client id, no tagged fields; then a body that nobody knows.
        let bytes = [0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0, 0xde, 0xad];
        let frame = RequestFrame::parse(&bytes).expect("its header is flexible like that of the newest version");
        assert_eq!((frame.api_version, frame.correlation_id, frame.body), (99, 7, &[0xde, 0xad][..]));
        let version = frame.answered_at(&(0..=5)).expect("ApiVersions is always answered");
        let response = ApiVersionsResponse { error_code: 35, ..Default::default() };
        let response = encode_response(&response, frame.api_key, version, frame.correlation_id).expect("it fits");
        assert_eq!(response, [0, 0, 0, 10, 0, 0, 0, 7, 0, 35, 0, 0, 0, 0]);
        let (_, body) = decode_response_header(ApiKey::ApiVersions, 4, &response[4..]).expect("the same header at 4");
        assert_eq!(ApiVersionsResponseView::decode(0, body).expect("version 0").error_code, 35);
    }

    #[test]
    fn any_other_api_is_answered_at_versions_that_are_served_only() {
        let bytes = [0, 3, 0, 14, 0, 0, 0, 7, 0xff, 0xff, 0];
        let frame = RequestFrame::parse(&bytes).expect("a header");
        assert_eq!(frame.answered_at(&(0..=13)), None);
        assert_eq!(frame.answered_at(&(0..=14)), Some(14));
    }

    #[test]
    fn a_frame_of_a_key_that_kafka_has_not_is_no_request() {
        assert_eq!(RequestFrame::parse(&[0, 4, 0, 0, 0, 0, 0, 7, 0, 0]).unwrap_err(), FrameError::UnknownApiKey(4));
        assert!(matches!(RequestFrame::parse(&[0, 3, 0]), Err(FrameError::Header(_))));
        assert!(matches!(RequestFrame::parse(&[0, 3, 0, 1, 0, 0, 0, 7, 0, 9, b'a']), Err(FrameError::Header(_))));
    }
}
