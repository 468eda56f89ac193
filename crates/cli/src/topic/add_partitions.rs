//! `ottla topic add-partitions`: more partitions. There is no way back, so what changes is shown first.
use clap::{ArgGroup, Args};
use client::Topics;
use env::Env;
use protocol::ErrorCode;
use protocol::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use serde_json::json;

use crate::connect::Connect;
use crate::console::Console;
use crate::failure::{Failure, Failures};
use crate::table::{Output, Table};

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("count").args(["num", "total"]).required(true))]
pub struct AddPartitions {
    /// Which topics get more
    #[arg(required = true, add = crate::completions::topics())]
    topics: Vec<String>,

    /// How many more
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    num: Option<i32>,

    /// How many there are to be
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    total: Option<i32>,

    /// Only check whether it would work
    #[arg(short = 'd', long)]
    dry_run: bool,

    /// For people or for programs
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    connect: Connect,
}

impl AddPartitions {
    pub async fn run(self, env: Env, console: &mut Console) -> Result<(), Failure> {
        let session = self.connect.session(&env, console)?;
        let cluster = session.client.metadata(Topics::Named { names: &self.topics, create: false }).await?;
        let mut failures = Failures::default();
        let mut table = Table::new(&["TOPIC", "OLD", "NEW"]);
        let mut topics = Vec::new();
        for name in &self.topics {
            let Some(topic) = cluster.topic(name) else { continue };
            if topic.error.is_error() {
                failures.add(Failure::of_code(name, topic.error.code(), None));
                continue;
            }
            let old = topic.partitions.len() as i32; // A broker has no 2^31 of them.
            let count = self.total.unwrap_or(old.saturating_add(self.num.unwrap_or(0)));
            table.row(vec![json!(name), json!(old), json!(count)]);
            topics.push(CreatePartitionsTopic { name: name.clone(), count, assignments: None, ..Default::default() });
        }
        table.print(self.output, console)?;
        console.flush()?;
        if topics.is_empty() {
            return console.end(failures);
        }
        let request = CreatePartitionsRequest {
            topics,
            timeout_ms: session.timeout_ms(),
            validate_only: self.dry_run,
            ..Default::default()
        };
        let response = session
            .ask_controller(&request, 0..=3, |response| response.results.first().map_or(0, |topic| topic.error_code))
            .await?;
        let mut grown = Vec::new();
        for topic in response.results {
            match ErrorCode::from_code(topic.error_code) {
                Some(ErrorCode::None) if self.dry_run => console.say(&format!("{} could get them", topic.name)),
                Some(ErrorCode::None) => {
                    console.say(&format!("{} has them; keys may go to other partitions from now on", topic.name));
                    grown.push(topic.name);
                }
                _ => failures.add(Failure::of_code(&topic.name, topic.error_code, topic.error_message.as_deref())),
            }
        }
        let counts: Vec<(String, i32)> = request
            .topics
            .into_iter()
            .filter(|topic| grown.contains(&topic.name))
            .map(|topic| (topic.name, topic.count))
            .collect();
        super::until_seen(&session, &counts).await?;
        console.end(failures)
    }
}
