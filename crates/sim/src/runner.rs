//! Seeds on all cores, and what is printed of them.
use std::cell::RefCell;
use std::io::{ErrorKind, Write as _};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use env::sim::{Report, Settings, simulate};
use env::{Disk, Next, Worker};
use sim::bugs::{self, Bug};
use sim::progress::Progress;
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

/// So many run between two looks at what they did: what is added up stays small, and is kept.
const SEEDS_AT_ONCE: u64 = 200;
/// A file of a progress has some kilobytes.
const PROGRESS_BYTES_MAX: u64 = 16 << 20;
const FAILURES_SHOWN_MAX: usize = 10;

/// Runs these seeds, or what `kept` says is left of them: what failed before, and what never ran.
pub fn seeds(seeds: Range<u64>, acknowledged_min: u64, bug: Option<Bug>, kept: Option<&Path>) -> bool {
    let env = env::real::Runtime::new(1).expect("threads").env();
    let began = env.clock.now();
    let mut progress = match kept.map(|path| read(&*env.disk, path, &seeds)) {
        None => Progress::from(seeds.start),
        Some(Ok(progress)) => progress,
        Some(Err(why)) => {
            println!("{why}");
            return false;
        }
    };
    let again: Vec<u64> = std::mem::take(&mut progress.failed).into_iter().collect();
    let mut shown = 0;
    let mut run = |progress: &mut Progress, seeds: &[u64]| {
        let plans = seeds.iter().map(|&seed| Plan { seed, acknowledged_min, bug }).collect();
        for (plan, outcome) in run_all(plans) {
            match outcome {
                Ok((summary, report)) => progress.add(&summary, &report),
                Err(why) => {
                    progress.failed.insert(plan.seed);
                    shown += 1;
                    if shown <= FAILURES_SHOWN_MAX {
                        println!("seed {} failed: {why}\n  again: {}", plan.seed, command(plan));
                    }
                }
            }
        }
    };
    if !again.is_empty() {
        println!("those that failed before are tried again: {again:?}");
        run(&mut progress, &again);
    }
    while progress.seeds.end < seeds.end {
        let next: Vec<u64> = (progress.seeds.end..seeds.end).take(SEEDS_AT_ONCE as usize).collect();
        run(&mut progress, &next);
        progress.seeds.end += next.len() as u64;
        if let Some(path) = kept {
            let path = &Path::new(".").join(path);
            env::disk::replace_file(&*env.disk, path, progress.to_string().as_bytes())
                .expect("a progress that is kept");
        }
    }
    progress.print();
    let took = env.clock.now() - began;
    let Progress { seeds, failed, .. } = &progress;
    println!("{} of {} seeds passed in {:.1} s", progress.passed(), seeds.end - seeds.start, took.as_secs_f64());
    if !failed.is_empty() {
        println!("failed: {failed:?}");
    }
    failed.is_empty()
}

/// What was kept of these seeds; nothing was, the first time.
fn read(disk: &dyn Disk, path: &Path, seeds: &Range<u64>) -> Result<Progress, String> {
    let progress: Progress = match env::disk::read_file(disk, path, PROGRESS_BYTES_MAX) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).parse().map_err(|why| format!("{}: {why}", path.display()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => Progress::from(seeds.start),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    match progress.seeds.start == seeds.start {
        true => Ok(progress),
        false => Err(format!("{} is of seeds from {}, not from {}", path.display(), progress.seeds.start, seeds.start)),
    }
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
