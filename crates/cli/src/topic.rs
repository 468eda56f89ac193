//! `ottla topic`: make, list, look at and delete topics.
use clap::{Args, Subcommand};
use client::{Partition, Topic, Topics};
use env::Env;
use protocol::create_topics_request::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use protocol::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use protocol::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::{ApiKey, ErrorCode};
use serde_json::{Value, json};

use crate::connect::{CREATION, Connect, Session};
use crate::console::Console;
use crate::failure::Failure;
use crate::table::{Output, Table};

#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Make topics
    Create(Create),
    /// Delete topics and all that is in them
    Delete(Delete),
    /// Show partitions and configuration of topics
    Describe(Describe),
    /// Show which topics there are
    List(List),
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
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pair)]
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
    #[arg(required = true)]
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
    #[arg(required = true)]
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
        TopicCommand::Create(create) => create.run(env, console).await,
        TopicCommand::Delete(delete) => delete.run(env, console).await,
        TopicCommand::Describe(describe) => describe.run(env, console).await,
        TopicCommand::List(list) => list.run(env, console).await,
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
                    made.push(topic.name);
                }
                Some(ErrorCode::TopicAlreadyExists) if self.if_not_exists => {
                    console.say(&format!("{} is there already", topic.name));
                }
                _ => failures.add(&topic.name, topic.error_code, topic.error_message.as_deref()),
            }
        }
        until_seen(&session, &made).await?;
        failures.report(console)
    }
}

/// The controller has made them; brokers hear of it a moment later, and the next command may ask one.
async fn until_seen(session: &Session, topics: &[String]) -> Result<(), Failure> {
    let deadline = session.env.clock.now() + CREATION.min(session.timeout);
    loop {
        let cluster = session.client.metadata(Topics::Named { names: topics, create: false }).await?;
        let is_new = |topic: &Topic| {
            let without_leader = topic.partitions.iter().any(|partition| partition.leader < 0);
            topic.error == ErrorCode::UnknownTopicOrPartition || without_leader
        };
        if !cluster.topics.iter().any(is_new) || !session.pause(deadline).await {
            return Ok(());
        }
    }
}

impl Delete {
    async fn run(self, env: Env, console: &mut Console) -> Result<(), Failure> {
        let session = self.connect.session(&env, console)?;
        if !self.yes && console.input_is_terminal {
            console.say(&format!("delete {} and all that is in it? [y/N]", self.topics.join(", ")));
            let answer = console.line(&env).await?;
            if !matches!(answer.trim(), "y" | "Y" | "yes") {
                return Err(Failure::new("nothing was deleted"));
            }
        }
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
                _ => failures.add(&name, topic.error_code, topic.error_message.as_deref()),
            }
        }
        failures.report(console)
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

/// A topic's configuration as DescribeConfigs has it.
struct Config {
    name: String,
    value: Option<String>,
    /// `DEFAULT_CONFIG` is 5; anything else somebody set.
    is_default: bool,
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
                failures.add(name, topic.error.code(), None);
                continue;
            }
            let mut configs = configs(&session, name).await?;
            configs.retain(|config| self.all || !config.is_default);
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
        failures.report(console)
    }
}

async fn configs(session: &Session, topic: &str) -> Result<Vec<Config>, Failure> {
    const TOPIC: i8 = 2;
    const DEFAULT_CONFIG: i8 = 5;
    let resource =
        DescribeConfigsResource { resource_type: TOPIC, resource_name: topic.to_owned(), ..Default::default() };
    let resource = DescribeConfigsResource { configuration_keys: None, ..resource };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let response = session.client.any().await?.call_within(&request, 1..=4, session.timeout).await?;
    let Some(result) = response.results.into_iter().next() else { return Ok(Vec::new()) };
    if result.error_code != ErrorCode::None.code() {
        return Err(Failure::of_code(topic, result.error_code, result.error_message.as_deref()));
    }
    let config = |config: protocol::describe_configs_response::DescribeConfigsResourceResult| Config {
        name: config.name,
        is_default: config.config_source == DEFAULT_CONFIG,
        value: if config.is_sensitive { Some("***".to_owned()) } else { config.value },
    };
    let mut configs: Vec<Config> = result.configs.into_iter().map(config).collect();
    configs.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(configs)
}

fn to_json(topic: &Topic, configs: &[Config]) -> Value {
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
    let configs = configs.iter().map(|config| (config.name.clone(), json!(config.value)));
    json!({
        "topic": topic.name,
        "id": topic.id.to_string(),
        "internal": topic.is_internal,
        "partitions": topic.partitions.iter().map(partition).collect::<Vec<_>>(),
        "configs": Value::Object(configs.collect()),
    })
}

fn print(topic: &Topic, configs: &[Config], is_first: bool, console: &mut Console) -> Result<(), Failure> {
    if !is_first {
        console.print("")?;
    }
    console.print(&format!("{}  id {}  {} partitions", topic.name, topic.id, topic.partitions.len()))?;
    for config in configs {
        console.print(&format!("  {}={}", config.name, config.value.as_deref().unwrap_or("null")))?;
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

/// Several topics may fail for several reasons; the first decides about the exit code, all are said.
#[derive(Default)]
struct Failures {
    all: Vec<Failure>,
}

impl Failures {
    fn add(&mut self, name: &str, code: i16, message: Option<&str>) {
        let mut failure = Failure::of_code(name, code, message);
        if ErrorCode::from_code(code) == Some(ErrorCode::TopicAlreadyExists) {
            failure.remedy = Some("--if-not-exists takes it as it is".to_owned());
        }
        self.all.push(failure);
    }

    fn report(self, console: &mut Console) -> Result<(), Failure> {
        let mut all = self.all.into_iter();
        let Some(first) = all.next() else { return Ok(()) };
        all.for_each(|failure| console.report(&failure));
        Err(first)
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is no KEY=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}
