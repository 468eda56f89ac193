//! The engine on real threads: appenders, readers, committer, flusher, syncers and reader at once, on a simulated disk whose
//! images are taken in between. The enumeration steps workers one by one, in every order, but a step is whole there; what
//! happens between two locks of one step only threads can show. (`shuttle` would order those too, and wants every lock,
//! atomic and channel of the crate behind a switch.) Bounded by what is appended, not by time.
mod rig;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use env::sim::{Chance, Disk};
use parking_lot::Mutex;
use record::{Batches, Offset, TopicPartition};
use rig::{ROOT, append, identity, settings, topic_id};
use storage::{AppendError, Durability, Log, LogConfig, LogDir, LogListener, ReadError, Settings, Slice};

const APPENDERS: u64 = 3;
const BATCHES: u64 = 250;
const TOPICS: [&str; 3] = ["flush", "rolling", "relaxed"];

/// What an acknowledgement may rest on: it only grows, and never beyond what was appended.
#[derive(Default)]
struct Heard {
    acknowledged_end: AtomicI64,
}

impl LogListener for Heard {
    fn acknowledged_end_advanced(&self, end: Offset) {
        let before = self.acknowledged_end.fetch_max(end.0, Ordering::SeqCst);
        assert!(before < end.0, "told {end} after {before}");
    }

    fn went_offline(&self) {
        panic!("nothing fails here");
    }
}

fn config(topic: &str) -> LogConfig {
    let segment_bytes = if topic == "rolling" { 20_000 } else { 1 << 30 };
    let durability = if topic == "relaxed" { Durability::Relaxed } else { Durability::Flush };
    LogConfig { segment_bytes, durability, index_interval_bytes: 512, ..LogConfig::default() }
}

fn small() -> Settings {
    Settings {
        lane_file_bytes: 128 << 10,
        lane_bytes_max: 8 << 20,
        checkpoint_bytes: 200 << 10,
        piece_bytes: 4 << 10,
        direct_bytes: 16 << 10,
        direct_batch_bytes: 0,
        free_bytes_min: 0,
        piece_age: Duration::from_millis(3),
        ..settings()
    }
}

/// What each appender has put where: the truth that reads are held against.
type Truth = Mutex<BTreeMap<Offset, Vec<u8>>>;

struct Shop {
    logs: Vec<Arc<Log>>,
    heard: Vec<Arc<Heard>>,
    truths: Vec<Truth>,
    directory: LogDir,
    runtime: env::real::Runtime,
    seed: u64,
    is_over: AtomicBool,
    reads: AtomicU64,
}

fn open(disk: &Disk, runtime: &env::real::Runtime) -> LogDir {
    let env = env::Env { disk: Arc::new(disk.clone()), ..runtime.env() };
    LogDir::open(&env, Path::new(ROOT), &identity(), small()).unwrap()
}

fn append_all(shop: &Shop, appender: u64) {
    let mut chance = Chance::new(shop.seed * 1000 + appender);
    for number in 0..BATCHES {
        let index = chance.index(TOPICS.len());
        let bytes = rig::batch(appender << 32 | number, 1, 8 + chance.index(3000));
        let base = loop {
            // The place in the log and the truth of it must be one, as the partition's lock makes them.
            let mut truth = shop.truths[index].lock();
            match append(&shop.logs[index], &bytes) {
                Ok(appended) => {
                    truth.insert(appended.base_offset, bytes[rig_body()..].to_vec());
                    break appended.base_offset;
                }
                Err(AppendError::Paused) => {}
                Err(error) => panic!("{error}"),
            }
            drop(truth);
            std::thread::yield_now();
        };
        if chance.index(40) == 0 {
            shop.directory.checkpoint();
        }
        if chance.index(8) == 0 {
            // A producer that waits for its acknowledgement.
            let log = &shop.logs[index];
            while log.acknowledged_end() <= base {
                std::thread::yield_now();
            }
        }
    }
}

/// Behind what the log fills in: base offset, length, leader epoch.
const fn rig_body() -> usize {
    16
}

fn read_again_and_again(shop: &Shop, reader: u64) {
    let mut chance = Chance::new(shop.seed * 1000 + 100 + reader);
    while !shop.is_over.load(Ordering::SeqCst) {
        let index = chance.index(TOPICS.len());
        let log = &shop.logs[index];
        let ends = log.ends();
        assert!(ends.durable_end <= ends.log_end, "{ends:?}");
        let from = Offset(ends.log_start.0 + chance.index((ends.log_end - ends.log_start) as usize + 1) as i64);
        let read = match log.read(from, 20_000, ends.log_end, true) {
            Err(ReadError::Cold) => shop
                .runtime
                .block_on(shop.directory.read_cold(log, from, 20_000, ends.log_end, true))
                .expect("an answer"),
            read => read,
        };
        let mut bytes = Vec::new();
        for slice in read.unwrap_or_else(|error| panic!("{log:?} at {from}: {error}")).slices {
            match slice {
                Slice::Memory(part) => bytes.extend_from_slice(&part),
                Slice::File(slice) => match slice.read_cached().unwrap() {
                    Some(part) => bytes.extend_from_slice(&part),
                    None => {
                        let part = shop.runtime.block_on(shop.directory.read_slice_cold(slice)).expect("an answer");
                        bytes.extend_from_slice(&part.unwrap());
                    }
                },
            }
        }
        assert_eq!(bytes.is_empty(), from == ends.log_end, "{log:?} at {from} of {ends:?}");
        let truth = shop.truths[index].lock();
        let mut expected = from;
        for batch in Batches::new(&bytes) {
            let batch = batch.unwrap();
            assert_eq!(batch.base_offset(), expected, "{log:?}: in order, without a gap");
            assert!(truth[&expected] == batch.bytes()[rig_body()..], "{log:?}: wrong bytes at {expected}");
            expected = batch.next_offset();
        }
        shop.reads.fetch_add(1, Ordering::Relaxed);
    }
}

