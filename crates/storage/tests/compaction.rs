//! Compaction through the whole engine, on a simulated disk: what is left, what of it survives, and that nobody who reads
//! meanwhile sees anything but the newest of every key.
mod rig;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use env::sim::Chance;
use record::{Batches, LeaderEpoch, Offset, Records};
use rig::{NOW, Rig, append, checked, contents, contents_from, keyed_batch, settings};
use storage::{Log, LogConfig, LogListener, Settings};

const SEGMENT_BYTES: u32 = 4000;

fn config() -> LogConfig {
    LogConfig { compacts: true, deletes: false, segment_bytes: SEGMENT_BYTES, ..LogConfig::default() }
}

fn quick() -> Settings {
    let mut settings = settings();
    settings.compaction.backoff = Duration::from_millis(50);
    settings
}

/// Key to offset and value of the newest of its records.
type Newest = BTreeMap<String, (Offset, Option<Vec<u8>>)>;

fn newest(bytes: &[u8]) -> Newest {
    let mut newest = Newest::new();
    for batch in Batches::new(bytes) {
        let batch = batch.unwrap();
        for record in Records::new(&batch, batch.body()).unwrap() {
            let record = record.unwrap();
            let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
            newest.insert(key, (record.offset, record.value.map(<[u8]>::to_vec)));
        }
    }
    newest
}

fn count(bytes: &[u8]) -> usize {
    Batches::new(bytes).count()
}

/// So many records over ten keys; all of it below the high watermark.
fn fill(rig: &Rig, log: &Log, tags: std::ops::Range<u64>) {
    for tag in tags {
        append(log, &keyed_batch(tag, &format!("key-{}", tag % 10), Some(100))).unwrap();
        rig.run();
    }
    log.learn_high_watermark(log.ends().durable_end);
}

fn names(rig: &Rig, log: &Log) -> Vec<String> {
    let directory = format!("{}/{}-0.{:x}", rig::ROOT, log.name().topic, log.log_id());
    let entries = env::Disk::read_dir(&rig.disk, std::path::Path::new(&directory)).unwrap();
    entries.into_iter().map(|entry| entry.name).filter(|name| name.ends_with(".log")).collect()
}

#[test]
fn the_newest_of_every_key_is_left_and_survives_every_end() {
    let rig = Rig::new(quick());
    let log = rig.create_with("a", config());
    fill(&rig, &log, 0..500);
    let before = contents(&log);
    let segments = names(&rig, &log).len();
    assert!(segments > 10, "{segments}");
    rig.run_for(Duration::from_secs(2));
    let after = contents(&log);
    assert_eq!(newest(&after), newest(&before));
    assert!(count(&after) < 60, "{} of {} batches are left", count(&after), count(&before));
    assert_eq!(log.ends().log_end, Offset(500));
    let left = names(&rig, &log);
    assert!(left.len() <= 5, "{left:?}");
    assert!(left.iter().all(|name| name != "00000000000000000000.log"), "{left:?}");
    // From anywhere.
    for from in [0, 1, 7, 123, 400, 499] {
        let expected: Newest = newest(&after).into_iter().filter(|(_, (offset, _))| offset.0 >= from).collect();
        assert_eq!(newest(&contents_from(&log, Offset(from))), expected, "from {from}");
    }
    // More of it, and the compacted part is compacted again.
    fill(&rig, &log, 500..900);
    rig.run_for(Duration::from_secs(2));
    let after = contents(&log);
    assert_eq!(newest(&after).len(), 10);
    assert_ne!(names(&rig, &log)[0], left[0], "the next generation");
    assert!(count(&after) < 60, "{} batches are left", count(&after));
    for kill in [true, false] {
        let disk = if kill { rig.disk.fork().kill() } else { rig.disk.fork().power_loss(&mut Chance::new(7)) };
        let again = Rig::on(disk, quick()).unwrap();
        assert!(contents(&again.log("a")) == after);
        again.world.end();
    }
    rig.close();
    let again = Rig::on(rig.disk.kill(), quick()).unwrap();
    assert!(contents(&again.log("a")) == after);
}

