//! Crashes an engine and looks at what comes back.
use env::Disk as _;
use env::sim::{Chance, Disk};
use record::Offset;
use storage::OpenError;

use super::model::{LogModel, Model, as_sent};
use super::{Bounds, Report, TEARING, contents, open};
use crate::rig::{self, Rig, append};

/// Everything that a crash now may leave is recovered and judged.
pub fn crash(rig: &Rig, model: &Model, label: &str, bounds: &Bounds, chance: &mut Chance, report: &mut Report) {
    report.crash_points += 1;
    let killed = rig.disk.fork().kill();
    without_a_checkpoint(&killed, model, label, chance.index(2), report);
    recover(killed, model, true, label, bounds, chance, report);
    for fates in rig.disk.crash_fates(TEARING, bounds.fates_max, chance) {
        let image = rig.disk.restart_with(&fates);
        recover(image, model, false, label, bounds, chance, report);
    }
}

/// Whichever of the two rots, the other has all that it needs: nothing is lost, and soon there are two again.
fn without_a_checkpoint(killed: &Disk, model: &Model, label: &str, which: usize, report: &mut Report) {
    if model.is_full() {
        return; // Only the next start with room writes another.
    }
    report.recoveries += 1;
    let case = || format!("{label}, kill, checkpoint {which} rotten");
    let image = killed.fork().kill();
    destroy_checkpoint(&image, which);
    let rig = opened(image, &case);
    judge(&rig, model, true, &case);
    rig.run_for(std::time::Duration::from_millis(20));
    let image = rig.disk.kill();
    rig.world.end();
    destroy_checkpoint(&image, 1 - which);
    let rig = opened(image, &case);
    judge(&rig, model, true, &case);
    rig.world.end();
}

fn destroy_checkpoint(disk: &Disk, which: usize) {
    let path = format!("{}/checkpoint-{which}", rig::ROOT);
    let file = disk.open(path.as_ref(), env::OpenOptions::WRITE).unwrap();
    file.write_all_at(&[std::io::IoSlice::new(&[0x55; 40])], 8).unwrap();
    file.sync_data().unwrap();
}

#[allow(clippy::too_many_arguments)]
fn recover(
    image: Disk,
    model: &Model,
    kernel_lives: bool,
    label: &str,
    bounds: &Bounds,
    chance: &mut Chance,
    report: &mut Report,
) {
    let case = || format!("{label}, {}", if kernel_lives { "kill" } else { "power loss" });
    let image = if model.is_full() { started_without_room(image, model, kernel_lives, &case, report) } else { image };
    for _ in 0..bounds.second_crashes {
        report.crashes_inside_recovery += 1;
        let (second, lives) = crash_inside_recovery(&image, chance);
        if let Some(second) = second {
            let rig = opened(second, &case);
            report.recoveries += 1;
            judge(&rig, model, kernel_lives && lives, &case);
            rig.world.end();
        }
    }
    report.recoveries += 1;
    let rig = opened(image, &case);
    judge(&rig, model, kernel_lives, &case);
    if chance.index(3) == 0 {
        // What a recovery has published survives the next power loss, whatever that takes.
        let published = published(&rig);
        let again = opened(rig.disk.durable_image(), &case);
        assert!(self::published(&again) == published, "{}: published and lost", case());
        again.world.end();
    } else {
        go_on(&rig, model, &case);
    }
    rig.world.end();
}

/// A start on a full disk succeeds, or says that there is no room; either way nothing is lost. Then there is room again.
fn started_without_room(
    image: Disk,
    model: &Model,
    kernel_lives: bool,
    case: &dyn Fn() -> String,
    report: &mut Report,
) -> Disk {
    report.recoveries += 1;
    image.set_free_bytes(0);
    match open(image.clone(), true) {
        Ok(rig) => {
            judge(&rig, model, kernel_lives, case);
            rig.world.end();
        }
        Err(OpenError::Io { .. } | OpenError::Segment(_)) => {}
        Err(error) => panic!("{}: {error}", case()),
    }
    let image = image.kill();
    image.set_free_bytes(1 << 30);
    image
}

fn opened(image: Disk, case: &dyn Fn() -> String) -> Rig {
    // Of two recoveries one has little memory.
    let has_memory = image.operations().is_multiple_of(2);
    let rig = open(image.clone(), has_memory).unwrap_or_else(|error| {
        super::show_lane(&image);
        panic!("{}: {error}", case())
    });
    if rig.dir.faulty_ranges() > 0 || rig.dir.may_lack_logs() {
        super::show_lane(&image);
        panic!("{}: damage is found, and nothing rots", case());
    }
    rig
}

