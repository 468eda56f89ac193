//! Consumers with nothing to consume: each connection asks for records at the end of a log and gets none. What they cost
//! the broker is measured from outside, between the line that says they wait and the end of standard input.
use std::io::Read;
use std::net::SocketAddr;

use crate::fetch::{self, Want};
use crate::wire::{Error, Wire};
use crate::{Span, Topic};

#[derive(Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    topic: Topic,
    #[arg(long, default_value_t = 4000)]
    connections: usize,
}

/// Longer than anybody measures.
const WAIT: Span = Span { seconds: 600.0, requests: None };

pub fn run(address: SocketAddr, options: &Options) -> Result<serde_json::Value, Error> {
    let topic = &options.topic;
    Wire::connect(address)?.prepare_topic(topic)?;
    let mut waiting = Vec::with_capacity(options.connections);
    for connection in 0..options.connections {
        let mut wire = Wire::connect(address)?;
        let partition = connection as i32 % topic.partitions;
        let offset = wire.log_end(&topic.topic, partition)?;
        let want = Want { partition, offset, bytes_max: 1 << 20, wait_ms: WAIT.measured().as_millis() as i32 };
        wire.send(&fetch::request(&topic.topic, want)?)?;
        waiting.push(wire);
    }
    println!("{}", serde_json::json!({ "waiting": waiting.len() }));
    std::io::stdin().read_to_end(&mut Vec::new())?;
    let answered = waiting.iter().filter(|wire| wire.has_answer()).count();
    if answered > 0 {
        return Err(format!("{answered} fetches of {} did not wait", waiting.len()).into());
    }
    Ok(serde_json::json!({ "waited": waiting.len() }))
}
