//! What is done to a broker whose directory is to be kept: every kind of topic, of batch and of change that the release
//! knows. Times lie in the year 2100, so that nothing ever expires.
use protocol::Records;
use std::time::{Duration, Instant};

use protocol::alter_client_quotas_request::{AlterClientQuotasRequest, EntityData, EntryData, OpData};
use protocol::create_topics_request::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use protocol::delete_records_request::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use protocol::delete_topics_request::DeleteTopicsRequest;
use protocol::find_coordinator_request::FindCoordinatorRequest;
use protocol::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use protocol::init_producer_id_request::InitProducerIdRequest;
use protocol::offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use record::{BatchBuilder, Compression, ProducerEpoch, ProducerId, Sequence, Timestamp};

use crate::broker::PATIENCE;
use crate::wire::Wire;

pub const GROUPS: [&str; 2] = ["readers", "others"];
/// 2100-01-01
pub const YEAR_2100: i64 = 4_102_444_800_000;
pub const HOUR: i64 = 3_600_000;

/// One idempotent producer, and the sequence that its next record has in `once`.
pub struct Producer {
    pub id: ProducerId,
    pub epoch: ProducerEpoch,
    pub next: i32,
}

type Configs = &'static [(&'static str, &'static str)];

/// Name, partitions, configs.
const TOPICS: &[(&str, i32, Configs)] = &[
    ("letters", 3, &[]),
    // A segment for every hour of its records.
    ("rolled", 1, &[("segment.ms", "60000")]),
    ("trimmed", 1, &[("segment.ms", "60000")]),
    ("codecs", 1, &[]),
    ("recompressed", 1, &[("compression.type", "zstd")]),
    ("once", 1, &[]),
    (
        "compacted",
        1,
        &[("cleanup.policy", "compact"), ("segment.bytes", "1048576"), ("delete.retention.ms", "3153600000000")],
    ),
    ("relaxed", 2, &[("durability", "relaxed")]),
    ("switched", 1, &[("durability", "relaxed")]),
    ("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]),
    ("gone", 2, &[]),
];

/// Everything but what is to be in the lane only.
pub fn live(wire: &mut Wire) -> Producer {
    TOPICS.iter().for_each(|(name, partitions, configs)| create(wire, name, *partitions, configs));
    let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    let answer = wire.ask(&request, 4).unwrap();
    assert_eq!(answer.error_code, 0);
    let mut producer =
        Producer { id: ProducerId(answer.producer_id), epoch: ProducerEpoch(answer.producer_epoch), next: 0 };
    for hour in 0..6 {
        some_of_each(wire, hour);
        send(wire, "rolled", 0, plain(hour, 3));
        send(wire, "trimmed", 0, plain(hour, 3));
        send(wire, "gone", (hour % 2) as i32, plain(hour, 1));
        send_once(wire, &mut producer);
    }
    for round in 0..8 {
        send(wire, "compacted", 0, keyed(round));
    }
    trim(wire, "trimmed", 10);
    configure(wire, 2, "switched", "durability", "flush");
    configure(wire, 2, "letters", "max.message.bytes", "1234567");
    configure(wire, 4, "1", "log.cleaner.threads", "1");
    limit(wire);
    let gone = DeleteTopicsRequest { topic_names: vec!["gone".to_owned()], timeout_ms: 30_000, ..Default::default() };
    assert_eq!(wire.ask(&gone, 5).unwrap().responses[0].error_code, 0);
    GROUPS.iter().for_each(|group| find_coordinator(wire, group));
    for (group, offset) in [(GROUPS[0], 3), (GROUPS[1], 1), (GROUPS[0], 5)] {
        commit(wire, group, offset);
    }
    producer
}

/// Just before the end: of each of these nothing is in a segment yet where the process is killed now.
pub fn end(wire: &mut Wire, producer: &mut Producer) {
    create(wire, "late", 1, &[]);
    send(wire, "late", 0, plain(8, 2));
    // One that goes straight to its segment.
    let mut large = BatchBuilder::new(Compression::None);
    large.append(Timestamp(YEAR_2100), None, Some(&[b'x'; 300_000]));
    send(wire, "letters", 2, large);
    some_of_each(wire, 9);
    commit(wire, GROUPS[0], 7);
    trim(wire, "rolled", 4);
    send_once(wire, producer);
}

/// The answer's error and offset.
pub fn produce(wire: &mut Wire, topic: &str, partition: i32, batch: &BatchBuilder) -> (i16, i64) {
    let records = Some(Records::Here(batch.build().into()));
    let partition_data = vec![PartitionProduceData { index: partition, records, ..Default::default() }];
    let topic_data = vec![TopicProduceData { name: topic.to_owned(), partition_data, ..Default::default() }];
    let request = ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data, ..Default::default() };
    let answer = wire.ask(&request, 9).unwrap();
    let partition = &answer.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

pub fn of_producer(producer: &Producer, sequence: i32) -> BatchBuilder {
    let batch = BatchBuilder::default().with_producer(producer.id, producer.epoch, Sequence(sequence), false);
    filled(batch, 0, 1)
}

fn send(wire: &mut Wire, topic: &str, partition: i32, batch: BatchBuilder) {
    assert_eq!(produce(wire, topic, partition, &batch).0, 0, "{topic}");
}

fn send_once(wire: &mut Wire, producer: &mut Producer) {
    send(wire, "once", 0, of_producer(producer, producer.next));
    producer.next += 1;
}

fn some_of_each(wire: &mut Wire, hour: i64) {
    for partition in 0..2 {
        send(wire, "letters", partition, plain(hour, 2));
        send(wire, "relaxed", partition, plain(hour, 2));
    }
    send(wire, "switched", 0, plain(hour, 1));
    send(wire, "stamped", 0, plain(hour, 1));
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        send(wire, "codecs", 0, filled(BatchBuilder::new(codec), hour, 3));
        send(wire, "recompressed", 0, filled(BatchBuilder::new(codec), hour, 3));
    }
}

