//! What tests do with a topic through a connection: make it, write to it, read it.
use protocol::create_topics_request::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use protocol::fetch_response::PartitionData;
use protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::{ErrorCode, Records};
use record::{BatchBuilder, Batches, Compression, Decompressor, Timestamp};

use super::Wire;

const FETCH_BYTES: i32 = 1 << 20;

pub fn code(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).expect("an error of Kafka's")
}

/// A batch of one record without a key.
pub fn batch_of(value: &str) -> BatchBuilder {
    let mut batch = BatchBuilder::new(Compression::None);
    batch.append(Timestamp(1), None, Some(value.as_bytes()));
    batch
}

/// With acks=all.
pub fn produce_request(topic: &str, index: i32, batch: BatchBuilder) -> ProduceRequest {
    let records = Some(Records::Here(batch.build().into()));
    let partition = PartitionProduceData { index, records, ..Default::default() };
    let topic = TopicProduceData { name: topic.to_owned(), partition_data: vec![partition], ..Default::default() };
    ProduceRequest { acks: -1, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() }
}

/// Offsets and values of what was fetched.
pub fn fetched(partition: &PartitionData) -> Result<Vec<(i64, String)>, ErrorCode> {
    if partition.error_code != 0 {
        return Err(code(partition.error_code));
    }
    let Some(Records::Here(bytes)) = &partition.records else { return Ok(Vec::new()) };
    let mut decompressor = Decompressor::default();
    let mut read = Vec::new();
    for batch in Batches::new(bytes) {
        let batch = batch.expect("whole batches");
        assert!(batch.crc_is_valid(), "a batch that is not what was written");
        let body = decompressor.body(&batch, FETCH_BYTES as usize).expect("a body");
        for record in record::Records::new(&batch, body).expect("records") {
            let record = record.expect("a record");
            let value = String::from_utf8(record.value.expect("a value").to_vec()).expect("text");
            read.push((record.offset.0, value));
        }
    }
    Ok(read)
}

impl Wire {
    /// With one replica of each partition.
    pub async fn create(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            ..Default::default()
        };
        let topic = CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.iter().map(config).collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
        let response = self.ask(&request, 7).await.expect("an answer");
        assert_eq!(response.topics[0].error_code, 0, "{:?}", response.topics[0].error_message);
    }

    /// The offset of the one partition's batch.
    pub async fn produce(&mut self, request: &ProduceRequest) -> Result<i64, ErrorCode> {
        self.produce_while_up(request).await.expect("an answer")
    }

    /// `None` if the broker has gone.
    pub async fn produce_while_up(&mut self, request: &ProduceRequest) -> Option<Result<i64, ErrorCode>> {
        let response = self.ask(request, 9).await?;
        let partition = &response.responses[0].partition_responses[0];
        Some(match code(partition.error_code) {
            ErrorCode::None => Ok(partition.base_offset),
            error => Err(error),
        })
    }

    /// One answer's worth of a partition, from the batch with this offset on.
    pub async fn fetch(&mut self, topic: &str, index: i32, from: i64) -> Result<Vec<(i64, String)>, ErrorCode> {
        let partition = FetchPartition {
            partition: index,
            fetch_offset: from,
            partition_max_bytes: FETCH_BYTES,
            ..Default::default()
        };
        let topic = FetchTopic { topic: topic.to_owned(), partitions: vec![partition], ..Default::default() };
        let topics = vec![topic];
        let request =
            FetchRequest { max_wait_ms: 100, min_bytes: 1, max_bytes: FETCH_BYTES, topics, ..Default::default() };
        let response = self.ask(&request, 11).await.expect("an answer");
        fetched(&response.responses[0].partitions[0])
    }
}
