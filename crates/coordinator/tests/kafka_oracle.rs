//! Kafka 4.4's own group coordinator as the judge: random lives of groups, led side by side through Kafka's classes (from
//! its jar) and ours. After every event both have given the same answers, encoded at the version that was asked, and
//! written the same bytes to the log.
//!
//! Needs a JDK and maven; without them the test prints `not run: reason`, and fails if `OTTLA_TEST_COMPLETE` is 1.
//!
//! Where Kafka's answer hangs on the order of a hash map, the lives avoid the question: a group has two members at most,
//! so that there is one to lead after the leader, and all members rank protocols alike.

#[path = "oracle/java.rs"]
mod java;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coordinator::{Answer, Answers, DeletedTopic, GroupConfig, GroupRecord, Request};
use java::{Kafka, Outcome};
use protocol::consumer_protocol_subscription::ConsumerProtocolSubscription;
use protocol::delete_groups_request::DeleteGroupsRequest;
use protocol::delete_groups_response::DeleteGroupsResponse;
use protocol::describe_groups_request::DescribeGroupsRequest;
use protocol::describe_groups_response::DescribeGroupsResponse;
use protocol::heartbeat_request::HeartbeatRequest;
use protocol::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use protocol::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use protocol::list_groups_request::ListGroupsRequest;
use protocol::offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use protocol::offset_delete_request::{OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use protocol::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::offset_fetch_response::OffsetFetchResponse;
use protocol::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use protocol::{ApiKey, ErrorCode, Message, Uuid, encode_with_version};
use support::{World, caller, print};

const LIVES: u64 = 40;
const EVENTS_PER_LIFE: usize = 400;
const GROUPS: [&str; 3] = ["g", "h", ""];
const TOPICS: [&str; 3] = ["t", "u", "v"];
const MEMBERS_MAX: usize = 2;

#[test]
fn groups_live_in_kafka_as_they_live_here() {
    let Some(mut kafka) = Kafka::start() else { return };
    let mut seen = Seen::default();
    for seed in 0..LIVES {
        let mut life = Life::begin(seed, &mut kafka);
        for _ in 0..EVENTS_PER_LIFE {
            life.event(&mut kafka, &mut seen);
        }
    }
    println!("{} answers, {} records", seen.answers.values().sum::<usize>(), seen.records);
    for ((api, error), count) in &seen.answers {
        println!("{count:6} {api} {error}");
    }
    // What a life is for: each of these has been compared, many times.
    for (api, error) in [
        ("JoinGroup", "NONE"),
        ("JoinGroup", "NONE, leads another"),
        ("JoinGroup", "skip_assignment"),
        ("JoinGroup", "FENCED_INSTANCE_ID"),
        ("JoinGroup", "INCONSISTENT_GROUP_PROTOCOL"),
        ("JoinGroup", "INVALID_GROUP_ID"),
        ("JoinGroup", "INVALID_SESSION_TIMEOUT"),
        ("JoinGroup", "MEMBER_ID_REQUIRED"),
        ("JoinGroup", "UNKNOWN_MEMBER_ID"),
        ("SyncGroup", "NONE, assigned"),
        ("SyncGroup", "FENCED_INSTANCE_ID"),
        ("SyncGroup", "ILLEGAL_GENERATION"),
        ("SyncGroup", "INCONSISTENT_GROUP_PROTOCOL"),
        ("SyncGroup", "REBALANCE_IN_PROGRESS"),
        ("SyncGroup", "UNKNOWN_MEMBER_ID"),
        ("Heartbeat", "NONE"),
        ("Heartbeat", "FENCED_INSTANCE_ID"),
        ("Heartbeat", "ILLEGAL_GENERATION"),
        ("Heartbeat", "REBALANCE_IN_PROGRESS"),
        ("Heartbeat", "UNKNOWN_MEMBER_ID"),
        ("LeaveGroup", "NONE, gone"),
        ("LeaveGroup", "INVALID_GROUP_ID"),
        ("OffsetCommit", "NONE"),
        ("OffsetCommit", "FENCED_INSTANCE_ID"),
        ("OffsetCommit", "GROUP_ID_NOT_FOUND"),
        ("OffsetCommit", "ILLEGAL_GENERATION"),
        ("OffsetCommit", "OFFSET_METADATA_TOO_LARGE"),
        ("OffsetCommit", "REBALANCE_IN_PROGRESS"),
        ("OffsetCommit", "UNKNOWN_MEMBER_ID"),
        ("OffsetFetch", "NONE, committed"),
        ("OffsetDelete", "NONE"),
        ("OffsetDelete", "GROUP_ID_NOT_FOUND"),
        ("OffsetDelete", "GROUP_SUBSCRIBED_TO_TOPIC"),
        ("OffsetDelete", "NON_EMPTY_GROUP"),
        ("DescribeGroups", "NONE"),
        ("DescribeGroups", "GROUP_ID_NOT_FOUND"),
        ("ListGroups", "NONE"),
        ("DeleteGroups", "NONE"),
        ("DeleteGroups", "GROUP_ID_NOT_FOUND"),
        ("DeleteGroups", "NON_EMPTY_GROUP"),
    ] {
        assert!(seen.answers.contains_key(&(api, error)), "{api} {error} never came up");
    }
}

#[derive(Default)]
struct Seen {
    answers: BTreeMap<(&'static str, &'static str), usize>,
    records: usize,
}

struct Life {
    rng: Dice,
    seed: u64,
    ours: World,
    tickets: usize,
    /// Of tickets that have not been answered by both: API and version.
    open: BTreeMap<String, (ApiKey, i16)>,
    /// Answered by us alone, so far.
    ours_alone: BTreeMap<String, i16>,
    /// Ids that were given out, with their instance id.
    ids: Vec<(String, Option<String>)>,
    generations: BTreeMap<&'static str, i32>,
    /// The last events, told when something differs.
    told: Vec<String>,
}

impl Life {
    fn begin(seed: u64, kafka: &mut Kafka) -> Life {
        let mut rng = Dice(seed);
        let config = GroupConfig {
            initial_rebalance_delay: Duration::from_millis(*rng.pick(&[0, 0, 3000])),
            members_max: *rng.pick(&[1, 2, i32::MAX as usize]),
            retention: Duration::from_secs(60),
            retention_check_interval: Duration::from_secs(600),
            ..GroupConfig::default()
        };
        let properties = format!(
            "group.initial.rebalance.delay.ms={}\ngroup.max.size={}\noffsets.retention.minutes=1\n",
            config.initial_rebalance_delay.as_millis(),
            config.members_max
        );
        kafka.begin(&properties);
        Life {
            rng,
            seed,
            ours: World::new(config),
            tickets: 0,
            open: BTreeMap::new(),
            ours_alone: BTreeMap::new(),
            ids: Vec::new(),
            generations: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    fn event(&mut self, kafka: &mut Kafka, seen: &mut Seen) {
        let die = self.rng.below(100);
        if die < 10 {
            // Odd, so that hardly two deadlines fall together.
            let milliseconds = if self.rng.one_in(6) { 70_001 } else { 1 + self.rng.below(9001) as i64 };
            self.told.push(format!("advance {milliseconds}"));
            let answers = self.ours.advance(Duration::from_millis(milliseconds as u64));
            let theirs = kafka.advance(milliseconds);
            return self.compare(answers, theirs, seen);
        }
        if die < 11 {
            self.told.push("restart".to_owned());
            // Who waited is told that this is the coordinator no longer.
            let unused = World::new(GroupConfig::default()).shard;
            let mut answers = std::mem::replace(&mut self.ours.shard, unused).resign();
            answers.extend(self.ours.restart());
            let theirs = kafka.load();
            return self.compare(answers, theirs, seen);
        }
        if die < 12 {
            let (name, id) = (self.topic(), self.topic_id());
            self.told.push(format!("topic {name} {id} deleted"));
            let topics = [DeletedTopic { name: name.to_owned(), id }];
            let mut answers = self.ours.shard.topics_deleted(&mut self.ours.log, &topics, self.ours.now);
            answers.extend(self.ours.commit());
            let theirs = kafka.topic_deleted(name, id.0);
            return self.compare(answers, theirs, seen);
        }
        let Some((key, version, body, request)) = self.request(die) else { return };
        self.tickets += 1;
        let ticket = format!("{}", self.tickets);
        self.told.push(print::shorten(&format!("{ticket}: v{version} {request:?}")));
        self.open.insert(ticket.clone(), (key, version));
        let answers = self.ours.request(&caller(version), request, &ticket);
        let theirs = kafka.request(key.code(), version, &ticket, &body);
        self.compare(answers, theirs, seen);
    }

    /// The request as bytes for Kafka and as a struct for us.
    fn request(&mut self, die: usize) -> Option<(ApiKey, i16, Vec<u8>, Request)> {
        let group = if self.rng.one_in(30) { "" } else { GROUPS[self.rng.below(2)] };
        let built = match die {
            0..40 => {
                let (version, request) = self.join(group)?;
                (ApiKey::JoinGroup, version, encode(&request, version), Request::JoinGroup(request))
            }
            40..55 => {
                let (version, request) = self.sync(group);
                (ApiKey::SyncGroup, version, encode(&request, version), Request::SyncGroup(request))
            }
            55..65 => {
                let (version, (member_id, group_instance_id)) = (self.rng.below(5) as i16, self.member_or_id(group));
                let group_instance_id = group_instance_id.filter(|_| version >= 3);
                let generation_id = self.generation(group);
                let request = HeartbeatRequest {
                    group_id: group.into(),
                    generation_id,
                    member_id,
                    group_instance_id,
                    ..Default::default()
                };
                (ApiKey::Heartbeat, version, encode(&request, version), Request::Heartbeat(request))
            }
            65..70 => {
                let (version, request) = self.leave(group);
                (ApiKey::LeaveGroup, version, encode(&request, version), Request::LeaveGroup(request))
            }
            70..82 => {
                let (version, request) = self.commit(group);
                // The server resolves ids to names, and names to ids where it knows them.
                (ApiKey::OffsetCommit, version, encode(&request, version), Request::OffsetCommit(request))
            }
            82..86 => {
                let topics = self.rng.one_in(2).then(|| {
                    let partition_indexes = vec![self.partition(), self.partition()];
                    vec![OffsetFetchRequestTopics {
                        name: self.topic().into(),
                        partition_indexes,
                        ..Default::default()
                    }]
                });
                let group = OffsetFetchRequestGroup { group_id: group.into(), topics, ..Default::default() };
                let request =
                    OffsetFetchRequest { groups: vec![group.clone()], require_stable: true, ..Default::default() };
                let body = encode(&request, 9);
                (ApiKey::OffsetFetch, 9, body, Request::OffsetFetch { group, require_stable: true })
            }
            86..90 => {
                let partitions =
                    vec![OffsetDeleteRequestPartition { partition_index: self.partition(), ..Default::default() }];
                let topic = OffsetDeleteRequestTopic { name: self.topic().into(), partitions, ..Default::default() };
                let request = OffsetDeleteRequest { group_id: group.into(), topics: vec![topic], ..Default::default() };
                (ApiKey::OffsetDelete, 0, encode(&request, 0), Request::OffsetDelete(request))
            }
            90..94 => {
                let (version, groups) = (self.rng.below(7) as i16, vec![group.to_owned()]);
                let request = DescribeGroupsRequest { groups: groups.clone(), ..Default::default() };
                (ApiKey::DescribeGroups, version, encode(&request, version), Request::DescribeGroups(groups))
            }
            94..98 => {
                let version = 4 + self.rng.below(2) as i16;
                let states = ["stable", "Empty", "PreparingRebalance", " completingrebalance", "dead", "x"];
                let states_filter =
                    if self.rng.one_in(2) { vec![(*self.rng.pick(&states)).to_owned()] } else { vec![] };
                let types_filter = match version {
                    5 => vec![(*self.rng.pick(&["classic", "Classic", "consumer", "x"])).to_owned()],
                    _ => vec![],
                };
                let request = ListGroupsRequest { states_filter, types_filter, ..Default::default() };
                (ApiKey::ListGroups, version, encode(&request, version), Request::ListGroups(request))
            }
            _ => {
                let groups_names = vec![group.to_owned()];
                let request = DeleteGroupsRequest { groups_names: groups_names.clone(), ..Default::default() };
                (ApiKey::DeleteGroups, 2, encode(&request, 2), Request::DeleteGroups(groups_names))
            }
        };
        Some(built)
    }

    /// None if the group might get more members than it may.
    fn join(&mut self, group: &'static str) -> Option<(i16, JoinGroupRequest)> {
        let version = *self.rng.pick(&[0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 9, 9]);
        let members = self.members(group);
        let crowded = members.len() >= MEMBERS_MAX;
        let (member_id, group_instance_id) = if crowded && !self.rng.one_in(5) {
            // One of its members, in either of its two shapes.
            let member_id = self.rng.pick(&members).clone();
            let known = self.ids.iter().find(|(id, _)| *id == member_id).cloned().unwrap_or((member_id, None));
            let forgotten = known.1.is_some() && version >= 5 && self.rng.one_in(2);
            if forgotten { (String::new(), known.1) } else { known }
        } else if crowded {
            // Someone who is none, nor could become one.
            ("nobody".to_owned(), None)
        } else {
            match self.rng.below(5) {
                0 => (String::new(), None),
                1 | 2 => (String::new(), Some((*self.rng.pick(&["a", "b"])).to_owned())),
                _ => self.id(),
            }
        };
        let group_instance_id = group_instance_id.filter(|_| version >= 5);
        let protocol = |name: &str, topic: &str| {
            let subscription = ConsumerProtocolSubscription { topics: vec![topic.to_owned()], ..Default::default() };
            let metadata = encode_with_version(&subscription, 1).expect("a small subscription").into();
            JoinGroupRequestProtocol { name: name.to_owned(), metadata, ..Default::default() }
        };
        let topic = if self.rng.one_in(8) { "u" } else { "t" };
        let protocols = match self.rng.below(12) {
            0 => vec![],
            1 => vec![protocol("sticky", topic)],
            2 => {
                vec![JoinGroupRequestProtocol { name: "range".into(), metadata: vec![1].into(), ..Default::default() }]
            }
            3..12 => vec![protocol("range", topic), protocol("sticky", topic)],
            _ => vec![protocol("range", topic)],
        };
        let request = JoinGroupRequest {
            group_id: group.to_owned(),
            session_timeout_ms: match self.rng.below(20) {
                0 => *self.rng.pick(&[-1, 5999, 1_800_001]),
                _ => 6001 + self.rng.below(40_000) as i32,
            },
            rebalance_timeout_ms: if version == 0 { -1 } else { 1001 + self.rng.below(50_000) as i32 },
            member_id,
            group_instance_id,
            protocol_type: (*self.rng.pick(&["consumer", "consumer", "consumer", "consumer", "connect", ""]))
                .to_owned(),
            protocols,
            reason: (version >= 8 && self.rng.one_in(2)).then(|| "a reason".to_owned()),
            ..Default::default()
        };
        Some((version, request))
    }

    fn sync(&mut self, group: &'static str) -> (i16, SyncGroupRequest) {
        let version = self.rng.below(6) as i16;
        let (member_id, group_instance_id) = self.member_or_id(group);
        let assignments = self.members(group).into_iter().filter(|_| !self.rng.one_in(5)).map(|member_id| {
            let assignment = format!("part of {member_id}").into();
            SyncGroupRequestAssignment { member_id, assignment, ..Default::default() }
        });
        let assignments = assignments.collect();
        let names = version >= 5 && !self.rng.one_in(10);
        let request = SyncGroupRequest {
            group_id: group.to_owned(),
            generation_id: self.generation(group),
            member_id,
            group_instance_id: group_instance_id.filter(|_| version >= 3),
            protocol_type: names.then(|| (*self.rng.pick(&["consumer", "consumer", "connect"])).to_owned()),
            protocol_name: names.then(|| (*self.rng.pick(&["range", "range", "sticky"])).to_owned()),
            assignments,
            ..Default::default()
        };
        (version, request)
    }

    fn leave(&mut self, group: &'static str) -> (i16, LeaveGroupRequest) {
        let version = self.rng.below(6) as i16;
        let group_id = group.to_owned();
        if version < 3 {
            return (version, LeaveGroupRequest { group_id, member_id: self.id().0, ..Default::default() });
        }
        let members = (0..1 + self.rng.below(2)).map(|_| {
            let (member_id, group_instance_id) = self.id();
            let by_name = group_instance_id.is_some() && self.rng.one_in(2);
            let member_id = if by_name { String::new() } else { member_id };
            MemberIdentity { member_id, group_instance_id, ..Default::default() }
        });
        (version, LeaveGroupRequest { group_id, members: members.collect(), ..Default::default() })
    }

    fn commit(&mut self, group: &'static str) -> (i16, OffsetCommitRequest) {
        let version = 2 + self.rng.below(8) as i16;
        let alone = self.rng.one_in(3);
        let (member_id, group_instance_id) = if alone { (String::new(), None) } else { self.member_or_id(group) };
        let partitions = (0..1 + self.rng.below(2)).map(|_| OffsetCommitRequestPartition {
            partition_index: self.partition(),
            committed_offset: self.rng.below(1000) as i64,
            committed_leader_epoch: if version >= 6 { self.rng.below(4) as i32 - 2 } else { -1 },
            committed_metadata: match self.rng.below(8) {
                0 => None,
                1 => Some("ü".repeat(4096)), // Characters count, not bytes.
                2 => Some("m".repeat(4097)),
                _ => Some("metadata".to_owned()),
            },
            ..Default::default()
        });
        let topic = OffsetCommitRequestTopic {
            partitions: partitions.collect(),
            name: self.topic().into(),
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: group.to_owned(),
            generation_id_or_member_epoch: if alone { -1 } else { self.generation(group) },
            member_id,
            group_instance_id: group_instance_id.filter(|_| version >= 7),
            retention_time_ms: if version <= 4 { *self.rng.pick(&[-1, 30_000]) } else { -1 },
            topics: vec![topic],
            ..Default::default()
        };
        (version, request)
    }

    /// An id that was given out, to whomever, or nobody's.
    fn id(&mut self) -> (String, Option<String>) {
        let recent = self.ids.len().saturating_sub(4);
        match self.rng.below(8) {
            0 => ("nobody".to_owned(), None),
            1 if !self.ids.is_empty() => self.rng.pick(&self.ids).clone(),
            2 => ("nobody".to_owned(), Some("a".to_owned())),
            _ if self.ids.is_empty() => (String::new(), None),
            _ => self.rng.pick(&self.ids[recent..]).clone(),
        }
    }

    fn member_or_id(&mut self, group: &str) -> (String, Option<String>) {
        let members = self.members(group);
        if members.is_empty() || self.rng.one_in(6) {
            return self.id();
        }
        let member_id = self.rng.pick(&members).clone();
        self.ids.iter().find(|(id, _)| *id == member_id).cloned().unwrap_or((member_id, None))
    }

    fn generation(&mut self, group: &str) -> i32 {
        let generation = self.generations.get(group).copied().unwrap_or_default();
        if self.rng.one_in(8) { generation + self.rng.below(3) as i32 - 1 } else { generation }
    }

    fn topic(&mut self) -> &'static str {
        TOPICS[self.rng.below(TOPICS.len())]
    }

    fn partition(&mut self) -> i32 {
        self.rng.below(3) as i32
    }

    fn topic_id(&mut self) -> Uuid {
        Uuid(u128::from(self.rng.below(3) as u32).to_be_bytes())
    }

    /// Ids of the members, asked of our own coordinator.
    fn members(&mut self, group: &str) -> Vec<String> {
        let answers = self.ours.request(&caller(5), Request::DescribeGroups(vec![group.to_owned()]), "peek");
        let [(_, answer)] = <[_; 1]>::try_from(answers).expect("one answer");
        let described = answer.into_describe_groups().remove(0);
        described.members.into_iter().map(|member| member.member_id).collect()
    }

    fn compare(&mut self, answers: Answers<String>, theirs: Outcome, seen: &mut Seen) {
        let mut ours: BTreeMap<String, Answer> = answers.into_iter().collect();
        for (ticket, bytes) in theirs.answers {
            let Some((key, version)) = self.open.remove(&ticket) else {
                panic!("{}\nKafka alone answers {ticket}; we did with {:?}", self.tell(), self.ours_alone.get(&ticket));
            };
            let Some(answer) = ours.remove(&ticket) else {
                panic!("{}\nKafka alone answers {ticket}: {bytes:?}", self.tell());
            };
            self.learn(&answer);
            *seen.answers.entry((api(&answer), outcome(&answer))).or_default() += 1;
            let (ours, theirs) = comparable(key, version, answer, &bytes);
            assert!(ours == theirs, "{}\nto {ticket} Kafka says {theirs}\nand we say {ours}", self.tell());
        }
        // Kafka drops a join or sync whose member asks again or is gone: the client waits until its request times out.
        for (ticket, answer) in ours {
            let code = support::error_code(&answer);
            let dropped = [ErrorCode::RebalanceInProgress.code(), ErrorCode::UnknownMemberId.code()].contains(&code)
                && matches!(answer, Answer::JoinGroup(_) | Answer::SyncGroup(_));
            assert!(dropped, "{}\nwe alone answer {ticket}: {answer:?}", self.tell());
            self.open.remove(&ticket);
            self.ours_alone.insert(ticket, code);
        }
        let ours: Vec<GroupRecord> = self.ours.log.appended.drain(..).collect();
        seen.records += ours.len();
        let ours: BTreeSet<_> = ours.iter().map(|record| sorted(record.key(), record.value())).collect();
        let theirs: BTreeSet<_> = theirs.records.into_iter().map(|(key, value)| sorted(key, value)).collect();
        assert!(ours == theirs, "{}\nKafka writes {theirs:?}\nand we write {ours:?}", self.tell());
    }

    fn learn(&mut self, answer: &Answer) {
        let Answer::JoinGroup(join) = answer else { return };
        if !join.member_id.is_empty()
            && join.member_id != "nobody"
            && !self.ids.iter().any(|(id, _)| *id == join.member_id)
        {
            let instance = ["a", "b"].into_iter().find(|name| join.member_id.starts_with(&format!("{name}-")));
            self.ids.push((join.member_id.clone(), instance.map(str::to_owned)));
        }
        if join.error_code == 0 {
            // Which group it was, its leader's members do not say: ask all.
            for group in GROUPS {
                if self.members(group).contains(&join.member_id) {
                    self.generations.insert(group, join.generation_id);
                }
            }
        }
    }

    fn tell(&self) -> String {
        let from = self.told.len().saturating_sub(40);
        format!("life {}\n{}", self.seed, self.told[from..].join("\n"))
    }
}

fn encode<M: Message>(request: &M, version: i16) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(version, &mut bytes).unwrap_or_else(|error| panic!("{error:?}: {request:?}"));
    bytes
}

/// Both answers as text, decoded from what would go to the client, members sorted.
fn comparable(key: ApiKey, version: i16, ours: Answer, theirs: &[u8]) -> (String, String) {
    fn texts<M: Message>(version: i16, ours: &M, theirs: &[u8], sort: impl Fn(&mut M)) -> (String, String) {
        let mut bytes = Vec::new();
        ours.encode(version, &mut bytes).unwrap_or_else(|error| panic!("{error:?}: {ours:?}"));
        let text = |bytes: &[u8]| {
            let mut message = M::decode(version, bytes).expect("a message of this version");
            sort(&mut message);
            format!("{message:?}")
        };
        (text(&bytes), text(theirs))
    }
    match key {
        ApiKey::JoinGroup => texts(version, &ours.into_join_group(version), theirs, |join| {
            join.members.sort_by(|one, other| one.member_id.cmp(&other.member_id));
        }),
        ApiKey::SyncGroup => texts(version, &ours.into_sync_group(), theirs, |_| {}),
        ApiKey::Heartbeat => texts(version, &ours.into_heartbeat(), theirs, |_| {}),
        ApiKey::LeaveGroup => texts(version, &ours.into_leave_group(version), theirs, |_| {}),
        ApiKey::OffsetCommit => texts(version, &ours.into_offset_commit(), theirs, |_| {}),
        ApiKey::OffsetFetch => {
            let ours = OffsetFetchResponse { groups: vec![ours.into_offset_fetch(version)], ..Default::default() };
            texts(version, &ours, theirs, |fetch| {
                let topics = &mut fetch.groups[0].topics;
                topics.sort_by(|one, other| one.name.cmp(&other.name));
                topics.iter_mut().for_each(|topic| topic.partitions.sort_by_key(|partition| partition.partition_index));
            })
        }
        ApiKey::OffsetDelete => texts(version, &ours.into_offset_delete(), theirs, |_| {}),
        ApiKey::DescribeGroups => {
            let ours = DescribeGroupsResponse { groups: ours.into_describe_groups(), ..Default::default() };
            texts(version, &ours, theirs, |described| {
                described.groups[0].members.sort_by(|one, other| one.member_id.cmp(&other.member_id));
            })
        }
        ApiKey::ListGroups => texts(version, &ours.into_list_groups(), theirs, |list| {
            list.groups.sort_by(|one, other| one.group_id.cmp(&other.group_id));
        }),
        ApiKey::DeleteGroups => {
            let ours = DeleteGroupsResponse { results: ours.into_delete_groups(), ..Default::default() };
            texts(version, &ours, theirs, |_| {})
        }
        other => panic!("{other:?}"),
    }
}

/// A record as bytes, its members sorted; everything else must be the same to the byte.
fn sorted(key: Vec<u8>, value: Option<Vec<u8>>) -> (Vec<u8>, Option<Vec<u8>>, usize) {
    let length = value.as_ref().map_or(0, Vec::len);
    let replayed = GroupRecord::replay(Some(&key), value.as_deref()).expect("a record of this version");
    match replayed {
        coordinator::group::Replayed::Record(GroupRecord::GroupMetadata { group_id, value: Some(mut group) }) => {
            group.members.sort_by(|one, other| one.member_id.cmp(&other.member_id));
            let value = GroupRecord::GroupMetadata { group_id, value: Some(group) }.value();
            (key, value, length)
        }
        _ => (key, value, length),
    }
}

fn api(answer: &Answer) -> &'static str {
    match answer {
        Answer::DeleteGroups(_) => "DeleteGroups",
        Answer::DescribeGroups(_) => "DescribeGroups",
        Answer::Heartbeat(_) => "Heartbeat",
        Answer::JoinGroup(_) => "JoinGroup",
        Answer::LeaveGroup(_) => "LeaveGroup",
        Answer::ListGroups(_) => "ListGroups",
        Answer::OffsetCommit(_) => "OffsetCommit",
        Answer::OffsetDelete(_) => "OffsetDelete",
        Answer::OffsetFetch(_) => "OffsetFetch",
        Answer::SyncGroup(_) => "SyncGroup",
    }
}

