//! Control records: what brokers write into a log between the records of clients.
//! Only their bytes; what a marker does to a transaction is decided where transactions are known.

use std::fmt;

use crate::ids::BrokerId;
use crate::record::Record;
use crate::varint::put_unsigned;

/// The kind of a control record, in its key (`ControlRecordType`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ControlKind {
    Abort,
    Commit,
    LeaderChange,
    SnapshotHeader,
    SnapshotFooter,
    KRaftVersion,
    KRaftVoters,
    /// A kind of a later version; readers skip it.
    Unknown(i16),
}

/// The end of a transaction on one partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EndTxnMarker {
    pub committed: bool,
    pub coordinator_epoch: i32,
}

/// The first record of a new leader of the metadata quorum (version 0 of the message: voters by id alone).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeaderChange {
    pub leader: BrokerId,
    pub voters: Vec<BrokerId>,
    pub granting_voters: Vec<BrokerId>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ControlError {
    NoKey,
    NotAMarker { kind: ControlKind },
    ShortKey { bytes: usize },
    ShortValue { bytes: usize },
    Version { version: i16 },
}

impl ControlKind {
    /// What the key of a control record says. A higher version of the key may only add to it.
    pub fn of(record: &Record<'_>) -> Result<ControlKind, ControlError> {
        let key = record.key.ok_or(ControlError::NoKey)?;
        let (version, rest) = key.split_first_chunk().ok_or(ControlError::ShortKey { bytes: key.len() })?;
        let version = i16::from_be_bytes(*version);
        if version < 0 {
            return Err(ControlError::Version { version });
        }
        let (kind, _) = rest.split_first_chunk().ok_or(ControlError::ShortKey { bytes: key.len() })?;
        Ok(match i16::from_be_bytes(*kind) {
            0 => ControlKind::Abort,
            1 => ControlKind::Commit,
            2 => ControlKind::LeaderChange,
            3 => ControlKind::SnapshotHeader,
            4 => ControlKind::SnapshotFooter,
            5 => ControlKind::KRaftVersion,
            6 => ControlKind::KRaftVoters,
            other => ControlKind::Unknown(other),
        })
    }

    pub const fn id(self) -> i16 {
        match self {
            ControlKind::Abort => 0,
            ControlKind::Commit => 1,
            ControlKind::LeaderChange => 2,
            ControlKind::SnapshotHeader => 3,
            ControlKind::SnapshotFooter => 4,
            ControlKind::KRaftVersion => 5,
            ControlKind::KRaftVoters => 6,
            ControlKind::Unknown(id) => id,
        }
    }

    /// Version 0 of the key.
    pub fn key(self) -> [u8; 4] {
        let [high, low] = self.id().to_be_bytes();
        [0, 0, high, low]
    }
}

impl EndTxnMarker {
    pub fn parse(record: &Record<'_>) -> Result<EndTxnMarker, ControlError> {
        let committed = match ControlKind::of(record)? {
            ControlKind::Abort => false,
            ControlKind::Commit => true,
            kind => return Err(ControlError::NotAMarker { kind }),
        };
        let value = record.value.unwrap_or_default();
        let short = ControlError::ShortValue { bytes: value.len() };
        let (version, rest) = value.split_first_chunk().ok_or(short)?;
        let version = i16::from_be_bytes(*version);
        if version < 0 {
            return Err(ControlError::Version { version });
        }
        let (coordinator_epoch, _) = rest.split_first_chunk().ok_or(short)?;
        Ok(EndTxnMarker { committed, coordinator_epoch: i32::from_be_bytes(*coordinator_epoch) })
    }

    pub fn kind(&self) -> ControlKind {
        if self.committed { ControlKind::Commit } else { ControlKind::Abort }
    }

    pub fn value(&self) -> [u8; 6] {
        let [a, b, c, d] = self.coordinator_epoch.to_be_bytes();
        [0, 0, a, b, c, d]
    }
}

impl LeaderChange {
    pub fn value(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&0i16.to_be_bytes());
        out.extend_from_slice(&self.leader.0.to_be_bytes());
        for voters in [&self.voters, &self.granting_voters] {
            put_unsigned(&mut out, voters.len() as u64 + 1);
            for voter in voters {
                out.extend_from_slice(&voter.0.to_be_bytes());
                put_unsigned(&mut out, 0); // No tagged fields.
            }
        }
        put_unsigned(&mut out, 0);
        out
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ControlError::NoKey => f.write_str("a control record without a key"),
            ControlError::NotAMarker { kind } => write!(f, "a control record of kind {} is no end marker", kind.id()),
            ControlError::ShortKey { bytes } => write!(f, "a control record's key of only {bytes} bytes"),
            ControlError::ShortValue { bytes } => write!(f, "an end marker's value of only {bytes} bytes"),
            ControlError::Version { version } => write!(f, "a control record of version {version}"),
        }
    }
}

impl std::error::Error for ControlError {}
