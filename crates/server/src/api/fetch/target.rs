//! One partition of a Fetch: where it is, what is read of it, and what the answer says of that.
use std::sync::Arc;

use metadata::Topics;
use protocol::fetch_response::{EpochEndOffset, LeaderIdAndEpoch, NodeEndpoint, PartitionData};
use protocol::{ErrorCode, Records};
use record::{LeaderEpoch, Offset, TopicId};
use replication::partition::{Fetch, Fetched, Partition, ReadError};
use storage::{FileSlice, Slice};

use super::Reader;
use crate::api::{Call, errors};
use crate::fetch_session::{Answered, Asked, PartitionAnswer, PartitionKey, PartitionRequest, TopicKey};
use crate::reply::{Piece, Pieces};

/// From this size on a warm range of a file goes out by `sendfile`; below it a copy and one `writev` are cheaper.
const SEND_FILE_BYTES_MIN: usize = 64 * 1024;
/// Where an error stands in the place of an offset.
const UNKNOWN: i64 = -1;

/// A partition of the request, and what has come of it.
pub struct Target {
    pub key: PartitionKey,
    request: PartitionRequest,
    /// How the topic of the key's id is called, or was when the session asked for it first.
    topic: Option<Arc<str>>,
    /// Or why it is not read.
    pub partition: Result<Arc<Partition>, ErrorCode>,
    pub read: Result<Fetched, ErrorCode>,
    /// Where the bytes of what was read are, when they go to the socket.
    pub pieces: Pieces,
    pub is_told: bool,
}

impl Target {
    pub fn find(call: &Call, asked: Asked) -> Self {
        let Asked { key, request, topic: was_called } = asked;
        let image = call.broker.image();
        let found = match &key.topic {
            TopicKey::Id(id) => {
                let found = image.topics.by_id(TopicId(id.0));
                found.ok_or_else(|| of_gone(&image.topics, was_called.as_deref(), key.partition))
            }
            TopicKey::Name(name) => image.topics.by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition),
        };
        let topic = match (&key.topic, &found) {
            (TopicKey::Id(_), Ok(topic)) => was_called.or_else(|| Some(topic.name.clone())),
            _ => was_called,
        };
        let partition = found.and_then(|topic| call.broker.partition_of(topic, key.partition));
        let read = Err(partition.as_ref().err().copied().unwrap_or(ErrorCode::None));
        Self { key, request, topic, partition, read, pieces: Pieces::new(), is_told: false }
    }

    pub fn size_bytes(&self) -> u64 {
        self.pieces.iter().map(Piece::len).sum()
    }

    pub async fn fetch(&self, reader: &Reader, bytes_left: usize, minimum_one: bool) -> Result<Fetched, ErrorCode> {
        let partition = self.partition.as_ref().map_err(|&error| error)?;
        let known = |epoch: i32| (epoch >= 0).then_some(LeaderEpoch(epoch));
        let fetch = Fetch {
            from: Offset(self.request.fetch_offset),
            bytes_max: (self.request.bytes_max.max(0) as usize).min(bytes_left),
            minimum_one,
            visibility: reader.visibility,
            leader_epoch: known(self.request.current_leader_epoch),
            last_fetched_epoch: known(self.request.last_fetched_epoch),
        };
        partition.read(&fetch).await.map_err(|error| {
            // Damage was told once, when it was found.
            if let ReadError::Log(error @ (storage::ReadError::Corrupt { .. } | storage::ReadError::Io(_))) = &error {
                tracing::error!(partition = %partition.name(), %error, "records cannot be read");
            }
            errors::of_read(&error)
        })
    }

    /// What its topic counts of an answer that is sent.
    pub fn count(&self) {
        let Ok(partition) = &self.partition else { return };
        let traffic = partition.traffic();
        traffic.fetch_requests.add(1);
        match &self.read {
            Ok(_) => traffic.bytes_out.add(self.size_bytes()),
            Err(error) => traffic.failed_fetch_requests.add(errors::is_failed_fetch(*error).into()),
        }
    }

    pub fn for_session(&mut self) -> Answered<'_> {
        let has_records = self.size_bytes() > 0;
        let answer = match &self.read {
            Ok(fetched) => PartitionAnswer {
                has_records,
                high_watermark: fetched.high_watermark.0,
                log_start_offset: fetched.log_start.0,
                error: false,
                must_be_told: fetched.diverging.is_some(),
            },
            Err(_) => PartitionAnswer {
                has_records,
                high_watermark: UNKNOWN,
                log_start_offset: UNKNOWN,
                error: true,
                must_be_told: false,
            },
        };
        Answered {
            key: &self.key,
            request: &self.request,
            topic: self.topic.as_ref(),
            answer,
            is_told: &mut self.is_told,
        }
    }

    pub fn data(&self, call: &Call, endpoints: &mut Vec<NodeEndpoint>) -> PartitionData {
        match &self.read {
            Ok(fetched) => self.of_fetched(fetched),
            Err(error) => self.of_error(call, *error, endpoints),
        }
    }

    fn of_fetched(&self, fetched: &Fetched) -> PartitionData {
        let records = match self.size_bytes() {
            0 => Records::default(),
            size_bytes => Records::Elsewhere(size_bytes as usize),
        };
        let diverging = fetched.diverging.map(|(epoch, end_offset)| EpochEndOffset {
            epoch: epoch.0,
            end_offset: end_offset.0,
            ..Default::default()
        });
        PartitionData {
            partition_index: self.key.partition,
            high_watermark: fetched.high_watermark.0,
            last_stable_offset: fetched.last_stable_offset.0,
            log_start_offset: fetched.log_start.0,
            diverging_epoch: diverging.unwrap_or_default(),
            aborted_transactions: fetched.is_read_committed.then(Vec::new),
            records: Some(records),
            ..Default::default()
        }
    }

    fn of_error(&self, call: &Call, error: ErrorCode, endpoints: &mut Vec<NodeEndpoint>) -> PartitionData {
        let mut data = PartitionData {
            partition_index: self.key.partition,
            error_code: error.code(),
            high_watermark: UNKNOWN,
            last_stable_offset: UNKNOWN,
            log_start_offset: UNKNOWN,
            // Null where the log was asked, which is how Kafka's two ways to an error differ.
            aborted_transactions: (self.partition.is_err() && error != ErrorCode::InconsistentTopicId).then(Vec::new),
            records: Some(Records::default()),
            ..Default::default()
        };
        let wrong_leader = matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch);
        if let (true, 16.., Ok(partition)) = (wrong_leader, call.version, &self.partition) {
            tell_leader(call, &mut data, partition, endpoints);
        }
        data
    }

    pub fn is_in_file(&self) -> bool {
        self.read.as_ref().is_ok_and(|fetched| fetched.slices.iter().any(|slice| matches!(slice, Slice::File(_))))
    }

    /// Answered as if it had not been read.
    pub fn leave_for_later(&mut self) {
        if let Ok(fetched) = &mut self.read {
            fetched.slices.clear();
            fetched.size_bytes = 0;
        }
    }

    pub async fn find_pieces(&mut self) {
        let Ok(fetched) = &mut self.read else { return };
        for slice in std::mem::take(&mut fetched.slices) {
            let piece = match slice {
                Slice::Memory(bytes) => Ok(Piece::Memory(bytes)),
                Slice::File(slice) => from_file(&self.partition, slice).await,
            };
            match piece {
                Ok(piece) => self.pieces.push(piece),
                Err(error) => {
                    self.pieces.clear();
                    self.read = Err(error);
                    return;
                }
            }
        }
    }
}