fn plain(hour: i64, records: i64) -> BatchBuilder {
    filled(BatchBuilder::default(), hour, records)
}

/// With and without key, value and headers.
fn filled(mut batch: BatchBuilder, hour: i64, records: i64) -> BatchBuilder {
    for record in 0..records {
        let time = Timestamp(YEAR_2100 + hour * HOUR + record);
        let value = format!("hour {hour}, record {record}");
        let headers: &[(&[u8], Option<&[u8]>)] = &[(b"from", Some(b"here")), (b"empty", None)];
        match record {
            0 => batch.append_with_headers(time, Some(b"key"), Some(value.as_bytes()), headers),
            1 => batch.append(time, None, Some(value.as_bytes())),
            _ => batch.append(time, Some(value.as_bytes()), None),
        }
    }
    batch
}

/// 300 records of 1 KiB; a fifth of the keys is deleted in some rounds.
fn keyed(round: i64) -> BatchBuilder {
    let mut batch = BatchBuilder::default();
    for key in 0..300 {
        let value = format!("{round:01000}");
        let value = (key % 5 > 0 || round % 3 > 0).then_some(value.as_bytes());
        batch.append(Timestamp(YEAR_2100 + round), Some(format!("key-{key}").as_bytes()), value);
    }
    batch
}

fn create(wire: &mut Wire, name: &str, num_partitions: i32, configs: &[(&str, &str)]) {
    let always = [("retention.ms", "-1"), ("message.timestamp.after.max.ms", "9223372036854775807")];
    let configs = configs.iter().chain(&always).map(|(name, value)| CreatableTopicConfig {
        name: (*name).to_owned(),
        value: Some((*value).to_owned()),
        ..Default::default()
    });
    let topics = vec![CreatableTopic {
        name: name.to_owned(),
        num_partitions,
        replication_factor: 1,
        configs: configs.collect(),
        ..Default::default()
    }];
    let request = CreateTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() };
    let answer = wire.ask(&request, 7).unwrap();
    assert_eq!(answer.topics[0].error_code, 0, "{name}: {:?}", answer.topics[0].error_message);
}

fn configure(wire: &mut Wire, resource_type: i8, name: &str, key: &str, value: &str) {
    let configs = vec![AlterableConfig { name: key.to_owned(), value: Some(value.to_owned()), ..Default::default() }];
    let resources =
        vec![AlterConfigsResource { resource_type, resource_name: name.to_owned(), configs, ..Default::default() }];
    let request = IncrementalAlterConfigsRequest { resources, ..Default::default() };
    let answer = wire.ask(&request, 1).unwrap();
    assert_eq!(answer.responses[0].error_code, 0, "{:?}", answer.responses[0].error_message);
}

fn limit(wire: &mut Wire) {
    let entity = vec![EntityData {
        entity_type: "client-id".to_owned(),
        entity_name: Some("slow".to_owned()),
        ..Default::default()
    }];
    let ops = vec![OpData { key: "producer_byte_rate".to_owned(), value: 1e9, ..Default::default() }];
    let request = AlterClientQuotasRequest {
        entries: vec![EntryData { entity, ops, ..Default::default() }],
        ..Default::default()
    };
    assert_eq!(wire.ask(&request, 1).unwrap().entries[0].error_code, 0);
}

fn trim(wire: &mut Wire, topic: &str, offset: i64) {
    let partitions = vec![DeleteRecordsPartition { offset, ..Default::default() }];
    let topics = vec![DeleteRecordsTopic { name: topic.to_owned(), partitions, ..Default::default() }];
    let answer = wire.ask(&DeleteRecordsRequest { topics, timeout_ms: 30_000, ..Default::default() }, 2).unwrap();
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
}

/// Makes the topic of offsets where it is not there yet, and waits for it.
fn find_coordinator(wire: &mut Wire, group: &str) {
    let request = FindCoordinatorRequest { coordinator_keys: vec![group.to_owned()], ..Default::default() };
    let is_found = |wire: &mut Wire| wire.ask(&request, 4).unwrap().coordinators[0].error_code == 0;
    wait_until(|| is_found(wire));
}

pub fn wait_until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn commit(wire: &mut Wire, group: &str, offset: i64) {
    let at = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset + i64::from(partition_index),
        committed_leader_epoch: 0,
        committed_metadata: Some(format!("at {offset}")),
        ..Default::default()
    };
    let topics = ["letters", "once"].map(|name| OffsetCommitRequestTopic {
        name: name.to_owned(),
        partitions: if name == "once" { vec![at(0)] } else { vec![at(0), at(1), at(2)] },
        ..Default::default()
    });
    let request = OffsetCommitRequest {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: -1,
        topics: topics.into(),
        ..Default::default()
    };
    wait_until(|| {
        let answer = wire.ask(&request, 9).unwrap();
        let mut codes = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
        codes.all(|code| code == 0)
    });
}
