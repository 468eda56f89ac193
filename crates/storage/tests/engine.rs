//! The engine from outside, on a simulated disk: what was appended is read, acknowledged when it is durable, and there
//! after every kind of end.
mod rig;

use std::sync::Arc;
use std::time::Duration;

use env::sim::Chance;
use parking_lot::Mutex;
use record::{LeaderEpoch, Offset, Timestamp};
use rig::{Rig, append, batch, contents, idempotent_batch, settings};
use storage::{AppendError, Durability, LogConfig, LogListener, OpenError, ReadError, Settings, Slice, TruncateError};

#[derive(Default)]
struct Heard(Mutex<Vec<Offset>>);

impl LogListener for Heard {
    fn acknowledged_end_advanced(&self, durable_end: Offset) {
        self.0.lock().push(durable_end);
    }

    fn went_offline(&self) {
        self.0.lock().push(Offset::NONE);
    }
}

#[test]
fn an_append_is_durable_after_its_group_and_readable_before() {
    let rig = Rig::new(settings());
    let log = rig.create("a");
    let heard = Arc::new(Heard::default());
    log.set_listener(heard.clone());
    let appended = append(&log, &batch(1, 3, 10)).unwrap();
    assert_eq!((appended.base_offset, appended.last_offset, appended.end), (Offset(0), Offset(2), Offset(3)));
    assert_eq!((log.ends().log_end, log.ends().durable_end), (Offset(3), Offset(0)));
    assert_eq!(contents(&log).len(), batch(1, 3, 10).len());
    rig.run();
    assert_eq!(log.ends().durable_end, Offset(3));
    assert_eq!(*heard.0.lock(), [Offset(3)]);
    append(&log, &batch(2, 1, 10)).unwrap();
    append(&log, &batch(3, 1, 10)).unwrap();
    rig.run();
    assert_eq!(*heard.0.lock(), [Offset(3), Offset(5)], "one group for both");
}

#[test]
fn everything_is_there_after_a_kill_and_after_a_power_loss() {
    for kill in [true, false] {
        let rig = Rig::new(settings());
        let logs = [rig.create("a"), rig.create("b")];
        for tag in 0..40 {
            append(&logs[tag as usize % 2], &batch(tag, 2, 300)).unwrap();
            if tag % 7 == 0 {
                rig.run();
            }
        }
        rig.run();
        let before: Vec<Vec<u8>> = logs.iter().map(|log| contents(log)).collect();
        let disk = if kill { rig.disk.kill() } else { rig.disk.power_loss(&mut Chance::new(7)) };
        let rig = Rig::on(disk, settings()).unwrap();
        let after: Vec<Vec<u8>> = ["a", "b"].iter().map(|topic| contents(&rig.log(topic))).collect();
        assert_eq!(before, after);
        assert!(!rig.dir.facts().was_clean);
        let again = append(&rig.log("a"), &batch(99, 1, 1)).unwrap();
        assert_eq!(again.base_offset, Offset(40));
    }
}

#[test]
fn pieces_go_to_segments_and_memory_is_given_back() {
    let rig = Rig::new(settings());
    let log = rig.create("a");
    for tag in 0..50 {
        append(&log, &batch(tag, 1, 1000)).unwrap();
        rig.run();
    }
    assert!(rig.dir.counters().pieces >= 4, "{:?}", rig.dir.counters());
    assert!(rig.dir.memory_in_use() < 24 << 10);
    rig.run_for(Duration::from_secs(2));
    assert_eq!(rig.dir.memory_in_use(), 0);
    let read = log.read(Offset(10), 3000, Offset(100), true).unwrap();
    let Slice::File(slice) = &read.slices[0] else { panic!("not in a file: {read:?}") };
    assert!(slice.may_be_sent());
    assert_eq!(slice.size_bytes, 2 * batch(1, 1, 1000).len());
    let bytes = contents(&log);
    let mut offset = Offset(0);
    for batch in record::Batches::new(&bytes) {
        let batch = batch.unwrap();
        assert_eq!(batch.base_offset(), offset);
        assert_eq!(batch.partition_leader_epoch(), LeaderEpoch(1));
        offset = batch.next_offset();
    }
    assert_eq!(offset, Offset(50));
}

