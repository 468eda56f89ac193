//! Raw produce: each connection keeps a window of requests in flight, or sends at a fixed rate.
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::produce_response::ProduceResponseView;
use protocol::{ApiKey, Records, View, decode_response_header, encode_request};
use record::{BatchBuilder, Compression, Timestamp};

use crate::Common;
use crate::histogram::Histogram;
use crate::wire::{Error, Wire};

#[derive(Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    /// Requests in flight on each connection.
    #[arg(long, default_value_t = 5)]
    in_flight: usize,
    /// Size of a record's value.
    #[arg(long, default_value_t = 100)]
    record_bytes: usize,
    /// Records in each batch.
    #[arg(long, default_value_t = 1)]
    batch_records: usize,
    #[arg(long, default_value_t = -1, allow_hyphen_values = true)]
    acks: i16,
    /// Requests a second over all connections, sent on time whether or not answers come; without it, as fast as they do.
    #[arg(long)]
    rate: Option<f64>,
}

const VERSION: i16 = 9;

#[derive(Default)]
struct Outcome {
    latencies: Option<Histogram>,
    errors: u64,
}

pub fn run(address: SocketAddr, options: &Options) -> Result<serde_json::Value, Error> {
    let common = &options.common;
    Wire::connect(address)?.prepare_topic(&common.topic, common.partitions)?;
    let begin = Instant::now() + Duration::from_millis(50);
    let threads: Vec<_> = (0..common.connections)
        .map(|connection| {
            let options = options.clone();
            std::thread::spawn(move || load(address, &options, connection, begin))
        })
        .collect();
    let (mut latencies, mut errors) = (Histogram::new(), 0);
    for thread in threads {
        let outcome = thread.join().map_err(|_| "a connection's thread panicked")??;
        outcome.latencies.iter().for_each(|found| latencies.merge(found));
        errors += outcome.errors;
    }
    let requests = latencies.count();
    let bytes = requests as f64 * (options.record_bytes * options.batch_records) as f64;
    let seconds = common.measured().as_secs_f64();
    Ok(serde_json::json!({
        "requests": requests,
        "requests_per_second": requests as f64 / seconds,
        "mib_per_second": bytes / seconds / f64::from(1 << 20),
        "p50_ms": latencies.quantile_ms(0.5),
        "p99_ms": latencies.quantile_ms(0.99),
        "p999_ms": latencies.quantile_ms(0.999),
        "errors": errors,
    }))
}

fn load(address: SocketAddr, options: &Options, connection: usize, begin: Instant) -> Result<Outcome, Error> {
    let common = &options.common;
    let mut wire = Wire::connect(address)?;
    let frames = frames(options)?;
    let warm = begin + common.warm_up();
    let end = warm + common.measured();
    let interval = options.rate.map(|rate| Duration::from_secs_f64(common.connections as f64 / rate));
    let mut due = begin + interval.unwrap_or_default().mul_f64(connection as f64 / common.connections as f64);
    let mut next = connection % frames.len();
    let mut sent: VecDeque<Instant> = VecDeque::new();
    let (mut latencies, mut errors) = (Histogram::new(), 0);
    loop {
        while sent.len() < options.in_flight {
            let now = Instant::now();
            let at = match interval {
                // A late request counts from when it was due: a stall of the broker must not hide its own cost.
                Some(interval) if due <= now => {
                    due += interval;
                    due - interval
                }
                Some(_) if sent.is_empty() => {
                    std::thread::sleep(due - now);
                    continue;
                }
                Some(_) => break,
                None => now,
            };
            if at >= end {
                break;
            }
            wire.send(&frames[next])?;
            next = (next + common.connections) % frames.len().max(1);
            sent.push_back(at);
        }
        let Some(at) = sent.pop_front() else { break };
        let (_, body) = decode_response_header(ApiKey::Produce, VERSION, wire.receive()?)?;
        errors += failures(body)?;
        if at >= warm {
            latencies.add(at.elapsed());
        }
    }
    Ok(Outcome { latencies: Some(latencies), errors })
}

/// One request for each partition, built once.
fn frames(options: &Options) -> Result<Vec<Vec<u8>>, Error> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as i64;
    let value = vec![b'x'; options.record_bytes];
    let mut batch = BatchBuilder::new(Compression::None);
    (0..options.batch_records).for_each(|_| batch.append(Timestamp(now), None, Some(&value)));
    let batch = batch.build();
    let frame = |partition| {
        let data = PartitionProduceData {
            index: partition,
            records: Some(Records::from(batch.clone())),
            ..Default::default()
        };
        let topic =
            TopicProduceData { name: options.common.topic.clone(), partition_data: vec![data], ..Default::default() };
        let request =
            ProduceRequest { acks: options.acks, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() };
        encode_request(&request, VERSION, partition, Some("bench"))
    };
    Ok((0..options.common.partitions).map(frame).collect::<Result<_, _>>()?)
}

fn failures(body: &[u8]) -> Result<u64, Error> {
    let response = ProduceResponseView::decode(VERSION, body)?;
    let partitions = response.responses.iter().flat_map(|topic| topic.partition_responses);
    Ok(partitions.filter(|partition| partition.error_code != 0).count() as u64)
}
