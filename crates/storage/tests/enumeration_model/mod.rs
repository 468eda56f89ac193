//! Operations, what the engine owes after each, and the judge. The model knows what was appended, what was acknowledged
//! and what was asked for; never how the engine does it.
mod judge;
mod model;

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use env::sim::disk::Tearing;
use env::sim::{Chance, Disk};
use storage::Settings;

use crate::rig::{self, Rig};
pub use model::{Model, Op};

pub struct Bounds {
    /// Sets of unsynced effects looked at for each place of a crash.
    pub fates_max: usize,
    /// Crashes inside the recovery of each first crash.
    pub second_crashes: usize,
    pub seed: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Report {
    pub sequences: u64,
    pub crash_points: u64,
    pub recoveries: u64,
    pub crashes_inside_recovery: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sequences, {} places of a crash, {} recoveries, {} crashes inside one",
            self.sequences, self.crash_points, self.recoveries, self.crashes_inside_recovery
        )
    }
}

pub fn settings() -> Settings {
    Settings {
        // Four blocks, and the one that is kept.
        lane_file_bytes: 20 << 10,
        lane_bytes_max: 120 << 10,
        checkpoint_bytes: u64::MAX / 2,
        group_bytes_max: 16 << 10,
        piece_bytes: 4 << 10,
        direct_bytes: 9 << 10,
        direct_batch_bytes: 0,
        syncers: 1,
        #[cfg(feature = "mutants")]
        mutant: mutant(),
        ..Settings::default()
    }
}

#[cfg(feature = "mutants")]
pub fn set_mutant(mutant: Option<storage::Mutant>) {
    *MUTANT.lock() = mutant;
}

#[cfg(feature = "mutants")]
static MUTANT: parking_lot::Mutex<Option<storage::Mutant>> = parking_lot::Mutex::new(None);

#[cfg(feature = "mutants")]
fn mutant() -> Option<storage::Mutant> {
    *MUTANT.lock()
}

pub fn enumerate(ops: &[Op], length: u32, bounds: &Bounds, report: &mut Report) {
    for number in 0..ops.len().pow(length) {
        let mut rest = number;
        let sequence: Vec<Op> = (0..length)
            .map(|_| {
                let op = ops[rest % ops.len()];
                rest /= ops.len();
                op
            })
            .collect();
        for pace in Pace::ALL {
            run(&sequence, pace, bounds, report);
        }
    }
}

pub fn sample(ops: &[Op], length: usize, count: u64, bounds: &Bounds, report: &mut Report) {
    let mut chance = Chance::new(bounds.seed * 1000 + length as u64);
    for _ in 0..count {
        let sequence: Vec<Op> = (0..length).map(|_| *chance.pick(ops)).collect();
        let pace = match chance.index(3) {
            0 => Pace::Settled,
            1 => Pace::AtOnce,
            _ => Pace::Random(chance.next_u64()),
        };
        run(&sequence, pace, bounds, report);
    }
}

/// What the workers do between two operations.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// All that is to be done.
    Settled,
    /// Nothing.
    AtOnce,
    /// Some steps, of whichever worker.
    Random(u64),
}

impl Pace {
    const ALL: [Pace; 2] = [Pace::Settled, Pace::AtOnce];
}

/// A directory with two logs, stopped in order.
fn base() -> (Disk, Model) {
    static BASE: OnceLock<(parking_lot::Mutex<Disk>, Model)> = OnceLock::new();
    let (disk, model) = BASE.get_or_init(|| {
        let rig = Rig::on(Disk::new(1), settings()).unwrap();
        let mut model = Model::default();
        for op in [Op::Create, Op::Append, Op::AppendLarge, Op::Append] {
            model.apply(op, &rig);
            rig.run_for(Duration::from_secs(2));
            model.observe(&rig);
        }
        rig.close();
        (parking_lot::Mutex::new(rig.disk.kill().durable_image()), model)
    });
    (disk.lock().fork(), model.clone())
}