#[test]
fn readers_go_on_while_segments_are_replaced_under_them() {
    let rig = Rig::new(quick());
    let log = rig.create_with("a", config());
    fill(&rig, &log, 0..300);
    let newest_before = newest(&contents(&log));
    let end = log.ends().log_end;
    let held = log.read_blocking(Offset(3), 1000, end, true).unwrap();
    let mut slices = held.slices.into_iter();
    let Some(storage::Slice::File(old)) = slices.next() else { panic!("it lies in a file") };
    let old_bytes = old.read_checked().unwrap();
    rig.world.set_now(env::Clock::now(&*rig.world) + Duration::from_millis(60));
    let mut steps = 0;
    while rig.world.step_any() {
        steps += 1;
        assert_eq!(newest(&contents(&log)), newest_before, "after {steps} steps");
    }
    rig.run_for(Duration::from_secs(1));
    assert!(rig.dir.counters().compactions > 0);
    assert!(old.read_checked().unwrap() == old_bytes, "an open file stays as it was");
    assert_eq!(newest(&contents(&log)), newest_before);
}

#[test]
fn tombstones_go_when_their_time_is_over() {
    let rig = Rig::new(quick());
    let config = LogConfig { delete_retention_ms: 1000, dirty_ratio_min: 0.0, ..config() };
    let log = rig.create_with("a", config);
    fill(&rig, &log, 0..40);
    append(&log, &keyed_batch(40, "key-3", None)).unwrap();
    fill(&rig, &log, 41..80);
    // `key-3` has come again since; this one has not.
    append(&log, &keyed_batch(80, "gone", Some(8))).unwrap();
    append(&log, &keyed_batch(81, "gone", None)).unwrap();
    fill(&rig, &log, 82..160);
    rig.run_for(Duration::from_secs(1));
    assert_eq!(newest(&contents(&log))["gone"], (Offset(81), None));
    rig.world.set_wall_ms(NOW.0 + 1001);
    // Something must be dirty.
    fill(&rig, &log, 160..240);
    rig.run_for(Duration::from_secs(1));
    let left = newest(&contents(&log));
    assert!(!left.contains_key("gone"), "{left:?}");
    assert_eq!(left.len(), 10);
}

#[test]
fn what_a_crash_has_left_of_a_compaction_is_removed() {
    let rig = Rig::new(quick());
    let log = rig.create_with("a", config());
    fill(&rig, &log, 0..300);
    rig.dir.checkpoint();
    rig.run_for(Duration::from_millis(20));
    rig.dir.checkpoint();
    rig.run_for(Duration::from_millis(20));
    let before = contents(&log);
    rig.dir.compact();
    // Until the new file is there.
    let mut steps = 0;
    while !names(&rig, &log).iter().any(|name| name.ends_with(".1.log")) {
        assert!(rig.world.step_any() && steps < 1000);
        steps += 1;
    }
    let rig = Rig::on(rig.disk.kill(), quick()).unwrap();
    let log: Arc<Log> = rig.log("a");
    assert!(names(&rig, &log).iter().any(|name| name.ends_with(".1.log")), "left behind");
    assert!(contents(&log) == before);
    // Enough is dirty only for who has learnt of it.
    log.configure(LogConfig { dirty_ratio_min: 1.0, ..config() });
    rig.run_for(Duration::from_secs(1));
    assert!(names(&rig, &log).iter().all(|name| !name.ends_with(".1.log")), "{:?}", names(&rig, &log));
    assert!(contents(&log) == before);
    log.configure(config());
    rig.run_for(Duration::from_secs(1));
    assert_eq!(newest(&contents(&log)), newest(&before));
    assert!(count(&contents(&log)) < count(&before) / 4);
}