#[test]
fn a_log_rolls_reads_across_segments_and_comes_back_rolled() {
    let rig = Rig::new(settings());
    let config = LogConfig { segment_bytes: 4000, ..LogConfig::default() };
    let log = rig.create_with("a", config);
    for tag in 0..30 {
        append(&log, &batch(tag, 1, 1000)).unwrap();
    }
    rig.run_for(Duration::from_secs(2));
    let before = contents(&log);
    let disk = rig.disk.power_loss(&mut Chance::new(3));
    let rig = Rig::on(disk, settings()).unwrap();
    assert_eq!(contents(&rig.log("a")), before);
}

#[test]
fn a_clean_stop_leaves_nothing_to_replay() {
    let rig = Rig::new(settings());
    let log = rig.create("a");
    for tag in 0..20 {
        append(&log, &batch(tag, 1, 500)).unwrap();
    }
    let before = contents(&log);
    rig.close();
    assert!(matches!(append(&log, &batch(1, 1, 1)), Err(AppendError::Offline)));
    let rig = Rig::on(rig.disk.power_loss(&mut Chance::new(1)), settings()).unwrap();
    assert!(rig.dir.facts().was_clean);
    let log = rig.log("a");
    assert_eq!(contents(&log), before);
    append(&log, &batch(21, 1, 500)).unwrap();
    rig.run();
    let before = contents(&log);
    let rig = Rig::on(rig.disk.power_loss(&mut Chance::new(2)), settings()).unwrap();
    assert_eq!(contents(&rig.log("a")), before);
}

#[test]
fn checkpoints_recycle_lane_files_and_the_log_goes_on() {
    let settings = Settings { checkpoint_bytes: 64 << 10, ..settings() };
    let rig = Rig::new(settings.clone());
    let logs: Vec<_> = ["a", "b", "c"].iter().map(|topic| rig.create(topic)).collect();
    for tag in 0..1500 {
        append(&logs[tag as usize % 3], &batch(tag, 1, 700)).unwrap();
        if tag % 3 == 0 {
            rig.run();
        }
    }
    rig.run_for(Duration::from_millis(50));
    let counters = rig.dir.counters();
    assert!(counters.checkpoints >= 5 && counters.recycled_files >= 2, "{counters:?}");
    let before: Vec<Vec<u8>> = logs.iter().map(|log| contents(log)).collect();
    let rig = Rig::on(rig.disk.power_loss(&mut Chance::new(11)), settings).unwrap();
    let after: Vec<Vec<u8>> = ["a", "b", "c"].iter().map(|topic| contents(&rig.log(topic))).collect();
    assert!(before == after);
}

#[test]
fn a_duplicate_is_answered_with_the_original_also_after_a_restart() {
    let rig = Rig::new(settings());
    let log = rig.create("a");
    let first = append(&log, &idempotent_batch(1, 7, 0)).unwrap();
    append(&log, &idempotent_batch(2, 7, 1)).unwrap();
    let again = append(&log, &idempotent_batch(1, 7, 0)).unwrap();
    assert!(again.is_duplicate && !first.is_duplicate);
    assert_eq!((again.base_offset, again.end), (first.base_offset, first.end));
    assert!(matches!(append(&log, &idempotent_batch(9, 7, 5)), Err(AppendError::Producer(_))));
    rig.run();
    let rig = Rig::on(rig.disk.power_loss(&mut Chance::new(5)), settings()).unwrap();
    let log = rig.log("a");
    assert!(append(&log, &idempotent_batch(2, 7, 1)).unwrap().is_duplicate);
    assert_eq!(append(&log, &idempotent_batch(3, 7, 2)).unwrap().base_offset, Offset(2));
}

#[test]
fn truncation_cuts_at_a_batch_and_stays_cut() {
    let rig = Rig::new(settings());
    let log = rig.create("a");
    for tag in 0..20 {
        append(&log, &batch(tag, 2, 1000)).unwrap();
    }
    rig.run_for(Duration::from_secs(2));
    for tag in 20..23 {
        append(&log, &batch(tag, 2, 1000)).unwrap();
    }
    log.learn_high_watermark(Offset(10));
    assert_eq!(
        rig.wait(log.truncate_to(Offset(4))),
        Err(TruncateError::BelowHighWatermark { high_watermark: Offset(10) })
    );
    let ticket = log.truncate_to(Offset(21));
    assert!(matches!(append(&log, &batch(1, 1, 1)), Err(AppendError::Paused)));
    assert_eq!(rig.wait(ticket), Ok(Offset(20)));
    assert_eq!(log.ends().log_end, Offset(20));
    assert_eq!(append(&log, &batch(77, 1, 900)).unwrap().base_offset, Offset(20));
    rig.run();
    let before = contents(&log);
    let rig = Rig::on(rig.disk.power_loss(&mut Chance::new(5)), settings()).unwrap();
    assert_eq!(contents(&rig.log("a")), before);
}

