//! The disk alone: one write and its sync after the other, at a fixed rate. What no broker that syncs can go below.
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::Span;
use crate::histogram::Histogram;
use crate::wire::Error;

#[derive(Clone, clap::Args)]
pub struct Options {
    /// A file is made here, and removed at the end.
    #[arg(long)]
    directory: PathBuf,
    #[command(flatten)]
    span: Span,
    /// Writes a second, on time whether or not the one before has taken long.
    #[arg(long, default_value_t = 2000.0)]
    rate: f64,
    #[arg(long, default_value_t = 4096)]
    bytes: usize,
}

/// Written in advance, so that no sync waits for a growing file.
const FILE_BYTES: usize = 32 << 20;

pub fn run(options: &Options) -> Result<serde_json::Value, Error> {
    let path = options.directory.join("disk-alone");
    let latencies = measure(options, &path);
    std::fs::remove_file(&path)?;
    let latencies = latencies?;
    Ok(serde_json::json!({
        "writes": latencies.count(),
        "p50_ms": latencies.quantile_ms(0.5),
        "p99_ms": latencies.quantile_ms(0.99),
        "p999_ms": latencies.quantile_ms(0.999),
    }))
}

fn measure(options: &Options, path: &std::path::Path) -> Result<Histogram, Error> {
    let file = std::fs::File::create(path)?;
    file.write_all_at(&vec![0; FILE_BYTES], 0)?;
    file.sync_all()?;
    let bytes = vec![b'x'; options.bytes.clamp(1, FILE_BYTES)];
    let interval = Duration::from_secs_f64(1.0 / options.rate);
    let places = FILE_BYTES / bytes.len();
    let mut latencies = Histogram::new();
    let begin = Instant::now();
    for number in 0..options.span.requests_max() {
        let due = begin + interval.mul_f64(number as f64);
        if due >= begin + options.span.measured() {
            break;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let began = Instant::now();
        file.write_all_at(&bytes, (number as usize % places * bytes.len()) as u64)?;
        file.sync_data()?;
        latencies.add(began.elapsed());
    }
    Ok(latencies)
}
