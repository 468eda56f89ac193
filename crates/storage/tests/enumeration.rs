//! The engine against every crash: sequences of operations x places where power fails or the process is killed x sets of
//! unsynced effects that survive, with further crashes inside the recovery. What was acknowledged is there, what is there
//! was appended, and what a recovery has published no later power loss takes away.
//!
//! Bounded so that it runs with every `cargo test`, where sequences of three are a sample; `OTTLA_ENUMERATION=10` makes ten
//! times as much of it, and all sequences of three.
#[allow(dead_code, reason = "two tests share it, and each uses a part")]
mod enumeration_model;
mod rig;

use enumeration_model::{Bounds, Op, Report, enumerate, sample};

const OPS: &[Op] = &Op::ALL;

fn factor() -> u64 {
    std::env::var("OTTLA_ENUMERATION").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn print(name: &str, report: &Report) {
    println!("{name}: {report}");
    assert!(report.recoveries > 0);
}

#[test]
fn every_sequence_of_one_and_two_operations_survives() {
    let mut report = Report::default();
    let bounds = Bounds { fates_max: 8 * factor() as usize, second_crashes: 1, seed: 1 };
    for length in 1..=2 {
        enumerate(OPS, length, &bounds, &mut report);
    }
    print("one and two", &report);
}

#[test]
fn every_sequence_of_three_operations_survives() {
    let mut report = Report::default();
    let bounds = Bounds { fates_max: 2 * factor() as usize, second_crashes: 0, seed: 2 };
    if factor() < 10 {
        sample(OPS, 3, 300 * factor(), &bounds, &mut report);
    } else {
        enumerate(OPS, 3, &bounds, &mut report);
    }
    print("three", &report);
}

#[test]
fn sampled_sequences_of_four_and_five_operations_survive() {
    let mut report = Report::default();
    let bounds = Bounds { fates_max: 3, second_crashes: 1, seed: 3 };
    sample(OPS, 4, 60 * factor(), &bounds, &mut report);
    sample(OPS, 5, 60 * factor(), &bounds, &mut report);
    print("four and five", &report);
}

/// `OTTLA_SEQUENCE="Append Roll Truncate"` looks into one sequence alone.
#[test]
fn the_sequence_that_was_asked_for_survives() {
    let Ok(asked) = std::env::var("OTTLA_SEQUENCE") else { return };
    let find = |name: &str| *OPS.iter().find(|op| format!("{op:?}") == name).unwrap_or_else(|| panic!("no {name}"));
    let sequence: Vec<Op> = asked.split_whitespace().map(find).collect();
    let mut report = Report::default();
    let bounds = Bounds { fates_max: 20, second_crashes: 2, seed: 3 };
    enumeration_model::run_one(&sequence, &bounds, &mut report);
    print(&asked, &report);
}
