//! The bytes of `__consumer_offsets`, as Kafka 4.4.0's own classes wrote them, and bytes that nobody should have written.

use coordinator::group::Replayed;
use coordinator::{GroupConfig, GroupRecord, GroupShard, ReplayError, Request};
use protocol::Uuid;
use protocol::group_metadata_value::{GroupMetadataValue, MemberMetadata};
use protocol::offset_commit_value::OffsetCommitValue;
use protocol::offset_fetch_request::OffsetFetchRequestGroup;

const LEGACY_OFFSET_KEY: &str = "000000076772c3bc70706500017400000007";
const OFFSET_KEY: &str = "000100076772c3bc70706500017400000007";
const GROUP_KEY: &str = "000200076772c3bc707065";
/// A group of KIP-848.
const CONSUMER_GROUP_KEY: &str = "000300076772c3bc707065";
/// Versions 0 to 4; only 1 has an expiry, from 3 on there is a leader epoch, in 4 an id of the topic.
const OFFSET_VALUES: [&str; 5] = [
    "0000000000000000002a00016d00000000000003e8",
    "0001000000000000002a00016d00000000000003e800000000000007d0",
    "0002000000000000002a00016d00000000000003e8",
    "0003000000000000002a0000000300016d00000000000003e8",
    "0004000000000000002a00000003026d00000000000003e801001000000000000000010000000000000002",
];
const OFFSET_VALUE_WITHOUT_ANYTHING: &str = "0004000000000000002affffffff0100000000000003e800";
/// Versions 0 to 4.
const GROUP_VALUES: [&str; 5] = [
    "00000008636f6e73756d657200000005000572616e67650003692d31000000010003692d31000163000a2f3132372e302e302e31000027100000000201020000000103",
    "00010008636f6e73756d657200000005000572616e67650003692d31000000010003692d31000163000a2f3132372e302e302e310000ea60000027100000000201020000000103",
    "00020008636f6e73756d657200000005000572616e67650003692d3100000000000003e8000000010003692d31000163000a2f3132372e302e302e310000ea60000027100000000201020000000103",
    "00030008636f6e73756d657200000005000572616e67650003692d3100000000000003e8000000010003692d31000169000163000a2f3132372e302e302e310000ea60000027100000000201020000000103",
    "000409636f6e73756d6572000000050672616e676504692d3100000000000003e80204692d31026902630b2f3132372e302e302e310000ea600000271003010202030000",
];
const EMPTY_GROUP_VALUE: &str = "0003000000000000ffffffff00000000000003e800000000";

#[test]
fn offsets_are_written_as_kafka_writes_them() {
    let value = OffsetCommitValue {
        offset: 42,
        leader_epoch: 3,
        metadata: "m".to_owned(),
        commit_timestamp: 1000,
        topic_id: Uuid((1u128 << 64 | 2).to_be_bytes()),
        ..Default::default()
    };
    assert_eq!(offset(Some(value.clone())).key(), bytes(OFFSET_KEY));
    assert_eq!(offset(Some(value.clone())).value(), Some(bytes(OFFSET_VALUES[4])));
    // One that expires by itself is written as in old times, without what those did not know.
    let expiring = OffsetCommitValue { expire_timestamp: 2000, ..value };
    assert_eq!(offset(Some(expiring)).value(), Some(bytes(OFFSET_VALUES[1])));
    let bare = OffsetCommitValue { offset: 42, commit_timestamp: 1000, ..Default::default() };
    assert_eq!(offset(Some(bare)).value(), Some(bytes(OFFSET_VALUE_WITHOUT_ANYTHING)));
    assert_eq!(offset(None).value(), None);
}

#[test]
fn groups_are_written_as_kafka_writes_them() {
    assert_eq!(group(Some(group_value())).key(), bytes(GROUP_KEY));
    assert_eq!(group(Some(group_value())).value(), Some(bytes(GROUP_VALUES[3])));
    let empty =
        GroupMetadataValue { protocol: None, leader: None, current_state_timestamp: 1000, ..Default::default() };
    assert_eq!(group(Some(empty)).value(), Some(bytes(EMPTY_GROUP_VALUE)));
    assert_eq!(group(None).value(), None);
}

