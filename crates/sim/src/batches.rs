//! What our producers write: batches of chance size, each record ending in a mark that tells when it is durable.
use std::ops::Range;
use std::sync::LazyLock;

use bytes::Bytes;
use env::sim::Chance;
use record::{BatchBuilder, BatchView, Compression, ProducerEpoch, ProducerId, Sequence, Timestamp};

use crate::keyed::Keyed;
use crate::ledger::{BatchKey, MARK_PREFIX, UNASKED_PREFIX};

pub struct Made {
    pub bytes: Bytes,
    pub key: BatchKey,
    pub records: i32,
    /// Of the first record; those of the others follow it.
    pub first_mark: u64,
    /// Of the last record, if it can be found in the bytes.
    pub mark: Option<u64>,
    /// What a compacted topic will hold of it.
    pub keyed: Vec<Keyed>,
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
    let (mut batch, compression) = begin(chance, key);
    // Mostly small; some make a direct piece alone, some make one together.
    let (records, value_bytes) = match chance.in_range(0..100) {
        0..80 => (1 + chance.index(4), 20 + chance.index(400)),
        80..96 => (1 + chance.index(20), 20 + chance.index(1500)),
        96..99 => (1 + chance.index(3), 10_000 + chance.index(30_000)),
        _ => (1, 60_000 + chance.index(60_000)),
    };
    let mut value = Vec::with_capacity(value_bytes + 16);
    let (mut first_mark, mut mark) = (None, 0);
    for left in (0..records).rev() {
        mark = marks();
        first_mark.get_or_insert(mark);
        value.clear();
        let start = chance.index(64);
        value.extend_from_slice(&FILLER[start..start + value_bytes]);
        value.extend_from_slice(prefix(left, compression));
        value.extend_from_slice(&mark.to_be_bytes());
        let record_key = (mark % 7 != 0).then(|| mark.to_be_bytes());
        let timestamp = Timestamp(now_ms - i64::from(chance.happens(0.2)) * chance.in_range(0..50) as i64);
        batch.append(timestamp, record_key.as_ref().map(|key| &key[..]), Some(&value));
    }
    let first_mark = first_mark.expect("a batch has records");
    let mark = (compression == Compression::None).then_some(mark);
    Made { bytes: batch.build().into(), key, records: records as i32, first_mark, mark, keyed: Vec::new() }
}

/// The same for a compacted topic, with keys that only this producer writes: values, and some tombstones.
pub fn make_keyed(
    chance: &mut Chance,
    key: BatchKey,
    now_ms: i64,
    keys: Range<u64>,
    mut marks: impl FnMut() -> u64,
) -> Made {
    let (mut batch, compression) = begin(chance, key);
    let records = 1 + chance.index(8);
    let mut keyed = Vec::with_capacity(records);
    for left in (0..records).rev() {
        let (mark, record_key) = (marks(), chance.in_range(keys.clone()));
        let mut value = Vec::new();
        if !chance.happens(0.2) {
            let filler_bytes = if chance.happens(0.02) { 20_000 } else { chance.index(600) };
            value.extend_from_slice(&FILLER[..filler_bytes]);
        }
        let is_tombstone = value.is_empty();
        value.extend_from_slice(prefix(left, compression));
        value.extend_from_slice(&mark.to_be_bytes());
        let key_bytes = record_key.to_be_bytes();
        let header: [(&[u8], Option<&[u8]>); 1] = [(b"mark", Some(&value))];
        let (value_bytes, headers) = if is_tombstone { (None, &header[..]) } else { (Some(&value[..]), &[][..]) };
        batch.append_with_headers(Timestamp(now_ms), Some(&key_bytes), value_bytes, headers);
        keyed.push(Keyed { mark, key: record_key, value_bytes: value_bytes.map(<[u8]>::len) });
    }
    let (first_mark, last_mark) = (keyed[0].mark, keyed[records - 1].mark);
    let mark = (compression == Compression::None).then_some(last_mark);
    Made { bytes: batch.build().into(), key, records: records as i32, first_mark, mark, keyed }
}

/// What the mark of a record begins with behind which so many come.
fn prefix(left: usize, compression: Compression) -> &'static [u8; 8] {
    if left == 0 && compression == Compression::None { &MARK_PREFIX } else { &UNASKED_PREFIX }
}

fn begin(chance: &mut Chance, key: BatchKey) -> (BatchBuilder, Compression) {
    let compression = if chance.happens(0.06) { *chance.pick(&CODECS) } else { Compression::None };
    let batch = BatchBuilder::new(compression).with_producer(
        ProducerId(key.producer_id),
        ProducerEpoch(key.producer_epoch),
        Sequence(key.sequence),
        false,
    );
    (batch, compression)
}
