//! A load generator over plain sockets, so that a broker and not a client is what is measured: batches are built once,
//! one thread keeps a fixed number of requests in flight on each connection. Speaks to any Kafka. Prints one JSON object.
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

mod create;
mod disk;
mod fetch;
mod fleet;
mod histogram;
mod idle;
mod kernel;
mod produce;
mod tail;
mod wire;

#[derive(Parser)]
#[command(name = "bench", about = "Raw load for any Kafka broker on this machine")]
struct Arguments {
    /// The broker; every partition must be led by it.
    #[arg(long, default_value = "127.0.0.1:9092")]
    address: std::net::SocketAddr,
    #[command(subcommand)]
    load: Load,
}

#[derive(Subcommand)]
enum Load {
    /// One batch a request, round robin over the partitions.
    Produce(produce::Options),
    /// Catch-up reads of a topic from its start.
    Fetch(fetch::Options),
    /// One writer, and readers that wait at the end of the log for what it writes.
    Tail(tail::Options),
    /// Fetches that wait for records which do not come, until standard input is closed.
    Idle(idle::Options),
    /// Makes the topic: how long the request takes, and until every partition has a leader.
    Create(create::Options),
    /// Writes and syncs a file of this machine; no broker is asked.
    Disk(disk::Options),
    /// Sends bytes to sockets of this machine; no broker is asked.
    Kernel(kernel::Options),
}

/// The topic that a load goes to; created if it is missing.
#[derive(Clone, clap::Args)]
struct Topic {
    #[arg(long)]
    topic: String,
    /// The topic is created with so many if it is missing.
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    /// A configuration that it is created with, as KEY=VALUE; may be repeated.
    #[arg(long)]
    config: Vec<String>,
}

/// How long a load goes on.
#[derive(Clone, clap::Args)]
struct Span {
    /// Measured; as long again, at most two seconds, goes before as a warm-up.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Instead of `--seconds`: just so many requests on each connection, without a warm-up. For counting instructions.
    #[arg(long)]
    requests: Option<u64>,
}

/// With a given number of requests, the end by time is one that never comes.
const FAR: Duration = Duration::from_secs(3600);

impl Span {
    fn measured(&self) -> Duration {
        if self.requests.is_some() { FAR } else { Duration::from_secs_f64(self.seconds) }
    }

    fn warm_up(&self) -> Duration {
        if self.requests.is_some() { Duration::ZERO } else { self.measured().min(Duration::from_secs(2)) }
    }

    /// How many requests each connection sends.
    fn requests_max(&self) -> u64 {
        self.requests.unwrap_or(u64::MAX)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = match arguments.load {
        Load::Produce(options) => produce::run(arguments.address, &options),
        Load::Fetch(options) => fetch::run(arguments.address, &options),
        Load::Tail(options) => tail::run(arguments.address, &options),
        Load::Idle(options) => idle::run(arguments.address, &options),
        Load::Create(options) => create::run(arguments.address, &options),
        Load::Disk(options) => disk::run(&options),
        Load::Kernel(options) => kernel::run(&options),
    };
    match report {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
