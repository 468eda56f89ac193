//! Runs seeds: many of them on all cores, one with its trace, or the planted bugs. A seed that fails is printed with the
//! command that repeats it.
mod runner;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use sim::bugs::{self, Bug};
use sim::scenario::Plan;

/// A seed allocates all the time, and this takes less of its time than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Ottla in a simulated world", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Acknowledged batches per seed.
    #[arg(long, global = true, default_value_t = 20_000)]
    acknowledged: u64,
}

#[derive(Subcommand)]
enum Command {
    /// Runs many seeds on all cores.
    Seeds {
        #[arg(long, default_value_t = 200)]
        count: u64,
        #[arg(long, default_value_t = 1)]
        from: u64,
        #[arg(long, value_parser = parse_bug)]
        bug: Option<Bug>,
        /// Keeps here what was done, and goes on where it was stopped.
        #[arg(long)]
        progress: Option<PathBuf>,
    },
    /// Runs one seed again.
    Seed {
        seed: u64,
        /// Prints every event.
        #[arg(long)]
        trace: bool,
        /// Prints what the broker logs.
        #[arg(long)]
        log: bool,
        #[arg(long, value_parser = parse_bug)]
        bug: Option<Bug>,
    },
    /// Plants each bug in turn and counts the seeds that find it.
    Bugs {
        #[arg(long, default_value_t = 10)]
        count: u64,
        #[arg(long, default_value_t = 1)]
        from: u64,
    },
}

fn parse_bug(name: &str) -> Result<Bug, String> {
    let names = || bugs::ALL.map(Bug::name).join(", ");
    Bug::by_name(name).ok_or_else(|| format!("the bugs are {}", names()))
}

fn main() {
    let Arguments { command, acknowledged } = Arguments::parse_from(env::process::arguments());
    let passed = match command {
        Command::Seeds { count, from, bug, progress } => {
            runner::seeds(from..from + count, acknowledged, bug, progress.as_deref())
        }
        Command::Seed { seed, trace, log, bug } => {
            runner::one(Plan { seed, acknowledged_min: acknowledged, bug }, trace, log)
        }
        Command::Bugs { count, from } => runner::bugs(from..from + count, acknowledged),
    };
    env::process::exit(u8::from(!passed));
}
