//! A partition over a real log engine on a simulated disk: when an append is acknowledged, what a reader sees, and what
//! becomes of those who wait when leadership or the topic goes.
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use env::Env;
use env::sim::{Settings, World};
use metadata::configs::BrokerConfigs;
use metadata::{Delta, Image, Partition as Assignment, Record, Resource, Update};
use record::{
    BatchBuilder, BrokerId, Compression, Decompressor, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence,
    Timestamp, TopicId,
};
use replication::acknowledged::{Appended, Outcome, acknowledged};
use replication::partition::{Acks, AppendError, Fetch, Fetched, ReadError, Visibility};
use replication::{Partition, Replicas};
use storage::validate::Origin;
use storage::{ConfiguredDir, Identity, LogDir, LogDirs};

const NODE: BrokerId = BrokerId(1);
const OTHER: BrokerId = BrokerId(2);
const TOPIC: TopicId = TopicId([7; 16]);

/// A node's replicas, with one topic of one partition that it leads.
struct Replica {
    env: Env,
    replicas: Replicas,
    image: Image,
}

impl Replica {
    fn start(world: &World, configs: &[(&str, &str)]) -> Self {
        let env = world.machine("broker").env();
        let identity = Identity { cluster_id: None, node_id: NODE.0 };
        let directory = LogDir::open(&env, "/data".as_ref(), &identity, storage::Settings::default()).expect("empty");
        let directories = LogDirs::new(vec![ConfiguredDir::new("/data".into(), Some(directory))]);
        let replicas = Replicas::new(NODE, directories, BrokerConfigs::default(), Duration::from_secs(3600));
        let mut replica = Self { env, replicas, image: Image::default() };
        let config = |(name, value): &(&str, &str)| Record::Config {
            resource: Resource::topic("letters"),
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
        };
        let mut records = vec![Record::Topic { id: TOPIC, name: "letters".into() }];
        records.extend(configs.iter().map(config));
        records.push(assigned(TOPIC, NODE, 0));
        replica.apply(records);
        replica
    }

    fn apply(&mut self, records: Vec<Record>) {
        let mut delta = Delta::default();
        records.into_iter().for_each(|record| self.image.apply(record, &mut delta));
        self.replicas.apply(&Update { image: Arc::new(self.image.clone()), delta, position: Default::default() });
    }

    fn partition(&self) -> Arc<Partition> {
        self.replicas.partition("letters", 0).expect("it is here")
    }

    async fn acknowledged(&self, partition: &Arc<Partition>, acks: Acks, end: Offset, within: Duration) -> Outcome {
        let mut waits = [Appended { partition: partition.clone(), end, outcome: Outcome::Waits }];
        acknowledged(&mut waits, acks, &*self.env.clock, self.env.clock.now() + within).await;
        let [appended] = waits;
        appended.outcome
    }
}

fn assigned(topic: TopicId, leader: BrokerId, epoch: i32) -> Record {
    let partition = Assignment {
        replicas: [NODE, OTHER].into_iter().collect(),
        directories: Default::default(),
        isr: [leader].into_iter().collect(),
        leader: Some(leader),
        leader_epoch: LeaderEpoch(epoch),
        partition_epoch: epoch,
    };
    Record::Partition { topic, index: 0, partition }
}

fn batch(sequence: i32) -> Bytes {
    let mut batch =
        BatchBuilder::new(Compression::None).with_producer(ProducerId(5), ProducerEpoch(0), Sequence(sequence), false);
    batch.append(Timestamp(1), Some(b"key"), Some(b"value"));
    batch.build().into()
}

fn append(partition: &Partition, bytes: &Bytes, acks: Acks) -> Result<storage::Appended, AppendError> {
    let origin = Origin::Client { produce_version: 9 };
    partition.append(bytes, origin, acks, Timestamp(2), &mut Decompressor::default())
}

async fn read(partition: &Partition, from: i64, visibility: Visibility) -> Result<Fetched, ReadError> {
    let fetch = Fetch {
        from: Offset(from),
        bytes_max: 1 << 20,
        minimum_one: true,
        visibility,
        leader_epoch: None,
        last_fetched_epoch: None,
    };
    partition.read(&fetch).await
}

fn simulate<F: Future<Output = ()> + Send + 'static>(scenario: impl FnOnce(World) -> F) {
    env::sim::simulate(Settings::seed(1), scenario);
}

#[test]
fn nothing_is_acknowledged_or_read_before_the_disk_has_it() {
    simulate(|world| async move {
        let replica = Replica::start(&world, &[]);
        let partition = replica.partition();
        let appended = append(&partition, &batch(0), Acks::All).expect("it leads");
        for acks in [Acks::All, Acks::Leader] {
            assert!(!partition.is_acknowledged(acks, appended.end).expect("it leads"), "{acks:?}");
        }
        assert!(partition.is_acknowledged(Acks::None, appended.end).expect("it leads"));
        assert_eq!(read(&partition, 0, Visibility::Uncommitted).await.expect("no error").size_bytes, 0);
        assert!(read(&partition, 0, Visibility::Debugging).await.expect("no error").size_bytes > 0);
        let outcome = replica.acknowledged(&partition, Acks::All, appended.end, Duration::from_secs(5)).await;
        assert!(matches!(outcome, Outcome::Acknowledged), "{outcome:?}");
        let fetched = read(&partition, 0, Visibility::Committed).await.expect("no error");
        assert!(fetched.size_bytes > 0 && fetched.high_watermark == Offset(1), "{}", fetched.high_watermark);
    });
}

