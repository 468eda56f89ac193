//! What goes in and what comes out: the bodies of Kafka's own messages, owned. Here is also how each answer looks when it
//! is an error for all it was asked about, which differs from API to API.

use machine::Failure;
use protocol::ErrorCode;
use protocol::delete_groups_response::DeletableGroupResult;
use protocol::describe_groups_response::DescribedGroup;
use protocol::heartbeat_request::HeartbeatRequest;
use protocol::heartbeat_response::HeartbeatResponse;
use protocol::join_group_request::JoinGroupRequest;
use protocol::join_group_response::JoinGroupResponse;
use protocol::leave_group_request::LeaveGroupRequest;
use protocol::leave_group_response::LeaveGroupResponse;
use protocol::list_groups_request::ListGroupsRequest;
use protocol::list_groups_response::ListGroupsResponse;
use protocol::offset_commit_request::OffsetCommitRequest;
use protocol::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use protocol::offset_delete_request::OffsetDeleteRequest;
use protocol::offset_delete_response::OffsetDeleteResponse;
use protocol::offset_fetch_request::OffsetFetchRequestGroup;
use protocol::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use protocol::sync_group_request::SyncGroupRequest;
use protocol::sync_group_response::SyncGroupResponse;

/// Who asks, as the header of the request and its connection say.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    pub version: i16,
    pub client_id: String,
    /// As Java writes an address without a name: `/127.0.0.1`.
    pub host: String,
}

#[derive(Clone, Debug)]
pub enum Request {
    DeleteGroups(Vec<String>),
    DescribeGroups(Vec<String>),
    Heartbeat(HeartbeatRequest),
    JoinGroup(JoinGroupRequest),
    LeaveGroup(LeaveGroupRequest),
    ListGroups(ListGroupsRequest),
    /// Topics have their name and, where it is known, their id, whatever the version; all of them exist.
    OffsetCommit(OffsetCommitRequest),
    OffsetDelete(OffsetDeleteRequest),
    /// The shape of version 8 and later; no topics means all.
    OffsetFetch {
        group: OffsetFetchRequestGroup,
        require_stable: bool,
    },
    SyncGroup(SyncGroupRequest),
}

/// The time that the request was throttled is still to be filled in.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    DeleteGroups(Vec<DeletableGroupResult>),
    DescribeGroups(Vec<DescribedGroup>),
    Heartbeat(HeartbeatResponse),
    JoinGroup(JoinGroupResponse),
    LeaveGroup(LeaveGroupResponse),
    ListGroups(ListGroupsResponse),
    OffsetCommit(OffsetCommitResponse),
    OffsetDelete(OffsetDeleteResponse),
    OffsetFetch(OffsetFetchResponseGroup),
    SyncGroup(SyncGroupResponse),
}

impl Request {
    /// The answer of a broker that cannot serve the request: no coordinator, loading, ...
    pub fn refused(&self, error: ErrorCode) -> Answer {
        let error_code = error.code();
        match self {
            Request::DeleteGroups(groups) => {
                Answer::DeleteGroups(groups.iter().map(|group| deletable(group, error)).collect())
            }
            Request::DescribeGroups(groups) => {
                let described =
                    |group_id: &String| DescribedGroup { error_code, group_id: group_id.clone(), ..Default::default() };
                Answer::DescribeGroups(groups.iter().map(described).collect())
            }
            Request::Heartbeat(_) => {
                // A member must not leave for a coordinator that is merely loading its state.
                let error = if error == ErrorCode::CoordinatorLoadInProgress { ErrorCode::None } else { error };
                Answer::Heartbeat(HeartbeatResponse { error_code: error.code(), ..Default::default() })
            }
            Request::JoinGroup(_) => Answer::JoinGroup(JoinGroupResponse { error_code, ..Default::default() }),
            Request::LeaveGroup(_) => Answer::LeaveGroup(LeaveGroupResponse { error_code, ..Default::default() }),
            Request::ListGroups(_) => Answer::ListGroups(ListGroupsResponse { error_code, ..Default::default() }),
            Request::OffsetCommit(request) => Answer::OffsetCommit(commit_refused(request, error)),
            Request::OffsetDelete(_) => Answer::OffsetDelete(OffsetDeleteResponse { error_code, ..Default::default() }),
            Request::OffsetFetch { group, .. } => Answer::OffsetFetch(fetch_refused(group, error)),
            Request::SyncGroup(_) => Answer::SyncGroup(SyncGroupResponse { error_code, ..Default::default() }),
        }
    }
}

