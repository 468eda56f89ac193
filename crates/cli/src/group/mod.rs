//! `ottla group`: which consumer groups there are, who is in them, and how far they are behind; where they go on, and
//! their end.
mod delete;
mod places;
mod seek;

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, Subcommand};
use client::{Purpose, Topics};
use env::Env;
use protocol::ErrorCode;
use protocol::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use protocol::describe_groups_request::DescribeGroupsRequest;
use protocol::list_groups_request::ListGroupsRequest;
use record::TopicPartition;
use serde_json::{Value, json};

use crate::connect::{Connect, Session};
use crate::console::Console;
use crate::consume::member::{assigned, committed};
use crate::consume::offsets;
use crate::failure::{Failure, Failures};
use crate::table::{Output, Table};
use delete::Delete;
use seek::Seek;

#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Delete groups that nobody is in, with their committed offsets
    Delete(Delete),
    /// Show a group's members, its committed offsets and its lag
    Describe(Describe),
    /// Show which groups there are
    List(List),
    /// Move committed offsets of a group that nobody is in; shows what moves, asks, and says what undoes it
    Seek(Seek),
}

#[derive(Args, Debug)]
pub struct Describe {
    /// Which groups to show
    #[arg(required = true, add = crate::completions::groups())]
    groups: Vec<String>,

    /// For people or for programs
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    connect: Connect,
}

#[derive(Args, Debug)]
pub struct List {
    /// For people or for programs
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    connect: Connect,
}

pub async fn run(command: GroupCommand, env: Env, console: &mut Console) -> Result<(), Failure> {
    match command {
        GroupCommand::Delete(delete) => delete.run(env, console).await,
        GroupCommand::Describe(describe) => describe.run(env, console).await,
        GroupCommand::List(list) => list.run(env, console).await,
        GroupCommand::Seek(seek) => seek.run(env, console).await,
    }
}

impl List {
    async fn run(self, env: Env, console: &mut Console) -> Result<(), Failure> {
        let session = self.connect.session(&env, console)?;
        let cluster = session.client.metadata(Topics::None).await?;
        let mut rows = BTreeMap::new();
        // Each broker knows the groups that it coordinates.
        for id in cluster.brokers.keys() {
            for group in groups_of(&session, *id).await? {
                rows.insert(group[0].to_string(), group);
            }
        }
        let mut table = Table::new(&["GROUP", "STATE", "TYPE", "PROTOCOL"]);
        rows.into_values().for_each(|row| table.row(row));
        table.print(self.output, console)
    }
}

async fn groups_of(session: &Session, broker: i32) -> Result<Vec<Vec<Value>>, Failure> {
    let deadline = session.deadline();
    loop {
        let connection = session.client.broker(broker, Purpose::General).await?;
        let response = connection.call_within(&ListGroupsRequest::default(), 0..=5, session.timeout).await?;
        match ErrorCode::from_code(response.error_code) {
            Some(ErrorCode::None) => {
                let unless_empty = |text: String| if text.is_empty() { Value::Null } else { json!(text) };
                let rows = response.groups.into_iter().map(|group| {
                    let state = unless_empty(group.group_state);
                    vec![
                        json!(group.group_id),
                        state,
                        unless_empty(group.group_type),
                        unless_empty(group.protocol_type),
                    ]
                });
                return Ok(rows.collect());
            }
            // Its partitions of the offsets topic are still being read.
            Some(code) if code.is_retriable() && session.pause(deadline).await => {}
            _ => return Err(Failure::of_code(&format!("the groups of broker {broker}"), response.error_code, None)),
        }
    }
}

/// A group of any protocol, as far as it is shown.
struct Group {
    name: String,
    state: String,
    kind: &'static str,
    assignor: String,
    members: Vec<GroupMember>,
}

struct GroupMember {
    id: String,
    client_id: String,
    host: String,
    partitions: Vec<TopicPartition>,
}