#[test]
fn a_later_log_start_removes_segments_and_survives() {
    let rig = Rig::new(settings());
    let log = rig.create_with("a", LogConfig { segment_bytes: 3000, ..LogConfig::default() });
    for tag in 0..20 {
        append(&log, &batch(tag, 1, 1000)).unwrap();
    }
    rig.run_for(Duration::from_secs(2));
    let size = log.size_bytes();
    assert_eq!(rig.wait(log.advance_log_start(Offset(11))), Ok(Offset(11)));
    assert!(log.size_bytes() < size);
    assert!(matches!(log.read(Offset(10), 10, Offset(20), true), Err(ReadError::OutOfRange { .. })));
    let before = contents(&log);
    let rig = Rig::on(rig.disk.power_loss(&mut Chance::new(5)), settings()).unwrap();
    let log = rig.log("a");
    assert_eq!(log.ends().log_start, Offset(11));
    assert_eq!(contents(&log), before);
}

#[test]
fn a_deleted_topic_may_be_made_again_at_once() {
    let rig = Rig::new(settings());
    let log = rig.create("a");
    append(&log, &batch(1, 1, 1000)).unwrap();
    rig.run_for(Duration::from_secs(2));
    let ticket = rig.dir.delete_log(&log);
    let name = log.name().clone();
    let new = rig.dir.create_log(name, rig::topic_id("a2"), LogConfig::default(), None).unwrap();
    append(&new, &batch(2, 1, 10)).unwrap();
    assert_eq!(rig.wait(ticket), Ok(()));
    assert!(matches!(append(&log, &batch(1, 1, 1)), Err(AppendError::Deleted)));
    let rig = Rig::on(rig.disk.power_loss(&mut Chance::new(5)), settings()).unwrap();
    assert_eq!(rig.dir.logs().len(), 1);
    assert_eq!(contents(&rig.log("a2")).len(), batch(2, 1, 10).len());
}

#[test]
fn a_relaxed_log_acknowledges_what_is_written_and_another_what_is_synced() {
    let rig = Rig::new(settings());
    let relaxed = LogConfig { durability: Durability::Relaxed, ..LogConfig::default() };
    let log = rig.create_with("a", relaxed.clone());
    // A group with its creation and its first batch: written, then synced.
    append(&log, &batch(1, 1, 100)).unwrap();
    assert_eq!(log.acknowledged_end(), Offset(0));
    rig.world.step_named("committer");
    assert_eq!((log.acknowledged_end(), log.ends().durable_end), (Offset(1), Offset(0)));
    let killed = Rig::on(rig.disk.fork().kill(), settings()).unwrap();
    assert_eq!(contents(&killed.log("a")), contents(&log), "what is acknowledged outlives the process");
    rig.run();
    assert_eq!(log.ends().durable_end, Offset(1));

    log.configure(LogConfig::default());
    append(&log, &batch(2, 1, 100)).unwrap();
    rig.world.step_named("committer");
    assert_eq!(log.acknowledged_end(), Offset(1));
    rig.run();
    assert_eq!(log.acknowledged_end(), Offset(2));

    log.configure(relaxed);
    append(&log, &batch(3, 1, 100)).unwrap();
    rig.world.step_named("committer");
    assert_eq!((log.acknowledged_end(), log.ends().durable_end), (Offset(3), Offset(2)));
}

#[test]
fn a_log_whose_deletion_no_lane_has_yet_is_whole_after_a_crash() {
    let rig = Rig::new(settings());
    let log = rig.create("a");
    append(&log, &batch(1, 1, 100)).unwrap();
    rig.run();
    let before = contents(&log);
    let checkpoints = rig.dir.counters().checkpoints;
    rig.dir.checkpoint();
    let deletion = rig.dir.delete_log(&log);
    while rig.dir.counters().checkpoints == checkpoints {
        assert!(rig.world.step_named("flusher"), "it waits for the committer");
    }
    let crashed = Rig::on(rig.disk.fork().kill(), settings()).unwrap();
    assert_eq!(contents(&crashed.log("a")), before);
    assert_eq!(rig.wait(deletion), Ok(()));
    let crashed = Rig::on(rig.disk.fork().kill(), settings()).unwrap();
    assert!(crashed.dir.logs().is_empty());
}

