//! The face of a metadata log, the same for a single node and for a quorum. Its answers allow for elections: a proposal
//! whose outcome nobody can know, terms in which this node does not lead, a snapshot in the place of old entries.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use record::BrokerId;
use tokio::sync::{mpsc, oneshot};

pub trait MetadataLog: Send + Sync {
    /// Appends an entry, if this node leads. Entries are committed in the order of these calls, or not at all.
    fn propose(&self, records: Bytes) -> Result<Proposal, ProposeError>;
    fn role(&self) -> Role;
    /// Enough was written since the last snapshot that another is worth its cost.
    fn wants_snapshot(&self) -> bool;
    /// Writes a snapshot in the background and then drops the entries up to its `last`. One at a time: a second call
    /// while the first is being written is ignored.
    fn take_snapshot(&self, last: LogId, pieces: Pieces);
    /// No further proposal is taken. The answer comes when all earlier ones are committed and the log is at rest.
    fn close(&self) -> oneshot::Receiver<()>;
}

/// The bytes of a snapshot, made while it is written. A piece has at most a few MiB.
pub type Pieces = Box<dyn Iterator<Item = Bytes> + Send>;

/// Where an entry stands. Greater is later; two logs that hold the same id hold the same entries up to it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LogId {
    pub term: u64,
    /// The first entry has 1.
    pub index: u64,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub id: LogId,
    pub payload: Payload,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Payload {
    /// A leader's first entry: once it is committed, so is everything of earlier terms.
    TermStart,
    Records(Bytes),
}

#[derive(Clone, Debug)]
pub struct Snapshot {
    pub last: LogId,
    pub pieces: Vec<Bytes>,
}

/// What is committed, in order.
#[derive(Clone, Debug)]
pub enum Event {
    Entry(Entry),
    /// Replaces everything seen so far.
    Snapshot(Snapshot),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Role {
    pub term: u64,
    pub leader: Option<BrokerId>,
    pub is_me: bool,
}

/// The entry was surely not appended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProposeError {
    /// The log has been closed, or has failed.
    Closed,
    /// Too much is on its way already: wait for something to be committed.
    Full,
    NotLeader,
    TooLarge,
}

/// Nobody can tell whether the entry will be committed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unknown;

/// Ready when the entry is committed, and has been put into [`Committed`].
#[derive(Debug)]
pub struct Proposal(pub(crate) oneshot::Receiver<LogId>);

impl Future for Proposal {
    type Output = Result<LogId, Unknown>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map_err(|_| Unknown)
    }
}

/// The stream of what is committed. It has one reader; proposals are refused as `Full` while it lags.
#[derive(Debug)]
pub struct Committed {
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    pub(crate) unread: Arc<Unread>,
}

impl Committed {
    /// `None` if the log has been closed or has failed: nothing will be committed any more.
    pub async fn next(&mut self) -> Option<Event> {
        let event = self.events.recv().await?;
        self.unread.taken(&event);
        Some(event)
    }

    /// The next one if it is there already: for readers that take all there is before they publish.
    pub fn next_now(&mut self) -> Option<Event> {
        let event = self.events.try_recv().ok()?;
        self.unread.taken(&event);
        Some(event)
    }
}

/// Bytes that were proposed and not yet read back: what bounds the queue and the stream together.
#[derive(Debug, Default)]
pub(crate) struct Unread(AtomicUsize);

/// Counts for each entry, so that a flood of empty ones is bounded too.
const ENTRY_OVERHEAD_BYTES: usize = 4096;

impl Unread {
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub fn proposed(&self, payload: &Payload) {
        self.0.fetch_add(cost(payload), Ordering::Relaxed);
    }

    fn taken(&self, event: &Event) {
        if let Event::Entry(entry) = event {
            // Entries that recovery read were never proposed: nothing was counted for them.
            let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bytes| {
                Some(bytes.saturating_sub(cost(&entry.payload)))
            });
        }
    }
}

fn cost(payload: &Payload) -> usize {
    match payload {
        Payload::TermStart => ENTRY_OVERHEAD_BYTES,
        Payload::Records(records) => ENTRY_OVERHEAD_BYTES + records.len(),
    }
}
