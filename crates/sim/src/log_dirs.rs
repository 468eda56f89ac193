//! Asks a broker what is in its log directories. Which directories there are, others know.
use std::collections::{BTreeMap, BTreeSet};

use protocol::ErrorCode;
use protocol::describe_log_dirs_request::DescribeLogDirsRequest;

use crate::wire::{Wire, WireError};

const DESCRIBE_LOG_DIRS_VERSION: i16 = 4;

/// By the path of the directory, its partitions, or why nobody knows.
pub type Described = BTreeMap<String, Result<BTreeSet<(String, usize)>, ErrorCode>>;

pub async fn describe(wire: &mut Wire) -> Result<Described, WireError> {
    let request = DescribeLogDirsRequest { topics: None, ..Default::default() };
    let response = wire.call(&request, DESCRIBE_LOG_DIRS_VERSION).await?;
    let described = response.results.into_iter().map(|directory| {
        let mut partitions = BTreeSet::new();
        for topic in &directory.topics {
            let served = topic.partitions.iter().filter(|partition| !partition.is_future_key);
            partitions.extend(served.map(|partition| (topic.name.clone(), partition.partition_index as usize)));
        }
        match ErrorCode::from_code(directory.error_code).expect("an error of Kafka") {
            ErrorCode::None => (directory.log_dir, Ok(partitions)),
            error => (directory.log_dir, Err(error)),
        }
    });
    Ok(described.collect())
}
