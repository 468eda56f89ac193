//! Raw produce: each connection keeps a window of requests in flight, or sends at a fixed rate.
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::produce_response::ProduceResponseView;
use protocol::{ApiKey, Records, View, decode_response_header, encode_request};
use record::{BatchBuilder, Compression, Timestamp};

use crate::fleet::{self, Conversation};
use crate::histogram::Histogram;
use crate::wire::{Error, Wire};
use crate::{Span, Topic};

#[derive(Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    topic: Topic,
    #[command(flatten)]
    span: Span,
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Requests in flight on each connection.
    #[arg(long, default_value_t = 5)]
    in_flight: usize,
    /// Size of a record's value.
    #[arg(long, default_value_t = 100)]
    record_bytes: usize,
    /// Records in each batch.
    #[arg(long, default_value_t = 1)]
    batch_records: usize,
    /// Records have keys, so many different ones, in turn; without it they have none.
    #[arg(long)]
    keys: Option<u32>,
    #[arg(long, default_value_t = -1, allow_hyphen_values = true)]
    acks: i16,
    /// Requests a second over all connections, sent on time whether or not answers come; without it, as fast as they do.
    #[arg(long)]
    rate: Option<f64>,
}

const VERSION: i16 = 9;

impl Options {
    /// A single writer of single records.
    pub fn at_rate(topic: &Topic, span: &Span, rate: f64, record_bytes: usize) -> Self {
        Self {
            topic: topic.clone(),
            span: span.clone(),
            connections: 1,
            in_flight: 5,
            record_bytes,
            batch_records: 1,
            keys: None,
            acks: -1,
            rate: Some(rate),
        }
    }
}

pub fn run(address: SocketAddr, options: &Options) -> Result<serde_json::Value, Error> {
    Wire::connect(address)?.prepare_topic(&options.topic)?;
    let frames = Arc::new(frames(options)?);
    let begin = Instant::now() + Duration::from_millis(50);
    let writer = |connection| Writer::new(options, frames.clone(), connection, begin);
    let mut writers: Vec<_> = (0..options.connections).map(writer).collect();
    if options.rate.is_some() {
        std::thread::scope(|scope| {
            let paced: Vec<_> = writers.iter_mut().map(|writer| scope.spawn(|| writer.run(address))).collect();
            paced.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a connection's thread panicked")?)
        })?;
    } else {
        fleet::run(address, &mut writers)?;
    }
    let (mut latencies, mut errors, mut total) = (Histogram::new(), 0, 0);
    for writer in &writers {
        latencies.merge(&writer.latencies);
        errors += writer.errors;
        total += writer.requests;
    }
    let requests = latencies.count();
    let request_bytes = (options.record_bytes * options.batch_records) as f64;
    let seconds = options.span.measured().as_secs_f64();
    Ok(serde_json::json!({
        "requests": requests,
        "requests_per_second": requests as f64 / seconds,
        "mib_per_second": requests as f64 * request_bytes / seconds / f64::from(1 << 20),
        "total_requests": total,
        "total_bytes": total as f64 * request_bytes,
        "p50_ms": latencies.quantile_ms(0.5),
        "p99_ms": latencies.quantile_ms(0.99),
        "p999_ms": latencies.quantile_ms(0.999),
        "errors": errors,
    }))
}

/// One connection's requests.
pub struct Writer {
    frames: Arc<Vec<Bytes>>,
    next: usize,
    connections: usize,
    in_flight_max: usize,
    requests_max: u64,
    interval: Option<Duration>,
    due: Instant,
    warm: Instant,
    end: Instant,
    /// Without an answer, oldest first.
    sent: VecDeque<Instant>,
    pub latencies: Histogram,
    pub errors: u64,
    /// The warm-up included.
    pub requests: u64,
}

