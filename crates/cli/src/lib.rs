//! The commands: topics, produce, consume, groups, configurations, the cluster; against any Kafka. Each is a client like
//! any other and knows nothing of brokers' insides, but for `log`, which looks into the directory of a stopped one. What a
//! command prints on stdout is data; everything else goes to stderr.

mod bench;
mod cluster;
pub mod completions;
mod config;
mod connect;
mod console;
mod consume;
mod failure;
mod format;
mod group;
mod log;
mod produce;
mod table;
mod topic;

use clap::Subcommand;
use env::Env;

pub use bench::BenchCommand;
pub use cluster::ClusterCommand;
pub use completions::Completions;
pub use config::ConfigCommand;
pub use console::Console;
pub use consume::Consume;
pub use failure::Exit;
pub use group::GroupCommand;
pub use log::LogCommand;
pub use produce::Produce;
pub use topic::TopicCommand;

/// What `ottla` can do besides being a broker.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure how fast a cluster takes and gives records
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Look at the cluster
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Print what lets a shell complete commands, topics and groups
    Completions(Completions),
    /// Look at and change configurations of topics, brokers, groups and client metrics
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Read records and print them
    Consume(Consume),
    /// Look at, move and delete consumer groups
    #[command(subcommand)]
    Group(GroupCommand),
    /// Look into the data directory of a stopped broker
    #[command(subcommand)]
    Log(LogCommand),
    /// Write records from stdin
    Produce(Produce),
    /// Make, list, look at, change, trim and delete topics
    #[command(subcommand)]
    Topic(TopicCommand),
}

/// Runs a command to its end. The answer is the exit code.
pub async fn run(command: Command, env: Env, mut console: Console) -> u8 {
    let done = match command {
        Command::Bench(command) => bench::run(command, env, &mut console).await,
        Command::Cluster(command) => cluster::run(command, env, &mut console).await,
        Command::Completions(completions) => completions::run(&completions, &mut console),
        Command::Config(command) => config::run(command, env, &mut console).await,
        Command::Consume(consume) => consume::run(consume, env, &mut console).await,
        Command::Group(command) => group::run(command, env, &mut console).await,
        Command::Log(command) => log::run(command, env, &mut console).await,
        Command::Produce(produce) => produce::run(produce, env, &mut console).await,
        Command::Topic(command) => topic::run(command, env, &mut console).await,
    };
    let flushed = console.flush();
    match done.and(flushed) {
        Ok(()) => Exit::Done as u8,
        Err(failure) => {
            console.report(&failure);
            failure.exit as u8
        }
    }
}
