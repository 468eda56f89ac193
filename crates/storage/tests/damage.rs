//! Any bit flipped and any file cut short: the engine starts and serves what was written, or says which range is lost and
//! answers an error there. Never a wrong byte, never a log that is silently shorter.
//!
//! Bounded so that it runs with every `cargo test`: a sample, drawn by `OTTLA_DAMAGE_SEED`. `OTTLA_DAMAGE=all` flips every
//! bit of every file and cuts each at every length; `OTTLA_DAMAGE=3/8` does the third of eight parts of that.
mod damaged;
mod rig;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use damaged::{Image, Outcome, Tried};
use env::sim::{Chance, Disk};
use env::{Disk as _, OpenOptions};
use record::{Batches, Offset, Timestamp};
use rig::{Rig, append, batch};
use storage::{AppendError, ReadError, Settings};

/// Of so many bits one is flipped, and of so many lengths one is tried, where nobody asks for more.
const BITS_SAMPLED: u64 = 190;
const LENGTHS_SAMPLED: u64 = 80;

/// Which of how many parts of all there is, if somebody asks for that.
fn asked_part() -> Option<(u64, u64)> {
    let asked = std::env::var("OTTLA_DAMAGE").ok()?;
    let (part, parts) = if asked == "all" { ("1", "1") } else { asked.split_once('/').expect("all, or a part as 3/8") };
    let (part, parts): (u64, u64) = (part.parse().expect("a number"), parts.parse().expect("a number"));
    assert!((1..=parts).contains(&part), "{asked}");
    Some((part - 1, parts))
}

/// Whether this one of all is to be tried: one of so many, where nobody asks for more.
fn is_drawn(number: u64, chance: &mut Chance, one_of: u64) -> bool {
    match asked_part() {
        Some((part, parts)) => number % parts == part,
        None => chance.index(one_of as usize) == 0,
    }
}

