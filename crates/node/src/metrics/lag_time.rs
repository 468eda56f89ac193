//! When the record was written that a group comes to next. It is read from the log, once for each place that a group has
//! come to; what was found is remembered for the next scrape, and nothing else.
use std::sync::Arc;

use parking_lot::Mutex;
use record::{Batches, Offset, TimestampType};
use replication::Partition;
use replication::partition::{Fetch, Visibility};
use rustc_hash::FxHashMap;
use server::broker::Broker;
use storage::Slice;

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Place {
    pub topic: Box<str>,
    pub partition: i32,
    pub offset: i64,
}

/// Of the last scrape.
#[derive(Debug, Default)]
pub struct LagTimes {
    known: Mutex<FxHashMap<Place, i64>>,
}

/// Those of one scrape.
pub struct Lookups<'t> {
    times: &'t LagTimes,
    before: FxHashMap<Place, i64>,
    now: FxHashMap<Place, i64>,
    reads_left: usize,
}

/// Each is a read of one batch. The others come with the next scrapes, as long as they stand still.
const READS_MAX: usize = 1000;

impl LagTimes {
    pub fn begin(&self) -> Lookups<'_> {
        let before = std::mem::take(&mut *self.known.lock());
        Lookups { times: self, before, now: FxHashMap::default(), reads_left: READS_MAX }
    }
}

impl Lookups<'_> {
    /// In milliseconds since 1970. `None` if it is not known, or too much was read for this scrape.
    pub async fn written_ms(&mut self, broker: &Broker, place: Place) -> Option<i64> {
        let written_ms = match self.before.get(&place).or_else(|| self.now.get(&place)) {
            Some(written_ms) => *written_ms,
            None => {
                self.reads_left = self.reads_left.checked_sub(1)?;
                let partition = broker.replicas.partition(&place.topic, place.partition)?;
                read(&partition, Offset(place.offset)).await?
            }
        };
        self.now.insert(place, written_ms);
        Some(written_ms)
    }

    pub fn end(self) {
        *self.times.known.lock() = self.now;
    }
}

/// The time of the first record from this offset on, as its batch's header tells it: between its first and its last record
/// it is taken for a straight line.
async fn read(partition: &Arc<Partition>, offset: Offset) -> Option<i64> {
    // What retention has taken is not read any more: the group goes on with what there is.
    let from = offset.max(partition.ends(None).ok()?.log_start);
    let fetch = Fetch {
        from,
        bytes_max: 1,
        minimum_one: true,
        visibility: Visibility::Uncommitted,
        leader_epoch: None,
        last_fetched_epoch: None,
    };
    let slice = partition.read(&fetch).await.ok()?.slices.into_iter().next()?;
    let bytes = match slice {
        Slice::Memory(bytes) => bytes,
        Slice::File(slice) => match slice.read_cached() {
            Ok(Some(bytes)) => bytes,
            _ => partition.read_cold(slice).await.ok()?,
        },
    };
    let batch = Batches::new(&bytes).next()?.ok()?;
    let last = batch.max_timestamp().0;
    let first = match batch.timestamp_type() {
        TimestampType::CreateTime => batch.base_timestamp().0,
        TimestampType::LogAppendTime => last,
    };
    let records = i128::from(batch.last_offset_delta()).max(1);
    let before = i128::from((from.0 - batch.base_offset().0).max(0)).min(records);
    let written = i128::from(first) + (i128::from(last) - i128::from(first)) * before / records;
    i64::try_from(written).ok().filter(|written_ms| *written_ms >= 0)
}
