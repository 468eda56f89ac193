//! One writer at a fixed rate, many readers at the end of its log: how long the writer waits for its acknowledgements, and
//! that every reader gets every record.
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use bytes::Bytes;

use crate::fetch::{self, Want};
use crate::fleet::{self, Conversation};
use crate::produce::{self, Writer};
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
    let end = AtomicI64::new(NOT_ENDED);
    let reader = |_| Reader { topic: &options.topic.topic, offset: start, bytes: 0, is_waiting: false, end: &end };
    let mut readers: Vec<_> = (0..options.readers).map(reader).collect();
    let writing = produce::Options::at_rate(&options.topic, &options.span, options.rate, options.record_bytes);
    let mut writer = Writer::new(&writing, Arc::new(produce::frames(&writing)?), 0, Instant::now());
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| fleet::run(address, &mut readers));
        let written = writer.run(address);
        // The readers end whether or not the writer has succeeded.
        end.store(wire.log_end(&options.topic.topic, 0).unwrap_or(start), Ordering::Relaxed);
        reading.join().map_err(|_| "the readers' thread panicked")?.and(written)
    })?;
    let latencies = &writer.latencies;
    Ok(serde_json::json!({
        "total_requests": writer.requests,
        "total_bytes_read": readers.iter().map(|reader| reader.bytes).sum::<u64>(),
        "p50_ms": latencies.quantile_ms(0.5),
        "p99_ms": latencies.quantile_ms(0.99),
        "p999_ms": latencies.quantile_ms(0.999),
        "errors": writer.errors,
    }))
}

/// Asks for what is next until the end, once that is known.
struct Reader<'t> {
    topic: &'t str,
    offset: i64,
    bytes: u64,
    is_waiting: bool,
    end: &'t AtomicI64,
}

impl Conversation for Reader<'_> {
    fn next_request(&mut self) -> Result<Option<Bytes>, Error> {
        if self.is_waiting || self.offset >= self.end.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.is_waiting = true;
        let want = Want { partition: 0, offset: self.offset, bytes_max: 1 << 20, wait_ms: WAIT_MS };
        Ok(Some(fetch::request(self.topic, want)?.into()))
    }

    fn answered(&mut self, frame: &[u8]) -> Result<(), Error> {
        self.is_waiting = false;
        let fetched = fetch::fetched(frame)?;
        self.bytes += fetched.records.len() as u64;
        self.offset = fetch::next_offset(fetched.records).unwrap_or(self.offset);
        Ok(())
    }
}
