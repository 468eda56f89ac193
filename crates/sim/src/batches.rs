//! What our producers write: batches of chance size, each record ending in a mark that tells when it is durable.
use std::sync::LazyLock;

use bytes::Bytes;
use env::sim::Chance;
use record::{BatchBuilder, BatchView, Compression, ProducerEpoch, ProducerId, Sequence, Timestamp};

use crate::ledger::{BatchKey, MARK_PREFIX};

pub struct Made {
    pub bytes: Bytes,
    pub key: BatchKey,
    pub records: i32,
    /// Of the last record, if it can be found in the bytes.
    pub mark: Option<u64>,
}

impl Made {
    pub fn view(&self) -> BatchView<'_> {
        BatchView::parse(&self.bytes).expect("a batch of ours")
    }
}

const CODECS: [Compression; 4] = [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
/// Holds no byte that begins a mark.
static FILLER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let words = b"the quick brown fox jumps over the lazy dog, and so on and on...";
    words.iter().copied().cycle().take(VALUE_BYTES_MAX + words.len()).collect()
});
const VALUE_BYTES_MAX: usize = 120_000;

/// Makes one batch. `marks` gives each record its number.
pub fn make(chance: &mut Chance, key: BatchKey, now_ms: i64, mut marks: impl FnMut() -> u64) -> Made {
    let compression = if chance.happens(0.06) { *chance.pick(&CODECS) } else { Compression::None };
    let mut batch = BatchBuilder::new(compression).with_producer(
        ProducerId(key.producer_id),
        ProducerEpoch(key.producer_epoch),
        Sequence(key.sequence),
        false,
    );
    // Mostly small; some make a direct piece alone, some make one together.
    let (records, value_bytes) = match chance.in_range(0..100) {
        0..80 => (1 + chance.index(4), 20 + chance.index(400)),
        80..96 => (1 + chance.index(20), 20 + chance.index(1500)),
        96..99 => (1 + chance.index(3), 10_000 + chance.index(30_000)),
        _ => (1, 60_000 + chance.index(60_000)),
    };
    let mut value = Vec::with_capacity(value_bytes + 16);
    let mut mark = 0;
    for _ in 0..records {
        mark = marks();
        value.clear();
        let start = chance.index(64);
        value.extend_from_slice(&FILLER[start..start + value_bytes]);
        value.extend_from_slice(&MARK_PREFIX);
        value.extend_from_slice(&mark.to_be_bytes());
        let record_key = (mark % 7 != 0).then(|| mark.to_be_bytes());
        let timestamp = Timestamp(now_ms - i64::from(chance.happens(0.2)) * chance.in_range(0..50) as i64);
        batch.append(timestamp, record_key.as_ref().map(|key| &key[..]), Some(&value));
    }
    let mark = (compression == Compression::None).then_some(mark);
    Made { bytes: batch.build().into(), key, records: records as i32, mark }
}