#[test]
fn a_log_may_be_deleted_as_soon_as_a_start_has_mended_it() {
    let rig = Rig::new(settings());
    let log = rig.create("a");
    append(&log, &batch(1, 1, 100)).unwrap();
    rig.run_for(Duration::from_secs(2));
    append(&log, &batch(2, 1, 100)).unwrap();
    rig.run();
    // Its second batch is in the lane alone; names that the start may have made are to be synced with its first piece.
    let rig = Rig::on(rig.disk.fork().kill(), settings()).unwrap();
    let log = rig.log("a");
    assert_eq!(rig.wait(rig.dir.delete_log(&log)), Ok(()));
    rig.dir.checkpoint();
    rig.run();
    assert!(!rig.dir.is_offline(), "what is gone was to be synced");
}

#[test]
fn timestamps_are_found_in_segments_that_have_no_file_yet() {
    let rig = Rig::new(settings());
    let log = rig.create_with("a", storage::LogConfig { segment_bytes: 1000, ..Default::default() });
    for tag in 0..4 {
        let mut builder = record::BatchBuilder::default();
        builder.append(Timestamp(1000 + tag), None, Some(&[0; 900]));
        append(&log, &builder.build().into()).unwrap();
    }
    for written in [false, true] {
        for (wanted, offset) in [(0, 0), (1001, 1), (1003, 3)] {
            let found = rig.wait(log.offset_for_timestamp(Timestamp(wanted), Offset(4))).unwrap().unwrap();
            assert_eq!(found.offset, Offset(offset), "timestamp {wanted}, written: {written}");
        }
        assert_eq!(rig.wait(log.offset_for_timestamp(Timestamp(1004), Offset(4))).unwrap(), None);
        let latest = rig.wait(log.offset_of_max_timestamp(Offset(4))).unwrap().unwrap();
        assert_eq!((latest.offset, latest.timestamp), (Offset(3), Timestamp(1003)));
        rig.run_for(Duration::from_secs(2));
    }
}

#[test]
fn timestamps_are_found_in_segments_and_in_the_tail() {
    let rig = Rig::new(settings());
    let log = rig.create("a");
    for tag in 0..30i64 {
        let mut builder = record::BatchBuilder::default();
        builder.append(Timestamp(1000 + tag * 10), None, Some(&[0; 900]));
        let bytes = builder.build().into();
        append(&log, &bytes).unwrap();
        if tag == 20 {
            rig.run_for(Duration::from_secs(2));
        }
    }
    for (wanted, offset) in [(0, 0), (1000, 0), (1001, 1), (1150, 15), (1255, 26), (1290, 29)] {
        let found = rig.wait(log.offset_for_timestamp(Timestamp(wanted), Offset(30))).unwrap().unwrap();
        assert_eq!(found.offset, Offset(offset), "timestamp {wanted}");
    }
    assert_eq!(rig.wait(log.offset_for_timestamp(Timestamp(1291), Offset(30))).unwrap(), None);
    let latest = rig.wait(log.offset_of_max_timestamp(Offset(30))).unwrap().unwrap();
    assert_eq!((latest.offset, latest.timestamp), (Offset(29), Timestamp(1290)));
}

#[test]
fn the_greatest_timestamp_may_be_below_the_log_start() {
    let rig = Rig::new(settings());
    let log = rig.create("a");
    for timestamp in [1030, 1010, 1020] {
        let mut builder = record::BatchBuilder::default();
        builder.append(Timestamp(timestamp), None, Some(&[0; 10]));
        append(&log, &builder.build().into()).unwrap();
    }
    assert_eq!(rig.wait(log.advance_log_start(Offset(1))), Ok(Offset(1)));
    for written in [false, true] {
        let latest = rig.wait(log.offset_of_max_timestamp(Offset(3))).unwrap().unwrap();
        assert_eq!((latest.offset, latest.timestamp), (Offset(0), Timestamp(1030)), "written: {written}");
        rig.run_for(Duration::from_secs(2));
    }
}

#[test]
fn a_failed_sync_takes_the_directory_offline_and_is_not_tried_again() {
    let rig = Rig::new(settings());
    let log = rig.create("a");
    let heard = Arc::new(Heard::default());
    log.set_listener(heard.clone());
    append(&log, &batch(1, 1, 100)).unwrap();
    rig.run();
    rig.disk.inject(env::sim::disk::Fault::input_output(env::sim::disk::Call::SyncData));
    append(&log, &batch(2, 1, 100)).unwrap();
    rig.run();
    assert!(rig.dir.is_offline());
    assert_eq!(*heard.0.lock(), [Offset(1), Offset::NONE]);
    assert!(matches!(append(&log, &batch(3, 1, 1)), Err(AppendError::Offline)));
}

