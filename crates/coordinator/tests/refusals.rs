//! What every request hears from a partition that is loading, or lost: each in its own shape.

mod support;

use std::sync::Arc;

use coordinator::{Answer, GroupConfig, GroupShard, Request};
use machine::{AppendError, Now};
use protocol::ErrorCode;
use protocol::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use protocol::leave_group_request::MemberIdentity;
use protocol::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use protocol::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use support::{MemoryLog, caller, error_code};

const NOW: Now = Now { at: env::Instant(0), wall_ms: 1000 };

#[test]
fn while_loading_everyone_is_told_so_but_the_heartbeat() {
    let mut shard = shard();
    for request in requests() {
        let is_heartbeat = matches!(request, Request::Heartbeat(_));
        let expected = if is_heartbeat { ErrorCode::None } else { ErrorCode::CoordinatorLoadInProgress };
        let answer = ask(&mut shard, request);
        assert_eq!(error_code(&answer), expected.code(), "{answer:?}");
    }
    assert_eq!((shard.tickets(), shard.next_deadline()), (0, None));
}

#[test]
fn what_is_wrong_with_a_request_is_said_even_while_loading() {
    let mut shard = shard();
    let join = JoinGroupRequest { session_timeout_ms: 10_000, member_id: "m".into(), ..Default::default() };
    let Answer::JoinGroup(answer) = ask(&mut shard, Request::JoinGroup(join.clone())) else { panic!() };
    assert_eq!((answer.error_code, answer.member_id.as_str()), (ErrorCode::InvalidGroupId.code(), "m"));
    let join = JoinGroupRequest { group_id: "g".into(), session_timeout_ms: 1, ..join };
    let Answer::JoinGroup(answer) = ask(&mut shard, Request::JoinGroup(join)) else { panic!() };
    assert_eq!((answer.error_code, answer.member_id.as_str()), (ErrorCode::InvalidSessionTimeout.code(), "m"));
}

#[test]
fn once_the_log_is_lost_there_is_no_coordinator_here() {
    let mut shard = shard();
    let mut log = MemoryLog { refuse_next: Some(AppendError::Storage), ..MemoryLog::default() };
    assert!(shard.loaded(&mut log, record::Offset(0), record::Offset(0), NOW).is_empty());
    let answers = shard.request(&mut log, &caller(9), requests().remove(0), "first".to_owned(), NOW);
    let [(_, answer)] = <[_; 1]>::try_from(answers).expect("one answer");
    assert_eq!(error_code(&answer), ErrorCode::NotCoordinator.code());
    assert!(shard.is_lost());
    for request in requests() {
        let answer = ask(&mut shard, request);
        assert_eq!(error_code(&answer), ErrorCode::NotCoordinator.code(), "{answer:?}");
    }
}

#[test]
fn an_error_of_the_group_stands_where_the_version_has_a_place_for_it() {
    let refused = |index: usize| requests()[index].refused(ErrorCode::NotCoordinator);
    let code = ErrorCode::NotCoordinator.code();
    let of_partitions = |answer: Answer, version| {
        let fetch = answer.into_offset_fetch(version);
        let partitions = fetch.topics.iter().flat_map(|topic| &topic.partitions);
        (
            fetch.error_code,
            partitions.map(|partition| (partition.committed_offset, partition.error_code)).collect::<Vec<_>>(),
        )
    };
    assert_eq!(of_partitions(refused(7), 1), (0, vec![(-1, code)]));
    assert_eq!(of_partitions(refused(7), 2), (code, vec![]));
    assert_eq!(of_partitions(refused(7), 9), (code, vec![]));
    assert_eq!(refused(0).into_join_group(6).protocol_name.as_deref(), Some(""));
    assert_eq!(refused(0).into_join_group(7).protocol_name, None);
    assert_eq!(refused(3).into_leave_group(2).error_code, code);
}

/// One of every kind, the first of which writes.
fn requests() -> Vec<Request> {
    let protocol = JoinGroupRequestProtocol { name: "range".into(), ..Default::default() };
    let join = JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    };
    let mut sync = protocol::sync_group_request::SyncGroupRequest { group_id: "g".into(), ..Default::default() };
    (sync.protocol_type, sync.protocol_name) = (Some("consumer".into()), Some("range".into()));
    let heartbeat = protocol::heartbeat_request::HeartbeatRequest { group_id: "g".into(), ..Default::default() };
    let members = vec![MemberIdentity { member_id: "m".into(), ..Default::default() }];
    let leave =
        protocol::leave_group_request::LeaveGroupRequest { group_id: "g".into(), members, ..Default::default() };
    let partitions = vec![OffsetCommitRequestPartition::default()];
    let topic = OffsetCommitRequestTopic { name: "t".into(), partitions, ..Default::default() };
    let commit = protocol::offset_commit_request::OffsetCommitRequest {
        group_id: "g".into(),
        topics: vec![topic],
        ..Default::default()
    };
    let delete = protocol::offset_delete_request::OffsetDeleteRequest { group_id: "g".into(), ..Default::default() };
    let topic = OffsetFetchRequestTopics { name: "t".into(), partition_indexes: vec![0], ..Default::default() };
    let fetch = OffsetFetchRequestGroup { group_id: "g".into(), topics: Some(vec![topic]), ..Default::default() };
    vec![
        Request::JoinGroup(join),
        Request::SyncGroup(sync),
        Request::Heartbeat(heartbeat),
        Request::LeaveGroup(leave),
        Request::OffsetCommit(commit),
        Request::OffsetDelete(delete),
        Request::ListGroups(Default::default()),
        Request::OffsetFetch { group: fetch, require_stable: true },
        Request::DescribeGroups(vec!["g".into()]),
        Request::DeleteGroups(vec!["g".into()]),
    ]
}

fn shard() -> GroupShard<String> {
    GroupShard::new(Arc::new(GroupConfig::default()), Arc::new(support::CountingRng::default()))
}

fn ask(shard: &mut GroupShard<String>, request: Request) -> Answer {
    let mut log = MemoryLog::default();
    let answers = shard.request(&mut log, &caller(9), request, "t".to_owned(), NOW);
    let [(_, answer)] = <[_; 1]>::try_from(answers).expect("one answer, at once");
    answer
}
