//! A plain socket that speaks Kafka's protocol: requests go out when the test says so, answers are read when it wants
//! them.
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use protocol::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use protocol::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::{Message, Records, Request};
use record::{BatchBuilder, Batches, Compression, Timestamp};

use crate::broker::PATIENCE;

pub const TOPIC: &str = "letters";

pub struct Wire {
    stream: TcpStream,
    sent: i32,
    answered: i32,
}

impl Wire {
    pub fn connect(address: SocketAddr) -> Wire {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Wire { stream, sent: 0, answered: 0 }
    }

    /// An error is a connection that the broker has closed.
    pub fn send<R: Request>(&mut self, request: &R, version: i16) -> io::Result<()> {
        self.sent += 1;
        let frame = protocol::encode_request(request, version, self.sent, Some("process")).unwrap();
        self.stream.write_all(&frame)
    }

    /// The answer to the oldest request that has none.
    pub fn receive<R: Request>(&mut self, version: i16) -> io::Result<R::Response> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut frame = vec![0; i32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame)?;
        let (correlation_id, body) = protocol::decode_response_header(R::KEY, version, &frame).unwrap();
        self.answered += 1;
        assert_eq!(correlation_id, self.answered, "answers come in the order of the requests");
        Ok(R::Response::decode(version, body).unwrap())
    }

    pub fn ask<R: Request>(&mut self, request: &R, version: i16) -> io::Result<R::Response> {
        self.send(request, version)?;
        self.receive::<R>(version)
    }

    /// [`TOPIC`] with one partition.
    #[track_caller]
    pub fn create_topic(&mut self) {
        let topic =
            CreatableTopic { name: TOPIC.to_owned(), num_partitions: 1, replication_factor: 1, ..Default::default() };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
        assert_eq!(self.ask(&request, 7).unwrap().topics[0].error_code, 0);
    }

    /// The values of all records of [`TOPIC`], in order.
    #[track_caller]
    pub fn read_all(&mut self) -> Vec<String> {
        let partitions = vec![ListOffsetsPartition { timestamp: -1, ..Default::default() }];
        let topic = ListOffsetsTopic { name: TOPIC.to_owned(), partitions, ..Default::default() };
        let latest = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
        let end = self.ask(&latest, 5).unwrap().topics[0].partitions[0].offset;

        let mut values = Vec::new();
        while (values.len() as i64) < end {
            let response = self.ask(&fetch(values.len() as i64, 0), 12).unwrap();
            let partition = &response.responses[0].partitions[0];
            assert_eq!(partition.error_code, 0);
            let Some(Records::Here(bytes)) = &partition.records else { panic!("records are never null") };
            let before = values.len();
            for batch in Batches::new(bytes) {
                let batch = batch.unwrap();
                for record in record::Records::new(&batch, batch.body()).unwrap() {
                    let record = record.unwrap();
                    assert_eq!(record.offset.0, values.len() as i64, "offsets have no gaps");
                    values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
                }
            }
            assert!(values.len() > before, "a fetch below the end gives something");
        }
        values
    }
}

/// One record to [`TOPIC`], to be on stable storage before the answer.
pub fn produce(value: &str) -> ProduceRequest {
    let mut batch = BatchBuilder::new(Compression::None);
    batch.append(Timestamp(1), None, Some(value.as_bytes()));
    let records = Some(Records::Here(batch.build().into()));
    let partition_data = vec![PartitionProduceData { records, ..Default::default() }];
    let topic_data = vec![TopicProduceData { name: TOPIC.to_owned(), partition_data, ..Default::default() }];
    ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data, ..Default::default() }
}

/// From [`TOPIC`]; with nothing there it waits so long.
pub fn fetch(offset: i64, max_wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition { fetch_offset: offset, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = FetchTopic { topic: TOPIC.to_owned(), partitions: vec![partition], ..Default::default() };
    FetchRequest {
        replica_id: -1,
        max_wait_ms,
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    }
}
