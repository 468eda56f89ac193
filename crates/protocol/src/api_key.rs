//! The APIs of Kafka 4.4 and what is the same for every message of one: versions, header versions, listeners. Which of
//! them a server serves is the server's business. The enum itself is generated from `schema/`.

use std::ops::RangeInclusive;

include!(concat!(env!("OUT_DIR"), "/api_keys.rs"));

/// What the schema says about an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiFacts {
    pub name: &'static str,
    pub versions: RangeInclusive<i16>,
    /// The first flexible version (KIP-482); `i16::MAX` if none is, `i16::MIN` if all are, unknown ones included.
    pub flexible_from: i16,
    /// The newest version is not released; Kafka serves it with `unstable.api.versions.enable` only.
    pub latest_version_unstable: bool,
    pub listeners: Listeners,
}

/// Where Kafka answers an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listeners {
    pub broker: bool,
    pub controller: bool,
}

impl ApiKey {
    pub fn code(self) -> i16 {
        self as i16
    }

    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// All versions that decode and encode here.
    pub fn versions(self) -> RangeInclusive<i16> {
        self.facts().versions.clone()
    }

    /// The versions without one that is not released.
    pub fn stable_versions(self) -> RangeInclusive<i16> {
        let facts = self.facts();
        *facts.versions.start()..=*facts.versions.end() - i16::from(facts.latest_version_unstable)
    }

    pub fn is_flexible(self, version: i16) -> bool {
        version >= self.facts().flexible_from
    }

    /// Also for versions that are not known, so that ApiVersions can be answered at any.
    pub fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// ApiVersions is answered with the oldest header always, as its client does not know yet what the broker speaks
    /// (KIP-511).
    pub fn response_header_version(self, version: i16) -> i16 {
        i16::from(self.is_flexible(version) && self != Self::ApiVersions)
    }
}

impl std::fmt::Display for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
