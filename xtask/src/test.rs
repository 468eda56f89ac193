//! The one test command: runs every step in order, names what did not run and why, and ends with one line of totals.
//! With `--complete` (as in `.ci/run`) anything that did not run is a failure.
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::{licences, simulator, tidy};

/// The steps in order, with what each shows.
const STEPS: &[(&str, &str)] = &[
    ("format", "rustfmt changes nothing"),
    ("tidy", "floors, banned names"),
    ("licences", "permissive all"),
    ("clippy", "no warning"),
    ("unit", "unit, conformance and oracle tests"),
    ("simulation", "whole brokers, killed and without power"),
    ("clients", "real clients against the release binary"),
    ("instructions", "what a request costs, counted"),
];

const SEEDS: &str = "200";
/// Each planted bug is looked for in so many; those that find nothing are followed by more.
const SEEDS_PER_BUG: &str = "2";

#[derive(Default)]
struct Outcome {
    passed: u64,
    failed: u64,
    skipped: u64,
    /// What failed, by name and with its reason where it has one: said again behind the totals, where it is not missed.
    failures: Vec<String>,
}

impl Outcome {
    fn of(result: Result<String, String>) -> Self {
        match result {
            Ok(summary) => {
                println!("{summary}");
                Self { passed: 1, ..Self::default() }
            }
            Err(problem) => {
                println!("{problem}");
                Self { failed: 1, failures: vec![problem], ..Self::default() }
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.failures.extend(other.failures);
    }
}

pub fn run(root: &Path, arguments: &[String]) -> Result<String, String> {
    let mut complete = false;
    let mut only: Option<Vec<String>> = None;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--complete" => complete = true,
            "--only" => only = rest.next().map(|steps| steps.split(',').map(str::to_owned).collect()),
            other => return Err(format!("cargo xtask test: no such flag: {other}\n")),
        }
    }
    for step in only.iter().flatten() {
        if !STEPS.iter().any(|(name, _)| name == step) {
            let names: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
            return Err(format!("cargo xtask test: no such step: {step}; there are {}\n", names.join(", ")));
        }
    }

    let mut lines = Vec::new();
    let mut total = Outcome::default();
    for (name, shows) in STEPS {
        if only.as_ref().is_some_and(|only| !only.iter().any(|step| step == name)) {
            continue;
        }
        println!("\n==> {name}: {shows}");
        let began = Instant::now();
        let mut outcome = step(name, root, complete);
        let Outcome { passed, failed, skipped, .. } = outcome;
        let seconds = began.elapsed().as_secs();
        lines.push(format!("{name:<12} {seconds:>4} s   {passed} passed, {failed} failed, {skipped} not run"));
        outcome.failures =
            outcome.failures.iter().map(|failure| format!("FAILED {name}: {}", failure.trim())).collect();
        total.add(outcome);
    }

    let Outcome { passed, failed, skipped, mut failures } = total;
    failures.push(String::new());
    let (lines, failures) = (lines.join("\n"), failures.join("\n"));
    let summary = format!("\n{lines}\n\n{failures}{passed} passed, {failed} failed, {skipped} skipped");
    if failed > 0 || (complete && skipped > 0) { Err(summary + "\n") } else { Ok(summary) }
}

