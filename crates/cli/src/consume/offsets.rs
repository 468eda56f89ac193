//! Points as offsets: what ListOffsets says of each partition.
use std::collections::BTreeMap;

use client::{Purpose, Topics};
use protocol::ErrorCode;
use protocol::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use record::TopicPartition;

use super::position::Point;
use crate::connect::Session;
use crate::failure::Failure;

/// `ListOffsetsRequest.LATEST_TIMESTAMP` and `EARLIEST_TIMESTAMP`.
pub const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// The first and the last offset that there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    pub start: i64,
    pub end: i64,
}

pub type Offsets = BTreeMap<TopicPartition, i64>;

/// Asks the leaders of all `partitions` for the offset at `timestamp`; -1 where there is none.
pub async fn at(session: &Session, partitions: &[TopicPartition], timestamp: i64) -> Result<Offsets, Failure> {
    let deadline = session.deadline();
    let mut offsets = Offsets::new();
    loop {
        let missing: Vec<&TopicPartition> =
            partitions.iter().filter(|partition| !offsets.contains_key(*partition)).collect();
        if missing.is_empty() {
            return Ok(offsets);
        }
        let mut failure = None;
        for (leader, wanted) in by_leader(session, &missing) {
            match ask(session, leader, &wanted, timestamp).await? {
                Asked::All(found) => offsets.extend(found),
                Asked::Some(found, why) => {
                    offsets.extend(found);
                    failure = Some(why);
                }
            }
        }
        if let Some(failure) = failure {
            if !session.pause(deadline).await {
                return Err(failure);
            }
            let mut names: Vec<String> = partitions.iter().map(|partition| partition.topic.to_string()).collect();
            names.dedup();
            session.client.metadata(Topics::Named { names: &names, create: false }).await?;
        }
    }
}

pub async fn bounds(
    session: &Session,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, Bounds>, Failure> {
    let starts = at(session, partitions, EARLIEST).await?;
    let ends = at(session, partitions, LATEST).await?;
    let bounds = |(partition, start): (TopicPartition, i64)| {
        let end = ends[&partition].max(start);
        (partition, Bounds { start, end })
    };
    Ok(starts.into_iter().map(bounds).collect())
}

/// Where `point` is in each partition. An offset that is not there any more is the start; one that is not there yet is an
/// error, since waiting for it would look like success.
pub async fn resolve(
    session: &Session,
    partitions: &[TopicPartition],
    point: Point,
    bounds: &BTreeMap<TopicPartition, Bounds>,
) -> Result<Offsets, Failure> {
    let timestamp = match point {
        Point::Time(ms) => Some(ms),
        Point::Ago(ms) => Some(session.env.clock.wall_ms() - ms),
        _ => None,
    };
    let of_time = match timestamp {
        Some(ms) => at(session, partitions, ms.max(0)).await?,
        None => Offsets::new(),
    };
    let mut offsets = Offsets::new();
    for partition in partitions {
        let Bounds { start, end } = bounds[partition];
        let offset = match point {
            Point::Start => start,
            Point::End => end,
            Point::FromStart(count) => start.saturating_add(count).min(end),
            Point::FromEnd(count) => end.saturating_sub(count).max(start),
            Point::Offset(offset) if offset > end => {
                let (topic, index) = (&partition.topic, partition.partition);
                let what = format!("{topic}/{index} has no offset {offset}");
                return Err(Failure::not_found(what).remedy(format!("there are {start} to {end}")));
            }
            Point::Offset(offset) => offset.max(start),
            Point::Time(_) | Point::Ago(_) => match of_time[partition] {
                -1 => end, // Nothing is that young.
                offset => offset,
            },
        };
        offsets.insert(partition.clone(), offset);
    }
    Ok(offsets)
}

enum Asked {
    All(Vec<(TopicPartition, i64)>),
    /// Not all, and why; asking again may help.
    Some(Vec<(TopicPartition, i64)>, Failure),
}

fn by_leader<'a>(session: &Session, partitions: &[&'a TopicPartition]) -> BTreeMap<i32, Vec<&'a TopicPartition>> {
    let cluster = session.client.cluster();
    let mut by_leader: BTreeMap<i32, Vec<&TopicPartition>> = BTreeMap::new();
    for partition in partitions {
        by_leader.entry(super::leader(&cluster, partition)).or_default().push(partition);
    }
    by_leader
}

async fn ask(session: &Session, leader: i32, wanted: &[&TopicPartition], timestamp: i64) -> Result<Asked, Failure> {
    let mut topics: Vec<ListOffsetsTopic> = Vec::new();
    for partition in wanted {
        let asked =
            ListOffsetsPartition { partition_index: partition.partition, timestamp, ..ListOffsetsPartition::default() };
        match topics.iter_mut().find(|topic| topic.name == *partition.topic) {
            Some(topic) => topic.partitions.push(asked),
            None => topics.push(ListOffsetsTopic {
                name: partition.topic.to_string(),
                partitions: vec![asked],
                ..Default::default()
            }),
        }
    }
    let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
    let answer = async {
        let connection = session.client.broker(leader, Purpose::General).await?;
        connection.call_within(&request, 1..=9, session.timeout).await
    };
    let response = match answer.await {
        Ok(response) => response,
        Err(error) if error.is_retriable() => return Ok(Asked::Some(Vec::new(), error.into())),
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    let mut failure = None;
    for topic in response.topics {
        for partition in topic.partitions {
            let code = ErrorCode::from_code(partition.error_code).unwrap_or(ErrorCode::UnknownServerError);
            let place = TopicPartition::new(topic.name.as_str(), partition.partition_index);
            let failed =
                || Failure::of_code(&format!("{}/{}", topic.name, partition.partition_index), code.code(), None);
            match code {
                ErrorCode::None => found.push((place, partition.offset)),
                code if code.is_retriable() => failure = Some(failed()),
                _ => return Err(failed()),
            }
        }
    }
    let lacking = || Failure::new("the broker's answer lacks a partition");
    Ok(match failure {
        None if found.len() == wanted.len() => Asked::All(found),
        failure => Asked::Some(found, failure.unwrap_or_else(lacking)),
    })
}
