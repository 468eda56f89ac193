//! Everything that a broker says of what it keeps, as text: topics and their configurations, every batch and record,
//! producers, offsets of groups, quotas. What changes with each start (leader epochs, ports) is left out.
use std::fmt::Write;

use protocol::Records;
use protocol::describe_client_quotas_request::DescribeClientQuotasRequest;
use protocol::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::describe_producers_request::{DescribeProducersRequest, TopicRequest};
use protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use protocol::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use protocol::metadata_request::MetadataRequest;
use protocol::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup};
use record::{BatchView, Batches, Decompressor};

use super::life;
use crate::wire::Wire;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// Of a batch with more, one line says what all of them are.
const RECORDS_SHOWN_MAX: i32 = 4;
const VALUE_SHOWN_MAX: usize = 40;

pub fn of(wire: &mut Wire, groups: &[&str], times: &[i64]) -> String {
    let mut out = String::new();
    let everything = MetadataRequest { topics: None, ..Default::default() };
    let metadata = wire.ask(&everything, 12).unwrap();
    writeln!(out, "cluster {} of node {}", metadata.cluster_id.unwrap(), metadata.brokers[0].node_id).unwrap();
    configs(&mut out, wire, BROKER, &metadata.brokers[0].node_id.to_string());
    let quotas = wire.ask(&DescribeClientQuotasRequest::default(), 1).unwrap();
    writeln!(out, "quotas {:?}", quotas.entries.unwrap()).unwrap();
    let mut topics = metadata.topics;
    topics.sort_by(|one, other| one.name.cmp(&other.name));
    for topic in topics {
        let name = topic.name.unwrap();
        writeln!(out, "\ntopic {name} of id {:?}", topic.topic_id).unwrap();
        configs(&mut out, wire, TOPIC, &name);
        let mut partitions: Vec<i32> = topic.partitions.iter().map(|partition| partition.partition_index).collect();
        partitions.sort_unstable();
        for partition in partitions {
            partition_of(&mut out, wire, &name, partition, times);
        }
    }
    for group in groups {
        offsets(&mut out, wire, group);
    }
    out
}

fn configs(out: &mut String, wire: &mut Wire, resource_type: i8, name: &str) {
    let resource = DescribeConfigsResource { resource_type, resource_name: name.to_owned(), ..Default::default() };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let answer = wire.ask(&request, 4).unwrap();
    // Dynamic ones of the topic, of the broker, of all brokers.
    for config in answer.results[0].configs.iter().filter(|config| matches!(config.config_source, 1..=3)) {
        writeln!(out, "  {}={}", config.name, config.value.as_deref().unwrap_or("null")).unwrap();
    }
}

fn list_offset(wire: &mut Wire, topic: &str, partition: i32, timestamp: i64) -> (i64, i64) {
    let partitions = vec![ListOffsetsPartition { partition_index: partition, timestamp, ..Default::default() }];
    let topics = vec![ListOffsetsTopic { name: topic.to_owned(), partitions, ..Default::default() }];
    let answer = wire.ask(&ListOffsetsRequest { replica_id: -1, topics, ..Default::default() }, 7).unwrap();
    let found = &answer.topics[0].partitions[0];
    assert_eq!(found.error_code, 0, "{topic}-{partition}");
    (found.offset, found.timestamp)
}

fn partition_of(out: &mut String, wire: &mut Wire, topic: &str, partition: i32, times: &[i64]) {
    let mut at = |timestamp| list_offset(wire, topic, partition, timestamp);
    let (start, end, greatest) = (at(-2).0, at(-1).0, at(-3));
    writeln!(out, "  partition {partition}: {start}..{end}, greatest timestamp {greatest:?}").unwrap();
    for time in times {
        writeln!(out, "    first from {time}: {:?}", at(*time)).unwrap();
    }
    let mut from = start;
    while from < end {
        let bytes = fetch(wire, topic, partition, from);
        let before = from;
        for batch in Batches::new(&bytes) {
            let batch = batch.unwrap();
            from = batch.next_offset().0;
            batch_of(out, &batch);
        }
        assert!(from > before, "{topic}-{partition}: nothing at {from} below {end}");
    }
    let request = TopicRequest { name: topic.to_owned(), partition_indexes: vec![partition], ..Default::default() };
    let answer = wire.ask(&DescribeProducersRequest { topics: vec![request], ..Default::default() }, 0).unwrap();
    for producer in &answer.topics[0].partitions[0].active_producers {
        writeln!(out, "    {producer:?}").unwrap();
    }
}

