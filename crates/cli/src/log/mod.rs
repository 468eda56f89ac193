//! `ottla log`: what lies in a data directory, while no broker runs on it. Reads only, so it works on a copy and on a
//! file system that takes no writes.
mod dump;
mod strays;
mod verify;

use clap::Subcommand;
use env::{Env, Next, Worker};
use tokio::sync::mpsc;

use crate::console::Console;
use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Print what is in log files, indexes, lane files, checkpoints and the metadata log
    Dump(dump::Dump),
    /// Check everything in data directories, and say what is damaged
    Verify(verify::Verify),
}

pub async fn run(command: LogCommand, env: Env, console: &mut Console) -> Result<(), Failure> {
    match command {
        LogCommand::Dump(dump) => dump::run(dump, env, console).await,
        LogCommand::Verify(verify) => verify::run(verify, env, console).await,
    }
}

/// What a job hands over and nobody has printed yet.
const SAID_MAX: usize = 1024;

/// Runs `job`, which waits for the disk, on a thread of its own. What it says is taken by `take`, until it has ended or
/// somebody presses Ctrl-C.
async fn on_a_thread<T: Send + 'static>(
    env: &Env,
    console: &mut Console,
    job: impl FnOnce(&mpsc::Sender<T>) + Send + 'static,
    mut take: impl FnMut(&mut Console, T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (sender, mut said) = mpsc::channel(SAID_MAX);
    let _worker = env.spawn.worker("log", Box::new(Once { job: Some((job, sender)) }));
    let mut interrupted = console.interrupted();
    loop {
        tokio::select! {
            biased;
            next = said.recv() => match next {
                Some(next) => take(console, next)?,
                None => return Ok(()),
            },
            () = interrupted.as_mut() => return Err(Failure::interrupted()),
        }
    }
}

struct Once<J, T> {
    job: Option<(J, mpsc::Sender<T>)>,
}

impl<J: FnOnce(&mpsc::Sender<T>) + Send, T: Send> Worker for Once<J, T> {
    fn step(&mut self) -> Next {
        if let Some((job, sender)) = self.job.take() {
            job(&sender);
        }
        Next::Stop
    }
}