fn step(name: &str, root: &Path, complete: bool) -> Outcome {
    match name {
        "format" => Outcome::of(quiet(root, &["fmt", "--all", "--check"])),
        "tidy" => Outcome::of(tidy::run(root)),
        "licences" => Outcome::of(licences::run(root)),
        "clippy" => {
            Outcome::of(quiet(root, &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
        }
        "unit" => unit(root, complete),
        "simulation" => simulation(root),
        "clients" => clients(root, complete),
        "instructions" => instructions(root),
        other => unreachable!("{other} is not in STEPS"),
    }
}

fn quiet(root: &Path, arguments: &[&str]) -> Result<String, String> {
    let status = cargo(root).args(arguments).status().map_err(|error| format!("cargo: {error}"))?;
    let command = format!("cargo {}", arguments.join(" "));
    if status.success() { Ok(format!("{command}: clean")) } else { Err(format!("{command}: failed")) }
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root).stdin(Stdio::null());
    command
}

/// Runs all tests of the workspace and counts them by the lines that cargo's test runner closes with. A test that could
/// not run, for want of a runtime, says `not run: <reason>` on a line of its own.
fn unit(root: &Path, complete: bool) -> Outcome {
    let mut command = cargo(root);
    command.args(["test", "--workspace", "--no-fail-fast", "--", "--nocapture", "--test-threads=2"]);
    if complete {
        command.env("OTTLA_TEST_COMPLETE", "1");
        command.env("OTTLA_FUZZ_SECONDS", "10");
    }
    let output = match command.stderr(Stdio::inherit()).output() {
        Ok(output) => output,
        Err(error) => return Outcome::of(Err(format!("cargo test: {error}"))),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let mut outcome = Outcome::default();
    for line in text.lines() {
        if let Some(counts) = line.strip_prefix("test result: ") {
            outcome.passed += count(counts, " passed");
            outcome.failed += count(counts, " failed");
            outcome.skipped += count(counts, " ignored");
        } else if line.contains("not run: ") {
            outcome.skipped += 1;
            println!("{line}");
        } else if line.contains("planted bug ") {
            println!("{line}"); // In how many sequences each is found.
        } else if line.contains("FAILED") || line.contains("panicked at") {
            println!("{line}");
        }
    }
    if outcome.failed > 0 || !output.status.success() {
        println!("{text}");
        outcome.failed = outcome.failed.max(1);
        outcome.failures = failed_tests(&text);
    }
    println!("{} passed, {} failed, {} not run", outcome.passed, outcome.failed, outcome.skipped);
    outcome
}

/// Seeds that all pass, and planted bugs that are each found. Optimised, with overflow checks on. What is
/// out of the reach of one broker storage's enumeration finds (`tests/mutants.rs`, among the unit tests).
fn simulation(root: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    for simulated in [["seeds", "--count", SEEDS], ["bugs", "--count", SEEDS_PER_BUG]] {
        match simulator(root, &simulated).stdin(Stdio::null()).status() {
            Ok(status) if status.success() => outcome.passed += 1,
            _ => outcome.add(Outcome { failed: 1, failures: vec![simulated.join(" ")], ..Outcome::default() }),
        }
    }
    outcome
}

/// Builds the release binary and runs every real client against it.
fn clients(root: &Path, complete: bool) -> Outcome {
    if let Err(problem) = quiet(root, &["build", "--quiet", "--release", "--package", "ottla"]) {
        return Outcome::of(Err(problem));
    }
    // Our commands say that they speak to any Kafka: they meet the one that there is most of.
    let runs: [&[&str]; 2] = [&["--broker", "ottla"], &["--broker", "kafka", "--only", "ottla-commands"]];
    let mut total = Outcome::default();
    for arguments in runs {
        total.add(clients_run(root, arguments, complete));
    }
    total
}

fn clients_run(root: &Path, arguments: &[&str], complete: bool) -> Outcome {
    let binary = target_directory(root).join("release/ottla");
    let mut command = Command::new("python3");
    command.current_dir(root).stdin(Stdio::null()).arg("tests-clients/run.py");
    command.args(arguments).arg("--ottla-binary").arg(binary);
    if complete {
        command.arg("--complete");
    }
    let output = match command.stderr(Stdio::inherit()).output() {
        Ok(output) => output,
        Err(_) => {
            println!("not run: the real clients, because python3 is missing");
            return Outcome { skipped: 1, ..Outcome::default() };
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    let last = text.lines().rev().find(|line| line.contains(" passed, ")).unwrap_or_default();
    let mut outcome = Outcome {
        passed: count(last, " passed"),
        failed: count(last, " failed"),
        skipped: count(last, " skipped"),
        failures: text.lines().filter_map(|line| line.strip_prefix("  failed: ")).map(str::to_owned).collect(),
    };
    let only_incomplete = complete && outcome.skipped > 0;
    if !output.status.success() && !only_incomplete {
        outcome.failed = outcome.failed.max(1);
    }
    outcome
}

/// Counts what the release binary spends on a request, and holds it to what was agreed on (`bench/instructions.toml`).
fn instructions(root: &Path) -> Outcome {
    for package in ["ottla", "bench"] {
        if let Err(problem) = quiet(root, &["build", "--quiet", "--release", "--package", package]) {
            return Outcome::of(Err(problem));
        }
    }
    let mut command = Command::new("python3");
    command.current_dir(root).stdin(Stdio::null()).stderr(Stdio::inherit()).arg("bench/instructions.py");
    let (text, is_success) = match command.output() {
        Ok(output) => (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success()),
        Err(_) => ("not run: instruction counts, because python3 is missing".to_owned(), true),
    };
    print!("{text}");
    match (is_success, text.starts_with("not run: ")) {
        (true, true) => Outcome { skipped: 1, ..Outcome::default() },
        (true, false) => Outcome { passed: 1, ..Outcome::default() },
        (false, _) => Outcome { failed: 1, failures: vec!["bench/instructions.py".to_owned()], ..Outcome::default() },
    }
}

fn target_directory(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// The names that cargo's test runner lists under the last `failures:` of each program; above that stands what they said.
fn failed_tests(text: &str) -> Vec<String> {
    let mut failures = Vec::new();
    for program in text.split("\ntest result: ") {
        let Some((_, names)) = program.rsplit_once("\nfailures:\n") else { continue };
        failures.extend(names.lines().filter_map(|line| line.strip_prefix("    ")).map(str::to_owned));
    }
    failures
}

/// The number right before `what`: `count("3 passed, 0 failed", " failed")` is 0.
fn count(text: &str, what: &str) -> u64 {
    let Some(end) = text.find(what) else { return 0 };
    let digits = text[..end].bytes().rev().take_while(u8::is_ascii_digit).count();
    text[end - digits..end].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{count, failed_tests};

    #[test]
    fn failed_tests_are_named_by_the_closing_list() {
        let text = "test a::b ... FAILED\n\nfailures:\n\n---- a::b stdout ----\n    boo\n\nfailures:\n    a::b\n    c\n\n\
                    test result: FAILED. 0 passed\ntest d ... ok\n\ntest result: ok. 1 passed\n";
        assert_eq!(failed_tests(text), ["a::b", "c"]);
        assert_eq!(failed_tests("\ntest result: ok. 3 passed\n"), [""; 0]);
    }

    #[test]
    fn totals_are_read_from_the_closing_line() {
        let line = "ok. 12 passed; 3 failed; 4 ignored; 0 measured";
        assert_eq!((count(line, " passed"), count(line, " failed"), count(line, " ignored")), (12, 3, 4));
        assert_eq!(count("no such words", " passed"), 0);
    }
}
