//! A broker's process from its start to its end: configuration, logs, exit code.
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use env::real::Runtime;
use env::{Disk, Env, Rng};
use node::config::{Config, Profile, Sources};
use node::{Node, Resources};

use tracing_subscriber::EnvFilter;

use crate::banner;
use crate::signals::Signals;

/// What the command line says.
pub struct Start {
    pub profile: Profile,
    pub file: Option<PathBuf>,
    pub overrides: Vec<String>,
    pub strict: bool,
    pub ephemeral: bool,
}

/// If the system does not tell.
const OPEN_FILES_AT_LEAST: u64 = 1024;
/// A configuration of more than this is none.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// A stop that takes longer is none.
const STOP_MAX: Duration = Duration::from_millis(1900);
/// Attempts to remove a directory in which something else may be at work.
const REMOVALS_MAX: usize = 100;

/// Why there is no broker.
enum Failure {
    Config(String),
    Start(String),
    /// Stopped, but not in order: the next start recovers the log.
    Unsealed,
}

pub fn run(start: Start) -> ExitCode {
    let log = start_log();
    let ended = match start.ephemeral {
        true => temporary_directory().map_err(Failure::Start).and_then(|directory| {
            let ended = run_in(start, log, Some(&directory));
            remove(&directory);
            ended
        }),
        false => run_in(start, log, None),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        // Wrong configuration has the code that other tools have for wrong usage.
        Err(Failure::Config(reason)) => {
            eprintln!("{reason}");
            ExitCode::from(2)
        }
        Err(Failure::Start(reason)) => {
            eprintln!("ottla: {reason}");
            ExitCode::FAILURE
        }
        Err(Failure::Unsealed) => ExitCode::FAILURE,
    }
}

fn run_in(start: Start, log: Log, ephemeral: Option<&Path>) -> Result<(), Failure> {
    let config = load(start, ephemeral).map_err(Failure::Config)?;
    // A core is left to the committer: hand-over between busy threads is what a commit costs.
    let runtime =
        Runtime::new(env::real::cores() - 1).map_err(|error| Failure::Start(format!("no threads: {error}")))?;
    runtime.block_on(serve(runtime.env(), &config, log))
}

/// Which lines are written, in the words of OTTLA_LOG, and the way to change it.
struct Log {
    directives: String,
    change: Box<dyn Fn(&str) + Send>,
}

fn start_log() -> Log {
    let filter = EnvFilter::try_from_env("OTTLA_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let directives = filter.to_string();
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(env::process::stderr_is_terminal())
        .with_target(false)
        // It would panic where stderr is gone; a broker outlives whoever read its log.
        .log_internal_errors(false)
        .with_env_filter(filter)
        .with_filter_reloading();
    let handle = log.reload_handle();
    log.init();
    let change = move |directives: &str| {
        // Only of this process's own making, so it can be read; the handle is as old as the process.
        let changed = EnvFilter::try_new(directives).map(|filter| handle.reload(filter));
        if !matches!(changed, Ok(Ok(()))) {
            tracing::error!(directives, "the log levels could not be changed");
        }
    };
    Log { directives, change: Box::new(change) }
}

fn load(start: Start, ephemeral: Option<&Path>) -> Result<Config, String> {
    let disk = env::real::Disk;
    let file = match &start.file {
        Some(path) => {
            let bytes = env::disk::read_file(&disk, path, FILE_BYTES_MAX);
            Some((path.display().to_string(), bytes.map_err(|error| format!("{}: {error}", path.display()))?))
        }
        None => None,
    };
    let mut overrides = start.overrides;
    if let Some(directory) = ephemeral {
        overrides.push(format!("log.dirs={}", directory.display())); // The last one counts.
    }
    let sources = Sources {
        profile: start.profile,
        file: file.as_ref().map(|(name, bytes)| (name.as_str(), bytes.as_slice())),
        variables: &env::process::variables(),
        overrides: &overrides,
        strict: start.strict,
        ephemeral: start.ephemeral,
    };
    let config = Config::load(&sources).map_err(|errors| errors.to_string())?;
    config.notes.iter().for_each(|note| tracing::warn!("{note}"));
    Ok(config)
}

async fn serve(env: Env, config: &Config, log: Log) -> Result<(), Failure> {
    let open_files_max = env::process::raise_open_files_limit().unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit on open files could not be raised");
        Some(OPEN_FILES_AT_LEAST)
    });
    let resources =
        Resources { memory_bytes: env::process::memory_bytes(), open_files_max: open_files_max.unwrap_or(u64::MAX) };
    let mut signals = Signals::listen(&env).map_err(|error| Failure::Start(format!("no signals: {error}")))?;
    if config.ephemeral {
        signals.stop_in_order(); // Nothing is to be recovered, and the directory is to be removed.
    }
    let began = env.clock.now();
    let started = Node::start(env.clone(), config, resources).await;
    signals.stop_in_order();
    let node = started.map_err(|error| Failure::Start(error.to_string()))?;
    node.broker().loggers.connect(&log.directives, log.change);
    tracing::info!(
        cluster_id = node.broker().cluster_id,
        node_id = node.broker().node_id.0,
        took_ms = (env.clock.now() - began).as_millis() as u64,
        "started; {}",
        if node.was_clean() { "nothing had to be recovered" } else { "recovered: the last process was not stopped" }
    );
    banner::print(&node, config);
    tokio::select! {
        biased;
        () = signals.next() => {}
        reason = node.failed() => {
            tracing::error!("{reason}: the broker stops");
            return Err(Failure::Unsealed);
        }
    }
    tracing::info!("stopping; a second signal ends the process at once");
    let deadline = env.clock.sleep_until(env.clock.now() + STOP_MAX);
    tokio::select! {
        biased;
        () = node.stop() => {
            tracing::info!("stopped");
            return Ok(());
        }
        () = signals.next() => tracing::warn!("ended at once; the next start recovers the log"),
        () = deadline => tracing::warn!("stopping took too long; the next start recovers the log"),
    }
    Err(Failure::Unsealed)
}

/// A new one, nobody else's.
fn temporary_directory() -> Result<PathBuf, String> {
    let mut random = [0; 8];
    env::real::Rng.fill(&mut random);
    let name = format!("ottla-{:016x}", u64::from_be_bytes(random));
    let path = env::process::temporary_directory(&name);
    env::real::Disk.create_dir(&path).map_err(|error| format!("{} cannot be made: {error}", path.display()))?;
    Ok(path)
}

fn remove(directory: &Path) {
    let mut attempts = 0;
    while let Err(error) = env::disk::remove_dir_all(&env::real::Disk, directory) {
        attempts += 1;
        // After a stop that was not in order, workers may still make files in it.
        if attempts == REMOVALS_MAX {
            tracing::warn!(%error, "{} could not be removed", directory.display());
            return;
        }
    }
}
