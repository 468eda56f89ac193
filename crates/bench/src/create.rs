//! Makes a topic and says how long that took. Refuses one that is there already.
use std::net::SocketAddr;
use std::time::Instant;

use protocol::ErrorCode;

use crate::Topic;
use crate::wire::{Error, Wire};

#[derive(Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    topic: Topic,
}

pub fn run(address: SocketAddr, options: &Options) -> Result<serde_json::Value, Error> {
    let mut wire = Wire::connect(address)?;
    let began = Instant::now();
    let code = wire.create_topic(&options.topic)?;
    let request_seconds = began.elapsed().as_secs_f64();
    if code != ErrorCode::None.code() {
        return Err(format!("CreateTopics of {}: error {code}", options.topic.topic).into());
    }
    wire.wait_for_leaders(&options.topic)?;
    Ok(serde_json::json!({
        "request_seconds": request_seconds,
        "led_seconds": began.elapsed().as_secs_f64(),
    }))
}
