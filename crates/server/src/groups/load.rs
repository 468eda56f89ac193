//! Reads a partition of `__consumer_offsets` from its start, so that its coordinator knows what was before.
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use record::{Batches, Decompressor, Offset, Records};
use replication::partition::{Fetch, Visibility};
use storage::Slice;

use super::Inner;
use super::shard::Shard;

const READ_BYTES: usize = 1 << 20;
/// Of one batch, decompressed: what the group coordinator itself never comes near.
const BATCH_BYTES_MAX: usize = 256 << 20;

pub(super) async fn load(inner: Arc<Inner>, shard: Arc<Shard>) {
    match replay(&shard).await {
        Ok(end) => {
            shard.loaded(&*inner.env.clock, end);
            inner.after(&shard);
        }
        // Better no groups than forgotten offsets: who asks hears COORDINATOR_LOAD_IN_PROGRESS until the log is mended.
        Err(reason) => tracing::error!(
            partition = %shard.partition().name(),
            reason,
            "the groups of this partition cannot be loaded and are not served"
        ),
    }
}

/// Returns the end that it has come to. All of the log is read, also what is not committed yet: it will be, as a leader
/// keeps what it holds.
async fn replay(shard: &Shard) -> Result<Offset, String> {
    let partition = shard.partition();
    let ends = partition.ends(None).map_err(|error| format!("{error:?}"))?;
    let mut decompressor = Decompressor::default();
    let mut from = ends.log_start;
    while from < ends.log_end {
        let fetch = Fetch {
            from,
            bytes_max: READ_BYTES,
            minimum_one: true,
            visibility: Visibility::Debugging,
            leader_epoch: None,
            last_fetched_epoch: None,
        };
        let fetched = partition.read(&fetch).await.map_err(|error| format!("offset {from}: {error:?}"))?;
        let bytes = gather(shard, fetched.slices).await?;
        let before = from;
        for batch in Batches::new(&bytes) {
            let batch = batch.map_err(|error| format!("offset {from}: {error:?}"))?;
            from = batch.next_offset();
            if batch.is_control() {
                continue;
            }
            let body = decompressor.body(&batch, BATCH_BYTES_MAX).map_err(|error| format!("{error:?}"))?;
            for record in Records::new(&batch, body).map_err(|error| format!("{error:?}"))? {
                let record = record.map_err(|error| format!("offset {}: {error:?}", batch.base_offset()))?;
                let replayed = shard.replay(record.offset, record.key, record.value);
                replayed.map_err(|error| format!("offset {}: {error:?}", record.offset))?;
            }
        }
        if from == before {
            return Err(format!("nothing can be read at offset {from}, below the end {}", ends.log_end));
        }
    }
    Ok(from)
}

async fn gather(shard: &Shard, slices: Vec<Slice>) -> Result<Bytes, String> {
    let mut all = BytesMut::new();
    for slice in slices {
        match slice {
            Slice::Memory(bytes) => all.extend_from_slice(&bytes),
            Slice::File(slice) => {
                let read = shard.partition().read_cold(slice).await;
                all.extend_from_slice(&read.map_err(|error| format!("{error:?}"))?);
            }
        }
    }
    Ok(all.freeze())
}
