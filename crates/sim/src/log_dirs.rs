//! Asks a broker what is in its log directories. Which directories there are, others know.
use std::collections::{BTreeMap, BTreeSet};

use protocol::ErrorCode;
use protocol::describe_log_dirs_request::DescribeLogDirsRequest;

use crate::wire::{Wire, WireError};

const DESCRIBE_LOG_DIRS_VERSION: i16 = 4;

/// What a directory holds, by topic and partition.
#[derive(Debug, Default)]
pub struct Held {
    pub served: BTreeSet<(String, usize)>,
    /// On their way here.
    pub copies: BTreeSet<(String, usize)>,
}

/// By the path of the directory; an error says why nobody knows.
pub type Described = BTreeMap<String, Result<Held, ErrorCode>>;

pub async fn describe(wire: &mut Wire) -> Result<Described, WireError> {
    let request = DescribeLogDirsRequest { topics: None, ..Default::default() };
    let response = wire.call(&request, DESCRIBE_LOG_DIRS_VERSION).await?;
    let described = response.results.into_iter().map(|directory| {
        let mut held = Held::default();
        for topic in &directory.topics {
            for partition in &topic.partitions {
                let place = (topic.name.clone(), partition.partition_index as usize);
                if partition.is_future_key { &mut held.copies } else { &mut held.served }.insert(place);
            }
        }
        match ErrorCode::from_code(directory.error_code).expect("an error of Kafka") {
            ErrorCode::None => (directory.log_dir, Ok(held)),
            error => (directory.log_dir, Err(error)),
        }
    });
    Ok(described.collect())
}
