//! Planted bugs: the enumeration finds each of them, or it is no test of anything. Prints after how many sequences.
//! `OTTLA_MUTANT=RetrySyncAfterError` looks for one alone.
#![cfg(feature = "mutants")]
#[allow(dead_code, reason = "two tests share it, and each uses a part")]
mod enumeration_model;
mod rig;

use std::panic::{AssertUnwindSafe, catch_unwind};

use enumeration_model::{Bounds, Op, Report, enumerate, sample, set_mutant};
use storage::Mutant;

/// So many sequences of each length are gone through.
const SAMPLES: [(usize, u64); 3] = [(3, 400), (4, 300), (5, 200)];
/// And for a bug that is still not found, so many more.
const SAMPLES_MORE: [(usize, u64); 2] = [(5, 1500), (4, 2500)];

#[test]
fn every_planted_bug_is_found() {
    std::panic::set_hook(Box::new(|_| {})); // They are to panic, and there are many.
    let mut lost = Vec::new();
    let mut report = Report::default();
    assert_eq!(find(&mut report, &SAMPLES), None, "found although nothing is planted");
    println!("nothing planted: {report}, nothing found");
    let asked = std::env::var("OTTLA_MUTANT").ok();
    for mutant in Mutant::ALL {
        if asked.as_ref().is_some_and(|asked| *asked != format!("{mutant:?}")) {
            continue;
        }
        set_mutant(Some(mutant));
        let mut report = Report::default();
        let found = find(&mut report, &SAMPLES).or_else(|| find(&mut report, &SAMPLES_MORE));
        set_mutant(None);
        let what = found.clone().unwrap_or("NOT FOUND".to_owned());
        println!(
            "planted bug {mutant:?}: after {} sequences, {} recoveries: {what}",
            report.sequences, report.recoveries
        );
        if found.is_none() {
            lost.push(mutant);
        }
    }
    let _ = std::panic::take_hook();
    assert!(lost.is_empty(), "not found: {lost:?}");
}

/// The judge's words.
fn find(report: &mut Report, samples: &[(usize, u64)]) -> Option<String> {
    let bounds = Bounds { fates_max: 6, second_crashes: 1, seed: 11 };
    for length in 1..=2 {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| enumerate(&Op::ALL, length, &bounds, report))) {
            return Some(words(&*panic));
        }
    }
    for &(length, count) in samples {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| sample(&Op::ALL, length, count, &bounds, report))) {
            return Some(words(&*panic));
        }
    }
    None
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
    text.lines().next().unwrap_or_default().chars().take(160).collect()
}
