//! `ottla topic trim`: DeleteRecords, everything before a point. What would go is shown first.
use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use client::{Purpose, Topics};
use env::Env;
use protocol::ErrorCode;
use protocol::delete_records_request::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use record::TopicPartition;
use serde_json::json;

use crate::connect::{Connect, Session};
use crate::console::Console;
use crate::consume::offsets::{self, Offsets};
use crate::consume::position::Point;
use crate::failure::{Failure, Failures};
use crate::table::{Output, Table, counted};

#[derive(Args, Debug)]
pub struct Trim {
    /// Which topics to trim
    #[arg(required = true, add = crate::completions::topics())]
    topics: Vec<String>,

    /// The first offset that stays: start, end, 42, +10, -10, @-1h, @2026-11-26
    #[arg(short, long, value_name = "OFFSET", value_parser = Point::parse, allow_hyphen_values = true)]
    to: Point,

    /// Only these partitions
    #[arg(short, long, value_delimiter = ',')]
    partition: Vec<i32>,

    /// Only show what would go
    #[arg(short = 'd', long)]
    dry_run: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    /// For people or for programs
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    connect: Connect,
}

impl Trim {
    pub async fn run(self, env: Env, console: &mut Console) -> Result<(), Failure> {
        let session = self.connect.session(&env, console)?;
        crate::consume::check_topics(&session, &self.topics).await?;
        let partitions = crate::consume::partitions(&session.client.cluster(), &self.topics, &self.partition)?;
        let bounds = offsets::bounds(&session, &partitions).await?;
        let mut goals = offsets::resolve(&session, &partitions, self.to, &bounds).await?;
        let mut table = Table::new(&["TOPIC", "PARTITION", "START", "NEW_START", "END", "GOES"]);
        let mut total = 0;
        for (place, goal) in &goals {
            let bounds = bounds[place];
            let goes = goal - bounds.start;
            total += goes;
            table.row(vec![
                json!(&*place.topic),
                json!(place.partition),
                json!(bounds.start),
                json!(goal),
                json!(bounds.end),
                json!(goes),
            ]);
        }
        table.print(self.output, console)?;
        console.flush()?;
        if self.dry_run || total == 0 {
            console.say(if total == 0 { "there is nothing to delete" } else { "nothing was deleted" });
            return Ok(());
        }
        let offsets = counted(total.unsigned_abs(), "offset");
        let question = format!("delete {offsets} for ever?");
        console.confirm(&env, self.yes, &question, "nothing was deleted").await?;
        goals.retain(|place, goal| *goal > bounds[place].start);
        let failures = delete(&session, goals).await?;
        if failures.is_empty() {
            console.say(&format!("deleted {offsets}"));
        }
        console.end(failures)
    }
}

/// Asks each leader, again while leaders change.
async fn delete(session: &Session, mut goals: Offsets) -> Result<Failures, Failure> {
    let deadline = session.deadline();
    loop {
        let mut failures = Failures::default();
        let mut again = BTreeSet::new();
        for (leader, topics) in by_leader(session, &goals) {
            let request = DeleteRecordsRequest { topics, timeout_ms: session.timeout_ms(), ..Default::default() };
            let connection = session.client.broker(leader, Purpose::General).await?;
            let response = connection.call_within(&request, 0..=2, session.timeout).await?;
            for topic in response.topics {
                for partition in topic.partitions {
                    let place = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                    let code = ErrorCode::from_code(partition.error_code).unwrap_or(ErrorCode::UnknownServerError);
                    if code == ErrorCode::None {
                        continue;
                    }
                    let shown = format!("{}/{}", place.topic, place.partition);
                    failures.add(Failure::of_code(&shown, partition.error_code, None));
                    if code.is_retriable() {
                        again.insert(place);
                    }
                }
            }
        }
        // What was deleted stays deleted, so only what has hope is asked for again.
        if again.is_empty() || again.len() < failures.len() || !session.pause(deadline).await {
            return Ok(failures);
        }
        goals.retain(|place, _| again.contains(place));
        let mut names: Vec<String> = goals.keys().map(|place| place.topic.to_string()).collect();
        names.dedup();
        session.client.metadata(Topics::Named { names: &names, create: false }).await?;
    }
}

fn by_leader(session: &Session, goals: &Offsets) -> BTreeMap<i32, Vec<DeleteRecordsTopic>> {
    let cluster = session.client.cluster();
    let mut by_leader: BTreeMap<i32, Vec<DeleteRecordsTopic>> = BTreeMap::new();
    for (place, offset) in goals {
        let partition =
            DeleteRecordsPartition { partition_index: place.partition, offset: *offset, ..Default::default() };
        let topics = by_leader.entry(crate::consume::leader(&cluster, place)).or_default();
        match topics.last_mut().filter(|topic| topic.name == *place.topic) {
            Some(topic) => topic.partitions.push(partition),
            None => {
                topics.push(DeleteRecordsTopic {
                    name: place.topic.to_string(),
                    partitions: vec![partition],
                    ..Default::default()
                });
            }
        }
    }
    by_leader
}