impl machine::Answer for Answer {
    fn fail(&mut self, failure: Failure) {
        let error = self.error(failure);
        let error_code = error.code();
        match self {
            Answer::DeleteGroups(groups) => {
                groups.iter_mut().for_each(|group| *group = deletable(&group.group_id, error))
            }
            Answer::DescribeGroups(groups) => {
                for group in groups {
                    let group_id = std::mem::take(&mut group.group_id);
                    *group = DescribedGroup { error_code, group_id, ..Default::default() };
                }
            }
            Answer::Heartbeat(heartbeat) => heartbeat.error_code = error_code,
            Answer::JoinGroup(join) => {
                let member_id = std::mem::take(&mut join.member_id);
                *join = JoinGroupResponse { error_code, member_id, ..Default::default() };
            }
            Answer::LeaveGroup(leave) => *leave = LeaveGroupResponse { error_code, ..Default::default() },
            Answer::ListGroups(list) => *list = ListGroupsResponse { error_code, ..Default::default() },
            Answer::OffsetCommit(commit) => {
                let partitions = commit.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
                partitions.for_each(|partition| partition.error_code = error_code);
            }
            Answer::OffsetDelete(delete) => *delete = OffsetDeleteResponse { error_code, ..Default::default() },
            Answer::OffsetFetch(fetch) => {
                fetch.error_code = error_code;
                for partition in fetch.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                    *partition = no_offset(partition.partition_index, error);
                }
            }
            Answer::SyncGroup(sync) => *sync = SyncGroupResponse { error_code, ..Default::default() },
        }
    }
}

impl Answer {
    /// `CoordinatorOperationExceptionHelper`, and `GroupCoordinatorService.handleOffsetFetchException`.
    fn error(&self, failure: Failure) -> ErrorCode {
        let fetches = matches!(self, Answer::OffsetFetch(_));
        match failure {
            Failure::Lost => ErrorCode::NotCoordinator,
            Failure::NotEnoughReplicas | Failure::TimedOut if fetches => ErrorCode::NotCoordinator,
            Failure::NotEnoughReplicas | Failure::TimedOut => ErrorCode::CoordinatorNotAvailable,
            Failure::TooLarge => ErrorCode::UnknownServerError,
        }
    }

    pub fn into_delete_groups(self) -> Vec<DeletableGroupResult> {
        match self {
            Answer::DeleteGroups(groups) => groups,
            other => other.mismatch(),
        }
    }

    pub fn into_describe_groups(self) -> Vec<DescribedGroup> {
        match self {
            Answer::DescribeGroups(groups) => groups,
            other => other.mismatch(),
        }
    }

    pub fn into_heartbeat(self) -> HeartbeatResponse {
        match self {
            Answer::Heartbeat(heartbeat) => heartbeat,
            other => other.mismatch(),
        }
    }

    /// Before version 7 the protocol's name cannot be null; from then on it is never empty.
    pub fn into_join_group(self, version: i16) -> JoinGroupResponse {
        match self {
            Answer::JoinGroup(mut join) => {
                let name = join.protocol_name.take().unwrap_or_default();
                join.protocol_name = Some(name).filter(|name| version < 7 || !name.is_empty());
                join
            }
            other => other.mismatch(),
        }
    }

    /// Before version 3 one member leaves, and its error is the answer's.
    pub fn into_leave_group(self, version: i16) -> LeaveGroupResponse {
        match self {
            Answer::LeaveGroup(mut leave) => {
                if version < 3 {
                    let of_member = leave.members.first().map_or(0, |member| member.error_code);
                    leave.error_code = if leave.error_code == 0 { of_member } else { leave.error_code };
                    leave.members.clear();
                }
                leave
            }
            other => other.mismatch(),
        }
    }

    pub fn into_list_groups(self) -> ListGroupsResponse {
        match self {
            Answer::ListGroups(list) => list,
            other => other.mismatch(),
        }
    }

    pub fn into_offset_commit(self) -> OffsetCommitResponse {
        match self {
            Answer::OffsetCommit(commit) => commit,
            other => other.mismatch(),
        }
    }

    pub fn into_offset_delete(self) -> OffsetDeleteResponse {
        match self {
            Answer::OffsetDelete(delete) => delete,
            other => other.mismatch(),
        }
    }

    /// From version 2 on an error of the group stands alone; before, it stands at every partition.
    pub fn into_offset_fetch(self, version: i16) -> OffsetFetchResponseGroup {
        match self {
            Answer::OffsetFetch(mut fetch) => {
                if version < 2 {
                    fetch.error_code = 0;
                } else if fetch.error_code != 0 {
                    fetch.topics.clear();
                }
                fetch
            }
            other => other.mismatch(),
        }
    }

    pub fn into_sync_group(self) -> SyncGroupResponse {
        match self {
            Answer::SyncGroup(sync) => sync,
            other => other.mismatch(),
        }
    }

    fn mismatch(self) -> ! {
        panic!("a ticket got the answer to another request: {self:?}")
    }
}

fn deletable(group_id: &str, error: ErrorCode) -> DeletableGroupResult {
    DeletableGroupResult { group_id: group_id.to_owned(), error_code: error.code(), ..Default::default() }
}

pub(crate) fn commit_refused(request: &OffsetCommitRequest, error: ErrorCode) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: error.code(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

fn fetch_refused(group: &OffsetFetchRequestGroup, error: ErrorCode) -> OffsetFetchResponseGroup {
    let topics = group.topics.iter().flatten().map(|topic| OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.iter().map(|&index| no_offset(index, error)).collect(),
        ..Default::default()
    });
    OffsetFetchResponseGroup {
        group_id: group.group_id.clone(),
        topics: topics.collect(),
        error_code: error.code(),
        ..Default::default()
    }
}

/// A partition without a committed offset, or of which none may be told.
pub(crate) fn no_offset(partition_index: i32, error: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(String::new()),
        error_code: error.code(),
        ..Default::default()
    }
}
