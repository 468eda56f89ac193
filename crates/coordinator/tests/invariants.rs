//! Random lives of groups under a log that lags, refuses and fails. Whatever happens: every ticket is answered once; what
//! is acknowledged is committed; a generation has one leader and grows; a member gets what its leader assigned to it in
//! that generation, or nothing; and what a restart finds is what the log says.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use coordinator::{Answer, Answers, GroupConfig, GroupRecord, Request};
use machine::AppendError;
use protocol::heartbeat_request::HeartbeatRequest;
use protocol::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use protocol::join_group_response::JoinGroupResponse;
use protocol::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use protocol::offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use protocol::offset_fetch_request::OffsetFetchRequestGroup;
use protocol::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use record::Offset;
use support::{World, caller, error_code};

const LIVES: u64 = 200;
const EVENTS_PER_LIFE: usize = 500;
const GROUPS: [&str; 2] = ["g", "h"];

#[test]
fn whatever_happens() {
    let mut counts = BTreeMap::new();
    for seed in 0..LIVES {
        Life::new(seed).live(&mut counts);
    }
    println!("{counts:?}");
    for what in ["joined", "synced", "committed", "failed", "restarts", "losses", "refusals", "skipped assignments"] {
        assert!(counts.get(what).is_some_and(|count| *count >= 50), "hardly any {what}: {counts:?}");
    }
}

/// A client that takes part, though not always in the right order.
#[derive(Clone, Default)]
struct Client {
    group: &'static str,
    instance_id: Option<String>,
    member_id: String,
    generation: i32,
    leads: bool,
    synced: bool,
    /// The members that it leads.
    members: Vec<String>,
    /// What it waits for.
    ticket: Option<String>,
}

struct Asked {
    client: usize,
    /// The end of the log once the request was decided.
    log_end: Offset,
    generation: i32,
    /// How many groups of this name there had been.
    deleted: usize,
}

struct Life {
    seed: u64,
    state: u64,
    world: World,
    clients: Vec<Client>,
    tickets: usize,
    waiting: BTreeMap<String, Asked>,
    /// Of each group the newest generation that a member was told, and who leads it.
    generations: BTreeMap<&'static str, (i32, String)>,
    deleted: BTreeMap<String, usize>,
}

impl Life {
    fn new(seed: u64) -> Life {
        let mut life = Life {
            seed,
            state: seed,
            world: World::new(GroupConfig {
                initial_rebalance_delay: Duration::from_millis(if seed.is_multiple_of(2) { 0 } else { 500 }),
                members_max: if seed.is_multiple_of(5) { 3 } else { 100 },
                retention: Duration::from_secs(40),
                retention_check_interval: Duration::from_secs(15),
                ..GroupConfig::default()
            }),
            clients: Vec::new(),
            tickets: 0,
            waiting: BTreeMap::new(),
            generations: BTreeMap::new(),
            deleted: BTreeMap::new(),
        };
        life.world.held = true; // This test moves the high watermark itself.
        for index in 0..7 {
            let instance_id = (index % 3 == 0).then(|| format!("i{index}"));
            life.clients.push(Client { group: GROUPS[index % 2], instance_id, generation: -1, ..Client::default() });
        }
        life
    }

    fn live(&mut self, counts: &mut BTreeMap<&'static str, usize>) {
        for _ in 0..EVENTS_PER_LIFE {
            self.event(counts);
            let waiting = self.waiting.len();
            assert_eq!(self.world.shard.tickets(), waiting, "life {}: tickets are lost or made up", self.seed);
            if self.world.shard.is_lost() {
                assert_eq!(waiting, 0, "life {}: a loss answers everyone", self.seed);
                *counts.entry("losses").or_default() += 1;
                self.restart(counts);
            }
        }
        self.commit_up_to(self.world.log.end(), counts);
        self.check_offsets();
        self.restart(counts);
        self.check_offsets();
    }