/// What was told to be durable before the power failed is there after it.
fn fail_again_and_again(shop: &Shop, disk: &Disk) {
    let mut chance = Chance::new(shop.seed * 1000 + 200);
    let mut images = 0;
    while !shop.is_over.load(Ordering::SeqCst) || images == 0 {
        std::thread::sleep(Duration::from_millis(5));
        // Of a relaxed log what was told may be lost; what is durable may not.
        let owed = |(log, heard): (&Arc<Log>, &Arc<Heard>)| match log.name().topic.as_ref() {
            "relaxed" => log.ends().durable_end.0,
            _ => heard.acknowledged_end.load(Ordering::SeqCst),
        };
        let owed: Vec<i64> = shop.logs.iter().zip(&shop.heard).map(owed).collect();
        let image = disk.fork().power_loss(&mut chance);
        let rig = rig::Rig::with_seed(image, small(), 3).unwrap();
        for (index, topic) in TOPICS.iter().enumerate() {
            let Some(log) = rig.dir.log(topic_id(topic), 0) else {
                assert_eq!(owed[index], 0, "{topic} is gone");
                continue;
            };
            assert!(log.ends().log_end.0 >= owed[index], "{topic}: {:?}, and {} was durable", log.ends(), owed[index]);
            let truth = shop.truths[index].lock();
            for batch in Batches::new(&rig::contents(&log)) {
                let batch = batch.unwrap();
                assert!(truth[&batch.base_offset()] == batch.bytes()[rig_body()..], "{topic}: {}", batch.base_offset());
            }
        }
        rig.world.end();
        images += 1;
    }
}

/// `OTTLA_THREADS=100` for more.
#[test]
fn appenders_readers_committer_and_flusher_meet_and_nothing_is_lost() {
    let rounds = std::env::var("OTTLA_THREADS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    (0..rounds).for_each(meet);
}

fn meet(seed: u64) {
    let disk = Disk::new(seed);
    // Reads find pages cold now and then, and go to the reader's thread.
    disk.set_cold_probability(0.2);
    let runtime = env::real::Runtime::new(2).unwrap();
    let directory = open(&disk, &runtime);
    let heard: Vec<Arc<Heard>> = TOPICS.iter().map(|_| Arc::default()).collect();
    let create = |(topic, heard): (&&str, &Arc<Heard>)| {
        let name = TopicPartition::new(*topic, 0);
        directory.create_log(name, topic_id(topic), config(topic), Some(heard.clone())).unwrap()
    };
    let logs: Vec<Arc<Log>> = TOPICS.iter().zip(&heard).map(create).collect();
    let truths = TOPICS.iter().map(|_| Truth::default()).collect();
    let (is_over, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let shop = Shop { logs, heard, truths, directory, runtime, seed, is_over, reads };
    std::thread::scope(|scope| {
        let appenders: Vec<_> = (0..APPENDERS)
            .map(|appender| {
                scope.spawn({
                    let shop = &shop;
                    move || append_all(shop, appender)
                })
            })
            .collect();
        for reader in 0..2 {
            let shop = &shop;
            scope.spawn(move || read_again_and_again(shop, reader));
        }
        scope.spawn(|| fail_again_and_again(&shop, &disk));
        let ended: Vec<_> = appenders.into_iter().map(|appender| appender.join()).collect();
        shop.is_over.store(true, Ordering::SeqCst);
        assert!(ended.iter().all(Result::is_ok), "an appender has failed");
    });
    shop.runtime.block_on(shop.directory.close()).unwrap().unwrap();
    let counters = shop.directory.counters();
    assert_eq!(counters.appended_batches, APPENDERS * BATCHES);
    assert!(counters.checkpoints > 1 && counters.pieces > 10 && counters.groups > 20, "{counters:?}");
    assert!(shop.reads.load(Ordering::Relaxed) > 20);
    println!("{counters:?}, {} reads", shop.reads.load(Ordering::Relaxed));

    let rig = rig::Rig::with_seed(disk.kill().durable_image(), small(), 3).unwrap();
    assert!(rig.dir.facts().was_clean);
    for (index, topic) in TOPICS.iter().enumerate() {
        let contents = rig::contents(&rig.log(topic));
        let read: Vec<Offset> = Batches::new(&contents).map(|batch| batch.unwrap().base_offset()).collect();
        let expected: Vec<Offset> = shop.truths[index].lock().keys().copied().collect();
        assert_eq!(read, expected, "{topic}");
    }
}
