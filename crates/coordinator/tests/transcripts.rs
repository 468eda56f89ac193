//! The life of groups, told in `transcripts/*.txt`: commands above `----`, what came of them below. Run with
//! `OTTLA_TRANSCRIPTS=rewrite` the files are written anew, to be read in review.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use coordinator::{Answers, DeletedTopic, GroupConfig, Request};
use machine::AppendError;
use protocol::Uuid;
use protocol::consumer_protocol_subscription::ConsumerProtocolSubscription;
use protocol::encode_with_version;
use protocol::heartbeat_request::HeartbeatRequest;
use protocol::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use protocol::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use protocol::list_groups_request::ListGroupsRequest;
use protocol::offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use protocol::offset_delete_request::{OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use protocol::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use support::print::{self, lengthen};
use support::{World, caller};

#[test]
fn groups_live_as_told() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).expect("transcripts").map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let rewrite = std::env::var("OTTLA_TRANSCRIPTS").as_deref() == Ok("rewrite");
    for path in paths {
        let told = std::fs::read_to_string(&path).expect("a transcript");
        let seen = play(&told);
        if rewrite {
            std::fs::write(&path, seen).expect("a transcript can be written");
        } else {
            assert_eq!(told, seen, "{}", path.display());
        }
    }
}

/// The transcript as it turns out.
fn play(told: &str) -> String {
    let mut out = String::new();
    let mut stage = Stage { world: World::new(GroupConfig::default()), answered: Vec::new() };
    let mut outcome = String::new();
    let mut in_outcome = false;
    for line in told.lines().chain([""]) {
        match line {
            "----" => {
                let _ = write!(out, "----\n{outcome}");
                outcome.clear();
                in_outcome = true;
            }
            "" => {
                assert!(outcome.is_empty(), "commands without `----` behind them");
                out.push('\n');
                in_outcome = false;
            }
            _ if in_outcome => {} // What was told before.
            _ => {
                let _ = writeln!(out, "{line}");
                if !line.starts_with("//") {
                    stage.play(line, &mut outcome);
                }
            }
        }
    }
    format!("{}\n", out.trim_end())
}

struct Stage {
    world: World,
    /// Tickets, to see that none is answered twice.
    answered: Vec<String>,
}

struct Command<'a> {
    ticket: &'a str,
    fields: BTreeMap<&'a str, &'a str>,
    words: Vec<&'a str>,
}

impl<'a> Command<'a> {
    fn parse(line: &'a str) -> Command<'a> {
        let mut words: Vec<&str> = line.split_whitespace().skip(1).collect();
        let ticket = if words.is_empty() { "" } else { words.remove(0) };
        let fields = words.iter().filter_map(|word| word.split_once('=')).collect();
        words.retain(|word| !word.contains('='));
        Command { ticket, fields, words }
    }

    fn text(&self, name: &str, default: &str) -> String {
        lengthen(self.fields.get(name).copied().unwrap_or(default))
    }

    fn number(&self, name: &str, default: i32) -> i32 {
        self.fields.get(name).map_or(default, |number| number.parse().expect("a number"))
    }

    fn instance(&self) -> Option<String> {
        self.fields.get("instance").map(|instance| (*instance).to_owned())
    }

    fn group(&self) -> String {
        self.text("group", "g")
    }

    /// `t-0,t-1`
    fn partitions(&self) -> Vec<(String, i32)> {
        let topic_partition = |word: &&str| {
            let (topic, index) = word.rsplit_once('-').expect("topic-partition");
            (topic.to_owned(), index.parse().expect("a partition"))
        };
        self.words.iter().map(topic_partition).collect()
    }
}

impl Stage {
    fn play(&mut self, line: &str, outcome: &mut String) {
        let verb = line.split_whitespace().next().expect("not empty");
        let command = Command::parse(line);
        let version = command.number("version", if verb == "sync" { 3 } else { 9 }) as i16;
        let answers = match verb {
            "config" => self.configure(line),
            "advance" => self.world.advance(Duration::from_millis(command.ticket.parse().expect("milliseconds"))),
            "hold" => {
                self.world.held = true;
                Vec::new()
            }
            "release" => self.world.release(),
            "refuse" => {
                self.world.log.refuse_next = Some(match command.ticket {
                    "too_large" => AppendError::TooLarge,
                    "not_enough_replicas" => AppendError::NotEnoughReplicas,
                    "not_leader" => AppendError::NotLeader,
                    "storage" => AppendError::Storage,
                    other => panic!("{other}"),
                });
                Vec::new()
            }
            "restart" => {
                let unused = coordinator::GroupShard::new(
                    std::sync::Arc::new(GroupConfig::default()),
                    std::sync::Arc::new(support::CountingRng::default()),
                );
                let before = std::mem::replace(&mut self.world.shard, unused);
                let mut answers = before.resign();
                answers.extend(self.world.restart());
                answers
            }
            "topic_deleted" => {
                let topic = DeletedTopic { name: command.ticket.to_owned(), id: id(command.number("id", 0)) };
                let now = self.world.now;
                let mut answers = self.world.shard.topics_deleted(&mut self.world.log, &[topic], now);
                answers.extend(self.world.commit());
                answers
            }
            _ => {
                let request = request(verb, &command);
                self.world.request(&caller(version), request, command.ticket)
            }
        };
        self.tell(answers, outcome);
        if self.world.shard.is_lost() {
            let _ = writeln!(outcome, "lost");
        }
    }

