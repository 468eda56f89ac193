//! The records of the metadata log, and their bytes: kind, version, length, fields, all numbers big-endian. A field that
//! is added later raises the version of its record; an older broker refuses what is newer than it knows rather than
//! skip it, since an image that lacks a fact is wrong.

mod codec;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use protocol::Uuid;
use record::{BrokerId, ProducerId, TopicId};

use self::codec::{Reader, Writer};
use crate::{Broker, Limit, Partition, QuotaEntity, Resource, ScramCredential, ScramKey};

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Record {
    /// A registration; replaces the broker's earlier one.
    Broker(Broker),
    /// The log directories of this registration that serve. Who leads a partition from another one leads it no longer; who
    /// is the only one to have a partition that nobody leads leads it. One record however many partitions that are.
    BrokerDirectories {
        broker: BrokerId,
        epoch: i64,
        directories: Vec<Uuid>,
    },
    BrokerFenced {
        broker: BrokerId,
        epoch: i64,
        fenced: bool,
    },
    BrokerRemoved(BrokerId),
    /// `None` takes it back.
    ClientQuota {
        entity: QuotaEntity,
        key: String,
        limit: Option<Limit>,
    },
    /// `None` takes the value back.
    Config {
        resource: Resource,
        name: String,
        value: Option<String>,
    },
    /// Level 0 switches it off.
    Feature {
        name: String,
        level: i16,
    },
    /// Every partition that this broker leads begins a new leader epoch: it has started anew. One record however many
    /// partitions that are.
    LeadershipRenewed(BrokerId),
    /// Only in snapshots: epochs of brokers that are gone are not given again.
    NextBrokerEpoch(i64),
    NextProducerId(ProducerId),
    /// The whole of a partition: creates or replaces it.
    Partition {
        topic: TopicId,
        index: i32,
        partition: Partition,
    },
    /// `None` takes it back.
    ScramCredential {
        key: ScramKey,
        credential: Option<ScramCredential>,
    },
    Topic {
        id: TopicId,
        name: Arc<str>,
    },
    /// Its partitions and configs go with it.
    TopicRemoved(TopicId),
}

/// Why the bytes of an entry mean nothing to this broker.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DecodeError {
    Malformed(&'static str),
    /// A later Ottla knows it.
    Newer {
        kind: u16,
        version: u16,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Malformed(what) => write!(f, "a metadata record is malformed: {what}"),
            DecodeError::Newer { kind, version } => write!(
                f,
                "a metadata record of kind {kind}, version {version} was written by a newer Ottla than this one"
            ),
        }
    }
}

impl std::error::Error for DecodeError {}

/// The bytes of one entry: records that are committed together.
#[derive(Debug, Default)]
pub struct Records(Writer);

impl Records {
    pub fn push(&mut self, record: &Record) {
        codec::write(record, &mut self.0);
    }

    pub fn size_bytes(&self) -> usize {
        self.0.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.bytes.is_empty()
    }

    pub fn finish(self) -> Bytes {
        self.0.bytes.into()
    }

    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Bytes {
        let mut bytes = Records::default();
        records.into_iter().for_each(|record| bytes.push(record));
        bytes.finish()
    }

    /// Reads what `push` wrote, one after the other. After an error there is nothing more.
    pub fn decode(bytes: &[u8]) -> impl Iterator<Item = Result<Record, DecodeError>> + use<'_> {
        let mut reader = Some(Reader::new(bytes));
        std::iter::from_fn(move || {
            let left = reader.as_mut().filter(|reader| !reader.is_empty())?;
            let record = codec::read(left);
            if record.is_err() {
                reader = None;
            }
            Some(record)
        })
    }
}

#[cfg(test)]
mod tests;
