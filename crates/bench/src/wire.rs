//! A blocking connection: frames out, frames in, and the few requests that prepare a load.
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use protocol::create_topics_request::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use protocol::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use protocol::metadata_request::{MetadataRequest, MetadataRequestTopic};
use protocol::{ErrorCode, Message, Request, decode_response_header, encode_request};

use crate::Topic;

pub type Error = Box<dyn std::error::Error + Send + Sync>;

pub struct Wire {
    stream: TcpStream,
    frame: Vec<u8>,
}

/// A broker that does not answer for so long has failed.
pub const TIMEOUT: Duration = Duration::from_secs(120);

pub fn dial(address: SocketAddr) -> Result<TcpStream, Error> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Wire {
    pub fn connect(address: SocketAddr) -> Result<Self, Error> {
        let stream = dial(address)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self { stream, frame: Vec::new() })
    }

    /// Sends a whole frame, its length included.
    pub fn send(&mut self, frame: &[u8]) -> Result<(), Error> {
        Ok(self.stream.write_all(frame)?)
    }

    /// The next frame, without its length; overwritten by the next call.
    pub fn receive(&mut self) -> Result<&[u8], Error> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        self.frame.resize(i32::from_be_bytes(length) as usize, 0);
        self.stream.read_exact(&mut self.frame)?;
        Ok(&self.frame)
    }

    pub fn ask<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, Error> {
        self.send(&encode_request(request, version, 1, Some("bench"))?)?;
        let (_, body) = decode_response_header(R::KEY, version, self.receive()?)?;
        Ok(R::Response::decode(version, body)?)
    }

    /// Whether anything has arrived that [`Wire::receive`] would read.
    pub fn has_answer(&self) -> bool {
        self.stream.set_nonblocking(true).is_ok() && self.stream.peek(&mut [0]).is_ok()
    }

    /// Makes the topic unless it is there, and waits until all its partitions have a leader.
    pub fn prepare_topic(&mut self, topic: &Topic) -> Result<(), Error> {
        let code = self.create_topic(topic)?;
        if ![ErrorCode::None.code(), ErrorCode::TopicAlreadyExists.code()].contains(&code) {
            return Err(format!("CreateTopics of {}: error {code}", topic.topic).into());
        }
        self.wait_for_leaders(topic)
    }

    /// Gives the answer's error code.
    pub fn create_topic(&mut self, topic: &Topic) -> Result<i16, Error> {
        let config = |config: &String| {
            let (name, value) = config.split_once('=').ok_or_else(|| format!("--config {config}: not KEY=VALUE"))?;
            let (name, value) = (name.to_owned(), Some(value.to_owned()));
            Ok::<_, Error>(CreatableTopicConfig { name, value, ..Default::default() })
        };
        let wanted = CreatableTopic {
            name: topic.topic.clone(),
            num_partitions: topic.partitions,
            replication_factor: 1,
            configs: topic.config.iter().map(config).collect::<Result<_, _>>()?,
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![wanted], timeout_ms: 30_000, ..Default::default() };
        let created = self.ask(&request, 5)?;
        Ok(created.topics.first().ok_or("CreateTopics answered without the topic")?.error_code)
    }

    pub fn wait_for_leaders(&mut self, topic: &Topic) -> Result<(), Error> {
        let began = Instant::now();
        while began.elapsed() < TIMEOUT {
            let wanted = MetadataRequestTopic { name: Some(topic.topic.clone()), ..Default::default() };
            let answer = self.ask(&MetadataRequest { topics: Some(vec![wanted]), ..Default::default() }, 9)?;
            let found = answer.topics.first().ok_or("Metadata answered without the topic")?;
            let led = found.partitions.iter().filter(|partition| partition.leader_id >= 0).count();
            if led >= topic.partitions as usize {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("{} has no leaders for {} partitions in {TIMEOUT:?}", topic.topic, topic.partitions).into())
    }

    /// Where the next record of a partition will be.
    pub fn log_end(&mut self, topic: &str, partition: i32) -> Result<i64, Error> {
        const LATEST: i64 = -1;
        let wanted = ListOffsetsPartition { partition_index: partition, timestamp: LATEST, ..Default::default() };
        let topic = ListOffsetsTopic { name: topic.to_owned(), partitions: vec![wanted], ..Default::default() };
        let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
        let answer = self.ask(&request, 5)?;
        let found = answer.topics.first().and_then(|topic| topic.partitions.first());
        match found.ok_or("ListOffsets answered without the partition")? {
            found if found.error_code == 0 => Ok(found.offset),
            found => Err(format!("ListOffsets of partition {partition}: error {}", found.error_code).into()),
        }
    }
}
