//! What is too long for `.ci/run` and runs on request: many seeds of the simulation, every planted bug in many seeds. Each
//! step is one command, printed before it runs; a step that fails does not keep the others from running.
use std::path::Path;
use std::time::Instant;

use crate::simulator;

/// The steps in order, with what each shows.
const STEPS: &[(&str, &str)] = &[
    ("seeds", "whole brokers in a simulated world, a minute each"),
    ("bugs", "each planted bug in so many seeds that its rate is known"),
];
/// `.ci/run` has the first 200.
const FROM: &str = "1001";
const SEEDS: &str = "1000";
const SEEDS_PER_BUG: &str = "20";

pub const USAGE: &str = "long [--only STEP,..] [--seeds COUNT] [--from SEED] [--progress FILE]";

pub fn run(root: &Path, arguments: &[String]) -> Result<String, String> {
    let (mut only, mut seeds, mut from) = (None, SEEDS.to_owned(), FROM.to_owned());
    let mut progress = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value =
            || rest.next().cloned().ok_or_else(|| format!("cargo xtask {USAGE}: {argument} wants a value\n"));
        match argument.as_str() {
            "--only" => only = Some(value()?.split(',').map(str::to_owned).collect::<Vec<_>>()),
            "--seeds" => seeds = value()?,
            "--from" => from = value()?,
            "--progress" => progress = vec!["--progress".to_owned(), value()?],
            other => return Err(format!("cargo xtask {USAGE}: no such flag: {other}\n")),
        }
    }
    for step in only.iter().flatten() {
        if !STEPS.iter().any(|(name, _)| name == step) {
            let names: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
            return Err(format!("cargo xtask long: no such step: {step}; there are {}\n", names.join(", ")));
        }
    }
    let mut failed = Vec::new();
    for (name, shows) in
        STEPS.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only.iter().any(|step| step == name)))
    {
        println!("\n==> {name}: {shows}");
        let began = Instant::now();
        let passed = match *name {
            "seeds" => {
                let which = ["seeds", "--count", &seeds, "--from", &from];
                simulate(root, &[&which[..], &progress.iter().map(String::as_str).collect::<Vec<_>>()].concat())
            }
            "bugs" => simulate(root, &["bugs", "--count", SEEDS_PER_BUG]),
            other => unreachable!("{other} is not in STEPS"),
        };
        println!("{name}: {} in {} s", if passed { "passed" } else { "FAILED" }, began.elapsed().as_secs());
        if !passed {
            failed.push(*name);
        }
    }
    if failed.is_empty() { Ok("all passed".to_owned()) } else { Err(format!("failed: {}\n", failed.join(", "))) }
}

fn simulate(root: &Path, arguments: &[&str]) -> bool {
    println!("cargo run --profile sim -p sim -- {}", arguments.join(" "));
    simulator(root, arguments).status().is_ok_and(|status| status.success())
}