    fn event(&mut self, counts: &mut BTreeMap<&'static str, usize>) {
        match self.below(100) {
            0..12 => {
                let span = if self.below(12) == 0 { 12_000 } else { self.below(800) };
                let answers = self.world.advance(Duration::from_millis(span as u64));
                self.take(answers, counts);
            }
            12..40 => {
                let (from, to) = (self.world.high_watermark.0, self.world.log.end().0);
                let some = from + self.below((to - from + 1) as usize) as i64;
                let up_to = if self.below(3) == 0 { some } else { to };
                self.commit_up_to(Offset(up_to), counts);
            }
            40 => {
                let errors = [
                    AppendError::TooLarge,
                    AppendError::NotEnoughReplicas,
                    AppendError::TooLarge,
                    AppendError::NotLeader,
                ];
                self.world.log.refuse_next = Some(errors[self.below(errors.len())]);
                *counts.entry("refusals").or_default() += 1;
            }
            41 if self.below(8) == 0 => self.restart(counts),
            _ => {
                let index = self.below(self.clients.len());
                self.act(index, counts);
            }
        }
    }

    /// A client does what is next for it, or something else.
    fn act(&mut self, index: usize, counts: &mut BTreeMap<&'static str, usize>) {
        let client = self.clients[index].clone();
        let (group_id, group_instance_id) = (client.group.to_owned(), client.instance_id.clone());
        let dies = client.ticket.is_some() && self.below(6) == 0;
        if dies {
            // The process is gone, and another starts in its place.
            self.clients[index] =
                Client { group: client.group, instance_id: client.instance_id, generation: -1, ..Client::default() };
            return;
        }
        if client.ticket.is_some() {
            return;
        }
        let member_id = client.member_id.clone();
        let joined = client.generation >= 0;
        // Mostly it syncs once it has joined, and then works; who has not joined joins.
        let usual = match (joined, client.synced) {
            (false, _) => 11,
            (true, false) => 0,
            (true, true) => 3 + self.below(6),
        };
        let request = match if self.below(8) == 0 { self.below(12) } else { usual } {
            0..3 if joined => {
                let assignments = client.members.iter().map(|member_id| SyncGroupRequestAssignment {
                    member_id: member_id.clone(),
                    assignment: format!("{}/{member_id}", client.generation).into(),
                    ..Default::default()
                });
                let (generation_id, assignments) = (client.generation, assignments.collect());
                Request::SyncGroup(SyncGroupRequest {
                    group_id,
                    generation_id,
                    member_id,
                    group_instance_id,
                    protocol_type: Some("consumer".to_owned()),
                    protocol_name: Some("range".to_owned()),
                    assignments,
                    ..Default::default()
                })
            }
            3..6 if joined => {
                let generation_id = client.generation;
                Request::Heartbeat(HeartbeatRequest {
                    group_id,
                    generation_id,
                    member_id,
                    group_instance_id,
                    ..Default::default()
                })
            }
            6..9 if joined || self.below(3) == 0 => {
                let partition = OffsetCommitRequestPartition {
                    partition_index: self.below(2) as i32,
                    committed_offset: self.tickets as i64,
                    ..Default::default()
                };
                let topic = OffsetCommitRequestTopic {
                    name: "t".to_owned(),
                    partitions: vec![partition],
                    ..Default::default()
                };
                let generation = client.generation;
                Request::OffsetCommit(OffsetCommitRequest {
                    group_id,
                    generation_id_or_member_epoch: generation,
                    member_id,
                    group_instance_id,
                    topics: vec![topic],
                    ..Default::default()
                })
            }
            9 if joined && self.below(4) == 0 => {
                let member = MemberIdentity { member_id, group_instance_id, ..Default::default() };
                Request::LeaveGroup(LeaveGroupRequest { group_id, members: vec![member], ..Default::default() })
            }
            _ => {
                // Sometimes an id is forgotten, as in a restart.
                let member_id = if self.below(5) == 0 { String::new() } else { member_id };
                let metadata = vec![self.below(2) as u8].into();
                let protocols =
                    vec![JoinGroupRequestProtocol { name: "range".to_owned(), metadata, ..Default::default() }];
                Request::JoinGroup(JoinGroupRequest {
                    group_id,
                    session_timeout_ms: 6000 + self.below(4000) as i32,
                    rebalance_timeout_ms: 2000,
                    member_id,
                    group_instance_id,
                    protocol_type: "consumer".to_owned(),
                    protocols,
                    ..Default::default()
                })
            }
        };
        self.tickets += 1;
        let ticket = self.tickets.to_string();
        self.clients[index].ticket = Some(ticket.clone());
        self.waiting.insert(
            ticket.clone(),
            Asked {
                client: index,
                log_end: Offset(0),
                generation: client.generation,
                deleted: self.deleted(client.group),
            },
        );
        let answers = self.world.request(&caller(9), request, &ticket);
        let log_end = self.world.log.end();
        self.waiting.get_mut(&ticket).expect("just put in").log_end = log_end;
        self.take(answers, counts);
    }