#[test]
fn offsets_of_every_version_are_read() {
    for (version, value) in OFFSET_VALUES.iter().enumerate() {
        let expected = OffsetCommitValue {
            offset: 42,
            leader_epoch: if version >= 3 { 3 } else { -1 },
            metadata: "m".to_owned(),
            commit_timestamp: 1000,
            expire_timestamp: if version == 1 { 2000 } else { -1 },
            topic_id: if version >= 4 { Uuid((1u128 << 64 | 2).to_be_bytes()) } else { Uuid::ZERO },
            ..Default::default()
        };
        assert_eq!(replay(OFFSET_KEY, Some(value)), Ok(Replayed::Record(offset(Some(expected)))), "version {version}");
    }
    let legacy = OffsetCommitValue { offset: 42, metadata: "m".into(), commit_timestamp: 1000, ..Default::default() };
    assert_eq!(replay(LEGACY_OFFSET_KEY, Some(OFFSET_VALUES[0])), Ok(Replayed::Record(offset(Some(legacy)))));
    assert_eq!(replay(OFFSET_KEY, None), Ok(Replayed::Record(offset(None))));
    assert_eq!(replay(LEGACY_OFFSET_KEY, None), Ok(Replayed::Record(offset(None))));
}

#[test]
fn groups_of_every_version_are_read() {
    for (version, value) in GROUP_VALUES.iter().enumerate() {
        let mut expected = group_value();
        if version < 3 {
            expected.members[0].group_instance_id = None;
        }
        if version < 2 {
            expected.current_state_timestamp = -1;
        }
        if version < 1 {
            expected.members[0].rebalance_timeout = -1;
        }
        assert_eq!(replay(GROUP_KEY, Some(value)), Ok(Replayed::Record(group(Some(expected)))), "version {version}");
    }
}

#[test]
fn records_of_other_protocols_and_later_kafkas_are_skipped() {
    let skipped = |kind| Ok(Replayed::Skipped { kind });
    assert_eq!(replay(CONSUMER_GROUP_KEY, Some("000000000001")), skipped(3));
    assert_eq!(replay(CONSUMER_GROUP_KEY, None), skipped(3));
    assert_eq!(replay("03e7ffff", Some("")), skipped(999)); // Not even its key can be read.
    assert_eq!(replay("ffff", None), skipped(-1));

    // Among them the others are loaded.
    let mut shard = shard();
    for (offset, (key, value)) in [
        (CONSUMER_GROUP_KEY, Some("000000000001")),
        (GROUP_KEY, Some(GROUP_VALUES[3])),
        ("03e7ffff", Some("")),
        (OFFSET_KEY, Some(OFFSET_VALUES[4])),
        (CONSUMER_GROUP_KEY, None),
    ]
    .into_iter()
    .enumerate()
    {
        let (key, value) = (bytes(key), value.map(bytes));
        shard.replay(record::Offset(offset as i64), Some(&key), value.as_deref()).expect("skipped, or read");
    }
    let mut log = support::MemoryLog::default();
    let now = machine::Now { at: env::Instant(0), wall_ms: 2000 };
    assert!(shard.loaded(&mut log, record::Offset(5), record::Offset(5), now).is_empty());
    let group = OffsetFetchRequestGroup { group_id: "grüppe".into(), topics: None, ..Default::default() };
    let fetch = Request::OffsetFetch { group, require_stable: true };
    let answers = shard.request(&mut log, &support::caller(9), fetch, "f".to_owned(), now);
    let [(_, answer)] = <[_; 1]>::try_from(answers).expect("one answer");
    assert_eq!(answer.into_offset_fetch(9).topics[0].partitions[0].committed_offset, 42);
    let described = shard.request(
        &mut log,
        &support::caller(6),
        Request::DescribeGroups(vec!["grüppe".into()]),
        "d".to_owned(),
        now,
    );
    let [(_, answer)] = <[_; 1]>::try_from(described).expect("one answer");
    let described = answer.into_describe_groups().remove(0);
    assert_eq!((described.group_state.as_str(), described.members.len()), ("Stable", 1));
}

