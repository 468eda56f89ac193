//! A broker's process from its start to its end: configuration, logs, signals.
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use env::Env;
use env::real::Runtime;
use node::Node;
use node::config::{Config, Profile, Sources};

use crate::banner;

/// What the command line says.
pub struct Start {
    pub profile: Profile,
    pub file: Option<PathBuf>,
    pub overrides: Vec<String>,
    pub strict: bool,
    pub ephemeral: bool,
}

/// A configuration of more than this is none.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// A stop that takes longer is none.
const STOP_MAX: Duration = Duration::from_millis(1900);
/// Wrong configuration, as other tools have it for wrong usage.
const EXIT_CONFIG: u8 = 2;

pub fn run(start: Start) -> ExitCode {
    start_log();
    let config = match load(start) {
        Ok(config) => config,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    // A core is left to the committer: hand-over between busy threads is what a commit costs.
    let runtime = match Runtime::new(env::real::cores() - 1) {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("ottla: no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(serve(runtime.env(), &config));
    if config.ephemeral {
        remove(&runtime.env(), &config);
    }
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("ottla: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("OTTLA_LOG");
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")))
        .with_writer(std::io::stderr)
        .with_ansi(env::process::stderr_is_terminal())
        .with_target(false)
        .init();
}

fn load(start: Start) -> Result<Config, String> {
    let disk = env::real::Disk;
    let file = match &start.file {
        Some(path) => {
            let bytes = env::disk::read_file(&disk, path, FILE_BYTES_MAX);
            Some((path.display().to_string(), bytes.map_err(|error| format!("{}: {error}", path.display()))?))
        }
        None => None,
    };
    let mut overrides = start.overrides;
    if start.ephemeral {
        overrides.push(format!("log.dirs={}", env::process::temporary_directory("ottla").display()));
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

async fn serve(env: Env, config: &Config) -> Result<(), String> {
    if let Err(error) = env::process::raise_open_files_limit() {
        tracing::warn!(%error, "the limit on open files could not be raised");
    }
    let mut termination = env::process::termination().map_err(|error| format!("no signals: {error}"))?;
    let began = env.clock.now();
    let node =
        Node::start(env.clone(), config, env::process::memory_bytes()).await.map_err(|error| error.to_string())?;
    tracing::info!(
        cluster_id = node.broker().cluster_id,
        node_id = node.broker().node_id.0,
        took_ms = (env.clock.now() - began).as_millis() as u64,
        "started"
    );
    banner::print(&node, config);
    termination.next().await;
    tracing::info!("stopping; a second signal ends the process at once");
    let deadline = env.clock.sleep_until(env.clock.now() + STOP_MAX);
    tokio::select! {
        biased;
        () = node.stop() => tracing::info!("stopped"),
        () = termination.next() => tracing::warn!("ended at once; the next start recovers the log"),
        () = deadline => tracing::warn!("stopping took too long; the next start recovers the log"),
    }
    Ok(())
}

fn remove(env: &Env, config: &Config) {
    for path in &config.log_dirs {
        if let Err(error) = env::disk::remove_dir_all(&*env.disk, path) {
            tracing::warn!(%error, "{} could not be removed", path.display());
        }
    }
}
