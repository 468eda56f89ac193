//! The binary: reads the command line, opens the real world, and starts a broker or runs a command. What either does is
//! the rooms' own.
mod banner;
mod serve;
mod signals;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use node::config::Profile;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A distributed log that speaks Apache Kafka's protocol. Without a command: `ottla dev`.
#[derive(Debug, Parser)]
#[command(name = "ottla", version)]
struct Ottla {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    dev: Dev,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a broker on this machine for development: port 9092 of localhost, data in ./ottla-data
    Dev(Dev),
    /// Start a broker with Kafka's defaults and a server.properties
    Server(Server),
    #[command(flatten)]
    Client(cli::Command),
}

#[derive(Args, Debug)]
struct Dev {
    /// Keep the data in a new temporary directory, and remove it at the end
    #[arg(long)]
    ephemeral: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Args, Debug)]
struct Server {
    /// Kafka's server.properties
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Args, Debug)]
struct SettingsArgs {
    /// A configuration key of Kafka's, stronger than the file and the KAFKA_* variables; may be repeated
    #[arg(long = "override", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Refuse keys that Kafka does not know, instead of warning
    #[arg(long)]
    strict: bool,
}

fn main() -> ExitCode {
    match cli::completions::answer(Ottla::command, env::process::arguments()) {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(_) => return ExitCode::FAILURE, // What it prints would end in somebody's command line.
    }
    let ottla = match Ottla::try_parse_from(env::process::arguments()) {
        Ok(ottla) => ottla,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match ottla.command.unwrap_or(Command::Dev(ottla.dev)) {
        Command::Dev(Dev { ephemeral, settings }) => {
            let SettingsArgs { overrides, strict } = settings;
            serve::run(serve::Start { profile: Profile::Dev, file: None, overrides, strict, ephemeral })
        }
        Command::Server(Server { config, settings }) => {
            let SettingsArgs { overrides, strict } = settings;
            serve::run(serve::Start { profile: Profile::Server, file: config, overrides, strict, ephemeral: false })
        }
        Command::Client(command) => run_command(command),
    }
}

fn run_command(command: cli::Command) -> ExitCode {
    let runtime = match env::real::Runtime::new(1) {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("ottla: no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        let env = env::real::env();
        match cli::Console::standard(&env) {
            Ok(console) => cli::run(command, env, console).await,
            Err(error) => {
                eprintln!("ottla: no console: {error}");
                1
            }
        }
    });
    ExitCode::from(code)
}
