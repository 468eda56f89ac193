//! The project's own commands: `cargo xtask` lists them. They run on a developer's machine and in `.ci/run`, never in
//! the broker.
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

mod licences;
mod long;
mod schema;
mod test;
mod tidy;

const USAGE: &str = "\
cargo xtask COMMAND

  test [--complete] [--only STEP,..]   everything: style, unit tests, simulation, real clients (README)
  long [--only STEP,..] [--seeds COUNT] [--from SEED]
                                       what takes longer than that: 1,000 seeds, every planted bug in 20
  schema JAR..                         rewrite crates/protocol/schema from Kafka's jars
  tidy                                 floors, banned names, file headers
  licences                             of all dependencies
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = root();
    let outcome = match arguments.first().map(String::as_str) {
        Some("licences") => licences::run(&root),
        Some("long") => long::run(&root, &arguments[1..]),
        Some("schema") => {
            schema::run(&arguments[1..]).map(|()| "schema: written".to_owned()).map_err(|error| format!("{error}\n"))
        }
        Some("test") => test::run(&root, &arguments[1..]),
        Some("tidy") => tidy::run(&root),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprint!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().expect("xtask is a folder of the workspace").to_owned()
}

/// The simulator, built as it is made to run.
fn simulator(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["run", "--quiet", "--profile", "sim", "--package", "sim", "--"]).args(arguments);
    // What it frees it takes again at once: giving it back to the system meanwhile costs 8 % of its time.
    command.env("MIMALLOC_PURGE_DELAY", "-1");
    command
}

/// What cargo itself knows of the workspace and its dependencies.
fn cargo_metadata(root: &Path, arguments: &[&str]) -> Result<serde_json::Value, String> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1"])
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo metadata: {error}\n"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}\n"))
}
