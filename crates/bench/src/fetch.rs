//! Raw catch-up fetch: each connection reads its own share of the partitions from their start, again and again.
use std::net::SocketAddr;
use std::time::Instant;

use protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use protocol::fetch_response::FetchResponseView;
use protocol::{ApiKey, View, decode_response_header, encode_request};
use record::BatchView;

use crate::Common;
use crate::histogram::Histogram;
use crate::wire::{Error, Wire};

#[derive(Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    /// How much a response may hold.
    #[arg(long, default_value_t = 1 << 20)]
    max_bytes: i32,
}

const VERSION: i16 = 12;

#[derive(Default)]
struct Outcome {
    latencies: Option<Histogram>,
    bytes: u64,
}

pub fn run(address: SocketAddr, options: &Options) -> Result<serde_json::Value, Error> {
    let begin = Instant::now();
    let threads: Vec<_> = (0..options.common.connections)
        .map(|connection| {
            let options = options.clone();
            std::thread::spawn(move || load(address, &options, connection, begin))
        })
        .collect();
    let (mut latencies, mut bytes) = (Histogram::new(), 0);
    for thread in threads {
        let outcome = thread.join().map_err(|_| "a connection's thread panicked")??;
        outcome.latencies.iter().for_each(|found| latencies.merge(found));
        bytes += outcome.bytes;
    }
    let seconds = options.common.measured().as_secs_f64();
    Ok(serde_json::json!({
        "requests": latencies.count(),
        "mib_per_second": bytes as f64 / seconds / f64::from(1 << 20),
        "p50_ms": latencies.quantile_ms(0.5),
        "p99_ms": latencies.quantile_ms(0.99),
    }))
}

fn load(address: SocketAddr, options: &Options, connection: usize, begin: Instant) -> Result<Outcome, Error> {
    let common = &options.common;
    let mut wire = Wire::connect(address)?;
    let warm = begin + common.warm_up();
    let end = warm + common.measured();
    let mine: Vec<i32> =
        (0..common.partitions).filter(|index| *index as usize % common.connections == connection).collect();
    let mut offsets = vec![0; mine.len()];
    let (mut latencies, mut bytes, mut turn) = (Histogram::new(), 0, 0);
    while !mine.is_empty() {
        let at = Instant::now();
        if at >= end {
            break;
        }
        let place = turn % mine.len();
        turn += 1;
        wire.send(&request(options, mine[place], offsets[place])?)?;
        let (_, body) = decode_response_header(ApiKey::Fetch, VERSION, wire.receive()?)?;
        let response = FetchResponseView::decode(VERSION, body)?;
        let topic = response.responses.first().ok_or("Fetch answered without the topic")?;
        let partition = topic.partitions.first().ok_or("Fetch answered without the partition")?;
        if partition.error_code != 0 {
            return Err(format!("Fetch of partition {}: error {}", mine[place], partition.error_code).into());
        }
        let records = partition.records.unwrap_or_default();
        if at >= warm {
            latencies.add(at.elapsed());
            bytes += records.len() as u64;
        }
        offsets[place] = match next_offset(records) {
            Some(next) if next < partition.high_watermark => next,
            _ => 0,
        };
    }
    Ok(Outcome { latencies: Some(latencies), bytes })
}

fn request(options: &Options, partition: i32, fetch_offset: i64) -> Result<Vec<u8>, Error> {
    let partition =
        FetchPartition { partition, fetch_offset, partition_max_bytes: options.max_bytes, ..Default::default() };
    let topic = FetchTopic { topic: options.common.topic.clone(), partitions: vec![partition], ..Default::default() };
    let request = FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        max_bytes: options.max_bytes,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    Ok(encode_request(&request, VERSION, 1, Some("bench"))?)
}

/// Behind the last whole batch. Only headers are looked at.
fn next_offset(mut records: &[u8]) -> Option<i64> {
    let mut next = None;
    while let Ok(batch) = BatchView::parse(records) {
        next = Some(batch.next_offset().0);
        records = &records[batch.size_bytes()..];
    }
    next
}