fn fetch(wire: &mut Wire, topic: &str, partition: i32, from: i64) -> Vec<u8> {
    let partition_max_bytes = 1 << 20;
    let partitions = vec![FetchPartition { partition, fetch_offset: from, partition_max_bytes, ..Default::default() }];
    let topics = vec![FetchTopic { topic: topic.to_owned(), partitions, ..Default::default() }];
    let request =
        FetchRequest { replica_id: -1, max_bytes: 1 << 20, session_epoch: -1, topics, ..FetchRequest::default() };
    let answer = wire.ask(&request, 12).unwrap();
    let found = &answer.responses[0].partitions[0];
    assert_eq!(found.error_code, 0, "{topic}-{partition} at {from}");
    let Some(Records::Here(bytes)) = &found.records else { panic!("records are never null") };
    bytes.to_vec()
}

fn batch_of(out: &mut String, batch: &BatchView<'_>) {
    assert!(batch.crc_is_valid(), "at {}", batch.base_offset());
    writeln!(
        out,
        "    batch {}..{} epoch {} producer {} epoch {} sequence {} attributes {} time {} crc {:08x}",
        batch.base_offset(),
        batch.next_offset(),
        batch.partition_leader_epoch(),
        batch.producer_id(),
        batch.producer_epoch(),
        batch.base_sequence(),
        batch.attributes(),
        batch.max_timestamp(),
        batch.crc(),
    )
    .unwrap();
    if batch.record_count() > RECORDS_SHOWN_MAX {
        return; // Its checksum is true, and says it all.
    }
    let mut decompressor = Decompressor::default();
    let body = decompressor.body(batch, 16 << 20).unwrap();
    for record in record::Records::new(batch, body).unwrap() {
        let record = record.unwrap();
        let headers: Vec<String> =
            record.headers.iter().map(|(name, value)| format!("{}:{}", shown(Some(name)), shown(value))).collect();
        let (key, value) = (shown(record.key), shown(record.value));
        writeln!(out, "      {} at {}: {key} = {value} {headers:?}", record.offset, record.timestamp).unwrap();
    }
}

fn shown(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(bytes) if bytes.len() > VALUE_SHOWN_MAX => format!("{} bytes", bytes.len()),
        Some(bytes) => bytes.escape_ascii().to_string(),
    }
}

fn offsets(out: &mut String, wire: &mut Wire, group: &str) {
    writeln!(out, "\ngroup {group}").unwrap();
    let groups = vec![OffsetFetchRequestGroup { group_id: group.to_owned(), topics: None, ..Default::default() }];
    let request = OffsetFetchRequest { groups, ..Default::default() };
    // The coordinator may be loading.
    life::wait_until(|| wire.ask(&request, 9).unwrap().groups[0].error_code == 0);
    let answer = wire.ask(&request, 9).unwrap();
    let mut lines = Vec::new();
    for topic in &answer.groups[0].topics {
        for at in &topic.partitions {
            let name = format!("{}-{}", topic.name, at.partition_index);
            let metadata = at.metadata.as_deref().unwrap_or("null");
            lines.push(format!("  {name} at {} epoch {} {metadata}", at.committed_offset, at.committed_leader_epoch));
        }
    }
    lines.sort();
    lines.iter().for_each(|line| writeln!(out, "{line}").unwrap());
}