pub fn run_one(sequence: &[Op], bounds: &Bounds, report: &mut Report) {
    let pace = std::env::var("OTTLA_PACE").ok().and_then(|text| text.parse().ok()).map_or(Pace::Settled, Pace::Random);
    run(sequence, pace, bounds, report);
}

fn run(sequence: &[Op], pace: Pace, bounds: &Bounds, report: &mut Report) {
    report.sequences += 1;
    let (disk, mut model) = base();
    let label = format!("{sequence:?} {pace:?}");
    let _told = Told(&label);
    let rig = Rig::with_seed(disk, settings(), 5).unwrap();
    model.reopened(&rig);
    let mut chance = Chance::new(bounds.seed);
    let mut order = Chance::new(if let Pace::Random(seed) = pace { seed } else { 0 });
    let mut seen = None;
    let mut crash = |rig: &Rig, model: &Model| {
        // Nothing new can be left, and nothing new is owed.
        let now = Some((rig.disk.operations(), model.promises()));
        if seen != now {
            seen = now;
            judge::crash(rig, model, &label, bounds, &mut chance, report);
        }
    };
    for op in sequence {
        model.apply(*op, &rig);
        crash(&rig, &model);
        match pace {
            Pace::Settled => step_until_quiet(&rig, &mut model, &mut crash),
            Pace::AtOnce => {}
            Pace::Random(_) => {
                for _ in 0..order.index(12) {
                    step(&rig, &mut order);
                    model.observe(&rig);
                    crash(&rig, &model);
                }
            }
        }
    }
    if let Pace::Random(_) = pace {
        // What comes at the end, such as a compaction, meets the others in any order too.
        for _ in 0..order.index(80) {
            step(&rig, &mut order);
            model.observe(&rig);
            crash(&rig, &model);
        }
    }
    step_until_quiet(&rig, &mut model, &mut crash);
    rig.run_for(Duration::from_secs(2));
    model.observe(&rig);
    crash(&rig, &model);
    rig.world.end();
}

/// Names the sequence of a panic that does not.
struct Told<'a>(&'a str);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in the sequence {}", self.0);
        }
    }
}

fn step(rig: &Rig, order: &mut Chance) {
    let runnable = rig.world.runnable();
    if runnable.is_empty() {
        if let Some(at) = rig.world.next_timer() {
            rig.world.set_now(at);
        }
        return;
    }
    rig.world.step_at(*order.pick(&runnable));
}

/// Before and after each step power may fail.
fn step_until_quiet(rig: &Rig, model: &mut Model, crash: &mut impl FnMut(&Rig, &Model)) {
    let deadline = env::Clock::now(&*rig.world) + Duration::from_millis(20);
    for _ in 0..3000 {
        if !rig.world.step_any() {
            match rig.world.next_timer() {
                Some(at) if at <= deadline => rig.world.set_now(at),
                _ => return,
            }
            continue;
        }
        model.observe(rig);
        crash(rig, model);
    }
    panic!("the workers do not come to rest");
}

pub const TEARING: Tearing = Tearing::At512;

/// With little memory a recovery writes what it would otherwise keep.
pub fn open(disk: Disk, has_memory: bool) -> Result<Rig, storage::OpenError> {
    let memory_bytes_max = if has_memory { 1 << 20 } else { 0 };
    Rig::with_seed(disk, Settings { memory_bytes_max, ..settings() }, 9)
}

pub use rig::contents;

/// What each lane file begins its blocks with, for whoever looks into a failure.
pub fn show_lane(disk: &Disk) {
    for slot in 0..10 {
        let Some(bytes) = disk.visible(format!("{}/lane/lane-{slot:05}", rig::ROOT)) else { continue };
        eprintln!("lane file {slot}, {} bytes", bytes.len());
        for (index, block) in bytes.chunks(4096).enumerate().filter(|(_, block)| block.starts_with(b"OTTLAGRP")) {
            let u64_at = |at: usize| u64::from_be_bytes(block[at..at + 8].try_into().unwrap());
            eprintln!(
                "  block {index}: kind {} run {:x} group {} size {} durable {}",
                block[10],
                u64_at(16),
                u64_at(24),
                u64_at(32),
                u64_at(40)
            );
        }
    }
}