    fn configure(&mut self, line: &str) -> Answers<String> {
        let mut config = GroupConfig::default();
        for word in line.split_whitespace().skip(1) {
            let (name, value) = word.split_once('=').expect("name=value");
            let value: u64 = value.parse().expect("a number");
            match name {
                "initial_rebalance_delay_ms" => config.initial_rebalance_delay = Duration::from_millis(value),
                "members_max" => config.members_max = value as usize,
                "retention_ms" => config.retention = Duration::from_millis(value),
                "retention_check_interval_ms" => config.retention_check_interval = Duration::from_millis(value),
                "tickets_max" => config.tickets_max = value as usize,
                other => panic!("{other}"),
            }
        }
        self.world = World::new(config);
        Vec::new()
    }

    fn tell(&mut self, answers: Answers<String>, outcome: &mut String) {
        for record in self.world.log.appended.drain(..) {
            let _ = writeln!(outcome, "{}", print::record(&record));
        }
        for (ticket, answer) in answers {
            assert!(!self.answered.contains(&ticket), "{ticket} was answered before");
            let _ = writeln!(outcome, "{}", print::answer(&ticket, &answer));
            self.answered.push(ticket);
        }
    }
}

fn request(verb: &str, command: &Command<'_>) -> Request {
    let (group_id, member_id, group_instance_id) = (command.group(), command.text("id", ""), command.instance());
    match verb {
        "join" => Request::JoinGroup(JoinGroupRequest {
            group_id,
            session_timeout_ms: command.number("session", 10_000),
            rebalance_timeout_ms: command.number("rebalance", 60_000),
            member_id,
            group_instance_id,
            protocol_type: command.text("type", "consumer"),
            protocols: protocols(&command.text("protocols", "range:t")),
            ..Default::default()
        }),
        "sync" => Request::SyncGroup(SyncGroupRequest {
            group_id,
            generation_id: command.number("generation", 1),
            member_id,
            group_instance_id,
            protocol_type: command.fields.get("type").map(|text| (*text).to_owned()),
            protocol_name: command.fields.get("protocol").map(|text| (*text).to_owned()),
            assignments: assignments(command),
            ..Default::default()
        }),
        "heartbeat" => Request::Heartbeat(HeartbeatRequest {
            group_id,
            generation_id: command.number("generation", 1),
            member_id,
            group_instance_id,
            ..Default::default()
        }),
        "leave" => {
            let identity = |word: &str| {
                // id, id/instance or /instance
                let (id, instance) = word.split_once('/').map_or((word, None), |(id, instance)| (id, Some(instance)));
                let group_instance_id = instance.map(str::to_owned);
                MemberIdentity { member_id: lengthen(id), group_instance_id, ..Default::default() }
            };
            let members: Vec<MemberIdentity> = command.words.iter().map(|word| identity(word)).collect();
            Request::LeaveGroup(LeaveGroupRequest { group_id, member_id, members, ..Default::default() })
        }
        "commit" => Request::OffsetCommit(commit(command)),
        "fetch" => {
            let topics = command.partitions().into_iter().map(|(name, index)| OffsetFetchRequestTopics {
                name,
                topic_id: id(command.number("topic_id", 0)),
                partition_indexes: vec![index],
                ..Default::default()
            });
            let topics = if command.words.is_empty() { None } else { Some(topics.collect()) };
            let group = OffsetFetchRequestGroup { group_id, topics, ..Default::default() };
            Request::OffsetFetch { group, require_stable: true }
        }
        "delete_offsets" => {
            let topics = command.partitions().into_iter().map(|(name, partition_index)| OffsetDeleteRequestTopic {
                name,
                partitions: vec![OffsetDeleteRequestPartition { partition_index, ..Default::default() }],
                ..Default::default()
            });
            Request::OffsetDelete(OffsetDeleteRequest { group_id, topics: topics.collect(), ..Default::default() })
        }
        "describe" => Request::DescribeGroups(command.words.iter().map(|word| (*word).to_owned()).collect()),
        "delete" => Request::DeleteGroups(command.words.iter().map(|word| (*word).to_owned()).collect()),
        "list" => {
            let filter = |name| command.fields.get(name).map(|text| vec![(*text).to_owned()]).unwrap_or_default();
            let (states_filter, types_filter) = (filter("state"), filter("type"));
            Request::ListGroups(ListGroupsRequest { states_filter, types_filter, ..Default::default() })
        }
        other => panic!("no such command: {other}"),
    }
}

fn commit(command: &Command<'_>) -> OffsetCommitRequest {
    let topics = command.partitions().into_iter().map(|(name, partition_index)| OffsetCommitRequestTopic {
        name,
        topic_id: id(command.number("topic_id", 0)),
        partitions: vec![OffsetCommitRequestPartition {
            partition_index,
            committed_offset: command.number("offset", 0).into(),
            committed_leader_epoch: command.number("epoch", -1),
            committed_metadata: Some("m".repeat(command.number("metadata", 0) as usize)),
            ..Default::default()
        }],
        ..Default::default()
    });
    OffsetCommitRequest {
        group_id: command.group(),
        generation_id_or_member_epoch: command.number("generation", -1),
        member_id: command.text("id", ""),
        group_instance_id: command.instance(),
        retention_time_ms: command.number("retention", -1).into(),
        topics: topics.collect(),
        ..Default::default()
    }
}

/// `c-#1:all,c-#2:nothing`
fn assignments(command: &Command<'_>) -> Vec<SyncGroupRequestAssignment> {
    let assign = command.fields.get("assign").copied().unwrap_or_default();
    let parts = assign.split(',').filter_map(|part| part.split_once(':'));
    let assignment = |(member, assignment): (&str, &str)| SyncGroupRequestAssignment {
        member_id: lengthen(member),
        assignment: assignment.to_owned().into(),
        ..Default::default()
    };
    parts.map(assignment).collect()
}

/// `range:t,sticky:x`: the metadata of a protocol is a subscription to a topic; of `x` not even that.
fn protocols(text: &str) -> Vec<JoinGroupRequestProtocol> {
    let protocols = text.split(',').filter(|part| !part.is_empty()).map(|part| {
        let (name, topic) = part.split_once(':').unwrap_or((part, "x"));
        let subscription = ConsumerProtocolSubscription { topics: vec![topic.to_owned()], ..Default::default() };
        let metadata = match topic {
            "x" => b"x".to_vec(),
            _ => encode_with_version(&subscription, 0).expect("a small subscription"),
        };
        JoinGroupRequestProtocol { name: name.to_owned(), metadata: metadata.into(), ..Default::default() }
    });
    protocols.collect()
}

fn id(number: i32) -> Uuid {
    Uuid(u128::try_from(number).expect("not negative").to_be_bytes())
}
