//! `ottla bench`: how fast a cluster takes and gives records, by the same code that `produce` and `consume` are made of.
//! One process that makes its records while it sends them: for a cluster at its limit see `bench/` of the repository.
mod consume;
mod histogram;
mod produce;
mod report;

use clap::Subcommand;
use env::Env;

use crate::console::Console;
use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Read a topic and say how fast that was
    Consume(consume::Consume),
    /// Write random records to a topic and say how fast they were acknowledged
    Produce(produce::Produce),
}

pub async fn run(command: BenchCommand, env: Env, console: &mut Console) -> Result<(), Failure> {
    match command {
        BenchCommand::Consume(consume) => consume.run(env, console).await,
        BenchCommand::Produce(produce) => produce.run(env, console).await,
    }
}
