//! `ottla completions`: what a shell has to be told, so that Tab completes commands, options, and the names of topics and
//! groups that are there now. The shell then asks `ottla` itself (`answer`), which has a second to ask the cluster.
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use clap::{Args, ValueEnum};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use client::{Address, Client, ConnectionOptions, Purpose, Topics};
use env::{BoxFuture, Env};
use protocol::list_groups_request::ListGroupsRequest;

use crate::console::Console;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub struct Completions {
    /// Which shell, for example: source <(ottla completions bash)
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Shell {
    Bash,
    Fish,
    Zsh,
}

/// The variable by which a shell says that it wants candidates, not a command.
const VARIABLE: &str = "COMPLETE";
/// Nobody waits longer for Tab.
const TIME_MAX: Duration = Duration::from_secs(1);

pub fn run(completions: &Completions, console: &mut Console) -> Result<(), Failure> {
    let name = match completions.shell {
        Shell::Bash => "bash",
        Shell::Fish => "fish",
        Shell::Zsh => "zsh",
    };
    let shells = Shells::builtins();
    let shell = shells.completer(name).expect("clap_complete knows these");
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "ottla", "ottla", "ottla", &mut script)?;
    console.write(&script)
}

/// Answers a shell that asks for candidates. False if nobody asks: then it is a command.
pub fn answer(command: fn() -> clap::Command, arguments: Vec<OsString>) -> Result<bool, clap::Error> {
    CompleteEnv::with_factory(command).var(VARIABLE).try_complete(arguments, Some(Path::new(".")))
}

/// What a cluster has names for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Names {
    Groups,
    Topics,
}

pub(crate) fn topics() -> ArgValueCompleter {
    ArgValueCompleter::new(|start: &OsStr| candidates(Names::Topics, start))
}

pub(crate) fn groups() -> ArgValueCompleter {
    ArgValueCompleter::new(|start: &OsStr| candidates(Names::Groups, start))
}

/// A cluster that does not answer has no names: a shell that waits for Tab is no place for an error.
fn candidates(names: Names, start: &OsStr) -> Vec<CompletionCandidate> {
    let Some(start) = start.to_str() else { return Vec::new() };
    let (bootstrap, Ok(runtime)) = (bootstrap(), env::real::Runtime::new(1)) else { return Vec::new() };
    let found = runtime.block_on(async { live(env::real::env(), &bootstrap, names).await });
    found.into_iter().filter(|name| name.starts_with(start)).map(CompletionCandidate::new).collect()
}

/// As the command would have it: the option if it stands in the line so far, then the variable.
fn bootstrap() -> String {
    let words: Vec<String> =
        env::process::arguments().into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let is_option = |word: &str| matches!(word, "-b" | "--bootstrap-server" | "--bootstrap" | "--bootstrap-servers");
    let option = words.windows(2).find(|pair| is_option(&pair[0])).map(|pair| pair[1].clone());
    let joined = words.iter().find_map(|word| word.strip_prefix("--bootstrap-server=").map(str::to_owned));
    let variable = || env::process::variables().into_iter().find(|(name, _)| name == "KAFKA_BOOTSTRAP_SERVERS");
    option.or(joined).or_else(|| variable().map(|(_, value)| value)).unwrap_or_else(|| "localhost:9092".to_owned())
}

/// The names that are there now; none if the cluster does not say so in time.
pub async fn live(env: Env, bootstrap: &str, names: Names) -> Vec<String> {
    let Ok(addresses) = Address::parse_list(bootstrap) else { return Vec::new() };
    let options =
        ConnectionOptions { connect_timeout: TIME_MAX, request_timeout: TIME_MAX, ..ConnectionOptions::default() };
    let client = Client::new(env.clone(), addresses, options);
    let deadline = env.clock.now() + TIME_MAX;
    let asked: BoxFuture<Option<Vec<String>>> = Box::pin(async move {
        match names {
            Names::Groups => group_names(&client).await,
            Names::Topics => topic_names(&client).await,
        }
    });
    tokio::select! {
        biased;
        found = asked => found.unwrap_or_default(),
        () = env.clock.sleep_until(deadline) => Vec::new(),
    }
}

async fn topic_names(client: &Client) -> Option<Vec<String>> {
    let cluster = client.metadata(Topics::All).await.ok()?;
    let mut names: Vec<String> =
        cluster.topics.iter().filter(|topic| !topic.is_internal).map(|topic| topic.name.clone()).collect();
    names.sort();
    Some(names)
}

async fn group_names(client: &Client) -> Option<Vec<String>> {
    let cluster = client.metadata(Topics::None).await.ok()?;
    let mut names = Vec::new();
    for id in cluster.brokers.keys() {
        let connection = client.broker(*id, Purpose::General).await.ok()?;
        let response = connection.call_within(&ListGroupsRequest::default(), 0..=5, TIME_MAX).await.ok()?;
        names.extend(response.groups.into_iter().map(|group| group.group_id));
    }
    names.sort();
    names.dedup();
    Some(names)
}