    fn commit_up_to(&mut self, offset: Offset, counts: &mut BTreeMap<&'static str, usize>) {
        self.world.high_watermark = offset;
        let answers = self.world.shard.committed(offset);
        self.take(answers, counts);
    }

    fn restart(&mut self, counts: &mut BTreeMap<&'static str, usize>) {
        *counts.entry("restarts").or_default() += 1;
        let unused = World::new(GroupConfig::default()).shard;
        let answers = std::mem::replace(&mut self.world.shard, unused).resign();
        self.take(answers, counts);
        assert!(self.waiting.is_empty(), "life {}: who resigns answers everyone", self.seed);
        let answers = self.world.restart();
        assert!(answers.is_empty());
        // A generation that no member has synced is forgotten.
        self.generations = GROUPS.map(|group| (group, (self.written_generation(group), String::new()))).into();
    }

    fn take(&mut self, answers: Answers<String>, counts: &mut BTreeMap<&'static str, usize>) {
        for record in self.world.log.appended.drain(..) {
            if let GroupRecord::GroupMetadata { group_id, value: None } = record {
                self.generations.retain(|group, _| *group != group_id); // The next one of this name begins anew.
                *self.deleted.entry(group_id).or_default() += 1;
            }
        }
        for (ticket, answer) in answers {
            let asked = self.waiting.remove(&ticket);
            let asked = asked.unwrap_or_else(|| panic!("life {}: {ticket} is answered again: {answer:?}", self.seed));
            if self.clients[asked.client].ticket.as_ref() != Some(&ticket) {
                continue; // Its client is no more.
            }
            self.clients[asked.client].ticket = None;
            if error_code(&answer) != 0 {
                *counts.entry("failed").or_default() += 1;
                self.failed(asked.client, &answer);
                continue;
            }
            match answer {
                Answer::JoinGroup(join) => self.joined(&asked, join, counts),
                Answer::SyncGroup(sync) => {
                    *counts.entry("synced").or_default() += 1;
                    self.clients[asked.client].synced = true;
                    self.check_acknowledged(&asked);
                    let assignment = String::from_utf8(sync.assignment.to_vec()).expect("ours");
                    if let Some((generation, member_id)) = assignment.split_once('/') {
                        assert_eq!(generation, asked.generation.to_string(), "life {}", self.seed);
                        let client = &self.clients[asked.client];
                        // A static member goes on with what the one before it was assigned.
                        assert!(client.instance_id.is_some() || member_id == client.member_id, "life {}", self.seed);
                    }
                }
                Answer::OffsetCommit(_) => {
                    *counts.entry("committed").or_default() += 1;
                    self.check_acknowledged(&asked);
                }
                Answer::LeaveGroup(_) => {
                    let client = &mut self.clients[asked.client];
                    (client.member_id, client.generation) = (String::new(), -1);
                }
                _ => {}
            }
        }
    }

    fn deleted(&self, group: &str) -> usize {
        self.deleted.get(group).copied().unwrap_or_default()
    }