#[test]
fn a_relaxed_topic_is_acknowledged_before_it_is_synced() {
    simulate(|world| async move {
        let replica = Replica::start(&world, &[("durability", "relaxed")]);
        let partition = replica.partition();
        let origin = Origin::Client { produce_version: 9 };
        let mut decompressor = Decompressor::default();
        let appended = partition.append_when_open(&batch(0), origin, Acks::All, Timestamp(2), &mut decompressor).await;
        let appended = appended.expect("it leads");
        while !partition.is_acknowledged(Acks::All, appended.end).expect("it leads") {
            replica.env.clock.sleep_until(replica.env.clock.now() + Duration::from_micros(1)).await;
        }
        assert!(partition.log().ends().durable_end < appended.end, "it waited for the sync");
        assert!(read(&partition, 0, Visibility::Uncommitted).await.expect("no error").size_bytes > 0);
    });
}

#[test]
fn a_duplicate_waits_for_what_its_original_waits_for() {
    simulate(|world| async move {
        let replica = Replica::start(&world, &[]);
        let partition = replica.partition();
        let original = append(&partition, &batch(0), Acks::All).expect("it leads");
        append(&partition, &batch(1), Acks::All).expect("it leads");
        let again = append(&partition, &batch(0), Acks::All).expect("a duplicate is no error");
        assert!(again.is_duplicate);
        assert_eq!((again.base_offset, again.end), (original.base_offset, original.end));
        assert!(!partition.is_acknowledged(Acks::All, again.end).expect("it leads"));
        let outcome = replica.acknowledged(&partition, Acks::All, again.end, Duration::from_secs(5)).await;
        assert!(matches!(outcome, Outcome::Acknowledged), "{outcome:?}");
        assert_eq!(partition.log().ends().log_end, Offset(2));
    });
}

#[test]
fn who_waits_hears_at_once_that_leadership_is_lost() {
    simulate(|world| async move {
        let mut replica = Replica::start(&world, &[]);
        let partition = replica.partition();
        let appended = append(&partition, &batch(0), Acks::All).expect("it leads");
        replica.apply(vec![assigned(TOPIC, OTHER, 1)]);
        let began = replica.env.clock.now();
        let outcome = replica.acknowledged(&partition, Acks::All, appended.end, Duration::from_secs(30)).await;
        assert!(matches!(outcome, Outcome::Failed(AppendError::NotLeader)), "{outcome:?}");
        assert_eq!(replica.env.clock.now(), began);
        assert!(matches!(append(&partition, &batch(1), Acks::All), Err(AppendError::NotLeader)));
        assert!(matches!(read(&partition, 0, Visibility::Uncommitted).await, Err(ReadError::NotLeader)));
        assert_eq!(partition.leader_elsewhere(), Some(OTHER));
    });
}

#[test]
fn a_timeout_leaves_the_data_where_it_is() {
    simulate(|world| async move {
        let replica = Replica::start(&world, &[]);
        let partition = replica.partition();
        let appended = append(&partition, &batch(0), Acks::All).expect("it leads");
        let outcome = replica.acknowledged(&partition, Acks::All, appended.end, Duration::ZERO).await;
        assert!(matches!(outcome, Outcome::Waits), "{outcome:?}");
        assert_eq!(partition.log().ends().log_end, Offset(1));
    });
}

#[test]
fn acks_all_is_refused_where_too_few_are_in_sync() {
    simulate(|world| async move {
        let replica = Replica::start(&world, &[("min.insync.replicas", "2")]);
        let partition = replica.partition();
        let refused = append(&partition, &batch(0), Acks::All);
        assert!(matches!(refused, Err(AppendError::NotEnoughReplicas { in_sync_min: 2 })), "{refused:?}");
        assert!(append(&partition, &batch(0), Acks::Leader).is_ok());
    });
}

#[test]
fn a_topic_made_again_under_its_name_begins_empty() {
    simulate(|world| async move {
        let mut replica = Replica::start(&world, &[]);
        let before = replica.partition();
        let appended = append(&before, &batch(0), Acks::All).expect("it leads");
        let again = TopicId([8; 16]);
        replica.apply(vec![
            Record::TopicRemoved(TOPIC),
            Record::Topic { id: again, name: "letters".into() },
            assigned(again, NODE, 0),
        ]);
        let after = replica.partition();
        assert_eq!((after.topic_id(), after.log().ends().log_end), (again, Offset(0)));
        let outcome = replica.acknowledged(&before, Acks::All, appended.end, Duration::from_secs(30)).await;
        assert!(matches!(outcome, Outcome::Failed(AppendError::NotLeader)), "{outcome:?}");
        let appended = append(&after, &batch(0), Acks::All).expect("it leads");
        let outcome = replica.acknowledged(&after, Acks::All, appended.end, Duration::from_secs(5)).await;
        assert!(matches!(outcome, Outcome::Acknowledged), "{outcome:?}");
    });
}

