//! `ottla config`: what is configured, where it comes from, and how to change it; for topics, brokers, their loggers,
//! groups and client metrics.
mod resource;

use clap::{Args, Subcommand};
use env::Env;
use serde_json::{Value, json};

use crate::connect::Connect;
use crate::console::Console;
use crate::failure::{Failure, Failures};
use crate::table::{Output, Table};

pub use resource::{Change, Entry, Kind, Resource, alter, describe};

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show configurations, where each comes from, and what would count without it
    Get(Get),
    /// Set configurations; shows what changes
    Set(Set),
    /// Take configurations back, so that the default counts again; shows what changes
    Unset(Unset),
}

#[derive(Args, Debug)]
pub struct Get {
    /// Of what
    #[arg(value_enum)]
    kind: Kind,

    /// Its name or number; `default` is what is set for all brokers
    name: String,

    /// Only these [default: all that somebody set]
    keys: Vec<String>,

    /// Defaults too
    #[arg(short, long, conflicts_with = "keys")]
    all: bool,

    /// For people or for programs, which get documentation and synonyms one by one
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    connect: Connect,
}

#[derive(Args, Debug)]
pub struct Set {
    /// Of what
    #[arg(value_enum)]
    kind: Kind,

    /// Its name or number; `default` stands for all brokers
    name: String,

    /// What to set
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = pair)]
    pairs: Vec<(String, String)>,

    #[command(flatten)]
    options: ChangeOptions,
}

#[derive(Args, Debug)]
pub struct Unset {
    /// Of what
    #[arg(value_enum)]
    kind: Kind,

    /// Its name or number; `default` stands for all brokers
    name: String,

    /// What to take back
    #[arg(required = true)]
    keys: Vec<String>,

    #[command(flatten)]
    options: ChangeOptions,
}

/// Options of every command that changes configurations.
#[derive(Args, Debug)]
pub struct ChangeOptions {
    /// Only check whether it would work, and show what would change
    #[arg(short = 'd', long)]
    dry_run: bool,

    /// For people or for programs
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    connect: Connect,
}

/// On the wire the name of all brokers is empty.
fn resource(kind: Kind, name: &str) -> Resource {
    let name = if kind == Kind::Broker && name == "default" { "" } else { name };
    Resource { kind, name: name.to_owned() }
}

pub async fn run(command: ConfigCommand, env: Env, console: &mut Console) -> Result<(), Failure> {
    match command {
        ConfigCommand::Get(get) => get.run(env, console).await,
        ConfigCommand::Set(set) => {
            let changes = set.pairs.into_iter().map(|(key, value)| Change { key, value: Some(value) }).collect();
            set.options.change([resource(set.kind, &set.name)], changes, env, console).await
        }
        ConfigCommand::Unset(unset) => {
            let changes = unset.keys.into_iter().map(|key| Change { key, value: None }).collect();
            unset.options.change([resource(unset.kind, &unset.name)], changes, env, console).await
        }
    }
}

impl Get {
    async fn run(self, env: Env, console: &mut Console) -> Result<(), Failure> {
        let session = self.connect.session(&env, console)?;
        let resource = resource(self.kind, &self.name);
        let keys = (!self.keys.is_empty()).then(|| self.keys.clone());
        let mut entries = describe(&session, &resource, keys).await?;
        let mut failures = Failures::default();
        for key in &self.keys {
            if !entries.iter().any(|entry| entry.key == *key) {
                failures.add(Failure::not_found(format!("{resource} has no configuration {key}")));
            }
        }
        entries.retain(|entry| self.all || !self.keys.is_empty() || !entry.is_default());
        match self.output {
            Output::Table => {
                let mut table = Table::new(&["KEY", "VALUE", "ORIGIN", "OTHERWISE"]);
                for entry in &entries {
                    table.row(vec![
                        json!(entry.key),
                        entry.shown(),
                        json!(entry.origin()),
                        json!(entry.otherwise().map(|synonym| synonym.to_string())),
                    ]);
                }
                table.print(Output::Table, console)?;
                if entries.is_empty() && self.keys.is_empty() {
                    console.say("nothing is set; --all shows the defaults");
                }
            }
            Output::Json => {
                let entries = entries.iter().map(Entry::to_json).collect();
                console.print(&Value::Array(entries).to_string())?;
            }
        }
        console.end(failures)
    }
}

impl ChangeOptions {
    /// Shows what changes, then changes it. For `topic alter` too.
    pub async fn change(
        &self,
        resources: impl IntoIterator<Item = Resource>,
        changes: Vec<Change>,
        env: Env,
        console: &mut Console,
    ) -> Result<(), Failure> {
        let session = self.connect.session(&env, console)?;
        let mut table = Table::new(&["TYPE", "NAME", "KEY", "OLD", "OLD_ORIGIN", "NEW"]);
        let mut failures = Failures::default();
        let mut found = Vec::new();
        for resource in resources {
            let keys = changes.iter().map(|change| change.key.clone()).collect();
            let entries = match describe(&session, &resource, Some(keys)).await {
                Ok(entries) => entries,
                Err(failure) => {
                    failures.add(failure);
                    continue;
                }
            };
            for Change { key, value } in &changes {
                let entry = entries.iter().find(|entry| entry.key == *key);
                let new = match (value, entry) {
                    (Some(value), _) => json!(value),
                    (None, Some(entry)) => entry.without(resource.kind),
                    (None, None) => Value::Null,
                };
                let (old, origin) = entry.map_or((Value::Null, None), |entry| (entry.shown(), Some(entry.origin())));
                table.row(vec![
                    json!(resource.kind.name()),
                    json!(resource.shown()),
                    json!(key),
                    old,
                    json!(origin),
                    new,
                ]);
            }
            found.push(resource);
        }
        table.print(self.output, console)?;
        console.flush()?;
        for resource in found {
            match alter(&session, &resource, &changes, self.dry_run).await {
                Ok(()) if self.dry_run => console.say(&format!("{resource} could be changed so")),
                Ok(()) => console.say(&format!("changed {resource}")),
                Err(failure) => failures.add(failure),
            }
        }
        console.end(failures)
    }
}

/// `KEY=VALUE`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is no KEY=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}
