//! Bytes of Kafka's record batches and what they mean: headers, records, codecs, control records, and the
//! nouns (`Offset`, `LeaderEpoch`, `ProducerId`, `TopicId`) that every floor above speaks.
//! Knows no file, no socket, no clock and no partition: whoever has bytes brings them.

pub mod batch;
pub mod builder;
pub mod compression;
pub mod control;
pub mod ids;
pub mod outline;
pub mod record;
mod varint;

pub use batch::{BatchError, BatchHeader, BatchMut, BatchView, Batches, HEADER_BYTES};
pub use builder::BatchBuilder;
pub use compression::{BodyReader, Compression, CompressionError, Decompressor};
pub use ids::{
    BrokerId, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp, TimestampType, TopicId,
    TopicPartition,
};
pub use outline::{OutlineWalk, Outlined, RecordOutline};
pub use record::{Record, RecordError, Records};