fn outcome(answer: &Answer) -> &'static str {
    let subscribed = ErrorCode::GroupSubscribedToTopic;
    match answer {
        Answer::JoinGroup(join) if join.skip_assignment => "skip_assignment",
        Answer::JoinGroup(join) if join.members.len() > 1 => "NONE, leads another",
        Answer::SyncGroup(sync) if !sync.assignment.is_empty() => "NONE, assigned",
        Answer::OffsetDelete(delete)
            if delete.topics.iter().any(|topic| topic.partitions[0].error_code == subscribed.code()) =>
        {
            subscribed.name()
        }
        Answer::OffsetFetch(fetch)
            if fetch
                .topics
                .iter()
                .flat_map(|topic| &topic.partitions)
                .any(|partition| partition.committed_offset >= 0) =>
        {
            "NONE, committed"
        }
        Answer::LeaveGroup(leave) if leave.members.iter().any(|member| member.error_code == 0) => "NONE, gone",
        _ => error(answer),
    }
}

fn error(answer: &Answer) -> &'static str {
    ErrorCode::from_code(support::error_code(answer)).expect("an error of Kafka's").name()
}

/// splitmix64: the same seed, the same life.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, V>(&mut self, values: &'a [V]) -> &'a V {
        &values[self.below(values.len())]
    }
}