impl Describe {
    async fn run(self, env: Env, console: &mut Console) -> Result<(), Failure> {
        let session = self.connect.session(&env, console)?;
        let mut described = Vec::new();
        let mut failures = Failures::default();
        for (index, name) in self.groups.iter().enumerate() {
            let group = match describe(&session, name).await {
                Ok(group) => group,
                Err(failure) => {
                    failures.add(failure);
                    continue;
                }
            };
            let committed = committed(&session, name, None).await?;
            let rows = rows(&session, &group, &committed).await?;
            match self.output {
                Output::Json => described.push(to_json(&group, &rows)),
                Output::Table => {
                    if index > 0 {
                        console.print("")?;
                    }
                    print(&group, rows, console)?;
                }
            }
        }
        if self.output == Output::Json {
            console.print(&Value::Array(described).to_string())?;
        }
        console.end(failures)
    }
}

/// Names those whom a change of the group has to wait for.
async fn who_is_in(session: &Session, name: &str) -> Result<String, Failure> {
    let group = describe(session, name).await?;
    let mut members: Vec<String> =
        group.members.iter().map(|member| format!("{} at {}", member.client_id, member.host)).collect();
    members.sort();
    members.dedup();
    let rest = members.len().saturating_sub(MEMBERS_SHOWN);
    members.truncate(MEMBERS_SHOWN);
    if rest > 0 {
        members.push(format!("{rest} more"));
    }
    Ok(format!("stop these first: {}", members.join(", ")))
}

const MEMBERS_SHOWN: usize = 8;

async fn describe(session: &Session, name: &str) -> Result<Group, Failure> {
    let not_found = || Failure::not_found(format!("there is no group {name}"));
    let remedy = "`ottla group list` shows what is there";
    let request = DescribeGroupsRequest { groups: vec![name.to_owned()], ..Default::default() };
    let error_of = |response: &protocol::describe_groups_response::DescribeGroupsResponse| {
        response.groups.first().map_or(0, |group| group.error_code)
    };
    let response = session.ask_coordinator(name, &request, 0..=6, error_of).await?;
    let Some(group) = response.groups.into_iter().next() else { return Err(not_found()) };
    match ErrorCode::from_code(group.error_code) {
        Some(ErrorCode::None) if group.group_state != "Dead" => {}
        // A group of another protocol, or none at all; before version 6 the latter is a dead one.
        Some(ErrorCode::None | ErrorCode::GroupIdNotFound) => {
            return match describe_consumer(session, name).await? {
                Some(group) => Ok(group),
                None => Err(not_found().remedy(remedy)),
            };
        }
        _ => return Err(Failure::of_code(name, group.error_code, group.error_message.as_deref())),
    }
    let member = |member: protocol::describe_groups_response::DescribedGroupMember| {
        Ok(GroupMember {
            id: member.member_id,
            client_id: member.client_id,
            host: member.client_host,
            partitions: if group.protocol_type == "consumer" {
                assigned(&member.member_assignment)?
            } else {
                Vec::new()
            },
        })
    };
    let members = group.members.into_iter().map(member).collect::<Result<_, Failure>>()?;
    let (state, assignor) = (group.group_state, group.protocol_data);
    Ok(Group { name: group.group_id, state, kind: "classic", assignor, members })
}

/// A group of the protocol `consumer` (KIP-848), if the broker knows it.
async fn describe_consumer(session: &Session, name: &str) -> Result<Option<Group>, Failure> {
    let request = ConsumerGroupDescribeRequest { group_ids: vec![name.to_owned()], ..Default::default() };
    let coordinator = session.coordinator(name, session.deadline()).await?;
    if coordinator.version_of(protocol::ApiKey::ConsumerGroupDescribe, 0..=1).is_err() {
        return Ok(None);
    }
    let response = coordinator.call_within(&request, 0..=1, session.timeout).await?;
    let Some(group) = response.groups.into_iter().next() else { return Ok(None) };
    match ErrorCode::from_code(group.error_code) {
        Some(ErrorCode::None) => {}
        Some(ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion) => return Ok(None),
        _ => return Err(Failure::of_code(name, group.error_code, group.error_message.as_deref())),
    }
    let member = |member: protocol::consumer_group_describe_response::Member| {
        let topics = member.assignment.topic_partitions.iter();
        let partitions = topics.flat_map(|topic| {
            let name: std::sync::Arc<str> = topic.topic_name.as_str().into();
            topic.partitions.iter().map(move |partition| TopicPartition::new(name.clone(), *partition))
        });
        GroupMember {
            partitions: partitions.collect(),
            id: member.member_id,
            client_id: member.client_id,
            host: member.client_host,
        }
    };
    Ok(Some(Group {
        name: group.group_id,
        state: group.group_state,
        kind: "consumer",
        assignor: group.assignor_name,
        members: group.members.into_iter().map(member).collect(),
    }))
}