    fn joined(&mut self, asked: &Asked, join: JoinGroupResponse, counts: &mut BTreeMap<&'static str, usize>) {
        *counts.entry(if join.skip_assignment { "skipped assignments" } else { "joined" }).or_default() += 1;
        let is_of_a_former_group = asked.deleted < self.deleted(self.clients[asked.client].group);
        let client = &mut self.clients[asked.client];
        client.member_id.clone_from(&join.member_id);
        client.generation = join.generation_id;
        client.synced = false;
        client.leads = join.leader == join.member_id;
        client.members = join.members.iter().map(|member| member.member_id.clone()).collect();
        assert!(join.members.is_empty() || client.leads, "life {}: only the leader learns who is there", self.seed);
        assert!(!client.leads || !client.members.is_empty(), "life {}: a leader has to know the members", self.seed);
        assert!(
            !client.leads || client.members.contains(&join.member_id),
            "life {}: the leader is a member",
            self.seed
        );
        if is_of_a_former_group {
            return; // Decided before, it has waited for the log.
        }
        let (generation, leader) = self.generations.entry(client.group).or_insert((-1, String::new()));
        assert!(join.generation_id >= *generation, "life {}: generation {generation}, then {join:?}", self.seed);
        let is_static = |member_id: &str| member_id.starts_with('i');
        if join.generation_id == *generation && !leader.is_empty() && !is_static(leader) {
            assert_eq!(join.leader, *leader, "life {}: a generation has one leader", self.seed);
        }
        (*generation, *leader) = (join.generation_id, join.leader);
    }

    fn failed(&mut self, index: usize, answer: &Answer) {
        use protocol::ErrorCode::{IllegalGeneration, MemberIdRequired, RebalanceInProgress, UnknownMemberId};
        let code = error_code(answer);
        let client = &mut self.clients[index];
        match answer {
            Answer::JoinGroup(join) if code == MemberIdRequired.code() => client.member_id.clone_from(&join.member_id),
            _ if code == RebalanceInProgress.code() || code == IllegalGeneration.code() => client.generation = -1,
            _ if code == UnknownMemberId.code() => (client.member_id, client.generation) = (String::new(), -1),
            _ => {}
        }
    }

    /// Nothing is acknowledged whose records are not committed.
    fn check_acknowledged(&self, asked: &Asked) {
        let (high_watermark, log_end) = (self.world.high_watermark, asked.log_end);
        assert!(high_watermark >= log_end, "life {}: acknowledged at {high_watermark}, needs {log_end}", self.seed);
    }

    /// What is fetched is what the log says, tombstones heeded.
    fn check_offsets(&mut self) {
        let mut expected: BTreeMap<(String, i32), i64> = BTreeMap::new();
        for record in self.log_records() {
            if let GroupRecord::OffsetCommit { group_id, partition, value, .. } = record {
                match value {
                    Some(value) => expected.insert((group_id, partition), value.offset),
                    None => expected.remove(&(group_id, partition)),
                };
            }
        }
        let mut fetched = BTreeMap::new();
        for group in GROUPS {
            let request = OffsetFetchRequestGroup { group_id: group.to_owned(), topics: None, ..Default::default() };
            let request = Request::OffsetFetch { group: request, require_stable: false };
            let answers = self.world.request(&caller(9), request, "check");
            let (_, answer) = answers.into_iter().find(|(ticket, _)| ticket == "check").expect("all is committed");
            for topic in answer.into_offset_fetch(9).topics {
                let offsets = topic
                    .partitions
                    .iter()
                    .map(|found| ((group.to_owned(), found.partition_index), found.committed_offset));
                fetched.extend(offsets);
            }
        }
        assert_eq!(fetched, expected, "life {}", self.seed);
    }

    fn written_generation(&self, group: &str) -> i32 {
        let written = self.log_records().into_iter().filter_map(|record| match record {
            GroupRecord::GroupMetadata { group_id, value } if group_id == group => {
                Some(value.map_or(-1, |value| value.generation))
            }
            _ => None,
        });
        written.last().unwrap_or(-1)
    }

    fn log_records(&self) -> Vec<GroupRecord> {
        let records = self.world.log.records.iter();
        let records = records.map(|(key, value)| match GroupRecord::replay(Some(key), value.as_deref()) {
            Ok(coordinator::group::Replayed::Record(record)) => record,
            other => panic!("our own record: {other:?}"),
        });
        records.collect()
    }

    /// splitmix64
    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}
