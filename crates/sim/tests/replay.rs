//! A seed is worth something only if it is the whole truth: the same run, byte for byte, in any process.
use std::process::Command;

const ACKNOWLEDGED: &str = "400";

fn run(seed: &str, trace: bool) -> Vec<u8> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.args(["seed", seed, "--acknowledged", ACKNOWLEDGED]);
    if trace {
        command.arg("--trace");
    }
    command.output().expect("the simulator runs").stdout
}

#[test]
fn one_seed_in_two_processes_gives_the_same_trace() {
    let (one, other) = (run("7", true), run("7", true));
    let lines = one.iter().filter(|byte| **byte == b'\n').count();
    assert!(lines > 10_000, "a trace of {lines} lines");
    if one != other {
        let pairs = one.split(|byte| *byte == b'\n').zip(other.split(|byte| *byte == b'\n'));
        let (line, (left, right)) = pairs.enumerate().find(|(_, (left, right))| left != right).expect("they differ");
        panic!("line {line}:\n{}\n{}", String::from_utf8_lossy(left), String::from_utf8_lossy(right));
    }
    assert!(run("8", true) != one, "two seeds have one history");
}
