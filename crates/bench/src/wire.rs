//! A blocking connection: frames out, frames in, and the few requests that prepare a load.
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use protocol::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use protocol::metadata_request::{MetadataRequest, MetadataRequestTopic};
use protocol::{ErrorCode, Message, Request, decode_response_header, encode_request};

pub type Error = Box<dyn std::error::Error + Send + Sync>;

pub struct Wire {
    stream: TcpStream,
    frame: Vec<u8>,
}

/// A broker that does not answer for so long has failed.
const TIMEOUT: Duration = Duration::from_secs(60);

impl Wire {
    pub fn connect(address: SocketAddr) -> Result<Self, Error> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
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

    /// Makes the topic unless it is there, and waits until all its partitions have a leader.
    pub fn prepare_topic(&mut self, name: &str, partitions: i32) -> Result<(), Error> {
        let topic = CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: 1,
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
        let created = self.ask(&request, 5)?;
        let code = created.topics.first().ok_or("CreateTopics answered without the topic")?.error_code;
        if ![ErrorCode::None.code(), ErrorCode::TopicAlreadyExists.code()].contains(&code) {
            return Err(format!("CreateTopics of {name}: error {code}").into());
        }
        for _ in 0..300 {
            let wanted = MetadataRequestTopic { name: Some(name.to_owned()), ..Default::default() };
            let answer = self.ask(&MetadataRequest { topics: Some(vec![wanted]), ..Default::default() }, 9)?;
            let topic = answer.topics.first().ok_or("Metadata answered without the topic")?;
            let led = topic.partitions.iter().filter(|partition| partition.leader_id >= 0).count();
            if led >= partitions as usize {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(format!("{name} has not got leaders for {partitions} partitions in 30 s").into())
    }
}