/// Power fails, or the process dies, at some call of the recovery. `None` if the recovery was done before.
fn crash_inside_recovery(image: &Disk, chance: &mut Chance) -> (Option<Disk>, bool) {
    let disk = image.fork();
    disk.crash_at(disk.operations() + chance.in_range(0..24));
    match open(disk.clone(), chance.happens(0.5)) {
        Ok(rig) => {
            rig.world.end();
            (None, true)
        }
        Err(OpenError::Io { .. } | OpenError::Segment(_) | OpenError::Lane { .. } | OpenError::Meta(_)) => {
            let lives = chance.happens(0.5);
            let next = if lives { disk.kill() } else { disk.power_loss(chance) };
            (Some(next), lives)
        }
        Err(error) => panic!("a crash inside recovery: {error}"),
    }
}

fn published(rig: &Rig) -> Vec<(String, Offset, Vec<u8>)> {
    rig.dir.logs().iter().map(|log| (log.name().topic.to_string(), log.ends().log_start, contents(log))).collect()
}

fn judge(rig: &Rig, model: &Model, kernel_lives: bool, case: &dyn Fn() -> String) {
    for (topic, log_model) in &model.logs {
        let log = rig.dir.log(rig::topic_id(topic), 0);
        let owed = log_model.owed(kernel_lives);
        let Some(log) = log else {
            let may_be_gone = log_model.deletion.is_some() || owed == 0;
            assert!(may_be_gone, "{}: log {topic} is gone, with {owed} batches acknowledged", case());
            continue;
        };
        assert!(!log_model.is_deleted, "{}: log {topic} was deleted and is back", case());
        judge_log(&log, log_model, owed, topic, case);
    }
    for log in rig.dir.logs() {
        assert!(model.logs.contains_key(&*log.name().topic), "{}: nobody made {:?}", case(), log);
    }
}

fn judge_log(log: &storage::Log, model: &LogModel, owed: usize, topic: &str, case: &dyn Fn() -> String) {
    let ends = log.ends();
    let asked_start = model.log_start_move.as_ref().map(|asked| asked.what);
    let start_is_right = ends.log_start == model.log_start || Some(ends.log_start) == asked_start;
    assert!(start_is_right, "{}: log {topic} starts at {}, not {}", case(), ends.log_start, model.log_start);
    assert_eq!(ends.durable_end, ends.log_end, "{}: log {topic} is not durable after recovery", case());
    let found = model.count_at(ends.log_end);
    let boundary = found.checked_sub(1).map_or(Offset(0), |last| model.ends[last]);
    let expected_end = boundary.max(ends.log_start);
    assert_eq!(ends.log_end, expected_end, "{}: log {topic} ends at no batch of {:?}", case(), model.ends);
    let cut = model.truncation.as_ref().map(|asked| model.count_at(asked.what));
    let is_enough = found >= owed || cut.is_some_and(|cut| found == cut);
    assert!(is_enough, "{}: log {topic} has {found} batches, {owed} were acknowledged", case());
    let first = model.ends.partition_point(|end| *end <= ends.log_start);
    let held = contents(log);
    let kept = record::Batches::new(&held).count();
    let from = found.checked_sub(kept).unwrap_or_else(|| panic!("{}: log {topic} holds too many batches", case()));
    let first = first.min(found);
    // Compaction leaves the last of what it has compared, and what is behind.
    let is_compacted = first < from && from < model.compactable;
    assert!(from == first || is_compacted, "{}: log {topic} begins with batch {from} of {found}", case());
    assert!(held == model.batches[from..found].concat(), "{}: log {topic} holds other bytes than appended", case());
}

/// The recovered engine takes up where its producers left off.
fn go_on(rig: &Rig, model: &Model, case: &dyn Fn() -> String) {
    rig.run(); // A log that was being cut takes a moment to open.
    for log in rig.dir.logs() {
        let log_model = &model.logs[&*log.name().topic];
        let found = log_model.count_at(log.ends().log_end);
        if found > 0 {
            let again = append(&log, &as_sent(&log_model.batches[found - 1]));
            let again = again.unwrap_or_else(|error| panic!("{}: the newest batch again: {error}", case()));
            assert!(again.is_duplicate, "{}: a duplicate was appended to {:?}", case(), log);
            assert_eq!(again.end, log_model.ends[found - 1], "{}: another original", case());
        }
        let sequence = found.checked_sub(1).map_or(0, |last| log_model.sequences[last] + 1);
        let next = rig::sized_idempotent_batch(999, 7, sequence, 30);
        let appended = append(&log, &next);
        let appended = appended.unwrap_or_else(|error| panic!("{}: the next batch: {error}", case()));
        assert_eq!(appended.base_offset, log.ends().log_end - 1, "{}: at a wrong place", case());
    }
    rig.run_for(std::time::Duration::from_secs(2));
    assert_eq!(rig.dir.memory_in_use(), 0, "{}: a tail is not written", case());
    let before = published(rig);
    assert!(rig.dir.logs().iter().all(|log| log.acknowledged_end() == log.ends().log_end), "{}: stuck", case());
    let again = opened(rig.disk.durable_image(), case);
    assert!(published(&again) == before, "{}: acknowledged after a recovery and lost", case());
    again.world.end();
}
