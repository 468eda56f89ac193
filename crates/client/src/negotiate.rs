//! Which versions of each API the broker serves, learned from ApiVersions before anything else is asked (KIP-35,
//! KIP-511).
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use protocol::api_versions_response::{ApiVersionsResponse, ApiVersionsResponseView};
use protocol::{ApiKey, DecodeError, ErrorCode, View};

use crate::error::CallError;

/// The versions that one broker serves.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Versions {
    by_key: BTreeMap<i16, RangeInclusive<i16>>,
}

/// What a broker said to ApiVersions.
pub(crate) enum Greeting {
    Versions(Versions),
    /// It does not know the version that we asked with, and knows this one.
    AskAt(i16),
    Refused(ErrorCode),
}

impl Versions {
    pub fn of(&self, api_key: ApiKey) -> Option<RangeInclusive<i16>> {
        self.by_key.get(&api_key.code()).cloned()
    }

    /// All that the broker serves, by number; keys that we do not know too.
    pub fn iter(&self) -> impl Iterator<Item = (i16, RangeInclusive<i16>)> {
        self.by_key.iter().map(|(key, versions)| (*key, versions.clone()))
    }

    /// The highest version that both know.
    pub fn choose(&self, api_key: ApiKey, ours: RangeInclusive<i16>) -> Result<i16, CallError> {
        let theirs = self.of(api_key);
        let highest = theirs.as_ref().map(|theirs| *theirs.end().min(ours.end()));
        match (&theirs, highest) {
            (Some(theirs), Some(highest)) if highest >= *theirs.start().max(ours.start()) => Ok(highest),
            _ => Err(CallError::Unsupported { api_key, ours, theirs }),
        }
    }
}

/// Reads the body of an answer to ApiVersions that was asked at `version`.
pub(crate) fn greeting(version: i16, body: &[u8]) -> Result<Greeting, DecodeError> {
    let error = body.first_chunk().map(|code| i16::from_be_bytes(*code));
    if error == Some(ErrorCode::UnsupportedVersion.code()) {
        // Then the body is of version 0, whatever was asked, and names the versions of ApiVersions itself, or nothing.
        let response = ApiVersionsResponseView::decode(0, body)?;
        let own = response.api_keys.iter().find(|api| api.api_key == ApiKey::ApiVersions.code());
        return Ok(match own.map_or(0, |api| api.max_version) {
            lower if lower < version => Greeting::AskAt(lower.max(0)),
            _ => Greeting::Refused(ErrorCode::UnsupportedVersion),
        });
    }
    let response: ApiVersionsResponse = ApiVersionsResponseView::decode(version, body)?.to_owned();
    match ErrorCode::from_code(response.error_code) {
        Some(ErrorCode::None) => {
            let served = response.api_keys.iter().map(|api| (api.api_key, api.min_version..=api.max_version));
            Ok(Greeting::Versions(Versions { by_key: served.collect() }))
        }
        error => Ok(Greeting::Refused(error.unwrap_or(ErrorCode::UnknownServerError))),
    }
}