#[test]
fn nothing_above_the_high_watermark_and_nothing_that_is_too_young() {
    let rig = Rig::new(quick());
    let log = rig.create_with("a", config());
    for tag in 0..200 {
        append(&log, &keyed_batch(tag, "key", Some(100))).unwrap();
        rig.run();
    }
    let before = contents(&log);
    rig.run_for(Duration::from_secs(1));
    assert!(contents(&log) == before, "nothing is known to be committed");
    log.configure(LogConfig { compaction_lag_ms_min: 10_000, ..config() });
    log.learn_high_watermark(log.ends().durable_end);
    rig.run_for(Duration::from_secs(1));
    assert!(contents(&log) == before, "too young");
    rig.world.set_wall_ms(NOW.0 + 10_001);
    rig.run_for(Duration::from_secs(1));
    assert!(count(&contents(&log)) < 60);
}

#[test]
fn a_relaxed_log_is_compacted_too() {
    let rig = Rig::new(quick());
    let log = rig.create_with("a", LogConfig { durability: storage::Durability::Relaxed, ..config() });
    rig.run();
    for tag in 0..300 {
        append(&log, &keyed_batch(tag, &format!("key-{}", tag % 10), Some(100))).unwrap();
    }
    rig.run_for(Duration::from_secs(2));
    log.learn_high_watermark(log.ends().durable_end);
    let before = newest(&contents(&log));
    rig.run_for(Duration::from_secs(2));
    let after = contents(&log);
    assert_eq!(newest(&after), before);
    assert!(count(&after) < 60, "{}", count(&after));
    let again = Rig::on(rig.disk.power_loss(&mut Chance::new(3)), quick()).unwrap();
    assert!(contents(&again.log("a")) == after);
}

struct Nobody;

impl LogListener for Nobody {
    fn acknowledged_end_advanced(&self, _acknowledged_end: Offset) {}

    fn went_offline(&self) {}
}

#[test]
fn a_copy_of_what_was_compacted_since_is_not_gone_on_with_even_where_the_policy_has_changed() {
    for compacts in [false, true] {
        let rig = Rig::new(quick());
        let source = rig.create_with("source", LogConfig { compacts, ..config() });
        let copy = rig.create_with("copy", LogConfig { compacts: false, ..config() });
        fill(&rig, &source, 0..200);
        fill(&rig, &copy, 0..120); // The same records.
        rig.run_for(Duration::from_secs(2));
        assert_eq!(count(&contents(&source)) < 200, compacts);
        source.configure(LogConfig { compacts: false, ..config() });
        assert_eq!(rig.dir.adopt_copy(&copy, &source, Arc::new(Nobody)), !compacts);
        // Nor after a start, which knows only what is on the disk.
        rig.close();
        let again = Rig::on(rig.disk.kill(), quick()).unwrap();
        let (source, copy) = (again.log("source"), again.log("copy"));
        source.configure(LogConfig { compacts: false, ..config() });
        assert_eq!(again.dir.adopt_copy(&copy, &source, Arc::new(Nobody)), !compacts);
    }
}

#[test]
fn a_copy_of_what_was_lost_and_written_anew_is_not_gone_on_with() {
    for epoch in [1, 3] {
        let rig = Rig::new(quick());
        let source = rig.create_with("source", LogConfig { compacts: false, ..config() });
        let copy = rig.create_with("copy", LogConfig { compacts: false, ..config() });
        for (log, epochs) in [(&source, [1, epoch]), (&copy, [1, 1])] {
            for (tag, epoch) in (0..).zip(epochs) {
                let batch = keyed_batch(tag, "key", Some(100));
                log.append(&checked(&batch), &batch, LeaderEpoch(epoch), NOW).unwrap();
            }
        }
        rig.run();
        assert_eq!(rig.dir.adopt_copy(&copy, &source, Arc::new(Nobody)), epoch == 1);
        // Nor after a start.
        rig.close();
        let again = Rig::on(rig.disk.kill(), quick()).unwrap();
        assert_eq!(again.dir.adopt_copy(&again.log("copy"), &again.log("source"), Arc::new(Nobody)), epoch == 1);
    }
}
