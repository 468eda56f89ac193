//! How fast the engine is on a real disk, without a server: so many logs, batches of one size, so many in flight.
//! `engine_bench DIRECTORY LOGS BATCH_BYTES IN_FLIGHT SECONDS`; then kills itself the hard way and times the restart.
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use record::{BatchBuilder, Decompressor, LeaderEpoch, Offset, Timestamp, TopicId, TopicPartition};
use storage::validate::{Origin, Rules, validate};
use storage::{Identity, LogConfig, LogDir, LogListener, Settings};

struct Count {
    durable: Arc<AtomicU64>,
    last: AtomicU64,
}

impl LogListener for Count {
    fn acknowledged_end_advanced(&self, durable_end: Offset) {
        let before = self.last.swap(durable_end.0 as u64, Ordering::Relaxed);
        self.durable.fetch_add(durable_end.0 as u64 - before, Ordering::Relaxed);
    }

    fn went_offline(&self) {
        panic!("offline");
    }
}

fn main() {
    let arguments: Vec<String> = env::process::arguments().iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let number = |index: usize, or: u64| arguments.get(index).map_or(or, |text| text.parse().expect("a number"));
    let path = PathBuf::from(arguments.get(1).expect("a directory"));
    let (logs, batch_bytes, in_flight, seconds) = (number(2, 1), number(3, 1024), number(4, 256), number(5, 5));
    let runtime = env::real::Runtime::new(1).expect("a runtime");
    let env = runtime.env();
    let identity = Identity { cluster_id: None, node_id: 1 };
    let began = env.clock.now();
    let dir = LogDir::open(&env, &path, &identity, Settings::default()).expect("opens");
    println!("opened with {} logs in {:?}", dir.logs().len(), env.clock.now() - began);
    if seconds == 0 {
        return;
    }
    let durable = Arc::new(AtomicU64::new(0));
    let logs: Vec<_> = (0..logs)
        .map(|index| {
            let mut id = [0x40; 16];
            id[8..].copy_from_slice(&(began.0 ^ index).to_be_bytes());
            let listener = Arc::new(Count { durable: durable.clone(), last: AtomicU64::new(0) });
            dir.create_log(
                TopicPartition::new("bench", index as i32),
                TopicId(id),
                LogConfig::default(),
                Some(listener),
            )
            .expect("is new")
        })
        .collect();
    let mut builder = BatchBuilder::default();
    builder.append(Timestamp(env.clock.wall_ms()), None, Some(&vec![7; batch_bytes as usize - 75]));
    let bytes: Bytes = builder.build().into();
    let origin = Origin::Client { produce_version: 9 };
    let rules = Rules::default();
    let mut decompressor = Decompressor::default();
    let mut appended = 0u64;
    let mut random = 1u64;
    let usage = env::process::usage().expect("usage");
    let start = env.clock.now();
    let mut next_report = start;
    while (env.clock.now() - start).as_secs() < seconds {
        while appended - durable.load(Ordering::Relaxed) >= in_flight || !dir.admits(bytes.len()) {
            std::thread::yield_now();
        }
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let log = &logs[(random >> 33) as usize % logs.len()];
        let now = Timestamp(env.clock.wall_ms());
        let batch = validate(&bytes, &rules, origin, now, &mut decompressor).expect("valid");
        log.append(&batch, &bytes, LeaderEpoch(1), now).expect("appends");
        appended += 1;
        if env.clock.now() >= next_report {
            next_report = next_report + std::time::Duration::from_secs(1);
            println!("{appended} appended, {} MiB tails", dir.memory_in_use() >> 20);
        }
    }
    let span = env.clock.now() - start;
    let after = env::process::usage().expect("usage");
    println!("{:?}", dir.counters());
    println!(
        "{:.1} k batches/s, {:.1} MB/s, {:.2} us CPU per batch, {} MiB resident",
        appended as f64 / span.as_secs_f64() / 1e3,
        (appended * bytes.len() as u64) as f64 / span.as_secs_f64() / 1e6,
        (after.cpu - usage.cpu).as_secs_f64() * 1e6 / appended as f64,
        after.resident_bytes >> 20,
    );
    env::process::exit(0);
}
