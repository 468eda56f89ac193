//! `ottla topic`: make, list, look at and delete topics; change their configuration, give them partitions, trim them.
mod add_partitions;
mod alter;
mod trim;

use clap::{Args, Subcommand};
use client::{Partition, Topic, Topics};
use env::Env;
use protocol::create_topics_request::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use protocol::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use protocol::{ApiKey, ErrorCode};
use serde_json::{Value, json};

use crate::config::{self, Entry, Kind, Resource};
use crate::connect::{CREATION, Connect, Session};
use crate::console::Console;
use crate::failure::{Failure, Failures};
use crate::table::{Output, Table};
use add_partitions::AddPartitions;
use alter::Alter;
use trim::Trim;

#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Give topics more partitions; shows what changes
    AddPartitions(AddPartitions),
    /// Change the configuration of topics; shows what changes
    Alter(Alter),
    /// Make topics
    Create(Create),
    /// Delete topics and all that is in them
    Delete(Delete),
    /// Show partitions and configuration of topics
    Describe(Describe),
    /// Show which topics there are
    List(List),
    /// Delete the records before an offset or a time; shows what goes, and asks
    Trim(Trim),
}

#[derive(Args, Debug)]
pub struct Create {
    /// Names of letters, digits, `.`, `_` and `-`
    #[arg(required = true)]
    topics: Vec<String>,

    /// Number of partitions [default: the broker's num.partitions]
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,

    /// Number of replicas [default: the broker's default.replication.factor]
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i16).range(1..))]
    replicas: Option<i16>,

    /// Topic configuration; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = crate::config::pair)]
    config: Vec<(String, String)>,

    /// A topic that is there already is no error
    #[arg(long)]
    if_not_exists: bool,

    /// Only check whether it would work
    #[arg(short = 'd', long)]
    dry_run: bool,

    #[command(flatten)]
    connect: Connect,
}

#[derive(Args, Debug)]
pub struct Delete {
    /// Which topics to delete
    #[arg(required = true, add = crate::completions::topics())]
    topics: Vec<String>,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    /// A topic that is not there is no error
    #[arg(long)]
    if_exists: bool,

    #[command(flatten)]
    connect: Connect,
}

#[derive(Args, Debug)]
pub struct Describe {
    /// Which topics to show
    #[arg(required = true, add = crate::completions::topics())]
    topics: Vec<String>,

    /// All of the configuration, not only what differs from the default
    #[arg(short, long)]
    all: bool,

    /// For people or for programs
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    connect: Connect,
}

#[derive(Args, Debug)]
pub struct List {
    /// Internal topics too
    #[arg(short, long)]
    internal: bool,

    /// For people or for programs
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    connect: Connect,
}

pub async fn run(command: TopicCommand, env: Env, console: &mut Console) -> Result<(), Failure> {
    match command {
        TopicCommand::AddPartitions(add_partitions) => add_partitions.run(env, console).await,
        TopicCommand::Alter(alter) => alter.run(env, console).await,
        TopicCommand::Create(create) => create.run(env, console).await,
        TopicCommand::Delete(delete) => delete.run(env, console).await,
        TopicCommand::Describe(describe) => describe.run(env, console).await,
        TopicCommand::List(list) => list.run(env, console).await,
        TopicCommand::Trim(trim) => trim.run(env, console).await,
    }
}

impl Create {
    async fn run(self, env: Env, console: &mut Console) -> Result<(), Failure> {
        let session = self.connect.session(&env, console)?;
        let config = |(name, value): &(String, String)| CreatableTopicConfig {
            name: name.clone(),
            value: Some(value.clone()),
            ..Default::default()
        };
        let topic = |name: &String| CreatableTopic {
            name: name.clone(),
            num_partitions: self.partitions.unwrap_or(-1),
            replication_factor: self.replicas.unwrap_or(-1),
            configs: self.config.iter().map(config).collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: self.topics.iter().map(topic).collect(),
            timeout_ms: session.timeout_ms(),
            validate_only: self.dry_run,
            ..Default::default()
        };
        // -1 for "the broker's default" came with version 4 (KIP-464).
        let versions = if self.partitions.is_none() || self.replicas.is_none() { 4..=7 } else { 2..=7 };
        let response = session
            .ask_controller(&request, versions, |response| response.topics.first().map_or(0, |topic| topic.error_code))
            .await?;
        let mut failures = Failures::default();
        let mut made = Vec::new();
        for topic in response.topics {
            match ErrorCode::from_code(topic.error_code) {
                Some(ErrorCode::None) if self.dry_run => console.say(&format!("{} could be made", topic.name)),
                Some(ErrorCode::None) => {
                    console.say(&format!("made {}", topic.name));
                    made.push((topic.name, 1));
                }
                Some(ErrorCode::TopicAlreadyExists) if self.if_not_exists => {
                    console.say(&format!("{} is there already", topic.name));
                }
                code => {
                    let failure = Failure::of_code(&topic.name, topic.error_code, topic.error_message.as_deref());
                    failures.add(match code {
                        Some(ErrorCode::TopicAlreadyExists) => failure.remedy("--if-not-exists takes it as it is"),
                        _ => failure,
                    });
                }
            }
        }
        until_seen(&session, &made).await?;
        console.end(failures)
    }
}

