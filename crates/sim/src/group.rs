//! A consumer group that commits offsets which only grow, and asks for them: what was acknowledged stays, and nothing comes
//! back that was never sent. It has no members, as a consumer that assigns its partitions itself has none.
use std::time::Duration;

use env::Env;
use env::sim::Chance;
use protocol::find_coordinator_request::FindCoordinatorRequest;
use protocol::offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use protocol::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::{ErrorCode, Request};

use crate::reader::LedgerOf;
use crate::shared::{Phase, Shared};
use crate::wire::{Wire, WireError};

/// Whose offsets are committed. It is never deleted.
pub const TOPIC: &str = "orders";
pub const PARTITIONS: usize = 3;
pub const GROUPS: [&str; 2] = ["billing", "shipping"];
const FIND_COORDINATOR_VERSION: i16 = 4;
const OFFSET_COMMIT_VERSION: i16 = 9;
const OFFSET_FETCH_VERSION: i16 = 9;
const TRIES_MAX: usize = 2_000;
/// What a broken connection may still bring has come by then.
const STRAY_MAX: Duration = Duration::from_millis(250);

pub struct Group {
    pub env: Env,
    pub shared: Shared,
    pub chance: Chance,
    pub id: &'static str,
}

impl Group {
    pub async fn run(mut self) {
        self.shared.client_began();
        while self.shared.phase() == Phase::Load {
            let _ = self.connected().await;
            self.env.clock.sleep_until(self.env.clock.now() + STRAY_MAX).await;
        }
        self.shared.client_ended();
    }

    async fn connected(&mut self) -> Result<(), WireError> {
        let mut wire = Wire::connect(&self.env, self.shared.address).await?;
        find_coordinator(&mut wire, &self.shared, self.id).await?;
        while self.shared.phase() == Phase::Load {
            self.rest(200..8_000).await;
            self.shared.quiet().await;
            if self.chance.happens(0.1) {
                verify(&mut wire, &self.shared, self.id).await?;
            } else {
                self.commit(&mut wire).await?;
            }
        }
        Ok(())
    }

    async fn rest(&mut self, span_us: std::ops::Range<u64>) {
        let span = Duration::from_micros(self.chance.in_range(span_us));
        self.env.clock.sleep_until(self.env.clock.now() + span).await;
    }

    /// Further than ever before, on some partitions. Without an answer it may have happened or not.
    async fn commit(&mut self, wire: &mut Wire) -> Result<(), WireError> {
        let mut partitions = Vec::new();
        for partition in (0..PARTITIONS as i32).filter(|_| self.chance.happens(0.5)) {
            let mut ledger = self.shared.ledger();
            let committed = ledger.committed.entry((self.id.to_owned(), partition)).or_default();
            committed.sent += 1;
            partitions.push(OffsetCommitRequestPartition {
                partition_index: partition,
                committed_offset: committed.sent,
                committed_metadata: Some(format!("at {}", committed.sent)),
                ..Default::default()
            });
        }
        let topic =
            OffsetCommitRequestTopic { name: TOPIC.to_owned(), partitions: partitions.clone(), ..Default::default() };
        let request = OffsetCommitRequest {
            group_id: self.id.to_owned(),
            generation_id_or_member_epoch: -1,
            topics: vec![topic],
            ..Default::default()
        };
        let response = wire.call(&request, OFFSET_COMMIT_VERSION).await?;
        for answer in response.topics.iter().flat_map(|topic| &topic.partitions) {
            match error_of(answer.error_code) {
                ErrorCode::None => {
                    let asked = partitions.iter().find(|asked| asked.partition_index == answer.partition_index);
                    let asked = asked.expect("an answer for what was asked").committed_offset;
                    let mut ledger = self.shared.ledger();
                    ledger.committed.entry((self.id.to_owned(), answer.partition_index)).or_default().acknowledged =
                        asked;
                    ledger.counts.commits += 1;
                }
                error if error.is_retriable() => {}
                error => panic!("{}: OffsetCommit got {error}", self.id),
            }
        }
        Ok(())
    }
}

/// The first to ask for a coordinator has the topic of offsets made.
async fn find_coordinator(wire: &mut Wire, ledger: &impl LedgerOf, id: &str) -> Result<(), WireError> {
    let request = FindCoordinatorRequest { coordinator_keys: vec![id.to_owned()], ..Default::default() };
    let mut error = ErrorCode::None;
    for _ in 0..TRIES_MAX {
        error = error_of(wire.call(&request, FIND_COORDINATOR_VERSION).await?.coordinators[0].error_code);
        if error == ErrorCode::None {
            return Ok(());
        }
        ledger.pause(Duration::from_millis(5)).await;
    }
    panic!("{id}: FindCoordinator got {error}, and again");
}

/// Asks for all offsets of a group, and judges them by what was acknowledged before the question.
pub async fn verify(wire: &mut Wire, ledger: &impl LedgerOf, id: &str) -> Result<(), WireError> {
    find_coordinator(wire, ledger, id).await?;
    let topic = OffsetFetchRequestTopics {
        name: TOPIC.to_owned(),
        partition_indexes: (0..PARTITIONS as i32).collect(),
        ..Default::default()
    };
    let group = OffsetFetchRequestGroup { group_id: id.to_owned(), topics: Some(vec![topic]), ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![group], require_stable: true, ..Default::default() };
    let of = |partition: i32| {
        ledger.with(|ledger| ledger.committed.get(&(id.to_owned(), partition)).copied().unwrap_or_default())
    };
    let before: Vec<i64> = (0..PARTITIONS as i32).map(|partition| of(partition).acknowledged).collect();
    for _ in 0..TRIES_MAX {
        let response = wire.call(&request, OFFSET_FETCH_VERSION).await?;
        let answer = &response.groups[0];
        match error_of(answer.error_code) {
            ErrorCode::None => {}
            error if error.is_retriable() => {
                ledger.pause(Duration::from_millis(5)).await;
                continue;
            }
            error => panic!("{id}: OffsetFetch got {error}"),
        }
        for answer in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            let (offset, partition) = (answer.committed_offset, answer.partition_index);
            assert_eq!(error_of(answer.error_code), ErrorCode::None, "{id}: OffsetFetch of {TOPIC}-{partition}");
            let (least, most) = (before[partition as usize], of(partition).sent);
            assert!(
                offset >= least && offset <= most || offset == -1 && least == 0,
                "{id}: the offset of {TOPIC}-{partition} is {offset}, and {least} was acknowledged, {most} sent"
            );
            let metadata = answer.metadata.as_deref().unwrap_or_default();
            assert!(offset < 0 || metadata == format!("at {offset}"), "{id}: {offset} came with {metadata:?}");
        }
        return Ok(());
    }
    panic!("{id}: nobody coordinates it, {:?}", OffsetFetchRequest::KEY);
}

fn error_of(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).expect("an error of Kafka")
}