#[test]
fn a_topic_that_is_deleted_during_the_load_takes_its_offsets_along() {
    let mut shard = shard();
    shard.replay(record::Offset(0), Some(&bytes(OFFSET_KEY)), Some(&bytes(OFFSET_VALUES[4]))).expect("it can be read");
    let mut log = support::MemoryLog::default();
    let now = machine::Now { at: env::Instant(0), wall_ms: 2000 };
    let topic = coordinator::DeletedTopic { name: "t".to_owned(), id: Uuid((1u128 << 64 | 2).to_be_bytes()) };
    assert!(shard.topics_deleted(&mut log, &[topic], now).is_empty());
    shard.replay(record::Offset(1), Some(&bytes(GROUP_KEY)), Some(&bytes(GROUP_VALUES[3]))).expect("it can be read");
    assert!(log.appended.is_empty(), "nothing is written before all is known");
    shard.loaded(&mut log, record::Offset(0), record::Offset(0), now);
    assert_eq!(log.appended, [offset(None)]);
}

#[test]
fn what_cannot_be_read_fails_the_load() {
    let unknown = |kind, version| Err(ReplayError::UnknownVersion { kind, version });
    assert_eq!(GroupRecord::replay(None, None), Err(ReplayError::NoKey));
    assert_eq!(replay(OFFSET_KEY, Some("0005000000000000002a")), unknown(1, 5));
    assert_eq!(replay(OFFSET_KEY, Some("ffff")), unknown(1, -1));
    assert_eq!(replay(GROUP_KEY, Some("0005")), unknown(2, 5));
    assert_eq!(replay(LEGACY_OFFSET_KEY, Some("0001")), unknown(0, 1));
    for (key, value) in [
        (OFFSET_KEY, OFFSET_VALUES[4]),
        (OFFSET_KEY, OFFSET_VALUES[1]),
        (GROUP_KEY, GROUP_VALUES[3]),
        (GROUP_KEY, GROUP_VALUES[4]),
    ] {
        let (key, value) = (bytes(key), bytes(value));
        for length in 0..key.len() {
            let error = GroupRecord::replay(Some(&key[..length]), None);
            assert!(matches!(error, Err(ReplayError::BadKey(_))), "{length} bytes of a key: {error:?}");
        }
        for length in 0..value.len() {
            let error = GroupRecord::replay(Some(&key), Some(&value[..length]));
            assert!(matches!(error, Err(ReplayError::BadValue(_))), "{length} bytes of a value: {error:?}");
        }
    }
}

mod support;

fn shard() -> GroupShard<String> {
    GroupShard::new(GroupConfig::default().into(), std::sync::Arc::new(support::CountingRng::default()))
}

fn replay(key: &str, value: Option<&str>) -> Result<Replayed, ReplayError> {
    GroupRecord::replay(Some(&bytes(key)), value.map(bytes).as_deref())
}

fn offset(value: Option<OffsetCommitValue>) -> GroupRecord {
    GroupRecord::OffsetCommit { group_id: "grüppe".to_owned(), topic: "t".to_owned(), partition: 7, value }
}

fn group(value: Option<GroupMetadataValue>) -> GroupRecord {
    GroupRecord::GroupMetadata { group_id: "grüppe".to_owned(), value }
}

fn group_value() -> GroupMetadataValue {
    let member = MemberMetadata {
        member_id: "i-1".to_owned(),
        group_instance_id: Some("i".to_owned()),
        client_id: "c".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        rebalance_timeout: 60_000,
        session_timeout: 10_000,
        subscription: vec![1, 2].into(),
        assignment: vec![3].into(),
        ..Default::default()
    };
    GroupMetadataValue {
        protocol_type: "consumer".to_owned(),
        generation: 5,
        protocol: Some("range".to_owned()),
        leader: Some("i-1".to_owned()),
        current_state_timestamp: 1000,
        members: vec![member],
        ..Default::default()
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}