/// One partition of a group.
struct Row {
    place: TopicPartition,
    committed: Option<i64>,
    end: Option<i64>,
    member: Option<usize>,
}

impl Row {
    /// End and commit are asked for one after the other, so the commit may be ahead of the end that we saw.
    fn lag(&self) -> Option<i64> {
        Some((self.end? - self.committed?).max(0))
    }
}

async fn rows(
    session: &Session,
    group: &Group,
    committed: &BTreeMap<TopicPartition, i64>,
) -> Result<Vec<Row>, Failure> {
    let owned = group.members.iter().flat_map(|member| &member.partitions);
    let places: BTreeSet<TopicPartition> = committed.keys().chain(owned).cloned().collect();
    let mut names: Vec<String> = places.iter().map(|place| place.topic.to_string()).collect();
    names.dedup();
    let cluster = session.client.metadata(Topics::Named { names: &names, create: false }).await?;
    // Topics may be gone while their offsets are still there.
    let there: Vec<TopicPartition> =
        places.iter().filter(|place| crate::consume::leader(&cluster, place) >= 0).cloned().collect();
    let ends = offsets::at(session, &there, offsets::LATEST).await?;
    let row = |place: TopicPartition| Row {
        committed: committed.get(&place).copied(),
        end: ends.get(&place).copied(),
        member: group.members.iter().position(|member| member.partitions.contains(&place)),
        place,
    };
    Ok(places.into_iter().map(row).collect())
}

fn print(group: &Group, rows: Vec<Row>, console: &mut Console) -> Result<(), Failure> {
    let Group { name, state, kind, assignor, members } = group;
    let lag: i64 = rows.iter().filter_map(Row::lag).sum();
    let assignor = if assignor.is_empty() { String::new() } else { format!("  {assignor}") };
    console.print(&format!("{name}  {state}  {kind}{assignor}  {} members  lag {lag}", members.len()))?;
    let mut table = Table::new(&["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER", "CLIENT", "HOST"]);
    for row in rows {
        let of_member = |text: fn(&GroupMember) -> &String| match row.member {
            Some(index) => json!(text(&members[index])),
            None => Value::Null,
        };
        table.row(vec![
            json!(&*row.place.topic),
            json!(row.place.partition),
            json!(row.committed),
            json!(row.end),
            json!(row.lag()),
            of_member(|member| &member.id),
            of_member(|member| &member.client_id),
            of_member(|member| &member.host),
        ]);
    }
    // Members without a partition are worth seeing.
    for member in members.iter().filter(|member| member.partitions.is_empty()) {
        let none = || Value::Null;
        let GroupMember { id, client_id, host, .. } = member;
        table.row(vec![none(), none(), none(), none(), none(), json!(id), json!(client_id), json!(host)]);
    }
    table.print(Output::Table, console)
}

fn to_json(group: &Group, rows: &[Row]) -> Value {
    let partition = |row: &Row| {
        json!({
            "topic": &*row.place.topic,
            "partition": row.place.partition,
            "committed": row.committed,
            "end": row.end,
            "lag": row.lag(),
            "member": row.member.map(|index| &group.members[index].id),
        })
    };
    let member = |member: &GroupMember| json!({"id": member.id, "client": member.client_id, "host": member.host});
    json!({
        "group": group.name,
        "state": group.state,
        "type": group.kind,
        "assignor": group.assignor,
        "members": group.members.iter().map(member).collect::<Vec<_>>(),
        "partitions": rows.iter().map(partition).collect::<Vec<_>>(),
    })
}
