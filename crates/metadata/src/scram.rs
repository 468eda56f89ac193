//! Credentials of SCRAM users (KIP-554): kept, described and altered; who they let in is a later release's.

use std::sync::Arc;

use bytes::Bytes;

use crate::tree::Tree;

/// Kafka's `ScramMechanism`, by its code.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ScramMechanism {
    Sha256,
    Sha512,
}

impl ScramMechanism {
    pub fn code(self) -> i8 {
        match self {
            ScramMechanism::Sha256 => 1,
            ScramMechanism::Sha512 => 2,
        }
    }

    pub fn of(code: i8) -> Option<Self> {
        [ScramMechanism::Sha256, ScramMechanism::Sha512].into_iter().find(|mechanism| mechanism.code() == code)
    }
}

/// What a broker needs to check a password: neither it nor what a client sends can be made from this (RFC 5802).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScramCredential {
    pub salt: Bytes,
    pub stored_key: Bytes,
    pub server_key: Bytes,
    pub iterations: i32,
}

/// A user's credential of one mechanism.
pub type ScramKey = (String, ScramMechanism);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScramCredentials(Tree<ScramKey, Arc<ScramCredential>>);

impl ScramCredentials {
    pub fn find(&self, key: &ScramKey) -> Option<&ScramCredential> {
        self.0.get(key).map(|credential| &**credential)
    }

    /// By user.
    pub fn iter(&self) -> impl Iterator<Item = (&ScramKey, &ScramCredential)> + use<'_> {
        self.0.iter().map(|(key, credential)| (key, &**credential))
    }

    pub(crate) fn iter_from(&self, key: &ScramKey) -> impl Iterator<Item = (&ScramKey, &ScramCredential)> + use<'_> {
        self.0.range_from(key).map(|(key, credential)| (key, &**credential))
    }

    pub(crate) fn set(&mut self, key: ScramKey, credential: Option<ScramCredential>) {
        match credential {
            Some(credential) => drop(self.0.insert(key, Arc::new(credential))),
            None => drop(self.0.remove(&key)),
        }
    }
}