/// The controller has made them, so many partitions of each; brokers hear of it a moment later, and the next command may
/// ask one.
async fn until_seen(session: &Session, topics: &[(String, i32)]) -> Result<(), Failure> {
    let deadline = session.env.clock.now() + CREATION.min(session.timeout);
    let names: Vec<String> = topics.iter().map(|(name, _)| name.clone()).collect();
    loop {
        let cluster = session.client.metadata(Topics::Named { names: &names, create: false }).await?;
        let is_seen = |(name, count): &(String, i32)| {
            cluster.topic(name).is_none_or(|topic| {
                let with_leader = topic.partitions.iter().filter(|partition| partition.leader >= 0).count();
                topic.error != ErrorCode::UnknownTopicOrPartition
                    && with_leader == topic.partitions.len()
                    && with_leader >= *count as usize
            })
        };
        if topics.iter().all(is_seen) || !session.pause(deadline).await {
            return Ok(());
        }
    }
}

impl Delete {
    async fn run(self, env: Env, console: &mut Console) -> Result<(), Failure> {
        let session = self.connect.session(&env, console)?;
        let question = format!("delete {} and all that is in it?", self.topics.join(", "));
        console.confirm(&env, self.yes, &question, "nothing was deleted").await?;
        let controller = session.client.controller().await?;
        let version = controller.version_of(ApiKey::DeleteTopics, 1..=6)?;
        let state = |name: &String| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
        let mut request = DeleteTopicsRequest { timeout_ms: session.timeout_ms(), ..Default::default() };
        match version {
            6 => request.topics = self.topics.iter().map(state).collect(),
            _ => request.topic_names = self.topics.clone(),
        }
        let response = session
            .ask_controller(&request, version..=version, |response| {
                response.responses.first().map_or(0, |topic| topic.error_code)
            })
            .await?;
        let mut failures = Failures::default();
        for topic in response.responses {
            let name = topic.name.unwrap_or_default();
            match ErrorCode::from_code(topic.error_code) {
                Some(ErrorCode::None) => console.say(&format!("deleted {name}")),
                Some(ErrorCode::UnknownTopicOrPartition) if self.if_exists => {
                    console.say(&format!("{name} is not there"));
                }
                _ => failures.add(Failure::of_code(&name, topic.error_code, topic.error_message.as_deref())),
            }
        }
        console.end(failures)
    }
}

impl List {
    async fn run(self, env: Env, console: &mut Console) -> Result<(), Failure> {
        let session = self.connect.session(&env, console)?;
        let cluster = session.client.metadata(Topics::All).await?;
        let mut topics: Vec<&Topic> = cluster.topics.iter().collect();
        topics.sort_by_key(|topic| &topic.name);
        let mut table = Table::new(&["TOPIC", "PARTITIONS", "REPLICAS"]);
        for topic in topics.into_iter().filter(|topic| self.internal || !topic.is_internal) {
            let replicas = topic.partitions.iter().map(|partition| partition.replicas.len()).max().unwrap_or(0);
            table.row(vec![json!(topic.name), json!(topic.partitions.len()), json!(replicas)]);
        }
        table.print(self.output, console)
    }
}

impl Describe {
    async fn run(self, env: Env, console: &mut Console) -> Result<(), Failure> {
        let session = self.connect.session(&env, console)?;
        let cluster = session.client.metadata(Topics::Named { names: &self.topics, create: false }).await?;
        let mut failures = Failures::default();
        let mut described = Vec::new();
        for name in &self.topics {
            let Some(topic) = cluster.topic(name) else { continue };
            if topic.error.is_error() {
                failures.add(Failure::of_code(name, topic.error.code(), None));
                continue;
            }
            let resource = Resource { kind: Kind::Topic, name: name.clone() };
            let mut configs = config::describe(&session, &resource, None).await?;
            configs.retain(|config| self.all || !config.is_default());
            match self.output {
                Output::Json => described.push(to_json(topic, &configs)),
                Output::Table => print(topic, &configs, described.is_empty(), console)?,
            }
            if self.output == Output::Table {
                described.push(Value::Null);
            }
        }
        if self.output == Output::Json {
            console.print(&Value::Array(described).to_string())?;
        }
        console.end(failures)
    }
}

fn to_json(topic: &Topic, configs: &[Entry]) -> Value {
    let partition = |partition: &Partition| {
        json!({
            "partition": partition.index,
            "leader": leader(partition),
            "leader_epoch": partition.leader_epoch,
            "replicas": partition.replicas,
            "isr": partition.isr,
            "offline": partition.offline,
        })
    };
    let configs = configs.iter().map(|config| (config.key.clone(), config.shown()));
    json!({
        "topic": topic.name,
        "id": topic.id.to_string(),
        "internal": topic.is_internal,
        "partitions": topic.partitions.iter().map(partition).collect::<Vec<_>>(),
        "configs": Value::Object(configs.collect()),
    })
}

fn print(topic: &Topic, configs: &[Entry], is_first: bool, console: &mut Console) -> Result<(), Failure> {
    if !is_first {
        console.print("")?;
    }
    console.print(&format!("{}  id {}  {} partitions", topic.name, topic.id, topic.partitions.len()))?;
    for config in configs {
        let value = config.shown();
        console.print(&format!("  {}={}", config.key, value.as_str().unwrap_or("null")))?;
    }
    let mut table = Table::new(&["PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR"]);
    for partition in &topic.partitions {
        let Partition { index, leader_epoch, replicas, isr, .. } = partition;
        table.row(vec![json!(index), leader(partition), json!(leader_epoch), json!(replicas), json!(isr)]);
    }
    table.print(Output::Table, console)
}

fn leader(partition: &Partition) -> Value {
    if partition.leader < 0 { Value::Null } else { json!(partition.leader) }
}
