//! One writer at a fixed rate, many readers at the end of its log: how long the writer waits for its acknowledgements, and
//! that every reader gets every record.
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use crate::fetch::{self, Want};
use crate::histogram::Histogram;
use crate::produce::{self, Outcome};
use crate::wire::{Error, Wire};
use crate::{Span, Topic};

#[derive(Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    topic: Topic,
    #[command(flatten)]
    span: Span,
    #[arg(long, default_value_t = 50)]
    readers: usize,
    /// Records a second, each a batch and a request of its own.
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    #[arg(long, default_value_t = 4096)]
    record_bytes: usize,
}

/// What the readers do not know yet: where the log ends when the writer has.
const NOT_ENDED: i64 = i64::MAX;
/// A reader asks again after this time, and sees then whether the writer has ended.
const WAIT_MS: i32 = 500;

pub fn run(address: SocketAddr, options: &Options) -> Result<serde_json::Value, Error> {
    let mut wire = Wire::connect(address)?;
    wire.prepare_topic(&options.topic)?;
    let start = wire.log_end(&options.topic.topic, 0)?;
    let end = Arc::new(AtomicI64::new(NOT_ENDED));
    let readers: Vec<_> = (0..options.readers)
        .map(|_| {
            let (topic, end) = (options.topic.topic.clone(), end.clone());
            std::thread::spawn(move || read(address, &topic, start, &end))
        })
        .collect();
    let writing = produce::Options::at_rate(&options.topic, &options.span, options.rate, options.record_bytes);
    let frames = produce::frames(&writing)?;
    let written = produce::load(address, &writing, &frames, 0, Instant::now());
    // The readers end whether or not the writer has succeeded.
    end.store(wire.log_end(&options.topic.topic, 0)?, Ordering::Relaxed);
    let mut bytes = 0;
    for reader in readers {
        bytes += reader.join().map_err(|_| "a reader's thread panicked")??;
    }
    let Outcome { latencies, errors, requests } = written?;
    let latencies = latencies.unwrap_or_else(Histogram::new);
    Ok(serde_json::json!({
        "total_requests": requests,
        "total_bytes_read": bytes,
        "p50_ms": latencies.quantile_ms(0.5),
        "p99_ms": latencies.quantile_ms(0.99),
        "p999_ms": latencies.quantile_ms(0.999),
        "errors": errors,
    }))
}

/// Reads until the end, once that is known; gives the bytes.
fn read(address: SocketAddr, topic: &str, start: i64, end: &AtomicI64) -> Result<u64, Error> {
    let mut wire = Wire::connect(address)?;
    let (mut offset, mut bytes) = (start, 0);
    while offset < end.load(Ordering::Relaxed) {
        let want = Want { partition: 0, offset, bytes_max: 1 << 20, wait_ms: WAIT_MS };
        wire.send(&fetch::request(topic, want)?)?;
        let fetched = fetch::fetched(wire.receive()?)?;
        bytes += fetched.records.len() as u64;
        offset = fetch::next_offset(fetched.records).unwrap_or(offset);
    }
    Ok(bytes)
}
