//! A load generator over plain sockets, so that a broker and not a client is what is measured: batches are built once, a
//! thread for each connection keeps a fixed number of requests in flight. Speaks to any Kafka. Prints one JSON object.
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

mod fetch;
mod histogram;
mod produce;
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
}

#[derive(Clone, clap::Args)]
struct Common {
    #[arg(long)]
    topic: String,
    /// The topic is created with so many if it is missing.
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Measured; as long again, at most two seconds, goes before as a warm-up.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

impl Common {
    fn measured(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    fn warm_up(&self) -> Duration {
        self.measured().min(Duration::from_secs(2))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = match arguments.load {
        Load::Produce(options) => produce::run(arguments.address, &options),
        Load::Fetch(options) => fetch::run(arguments.address, &options),
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
