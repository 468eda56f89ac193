//! Raw catch-up fetch: each connection reads its own share of the partitions from their start, again and again.
use std::net::SocketAddr;
use std::time::Instant;

use protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use protocol::fetch_response::FetchResponseView;
use protocol::{ApiKey, View, decode_response_header, encode_request};
use record::BatchView;

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
    /// How much a response may hold.
    #[arg(long, default_value_t = 1 << 20)]
    max_bytes: i32,
}

const VERSION: i16 = 12;

struct Outcome {
    latencies: Histogram,
    bytes: u64,
    /// The warm-up included.
    bytes_total: u64,
}

pub fn run(address: SocketAddr, options: &Options) -> Result<serde_json::Value, Error> {
    let begin = Instant::now();
    let threads: Vec<_> = (0..options.connections)
        .map(|connection| {
            let options = options.clone();
            std::thread::spawn(move || load(address, &options, connection, begin))
        })
        .collect();
    let mut sum = Outcome { latencies: Histogram::new(), bytes: 0, bytes_total: 0 };
    for thread in threads {
        let outcome = thread.join().map_err(|_| "a connection's thread panicked")??;
        sum.latencies.merge(&outcome.latencies);
        sum.bytes += outcome.bytes;
        sum.bytes_total += outcome.bytes_total;
    }
    let seconds = options.span.measured().as_secs_f64();
    Ok(serde_json::json!({
        "requests": sum.latencies.count(),
        "mib_per_second": sum.bytes as f64 / seconds / f64::from(1 << 20),
        "total_bytes": sum.bytes_total,
        "p50_ms": sum.latencies.quantile_ms(0.5),
        "p99_ms": sum.latencies.quantile_ms(0.99),
    }))
}

fn load(address: SocketAddr, options: &Options, connection: usize, begin: Instant) -> Result<Outcome, Error> {
    let mut wire = Wire::connect(address)?;
    let warm = begin + options.span.warm_up();
    let end = warm + options.span.measured();
    let topic = &options.topic;
    let mine: Vec<i32> =
        (0..topic.partitions).filter(|index| *index as usize % options.connections == connection).collect();
    let mut offsets = vec![0; mine.len()];
    let mut outcome = Outcome { latencies: Histogram::new(), bytes: 0, bytes_total: 0 };
    for turn in 0..options.span.requests_max() {
        let at = Instant::now();
        if at >= end || mine.is_empty() {
            break;
        }
        let place = turn as usize % mine.len();
        let (partition, offset) = (mine[place], offsets[place]);
        let want = Want { partition, offset, bytes_max: options.max_bytes, wait_ms: 0 };
        wire.send(&request(&topic.topic, want)?)?;
        let fetched = fetched(wire.receive()?)?;
        let size = fetched.records.len() as u64;
        outcome.bytes_total += size;
        if at >= warm {
            outcome.latencies.add(at.elapsed());
            outcome.bytes += size;
        }
        offsets[place] = match next_offset(fetched.records) {
            Some(next) if next < fetched.high_watermark => next,
            _ => 0,
        };
    }
    Ok(outcome)
}

/// One partition's records from an offset on.
#[derive(Clone, Copy)]
pub struct Want {
    pub partition: i32,
    pub offset: i64,
    pub bytes_max: i32,
    pub wait_ms: i32,
}

pub fn request(topic: &str, want: Want) -> Result<Vec<u8>, Error> {
    let partition = FetchPartition {
        partition: want.partition,
        fetch_offset: want.offset,
        partition_max_bytes: want.bytes_max,
        ..Default::default()
    };
    let topic = FetchTopic { topic: topic.to_owned(), partitions: vec![partition], ..Default::default() };
    let request = FetchRequest {
        max_wait_ms: want.wait_ms,
        min_bytes: 1,
        max_bytes: want.bytes_max,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    Ok(encode_request(&request, VERSION, 1, Some("bench"))?)
}

pub struct Fetched<'f> {
    pub records: &'f [u8],
    pub high_watermark: i64,
}

/// The one partition of an answer to [`request`].
pub fn fetched(frame: &[u8]) -> Result<Fetched<'_>, Error> {
    let (_, body) = decode_response_header(ApiKey::Fetch, VERSION, frame)?;
    let response = FetchResponseView::decode(VERSION, body)?;
    let topic = response.responses.first().ok_or("Fetch answered without the topic")?;
    let partition = topic.partitions.first().ok_or("Fetch answered without the partition")?;
    if partition.error_code != 0 {
        return Err(format!("Fetch of partition {}: error {}", partition.partition_index, partition.error_code).into());
    }
    let records = partition.records.unwrap_or_default();
    Ok(Fetched { records, high_watermark: partition.high_watermark })
}

/// Behind the last whole batch. Only headers are looked at.
pub fn next_offset(mut records: &[u8]) -> Option<i64> {
    let mut next = None;
    while let Ok(batch) = BatchView::parse(records) {
        next = Some(batch.next_offset().0);
        records = &records[batch.size_bytes()..];
    }
    next
}