fn chance() -> Chance {
    let seed = std::env::var("OTTLA_DAMAGE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7);
    println!("seed {seed}");
    Chance::new(seed)
}

fn flip_bits(image: &Image) {
    let (mut tried, mut chance) = (Tried::default(), chance());
    for (path, content) in image.files() {
        let bits = content.len() as u64 * 8;
        for bit in (0..bits).filter(|bit| image.means_something(&path, &content, bit / 8)) {
            if is_drawn(bit, &mut chance, BITS_SAMPLED) {
                flip_bit(image, &mut tried, &path, bit);
            }
        }
    }
    println!("{}: {tried}", image.name);
    tried.assert_started(&["meta.properties"]);
    tried.assert_marked();
}

/// `bit` is counted from the file's start.
fn flip_bit(image: &Image, tried: &mut Tried, path: &str, bit: u64) {
    let (at, bit) = (bit / 8, bit % 8);
    let what = format!("{}: bit {bit} of byte {at} of {path}", image.name);
    tried.count(path, told(&what, || image.judge(|disk| damaged::flip(disk, path, at, 1 << bit))));
}

fn cut_files(image: &Image) {
    let (mut tried, mut chance) = (Tried::default(), chance());
    for (path, content) in image.files() {
        let len = content.len() as u64;
        let always = [0, 1, len / 2, len.saturating_sub(1), len.saturating_sub(4096)];
        for length in 0..len {
            if always.contains(&length) || is_drawn(length, &mut chance, LENGTHS_SAMPLED) {
                let what = format!("{}: {path} cut to {length} of {len}", image.name);
                tried.count(&path, told(&what, || image.judge(|disk| damaged::cut(disk, &path, length))));
            }
        }
    }
    println!("{}: {tried}", image.name);
    tried.assert_started(&["meta.properties"]);
    tried.assert_marked();
}

#[test]
fn any_flipped_bit_after_a_stop_is_survived_or_said() {
    flip_bits(&Image::stopped());
}

#[test]
fn any_flipped_bit_after_a_kill_is_survived_or_said() {
    flip_bits(&Image::killed());
}

#[test]
fn any_file_that_is_cut_short_after_a_stop_is_survived_or_said() {
    cut_files(&Image::stopped());
}

#[test]
fn any_file_that_is_cut_short_after_a_kill_is_survived_or_said() {
    cut_files(&Image::killed());
}

/// Where the checksum of a record fails, its kind may be what is damaged: nothing is concluded from it.
#[test]
fn any_flipped_bit_in_the_kind_of_a_record_is_survived_or_said() {
    const KIND_AT: u64 = 512 + 8;
    let image = Image::killed();
    let mut tried = Tried::default();
    for (path, content) in image.files().into_iter().filter(|(path, _)| path.starts_with("lane/lane-")) {
        let kinds = (KIND_AT..content.len() as u64).step_by(4096).filter(|at| content[*at as usize] != 0);
        kinds.flat_map(|at| at * 8..at * 8 + 8).for_each(|bit| flip_bit(&image, &mut tried, &path, bit));
    }
    println!("{}: {tried}", image.name);
    tried.assert_marked();
}

/// A log's id, where another log ends at the same offset.
#[test]
fn any_flipped_bit_in_a_group_of_several_logs_is_survived_or_said() {
    let image = Image::killed();
    let mut tried = Tried::default();
    let (path, content) = image.files().into_iter().find(|(path, _)| path == "lane/lane-00000").unwrap();
    let of_group = |at: &usize| content[*at..].starts_with(b"OTTLAGRP");
    let groups: Vec<usize> = (0..content.len()).step_by(4096).filter(of_group).collect();
    for group in groups {
        let size = u64::from_be_bytes(content[group + 32..group + 40].try_into().unwrap()) as usize;
        // Of the first of many records enough.
        for bit in (group + 512) * 8..(group + size.min(1100)) * 8 {
            flip_bit(&image, &mut tried, &path, bit as u64);
        }
    }
    println!("{}: {tried}", image.name);
    tried.assert_marked();
}

/// No checksum covers it, and of a relaxed log that was never synced only the files know.
#[test]
fn any_flipped_bit_in_the_first_leader_epoch_of_a_log_is_survived_or_said() {
    let image = Image::killed();
    let mut tried = Tried::default();
    for (path, _) in image.files().into_iter().filter(|(path, content)| path.ends_with(".log") && content.len() > 16) {
        (12 * 8..16 * 8).for_each(|bit| flip_bit(&image, &mut tried, &path, bit));
    }
    println!("{}: {tried}", image.name);
    tried.assert_marked();
}

#[test]
fn any_file_that_is_gone_is_survived_or_said() {
    for image in [Image::stopped(), Image::killed()] {
        let mut tried = Tried::default();
        for (path, _) in image.files() {
            let what = format!("{}: without {path}", image.name);
            tried.count(&path, told(&what, || image.judge(|disk| damaged::remove(disk, &path))));
        }
        println!("{}: {tried}", image.name);
        tried.assert_started(&["meta.properties"]);
        tried.assert_marked();
    }
}

/// That it was there no name of another file tells. Once it is made while there is room in the one before, and once only when
/// that is full, since no second one is allowed and a group needs it.
#[test]
fn the_last_file_of_the_lane_is_missed() {
    for (lane_bytes_max, value_bytes) in [(64 << 10, 5000), (32 << 10, 40_000)] {
        let settings = Settings { lane_bytes_max, direct_bytes: usize::MAX, ..damaged::settings() };
        let rig = Rig::on(Disk::new(1), settings.clone()).unwrap();
        rig.create("a");
        let mut batches = 0;
        let is_in_second = |disk: &Disk| {
            let content = disk.visible(format!("{}/lane/lane-00001", rig::ROOT));
            content.is_some_and(|content| content.starts_with(b"OTTLAGRP"))
        };
        while !is_in_second(&rig.disk) {
            append(&rig.log("a"), &batch(batches, 1, if batches == 0 { 100 } else { value_bytes })).unwrap();
            rig.run();
            batches += 1;
            assert!(batches < 10, "{lane_bytes_max}: the second file is never used");
        }
        let disk = rig.disk.kill().durable_image();
        let rig = Rig::on(disk.fork().kill(), settings.clone()).unwrap();
        assert_eq!(Batches::new(&rig::contents(&rig.log("a"))).count() as u64, batches);
        rig.world.end();

        damaged::remove(&disk, "lane/lane-00001");
        let report = damaged::verify(&disk);
        assert!(report.findings.iter().any(|finding| finding.is_damage()), "{lane_bytes_max}: {report:?}");
        let rig = Rig::on(disk, settings.clone()).unwrap();
        let appended = append(&rig.log("a"), &batch(99, 1, 10));
        assert!(matches!(appended, Err(AppendError::Suspect { .. })), "{lane_bytes_max}: {appended:?}");
        rig.run_for(Duration::from_secs(2));
        rig.dir.checkpoint();
        rig.run_for(Duration::from_millis(20));
        rig.world.end();
        let rig = Rig::on(rig.disk.kill(), settings).unwrap();
        assert!(append(&rig.log("a"), &batch(99, 1, 10)).is_err(), "not by starting again");
        rig.world.end();
    }
}

/// What a replica is told of producers when it takes another's place: nothing that it holds itself would tell it again.
#[test]
fn what_a_log_was_told_of_producers_is_durable_when_either_checkpoint_has_it() {
    let source = Rig::new(damaged::settings());
    let whole = source.create("a");
    append(&whole, &rig::idempotent_batch(1, 7, 0)).unwrap();
    append(&whole, &batch(2, 1, 10)).unwrap();
    let rig = Rig::new(damaged::settings());
    let log = rig.create("a");
    let left = Bytes::from(rig::contents_from(&whole, Offset(1)));
    log.append_as_follower(&left, Timestamp(0)).unwrap();
    rig.run();
    assert!(log.active_producers().is_empty(), "compaction has taken the first batch");

    log.remember_producers_of(&whole);
    assert!(!log.has_durable_producers());
    let before = rig.dir.counters().checkpoints;
    rig.run();
    assert!(log.has_durable_producers());
    assert_eq!(rig.dir.counters().checkpoints - before, 2);
    log.remember_producers_of(&whole);
    assert!(log.has_durable_producers(), "it knew");
    for damaged in [None, Some("checkpoint-0"), Some("checkpoint-1")] {
        let disk = rig.disk.fork().power_loss(&mut Chance::new(1));
        if let Some(checkpoint) = damaged {
            damaged::flip(&disk, checkpoint, 100, 1);
        }
        let rig = Rig::on(disk, damaged::settings()).unwrap();
        assert_eq!(rig.log("a").active_producers(), whole.active_producers(), "{damaged:?} damaged");
    }
}

#[test]
fn what_others_put_into_a_directory_does_no_harm() {
    for image in [Image::stopped(), Image::killed()] {
        for plant in damaged::PLANTS {
            let what = format!("{}: with {}", image.name, plant.path);
            let outcome = told(&what, || image.judge(|disk| damaged::plant(disk, plant)));
            // What has the name of a lane file could be one that was cut, and the next group could have been in it.
            let may_be_lane = plant.path.starts_with("lane/lane-") && !plant.path.ends_with(".new");
            assert!(outcome == Outcome::Sound || may_be_lane && outcome == Outcome::Marked, "{what}: {outcome:?}");
        }
    }
}

#[test]
fn looking_finds_nothing_where_nothing_is_wrong_and_changes_nothing() {
    for image in [Image::stopped(), Image::killed()] {
        let disk = image.copy();
        let report = damaged::verify(&disk);
        assert_eq!(report.findings, [], "{}", image.name);
        assert!(
            report.logs.len() >= 4 && report.logs.iter().all(|log| log.batches > 0 || log.lane_bytes > 0),
            "{report:?}"
        );
        assert!(image.is_as_it_was(&disk), "{}", image.name);
        let rig = damaged::open(disk.clone()).unwrap();
        let found = storage::inspect::hold(&disk, Path::new(rig::ROOT));
        assert!(matches!(found, Err(storage::OpenError::Locked { .. })), "a broker runs");
        rig.world.end();
    }
}

#[test]
fn looking_tells_a_flipped_bit_of_a_batch_with_file_and_range() {
    let image = Image::stopped();
    let files = image.files();
    let (path, _) = files.iter().find(|(path, content)| path.ends_with(".log") && content.len() > 500).unwrap();
    let disk = image.copy();
    damaged::flip(&disk, path, 200, 1);
    let report = damaged::verify(&disk);
    let [finding] = &report.findings[..] else { panic!("{:?}", report.findings) };
    assert!(finding.path.ends_with(path) && finding.reason.starts_with("checksum "), "{finding:?}");
    assert!(finding.positions.as_ref().unwrap().contains(&200), "{finding:?}");
    assert!(finding.is_damage() && finding.log.is_some() && finding.offsets.is_some(), "{finding:?}");
}

/// Names what was done to the directory when something panics.
fn told(what: &str, judge: impl FnOnce() -> Outcome) -> Outcome {
    match catch_unwind(AssertUnwindSafe(judge)) {
        Ok(outcome) => outcome,
        Err(panic) => {
            eprintln!("{what}");
            std::panic::resume_unwind(panic)
        }
    }
}

#[test]
fn a_log_that_may_have_lost_its_end_takes_nothing_until_somebody_accepts_that() {
    let image = Image::killed();
    let disk = image.copy();
    // The last lane file: what was in it is anybody's guess.
    for (path, _) in image.files().iter().filter(|(path, _)| path.starts_with("lane/")) {
        damaged::cut(&disk, path, 0);
    }
    let rig = damaged::open(disk).unwrap();
    let log = rig.log("b");
    let end = log.ends().log_end;
    assert!(matches!(append(&log, &batch(1, 1, 10)), Err(AppendError::Suspect { end: at }) if at == end));
    assert!(matches!(log.read(end, 100, end, true), Err(ReadError::Faulty { .. })));
    let before = rig::contents(&log);
    assert!(!before.is_empty());
    rig.dir.checkpoint();
    rig.run_for(Duration::from_secs(2));
    rig.world.end();

    let rig = damaged::open(rig.disk.kill()).unwrap();
    assert!(append(&rig.log("b"), &batch(1, 1, 10)).is_err(), "not by starting again");
    rig.world.end();
    let disk = rig.disk.kill();
    let accept = Path::new(rig::ROOT).join("accept-loss");
    disk.open(&accept, OpenOptions::CREATE_NEW).unwrap();
    let rig = damaged::open(disk).unwrap();
    assert_eq!(append(&rig.log("b"), &batch(1, 1, 10)).unwrap().base_offset, end);
    assert_eq!(rig.dir.faulty_ranges(), 0);
    rig.run_for(Duration::from_secs(2));
    assert!(rig.disk.open(&accept, OpenOptions::READ).is_err(), "it is gone");
    rig.world.end();
    let rig = damaged::open(rig.disk.kill()).unwrap();
    assert_eq!(append(&rig.log("b"), &batch(2, 1, 10)).unwrap().base_offset, end + 1);
    rig.world.end();
}

#[test]
fn the_judge_sees_what_it_is_to_see() {
    let image = Image::killed();
    let outcome = image.judge(|_| {});
    assert_eq!(outcome, Outcome::Sound);
    let lost = catch_unwind(AssertUnwindSafe(|| image.without_a_batch().judge(|_| {})));
    assert!(lost.is_err(), "a log that is shorter than it must be goes unnoticed");
}
