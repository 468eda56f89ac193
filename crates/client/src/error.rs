//! Why a request got no answer. Error codes inside an answer are not here: they are the caller's to read.
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use protocol::{ApiKey, DecodeError, EncodeError};

use crate::address::Address;

/// Cloneable, since all requests on a connection share its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CallError {
    /// The connection ended before the answer came. Whether the request was carried out is unknown.
    Closed { peer: String, reason: String },
    /// No connection to any address of this host.
    Connect { address: Address, reason: String },
    /// The answer cannot be read.
    Decode { api_key: ApiKey, version: i16, error: DecodeError },
    /// The request cannot be said at this version.
    Encode { api_key: ApiKey, version: i16, error: EncodeError },
    /// No broker of this id is in the metadata.
    NoSuchBroker { id: i32 },
    /// No answer within the time. The connection is closed then, as Kafka's clients do.
    Timeout { api_key: ApiKey, peer: String, after: Duration },
    /// There is no version that both sides know. `theirs` is `None` if the broker lacks the API.
    Unsupported { api_key: ApiKey, ours: RangeInclusive<i16>, theirs: Option<RangeInclusive<i16>> },
}

impl CallError {
    /// The same request may succeed on another connection, or later.
    pub fn is_retriable(&self) -> bool {
        match self {
            CallError::Closed { .. }
            | CallError::Connect { .. }
            | CallError::NoSuchBroker { .. }
            | CallError::Timeout { .. } => true,
            CallError::Decode { .. } | CallError::Encode { .. } | CallError::Unsupported { .. } => false,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Closed { peer, reason } => write!(f, "the connection to {peer} ended: {reason}"),
            CallError::Connect { address, reason } => write!(f, "cannot connect to {address}: {reason}"),
            CallError::Decode { api_key, version, error } => {
                write!(f, "the answer to {api_key} v{version} cannot be read: {error}")
            }
            CallError::Encode { api_key, version, error } => {
                write!(f, "{api_key} cannot be asked at version {version}: {error}")
            }
            CallError::NoSuchBroker { id } => write!(f, "the cluster has no broker {id}"),
            CallError::Timeout { api_key, peer, after } => {
                write!(f, "{peer} did not answer {api_key} within {} ms", after.as_millis())
            }
            CallError::Unsupported { api_key, ours, theirs: Some(theirs) } => {
                let (from, to) = (ours.start(), ours.end());
                write!(f, "the broker serves {api_key} {}-{}, and {from}-{to} is needed", theirs.start(), theirs.end())
            }
            CallError::Unsupported { api_key, theirs: None, .. } => write!(f, "the broker does not serve {api_key}"),
        }
    }
}

impl std::error::Error for CallError {}
