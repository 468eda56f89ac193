//! Any bit flipped and any file cut short: the engine starts and serves what was written, or says which range is lost and
//! answers an error there. Never a wrong byte, never a log that is silently shorter.
//!
//! Bounded so that it runs with every `cargo test`: of the bytes that mean anything a sample. `OTTLA_DAMAGE=1` flips a bit
//! of every one, 8 every bit.
mod damaged;
mod rig;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use damaged::{Image, Outcome, Tried};
use env::sim::Chance;
use env::{Disk, OpenOptions};
use rig::{append, batch};
use storage::{AppendError, ReadError};

/// Of so many bytes one is tried, where nobody asks for more.
const SAMPLED: u64 = 24;

fn bits_per_byte() -> u64 {
    std::env::var("OTTLA_DAMAGE").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[test]
fn any_flipped_bit_is_survived_or_said() {
    for image in [Image::stopped(), Image::killed()] {
        let mut tried = Tried::default();
        let mut chance = Chance::new(7);
        for (path, content) in image.files() {
            for at in 0..content.len() as u64 {
                if !image.means_something(&path, &content, at) {
                    continue;
                }
                let bits = match bits_per_byte() {
                    0 if chance.index(SAMPLED as usize) > 0 => 0,
                    0 | 1 => 1 << chance.index(8),
                    _ => 255u8,
                };
                for bit in (0..8).filter(|bit| bits & 1 << bit != 0) {
                    let what = format!("{}: bit {bit} of byte {at} of {path}", image.name);
                    tried.count(&path, told(&what, || image.judge(|disk| damaged::flip(disk, &path, at, 1 << bit))));
                }
            }
        }
        println!("{}: {tried}", image.name);
        tried.assert_started(&["meta.properties"]);
    }
}

#[test]
fn any_file_that_is_cut_short_is_survived_or_said() {
    for image in [Image::stopped(), Image::killed()] {
        let mut tried = Tried::default();
        let mut chance = Chance::new(8);
        for (path, content) in image.files() {
            let len = content.len() as u64;
            let mut lengths = vec![0, 1, len / 2, len.saturating_sub(1), len.saturating_sub(4096)];
            let more = if bits_per_byte() > 0 { 200 } else { 10 };
            lengths.extend((0..more).map(|_| chance.index(len.max(1) as usize) as u64));
            for length in lengths.into_iter().filter(|length| *length < len) {
                let what = format!("{}: {path} cut to {length} of {len}", image.name);
                tried.count(&path, told(&what, || image.judge(|disk| damaged::cut(disk, &path, length))));
            }
        }
        println!("{}: {tried}", image.name);
        tried.assert_started(&["meta.properties"]);
    }
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
