//! OffsetCommit: a member, or a consumer that assigns itself, says how far it has come.

use std::sync::Arc;

use machine::{Now, Step};
use protocol::ErrorCode;
use protocol::offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use protocol::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use protocol::offset_commit_value::OffsetCommitValue;

use crate::group::api::commit_refused;
use crate::group::classic::{Group, MemberError, Phase};
use crate::group::{Answer, Caller, GroupRecord, Groups};

/// From this version on a group that is not known is called so.
const GROUP_ID_NOT_FOUND_VERSION: i16 = 9;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum CommitError {
    GroupIdNotFound,
    IllegalGeneration,
    Member(MemberError),
    RebalanceInProgress,
}

impl CommitError {
    fn error_code(self) -> ErrorCode {
        match self {
            CommitError::GroupIdNotFound => ErrorCode::GroupIdNotFound,
            CommitError::IllegalGeneration => ErrorCode::IllegalGeneration,
            CommitError::Member(error) => error.error_code(),
            CommitError::RebalanceInProgress => ErrorCode::RebalanceInProgress,
        }
    }
}

impl<T> Groups<T> {
    pub fn commit_offsets(
        &mut self,
        caller: &Caller,
        request: OffsetCommitRequest,
        ticket: T,
        now: Now,
        step: &mut Step<Self>,
    ) {
        if let Err(error) = self.check_commit(caller, &request) {
            return step.answer(ticket, Answer::OffsetCommit(commit_refused(&request, error.error_code())));
        }
        // Kafka makes the group even if nothing of the request is written.
        let is_new = self.find(&request.group_id).is_none();
        if is_new {
            self.find_or_create(&request.group_id, now.wall_ms);
        }
        if let Some(mut turn) = self.turn(&request.group_id, now, step)
            && matches!(turn.group.phase, Phase::Stable | Phase::PreparingRebalance { .. })
        {
            turn.extend_session(&request.member_id);
        }
        let expire_ms = match request.retention_time_ms {
            -1 => -1,
            retention_ms => now.wall_ms.saturating_add(retention_ms),
        };
        let mut response = OffsetCommitResponse::default();
        for topic in request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let too_large = self.is_metadata_too_large(partition);
                if !too_large {
                    step.record(record(&request.group_id, &topic, partition, now.wall_ms, expire_ms));
                }
                let error = if too_large { ErrorCode::OffsetMetadataTooLarge } else { ErrorCode::None };
                partitions.push(OffsetCommitResponsePartition {
                    partition_index: partition.partition_index,
                    error_code: error.code(),
                    ..Default::default()
                });
            }
            let (name, topic_id) = (topic.name, topic.topic_id);
            response.topics.push(OffsetCommitResponseTopic { name, topic_id, partitions, ..Default::default() });
        }
        if is_new && step.records().is_empty() {
            self.unseen.insert(Arc::from(request.group_id));
        }
        step.answer(ticket, Answer::OffsetCommit(response));
    }

    fn check_commit(&self, caller: &Caller, request: &OffsetCommitRequest) -> Result<(), CommitError> {
        match self.find(&request.group_id) {
            Some(group) => group.check_commit(request),
            None if request.generation_id_or_member_epoch < 0 => Ok(()), // A consumer that assigns itself.
            None if caller.version >= GROUP_ID_NOT_FOUND_VERSION => Err(CommitError::GroupIdNotFound),
            None => Err(CommitError::IllegalGeneration),
        }
    }

    fn is_metadata_too_large(&self, partition: &OffsetCommitRequestPartition) -> bool {
        let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
        metadata.encode_utf16().count() > self.config.offset_metadata_max
    }
}

impl<T> Group<T> {
    fn check_commit(&self, request: &OffsetCommitRequest) -> Result<(), CommitError> {
        let generation = request.generation_id_or_member_epoch;
        if generation < 0 && self.phase == Phase::Empty {
            return Ok(());
        }
        let instance_id = request.group_instance_id.as_deref();
        if generation >= 0 || !request.member_id.is_empty() || instance_id.is_some() {
            self.check_member(&request.member_id, instance_id).map_err(CommitError::Member)?;
            if generation != self.generation {
                return Err(CommitError::IllegalGeneration);
            }
        } else {
            // Someone who assigns himself may not write into a group that has members.
            return Err(CommitError::Member(MemberError::UnknownMemberId));
        }
        match self.phase {
            // The member has joined a generation without knowing yet what it owns in it.
            Phase::CompletingRebalance => Err(CommitError::RebalanceInProgress),
            Phase::Empty | Phase::PreparingRebalance { .. } | Phase::Stable => Ok(()),
        }
    }
}

fn record(
    group_id: &str,
    topic: &OffsetCommitRequestTopic,
    partition: &OffsetCommitRequestPartition,
    commit_ms: i64,
    expire_ms: i64,
) -> GroupRecord {
    let value = OffsetCommitValue {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.clone().unwrap_or_default(),
        commit_timestamp: commit_ms,
        expire_timestamp: expire_ms,
        topic_id: topic.topic_id,
        ..Default::default()
    };
    GroupRecord::OffsetCommit {
        group_id: group_id.to_owned(),
        topic: topic.name.clone(),
        partition: partition.partition_index,
        value: Some(value),
    }
}
