//! The records of `__consumer_offsets` that classic groups and offsets are made of, as bytes and back. Written exactly as
//! Kafka 4.4 writes them (`GroupCoordinatorRecordHelpers`); read at every version that Kafka reads.

use protocol::group_metadata_key::{GroupMetadataKey, GroupMetadataKeyView};
use protocol::group_metadata_value::{GroupMetadataValue, GroupMetadataValueView};
use protocol::legacy_offset_commit_key::LegacyOffsetCommitKeyView;
use protocol::legacy_offset_commit_value::LegacyOffsetCommitValueView;
use protocol::offset_commit_key::{OffsetCommitKey, OffsetCommitKeyView};
use protocol::offset_commit_value::{OffsetCommitValue, OffsetCommitValueView};
use protocol::{DecodeError, Message, View, encode_with_version};

/// The two bytes before a key say what kind of record it is.
const LEGACY_OFFSET_COMMIT: i16 = 0;
const OFFSET_COMMIT: i16 = 1;
const GROUP_METADATA: i16 = 2;

/// Kafka has not moved to 4 yet, so that a broker of the version before can read what this one wrote.
const GROUP_METADATA_VERSION: i16 = 3;
const OFFSET_COMMIT_VERSION: i16 = 4;
/// Only this version has an expiry of its own, for the retention time that OffsetCommit up to v4 asks for.
const OFFSET_COMMIT_EXPIRING_VERSION: i16 = 1;

/// One record; without a value it is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRecord {
    GroupMetadata { group_id: String, value: Option<GroupMetadataValue> },
    OffsetCommit { group_id: String, topic: String, partition: i32, value: Option<OffsetCommitValue> },
}

/// What a record of the log turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Replayed {
    Record(GroupRecord),
    /// A kind that belongs to another protocol, or to a later Kafka, which ignores such too.
    Skipped {
        kind: i16,
    },
}

/// Why a record cannot be replayed. Kafka then fails the load of the partition, for to go on would be to forget.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReplayError {
    BadKey(DecodeError),
    BadValue(DecodeError),
    NoKey,
    UnknownVersion { kind: i16, version: i16 },
}

impl GroupRecord {
    pub fn key(&self) -> Vec<u8> {
        match self {
            GroupRecord::GroupMetadata { group_id, .. } => {
                key(GROUP_METADATA, &GroupMetadataKey { group: group_id.clone(), ..Default::default() })
            }
            GroupRecord::OffsetCommit { group_id, topic, partition, .. } => {
                let (group, topic) = (group_id.clone(), topic.clone());
                key(OFFSET_COMMIT, &OffsetCommitKey { group, topic, partition: *partition, ..Default::default() })
            }
        }
    }

    pub fn value(&self) -> Option<Vec<u8>> {
        let encoded = match self {
            GroupRecord::GroupMetadata { value, .. } => encode_with_version(value.as_ref()?, GROUP_METADATA_VERSION),
            GroupRecord::OffsetCommit { value, .. } => {
                let value = value.as_ref()?;
                let expires = value.expire_timestamp != -1;
                let version = if expires { OFFSET_COMMIT_EXPIRING_VERSION } else { OFFSET_COMMIT_VERSION };
                encode_with_version(value, version)
            }
        };
        Some(encoded.expect("every field came in a frame, so it fits in a record"))
    }

    /// Reads back what `key` and `value` wrote, or what Kafka did.
    pub fn replay(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Replayed, ReplayError> {
        let key = key.ok_or(ReplayError::NoKey)?;
        let Some((kind, key)) = key.split_first_chunk() else {
            return Err(ReplayError::BadKey(DecodeError { kind: protocol::DecodeErrorKind::Truncated, at: 0 }));
        };
        let record = match i16::from_be_bytes(*kind) {
            LEGACY_OFFSET_COMMIT => {
                let key = LegacyOffsetCommitKeyView::decode(0, key).map_err(ReplayError::BadKey)?;
                let value = read::<LegacyOffsetCommitValueView<'_>>(LEGACY_OFFSET_COMMIT, value)?;
                GroupRecord::OffsetCommit {
                    group_id: key.group.to_owned(),
                    topic: key.topic.to_owned(),
                    partition: key.partition,
                    value: value.map(|value| OffsetCommitValue {
                        offset: value.offset,
                        metadata: value.metadata.to_owned(),
                        commit_timestamp: value.commit_timestamp,
                        ..Default::default()
                    }),
                }
            }
            OFFSET_COMMIT => {
                let key = OffsetCommitKeyView::decode(0, key).map_err(ReplayError::BadKey)?;
                let value = read::<OffsetCommitValueView<'_>>(OFFSET_COMMIT, value)?;
                GroupRecord::OffsetCommit {
                    group_id: key.group.to_owned(),
                    topic: key.topic.to_owned(),
                    partition: key.partition,
                    value: value.map(|value| value.to_owned()),
                }
            }
            GROUP_METADATA => {
                let key = GroupMetadataKeyView::decode(0, key).map_err(ReplayError::BadKey)?;
                let value = read::<GroupMetadataValueView<'_>>(GROUP_METADATA, value)?;
                let group_id = key.group.to_owned();
                GroupRecord::GroupMetadata { group_id, value: value.map(|value| value.to_owned()) }
            }
            kind => return Ok(Replayed::Skipped { kind }),
        };
        Ok(Replayed::Record(record))
    }
}

fn key<M: Message>(kind: i16, key: &M) -> Vec<u8> {
    let mut out = kind.to_be_bytes().to_vec();
    key.encode(0, &mut out).expect("every field came in a frame, so it fits in a key");
    out
}

/// Strict where the consumer protocol is lax: a version above the newest is refused, as Kafka does with its own records.
fn read<'a, V: View<'a>>(kind: i16, value: Option<&'a [u8]>) -> Result<Option<V>, ReplayError> {
    let Some(value) = value else { return Ok(None) };
    let Some((version, body)) = value.split_first_chunk() else {
        return Err(ReplayError::BadValue(DecodeError { kind: protocol::DecodeErrorKind::Truncated, at: 0 }));
    };
    let version = i16::from_be_bytes(*version);
    if !V::Owned::VERSIONS.contains(&version) {
        return Err(ReplayError::UnknownVersion { kind, version });
    }
    V::decode(version, body).map(Some).map_err(ReplayError::BadValue)
}