/// Of an id that no topic has any more. A session asks for the topic by the name that it had, and only the log finds that
/// this is another one.
fn of_gone(topics: &Topics, was_called: Option<&str>, partition: i32) -> ErrorCode {
    let Some(name) = was_called else { return ErrorCode::UnknownTopicId };
    match topics.by_name(name) {
        Some(topic) if topic.partitions.find(partition).is_some() => ErrorCode::InconsistentTopicId,
        _ => ErrorCode::UnknownTopicOrPartition,
    }
}

/// KIP-951: a client that asked the wrong node hears at once where the leader is.
fn tell_leader(call: &Call, data: &mut PartitionData, partition: &Partition, endpoints: &mut Vec<NodeEndpoint>) {
    let leader = partition.leader_elsewhere().unwrap_or(call.broker.node_id);
    data.current_leader =
        LeaderIdAndEpoch { leader_id: leader.0, leader_epoch: partition.leader_epoch().0, ..Default::default() };
    if let Some(endpoint) = call.broker.endpoint_of(leader, &call.peer.listener)
        && endpoints.iter().all(|known| known.node_id != leader.0)
    {
        endpoints.push(NodeEndpoint {
            node_id: leader.0,
            host: endpoint.host,
            port: endpoint.port,
            rack: endpoint.rack,
            ..Default::default()
        });
    }
}

/// A large range that is known to be sound and warm is sent as it is, a small warm one is checked and copied right here;
/// everything else is read and checked on a reader thread.
async fn from_file(partition: &Result<Arc<Partition>, ErrorCode>, slice: FileSlice) -> Result<Piece, ErrorCode> {
    if slice.size_bytes >= SEND_FILE_BYTES_MIN {
        if slice.may_be_sent() {
            let (at, len) = (slice.position, slice.size_bytes as u64);
            return Ok(Piece::File { file: slice.file, at, len });
        }
    } else if let Ok(Some(bytes)) = slice.read_cached() {
        return Ok(Piece::Memory(bytes));
    }
    let partition = partition.as_ref().map_err(|&error| error)?;
    let read = partition.read_cold(slice).await;
    read.map(Piece::Memory).map_err(|error| {
        if !matches!(error, storage::ReadError::Faulty { .. }) {
            tracing::error!(partition = %partition.name(), %error, "a segment cannot be read");
        }
        errors::of_log_read(&error)
    })
}