#[test]
fn a_client_s_leader_epoch_and_the_bounds_of_the_log_are_checked() {
    simulate(|world| async move {
        let mut replica = Replica::start(&world, &[]);
        replica.apply(vec![assigned(TOPIC, NODE, 4)]);
        let partition = replica.partition();
        let ends = |epoch| partition.ends(Some(LeaderEpoch(epoch)));
        assert!(matches!(ends(3), Err(ReadError::FencedLeaderEpoch)));
        assert!(matches!(ends(5), Err(ReadError::UnknownLeaderEpoch)));
        assert_eq!(ends(4).expect("the epoch").epoch, LeaderEpoch(4));
        let beyond = read(&partition, 1, Visibility::Uncommitted).await;
        assert!(matches!(beyond, Err(ReadError::Log(storage::ReadError::OutOfRange { .. }))));
        let stranger = read(&partition, 0, Visibility::Replica(BrokerId(9))).await;
        assert!(matches!(stranger, Err(ReadError::NotReplica)));
        // Epochs without a record are forgotten: one below the first that is known ends where that began.
        let end = partition.end_offset_for_epoch(None, LeaderEpoch(3)).expect("it leads");
        assert_eq!(end, Some((LeaderEpoch(3), Offset(0))));
    });
}

#[test]
fn records_below_the_log_start_are_gone_once_delete_records_returns() {
    simulate(|world| async move {
        let replica = Replica::start(&world, &[]);
        let partition = replica.partition();
        let too_early = partition.delete_records(Offset(1)).await;
        assert!(too_early.is_err(), "nothing is committed yet");
        for sequence in 0..3 {
            append(&partition, &batch(sequence), Acks::All).expect("it leads");
        }
        replica.acknowledged(&partition, Acks::All, Offset(3), Duration::from_secs(5)).await;
        assert_eq!(partition.delete_records(Offset(2)).await.expect("committed"), Offset(2));
        assert!(read(&partition, 1, Visibility::Uncommitted).await.is_err());
        assert!(read(&partition, 2, Visibility::Uncommitted).await.expect("it is there").size_bytes > 0);
    });
}

/// One record of 24 MiB in a few kilobytes.
fn inflating() -> Bytes {
    let mut builder = BatchBuilder::new(Compression::Zstd);
    builder.append(Timestamp(2), None, Some(&vec![0; 24 << 20]));
    builder.build().into()
}

#[test]
fn others_append_while_a_batch_that_inflates_is_checked_and_few_are_at_once() {
    simulate(|world| async move {
        let replica = Replica::start(&world, &[]);
        let partition = replica.partition();
        let bytes = inflating();
        let origin = Origin::Client { produce_version: 9 };
        let mut decompressors: [Decompressor; 3] = Default::default();
        let [first, second, third] = decompressors
            .each_mut()
            .map(|decompressor| partition.append_when_open(&bytes, origin, Acks::Leader, Timestamp(2), decompressor));
        let (mut first, mut second, mut third) = (pin!(first), pin!(second), pin!(third));
        let context = &mut Context::from_waker(Waker::noop());
        for _ in 0..10 {
            assert!(first.as_mut().poll(context).is_pending());
            assert!(second.as_mut().poll(context).is_pending());
            assert!(third.as_mut().poll(context).is_pending());
        }
        let small = |offset: i64| {
            let mut builder = BatchBuilder::default();
            builder.append(Timestamp(2), None, Some(b"small"));
            let bytes = Bytes::from(builder.build());
            let mut decompressor = Decompressor::new();
            let mut append =
                pin!(partition.append_when_open(&bytes, origin, Acks::Leader, Timestamp(2), &mut decompressor));
            let Poll::Ready(appended) = append.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
                panic!("a small batch waited");
            };
            assert_eq!(appended.unwrap().base_offset, Offset(offset));
        };
        small(0);
        for _ in 0..100 {
            // It has no turn, and comes no further.
            assert!(third.as_mut().poll(context).is_pending());
        }
        let polls = |append: &mut Pin<&mut dyn Future<Output = Result<storage::Appended, AppendError>>>| {
            for polls in 0..100 {
                if let Poll::Ready(appended) = append.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    return (polls, appended.unwrap().base_offset);
                }
            }
            panic!("it is never checked");
        };
        let (first_polls, first_offset) = polls(&mut (first as Pin<&mut dyn Future<Output = _>>));
        assert!((10..16).contains(&first_polls), "{first_polls} polls for the rest of 24 steps");
        assert_eq!(first_offset, Offset(1));
        let (third_polls, third_offset) = polls(&mut (third as Pin<&mut dyn Future<Output = _>>));
        assert!((20..28).contains(&third_polls), "{third_polls} polls from the first step on");
        assert_eq!(third_offset, Offset(2));
        assert_eq!(polls(&mut (second as Pin<&mut dyn Future<Output = _>>)).1, Offset(3));
        small(4);
    });
}