#[test]
fn two_processes_on_one_directory_and_strangers_are_told() {
    let rig = Rig::new(settings());
    assert!(matches!(Rig::on(rig.disk.clone(), settings()), Err(OpenError::Locked { .. })));
    let disk = rig.disk.kill();
    let world = rig::World::new(1);
    let env = rig::env_on(&disk, &world);
    let other = storage::Identity { cluster_id: None, node_id: 2 };
    let opened = storage::LogDir::open(&env, std::path::Path::new(rig::ROOT), &other, settings());
    assert!(matches!(opened, Err(OpenError::Meta(storage::MetaError::Foreign { key: "node.id", .. }))));
}

#[test]
fn a_full_disk_refuses_produces_and_takes_them_again_when_there_is_room() {
    let rig = Rig::new(settings());
    let log = rig.create("a");
    let other = rig.create("b");
    append(&log, &batch(1, 1, 1000)).unwrap();
    rig.run_for(Duration::from_secs(2));
    rig.disk.set_free_bytes(32 << 10);
    for tag in 0..30 {
        append(&log, &batch(tag, 1, 2000)).unwrap(); // Let in before anybody has noticed.
    }
    rig.run_for(Duration::from_secs(5));
    assert!(!rig.dir.admits(1) && rig.dir.refuses_produce() && !rig.dir.is_offline());
    assert_eq!(log.ends().durable_end, log.ends().log_end, "the lane was written in advance");
    let before = contents(&log);
    assert_eq!(rig.wait(rig.dir.delete_log(&other)), Ok(()), "deletes go on");
    rig.disk.set_free_bytes(1 << 30);
    rig.run_for(Duration::from_secs(5));
    assert!(rig.dir.admits(1) && !rig.dir.refuses_produce());
    assert_eq!(rig.dir.memory_in_use(), 0, "what waited is written");
    let rig = Rig::on(rig.disk.power_loss(&mut Chance::new(9)), settings()).unwrap();
    assert_eq!(contents(&rig.log("a")), before);
}

#[test]
fn a_stop_with_many_tails_leaves_them_in_the_lane() {
    let settings = Settings { lane_file_bytes: 1 << 20, lane_bytes_max: 16 << 20, ..settings() };
    let rig = Rig::new(settings.clone());
    let names: Vec<String> = (0..300).map(|number| format!("t{number}")).collect();
    let logs: Vec<_> = names.iter().map(|name| rig.create(name)).collect();
    rig.run();
    for (tag, log) in logs.iter().enumerate() {
        append(log, &batch(tag as u64, 1, 200)).unwrap();
    }
    let before: Vec<Vec<u8>> = logs.iter().map(|log| contents(log)).collect();
    let syncs_before = rig.dir.counters().segment_syncs;
    rig.disk.take_work();
    rig.close();
    let syncs = rig.disk.take_work().syncs;
    // The groups, a seal, the checkpoint.
    assert!(syncs < 12, "{syncs}");
    assert_eq!(rig.dir.counters().segment_syncs, syncs_before);

    for round in 0..2 {
        let rig = Rig::on(rig.disk.power_loss(&mut Chance::new(round)), settings.clone()).unwrap();
        assert!(rig.dir.facts().was_clean);
        let log = |name: &str| rig.log(name);
        let after: Vec<Vec<u8>> = names.iter().map(|name| contents(&log(name))).collect();
        assert!(before == after);
        append(&rig.log("t7"), &batch(99, 1, 10)).unwrap();
        rig.run();
        let rig = Rig::on(rig.disk.kill(), settings.clone()).unwrap();
        assert!(!rig.dir.facts().was_clean);
        assert_eq!(rig.log("t7").ends().log_end, Offset(2));
        assert_eq!(rig.log("t8").ends().log_end, Offset(1));
    }
}

#[test]
fn a_stop_that_cannot_write_its_files_in_time_leaves_them_in_the_lane() {
    let rig = Rig::new(settings());
    let log = rig.create("a");
    append(&log, &batch(1, 1, 500)).unwrap();
    let before = contents(&log);
    // Pieces find no space, and wait for it; the checkpoint's file is there already.
    rig.disk.inject(env::sim::disk::Fault::no_space(env::sim::disk::Call::CreateDir).times(u64::MAX));
    rig.close();
    let rig = Rig::on(rig.disk.power_loss(&mut Chance::new(4)), settings()).unwrap();
    assert!(rig.dir.facts().was_clean);
    assert_eq!(contents(&rig.log("a")), before);
}
