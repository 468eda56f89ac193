//! Seeds on all cores, and what is printed of them.
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use env::sim::{Report, Settings, simulate};
use env::{Next, Worker};
use sim::bugs::{self, Bug};
use sim::scenario::{Plan, world_settings};
use sim::summary::Summary;

thread_local! {
    /// What the last panic of this thread said.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Of one seed: what it did, or why it failed.
type Outcome = Result<(Summary, Report), String>;

fn outcome(plan: Plan, settings: Settings) -> Outcome {
    let run = || simulate(settings, |world| sim::scenario::run(world, plan));
    let (summary, report) = catch_unwind(AssertUnwindSafe(run)).map_err(|_| SAID.with(RefCell::take))?;
    if_enough(plan, summary, report)
}

/// A run that did too little has failed, whatever it found.
fn if_enough(plan: Plan, summary: Summary, report: Report) -> Outcome {
    match &summary.shortcomings(&plan)[..] {
        [] => Ok((summary, report)),
        short => Err(format!("too little was done: {}\n{summary:#?}", short.join("; "))),
    }
}

/// Keeps what a panic says instead of printing it.
fn catch_what_panics_say() {
    std::panic::set_hook(Box::new(|panic| SAID.with(|said| *said.borrow_mut() = panic.to_string())));
}

fn command(plan: Plan) -> String {
    let bug = plan.bug.map(|bug| format!(" --bug {}", bug.name())).unwrap_or_default();
    let acknowledged = match plan.acknowledged_min {
        20_000 => String::new(),
        other => format!(" --acknowledged {other}"),
    };
    format!("cargo run --profile sim -p sim -- seed {}{bug}{acknowledged}", plan.seed)
}

pub fn one(plan: Plan, trace: bool, log: bool) -> bool {
    let mut settings = world_settings(plan.seed);
    if trace {
        let mut out = std::io::LineWriter::new(std::io::stdout()); // Up to the line before a panic.
        settings.trace = Some(Box::new(move |line| writeln!(out, "{line}").expect("somebody reads the trace")));
    }
    if log {
        let format = tracing_subscriber::fmt().without_time().with_writer(std::io::stderr);
        format.with_max_level(tracing::Level::DEBUG).init();
    }
    catch_what_panics_say();
    match outcome(plan, settings) {
        Ok((summary, report)) => {
            println!("seed {} passed: {report:?}\n{summary:#?}", plan.seed);
            true
        }
        Err(why) => {
            println!("seed {} failed: {why}", plan.seed);
            false
        }
    }
}

pub fn seeds(seeds: Range<u64>, acknowledged_min: u64, bug: Option<Bug>) -> bool {
    let count = seeds.end - seeds.start;
    let began = env::real::Runtime::new(1).expect("threads").env().clock.now();
    let plans = seeds.map(|seed| Plan { seed, acknowledged_min, bug }).collect();
    let outcomes = run_all(plans);
    let failed: Vec<_> = outcomes.iter().filter_map(|(plan, outcome)| Some((plan, outcome.as_ref().err()?))).collect();
    for (plan, why) in failed.iter().take(10) {
        println!("seed {} failed: {why}\n  again: {}", plan.seed, command(**plan));
    }
    let passed: Vec<_> = outcomes.iter().filter_map(|(_, outcome)| outcome.as_ref().ok()).collect();
    print_counts(&passed);
    print_rare(&passed);
    let took = env::real::Runtime::new(1).expect("threads").env().clock.now() - began;
    println!("{} of {count} seeds passed in {:.1} s", passed.len(), took.as_secs_f64());
    failed.is_empty()
}

fn print_counts(passed: &[&(Summary, Report)]) {
    if passed.is_empty() {
        return;
    }
    println!("{:>28} {:>10} {:>10} {:>12}", "per seed", "least", "most", "in all");
    let row = |what: &str, of: fn(&(Summary, Report)) -> u64| {
        let values = passed.iter().map(|one| of(one));
        let (least, most) = (values.clone().min().unwrap_or(0), values.clone().max().unwrap_or(0));
        println!("{what:>28} {least:>10} {most:>10} {:>12}", values.sum::<u64>());
    };
    row("acknowledged, durable", |(summary, _)| summary.counts.acknowledged);
    row("acknowledged, relaxed", |(summary, _)| summary.counts.acknowledged_relaxed);
    row("acknowledged, compacted", |(summary, _)| summary.counts.acknowledged_keyed);
    row("offsets committed", |(summary, _)| summary.counts.commits);
    row("lost as relaxed allows", |(summary, _)| summary.counts.lost_relaxed);
    row("batches read", |(summary, _)| summary.counts.read);
    row("batches judged at the end", |(summary, _)| summary.counts.verified);
    row("kills", |(summary, _)| summary.kills);
    row("power losses", |(summary, _)| summary.power_losses);
    row("clean stops", |(summary, _)| summary.clean_stops);
    row("syncs that failed", |(summary, _)| summary.sync_errors);
    row("writes that failed", |(summary, _)| summary.write_errors);
    row("reads that failed", |(summary, _)| summary.read_errors);
    row("full disks", |(summary, _)| summary.full_disks);
    row("log directories that failed", |(summary, _)| summary.directories_failed);
    row("images judged", |(summary, _)| summary.images_judged);
    row("damaged images judged", |(summary, _)| summary.spoiled);
    row("checkpoints", |(summary, _)| summary.observed.checkpoints);
    row("lane files recycled", |(summary, _)| summary.observed.lane_files_recycled);
    row("segments made", |(summary, _)| summary.observed.segments_made);
    row("segments removed", |(summary, _)| summary.observed.segments_removed);
    row("segments compacted", |(summary, _)| summary.observed.segments_compacted);
    row("topics deleted and re-made", |(summary, _)| summary.topics_recreated);
    row("syncs", |(summary, _)| summary.observed.syncs);
    row("events", |(_, report)| report.events);
    row("simulated ms", |(_, report)| report.now.0 / 1_000_000);
}

/// What is rare, the rarest first, and what was never reached.
fn print_rare(passed: &[&(Summary, Report)]) {
    let mut seeds: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for (name, times) in passed.iter().flat_map(|(summary, _)| summary.met.iter()) {
        let (in_seeds, in_all) = seeds.entry(name).or_default();
        *in_seeds += usize::from(times > 0);
        *in_all += times;
    }
    let (mut reached, never): (Vec<_>, Vec<_>) = seeds.into_iter().partition(|(_, (in_seeds, _))| *in_seeds > 0);
    reached.sort_by_key(|(name, (in_seeds, _))| (*in_seeds, *name));
    println!("{:>45} {:>8} {:>12}", "rare states", "seeds", "in all");
    for (name, (in_seeds, in_all)) in reached {
        println!("{name:>45} {in_seeds:>8} {in_all:>12}");
    }
    let never: Vec<&str> = never.into_iter().map(|(name, _)| name).collect();
    println!("never reached: {}", if never.is_empty() { "none".to_owned() } else { never.join("; ") });
}

/// How many seeds may look for a bug that is met by chance only.
const SEEDS_PER_BUG_MAX: u64 = 120;

/// Plants each bug in turn. It is found by a seed that fails with it and passes without; who is found by none of these
/// seeds is looked for by more.
pub fn bugs(seeds: Range<u64>, acknowledged_min: u64) -> bool {
    let mut passed = true;
    for bug in bugs::ALL {
        if let Some(why) = bug.out_of_reach() {
            let enumeration = "crates/storage/tests/mutants.rs finds it";
            println!("{:>30}: out of reach of one broker, {why}: {enumeration}", bug.name());
            continue;
        }
        let mut tried = seeds.start..seeds.start;
        let mut found = Vec::new();
        while found.is_empty() && tried.end - tried.start < SEEDS_PER_BUG_MAX {
            let next = tried.end..tried.end + (seeds.end - seeds.start);
            let plans = next.clone().map(|seed| Plan { seed, acknowledged_min, bug: Some(bug) });
            found = run_all(plans.collect())
                .into_iter()
                .filter_map(|(plan, outcome)| Some((plan, outcome.err()?)))
                .collect();
            tried.end = next.end;
        }
        println!("{:>30}: found by {} of {} seeds", bug.name(), found.len(), tried.end - tried.start);
        passed &= !found.is_empty();
        if let Some((plan, why)) = found.first() {
            let words: Vec<&str> = why.lines().skip(1).take(2).collect();
            println!("{:>30}  seed {}: {:.150}", "", plan.seed, words.join(" "));
            // Without the bug, nothing is found.
            if let Err(why) = &run_all(vec![Plan { bug: None, ..*plan }])[0].1 {
                println!("{:>30}  and without it: {why}", "");
                passed = false;
            }
        }
    }
    passed
}

struct Runs {
    plans: Arc<Vec<Plan>>,
    next: Arc<AtomicU64>,
    outcomes: Arc<Mutex<Vec<(u64, Outcome)>>>,
}

impl Worker for Runs {
    fn step(&mut self) -> Next {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(plan) = self.plans.get(index as usize) else { return Next::Stop };
        let outcome = outcome(*plan, world_settings(plan.seed));
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((index, outcome));
        Next::Again
    }
}

fn run_all(plans: Vec<Plan>) -> Vec<(Plan, Outcome)> {
    catch_what_panics_say();
    let plans = Arc::new(plans);
    let (next, outcomes) = (Arc::<AtomicU64>::default(), Arc::<Mutex<Vec<(u64, Outcome)>>>::default());
    let runtime = env::real::Runtime::new(1).expect("threads");
    let env = runtime.env();
    let threads: Vec<_> = (0..env::real::cores())
        .map(|_| {
            let runs = Runs { plans: plans.clone(), next: next.clone(), outcomes: outcomes.clone() };
            env.spawn.worker("seeds", Box::new(runs))
        })
        .collect();
    runtime.block_on(async {
        for thread in &threads {
            thread.stopped().await;
        }
    });
    let mut outcomes = std::mem::take(&mut *outcomes.lock().unwrap_or_else(PoisonError::into_inner));
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(index, outcome)| (plans[index as usize], outcome)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_below_a_floor_fails() {
        let plan = Plan { seed: 1, acknowledged_min: 20_000, bug: None };
        let report = Report { events: 1, now: env::Instant(0), digest: 0 };
        let why = if_enough(plan, Summary::default(), report).expect_err("it did nothing");
        assert!(why.starts_with("too little was done: acknowledged batches: 0, fewer than 20000"), "{why}");
    }
}