impl Writer {
    pub fn new(options: &Options, frames: Arc<Vec<Bytes>>, connection: usize, begin: Instant) -> Self {
        let connections = options.connections;
        let interval = options.rate.map(|rate| Duration::from_secs_f64(connections as f64 / rate));
        let warm = begin + options.span.warm_up();
        Self {
            next: connection % frames.len(),
            frames,
            connections,
            in_flight_max: options.in_flight,
            requests_max: options.span.requests_max(),
            interval,
            due: begin + interval.unwrap_or_default().mul_f64(connection as f64 / connections as f64),
            warm,
            end: warm + options.span.measured(),
            sent: VecDeque::with_capacity(options.in_flight),
            latencies: Histogram::new(),
            errors: 0,
            requests: 0,
        }
    }

    /// At a fixed rate, on a thread of its own that sleeps until each request is due.
    pub fn run(&mut self, address: SocketAddr) -> Result<(), Error> {
        let mut wire = Wire::connect(address)?;
        loop {
            while let Some(frame) = self.next_request()? {
                wire.send(&frame)?;
            }
            if !self.sent.is_empty() {
                self.answered(wire.receive()?)?;
            } else if self.has_more(self.due) {
                std::thread::sleep(self.due.saturating_duration_since(Instant::now()));
            } else {
                return Ok(());
            }
        }
    }

    fn has_more(&self, at: Instant) -> bool {
        self.requests < self.requests_max && at < self.end
    }
}

impl Conversation for Writer {
    fn next_request(&mut self) -> Result<Option<Bytes>, Error> {
        let now = Instant::now();
        let at = match self.interval {
            // A late request counts from when it was due: a stall of the broker must not hide its own cost.
            Some(_) if self.due <= now => self.due,
            Some(_) => return Ok(None),
            None => now,
        };
        if self.sent.len() >= self.in_flight_max || !self.has_more(at) {
            return Ok(None);
        }
        self.due += self.interval.unwrap_or_default();
        let frame = self.frames[self.next].clone();
        self.next = (self.next + self.connections) % self.frames.len();
        self.sent.push_back(at);
        self.requests += 1;
        Ok(Some(frame))
    }

    fn answered(&mut self, frame: &[u8]) -> Result<(), Error> {
        let at = self.sent.pop_front().ok_or("an answer without a request")?;
        let (_, body) = decode_response_header(ApiKey::Produce, VERSION, frame)?;
        self.errors += failures(body)?;
        if at >= self.warm {
            self.latencies.add(at.elapsed());
        }
        Ok(())
    }
}

/// The requests, built once: one for each partition, or as many more as it takes to name each key.
pub fn frames(options: &Options) -> Result<Vec<Bytes>, Error> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as i64;
    let value = vec![b'x'; options.record_bytes];
    let batch = |number: usize| {
        let mut batch = BatchBuilder::new(Compression::None);
        for record in 0..options.batch_records {
            let key = options.keys.map(|keys| (number * options.batch_records + record) as u32 % keys);
            batch.append(Timestamp(now), key.map(u32::to_be_bytes).as_ref().map(|key| &key[..]), Some(&value));
        }
        batch.build()
    };
    let partitions = options.topic.partitions as usize;
    let batches = options.keys.map_or(1, |keys| (keys as usize).div_ceil(options.batch_records));
    let unkeyed = batch(0);
    let frame = |number: usize| {
        let data = PartitionProduceData {
            index: (number % partitions) as i32,
            records: Some(Records::from(if options.keys.is_some() { batch(number) } else { unkeyed.clone() })),
            ..Default::default()
        };
        let topic =
            TopicProduceData { name: options.topic.topic.clone(), partition_data: vec![data], ..Default::default() };
        let request =
            ProduceRequest { acks: options.acks, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() };
        encode_request(&request, VERSION, number as i32, Some("bench")).map(Bytes::from)
    };
    Ok((0..batches.next_multiple_of(partitions)).map(frame).collect::<Result<_, _>>()?)
}

fn failures(body: &[u8]) -> Result<u64, Error> {
    let response = ProduceResponseView::decode(VERSION, body)?;
    let partitions = response.responses.iter().flat_map(|topic| topic.partition_responses);
    Ok(partitions.filter(|partition| partition.error_code != 0).count() as u64)
}
