//! Incremental fetch sessions (KIP-227): what a client asked for last time, and what it was told, so that neither is said
//! again. The rules are those of Kafka's `FetchManager`, `FetchSession` and `FetchSessionCacheShard`. Reads no log.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use env::{Instant, Rng};
use parking_lot::Mutex;
use protocol::{ErrorCode, Uuid};

/// All sessions of a broker: at most `max.incremental.fetch.session.cache.slots`.
pub struct FetchSessions {
    slots_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sessions: BTreeMap<i32, Session>,
}

struct Session {
    epoch: i32,
    uses_topic_ids: bool,
    is_follower: bool,
    created_at: Instant,
    used_at: Instant,
    /// In the order in which they are served: who got records goes to the end.
    order: BTreeMap<u64, PartitionKey>,
    next_place: u64,
    partitions: BTreeMap<PartitionKey, Cached>,
}

struct Cached {
    place: u64,
    request: PartitionRequest,
    topic: Option<Arc<str>>,
    /// What the client was told last; -1 is nothing yet, or an error since.
    high_watermark: i64,
    log_start_offset: i64,
}

/// A partition as the client names it. From version 13 on that is by id.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct PartitionKey {
    pub topic: TopicKey,
    pub partition: i32,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TopicKey {
    Id(Uuid),
    Name(Arc<str>),
}

/// A partition to be fetched.
pub struct Asked {
    pub key: PartitionKey,
    pub request: PartitionRequest,
    /// How the topic of its id was called, if the session has ever known: there may be none of this id any more.
    pub topic: Option<Arc<str>>,
}

/// What the client wants of a partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PartitionRequest {
    pub fetch_offset: i64,
    pub bytes_max: i32,
    pub current_leader_epoch: i32,
    pub last_fetched_epoch: i32,
    pub log_start_offset: i64,
}

/// What the answer says of a partition, as far as a session must know.
#[derive(Clone, Copy, Debug)]
pub struct PartitionAnswer {
    pub has_records: bool,
    pub high_watermark: i64,
    pub log_start_offset: i64,
    pub error: bool,
    /// A preferred read replica or a diverging epoch: it must be said in any case.
    pub must_be_told: bool,
}

/// The session fields of a request.
pub struct SessionRequest {
    pub session_id: i32,
    pub session_epoch: i32,
    pub uses_topic_ids: bool,
    pub is_follower: bool,
    pub partitions: Vec<Asked>,
    pub forgotten: Vec<PartitionKey>,
}

/// What is fetched, and how it will be answered.
pub struct FetchContext {
    kind: Kind,
    pub partitions: Vec<Asked>,
}

enum Kind {
    Sessionless,
    Full { uses_topic_ids: bool, is_follower: bool },
    Incremental { session_id: i32, epoch: i32 },
}

/// What goes into the response besides the partitions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionAnswer {
    pub error: ErrorCode,
    pub session_id: i32,
}

/// A partition of the context with its answer, in their order.
pub struct Answered<'a> {
    pub key: &'a PartitionKey,
    pub request: &'a PartitionRequest,
    /// How the topic of its id is called, if there is one.
    pub topic: Option<&'a Arc<str>>,
    pub answer: PartitionAnswer,
    /// Whether the response names it: false until it is said.
    pub is_told: &'a mut bool,
}

const NO_SESSION: i32 = 0;
const EPOCH_INITIAL: i32 = 0;
const EPOCH_FINAL: i32 = -1;
/// A session younger than this makes room for nobody (`min.incremental.fetch.session.eviction.ms`).
const EVICTION_AGE: Duration = Duration::from_secs(120);

impl FetchSessions {
    pub fn new(slots_max: usize) -> Self {
        Self { slots_max, state: Mutex::default() }
    }

    pub fn len(&self) -> usize {
        self.state.lock().sessions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Finds out what a request is for. An error answers the whole request.
    pub fn begin(&self, request: SessionRequest, now: Instant) -> Result<FetchContext, ErrorCode> {
        let mut state = self.state.lock();
        match request.session_epoch {
            EPOCH_INITIAL | EPOCH_FINAL => {
                state.sessions.remove(&request.session_id);
                let SessionRequest { uses_topic_ids, is_follower, partitions, .. } = request;
                let kind = match request.session_epoch {
                    EPOCH_FINAL => Kind::Sessionless,
                    _ => Kind::Full { uses_topic_ids, is_follower },
                };
                Ok(FetchContext { kind, partitions })
            }
            _ => state.resume(request, now),
        }
    }

    /// Decides what of the answers goes to the client, and remembers what it is told.
    pub fn finish<'a>(
        &self,
        context: &FetchContext,
        answers: impl ExactSizeIterator<Item = Answered<'a>>,
        now: Instant,
        rng: &dyn Rng,
    ) -> SessionAnswer {
        match context.kind {
            Kind::Sessionless => {
                answers.for_each(|answered| *answered.is_told = true);
                SessionAnswer { error: ErrorCode::None, session_id: NO_SESSION }
            }
            Kind::Full { uses_topic_ids, is_follower } => {
                let mut state = self.state.lock();
                let fits = state.make_room(self.slots_max, is_follower, answers.len(), now);
                let mut session = Session::new(uses_topic_ids, is_follower, now);
                for answered in answers {
                    *answered.is_told = true;
                    session.begin_with(&answered);
                }
                let session_id = if fits { state.free_id(rng) } else { NO_SESSION };
                if session_id != NO_SESSION {
                    state.sessions.insert(session_id, session);
                }
                SessionAnswer { error: ErrorCode::None, session_id }
            }
            Kind::Incremental { session_id, epoch } => {
                let mut state = self.state.lock();
                let answer = state.of_incremental(session_id, epoch);
                if answer.error == ErrorCode::None
                    && let Some(session) = state.sessions.get_mut(&session_id)
                {
                    answers.for_each(|answered| *answered.is_told = session.tell(&answered));
                }
                answer
            }
        }
    }

    /// Answers nothing of what was read, as the client is over its quota: the session is told nothing, and none begins.
    pub fn hold_back(&self, context: &FetchContext) -> SessionAnswer {
        match context.kind {
            Kind::Sessionless | Kind::Full { .. } => SessionAnswer { error: ErrorCode::None, session_id: NO_SESSION },
            Kind::Incremental { session_id, epoch } => self.state.lock().of_incremental(session_id, epoch),
        }
    }
}

impl State {
    fn resume(&mut self, request: SessionRequest, now: Instant) -> Result<FetchContext, ErrorCode> {
        let session_id = request.session_id;
        let session = self.sessions.get_mut(&session_id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_topic_ids != request.uses_topic_ids {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        session.update(&request);
        if session.partitions.is_empty() {
            self.sessions.remove(&session_id);
            return Ok(FetchContext { kind: Kind::Sessionless, partitions: request.partitions });
        }
        session.epoch = next_epoch(session.epoch);
        session.used_at = now;
        let epoch = session.epoch;
        let asked = |key: &PartitionKey| {
            let cached = &session.partitions[key];
            Asked { key: key.clone(), request: cached.request, topic: cached.topic.clone() }
        };
        let partitions = session.order.values().map(asked).collect();
        Ok(FetchContext { kind: Kind::Incremental { session_id, epoch }, partitions })
    }

    /// What is said of the session besides its partitions; with an error nothing of them.
    fn of_incremental(&self, session_id: i32, epoch: i32) -> SessionAnswer {
        match self.sessions.get(&session_id) {
            Some(session) if session.epoch == epoch => SessionAnswer { error: ErrorCode::None, session_id },
            // Another request of the same session came in between.
            Some(_) => SessionAnswer { error: ErrorCode::InvalidFetchSessionEpoch, session_id },
            None => SessionAnswer { error: ErrorCode::FetchSessionIdNotFound, session_id: NO_SESSION },
        }
    }

    /// Whether a session of `size` partitions fits, if need be in the place of another: one that is stale, or one that is
    /// worth less and not too young.
    fn make_room(&mut self, slots_max: usize, is_follower: bool, size: usize, now: Instant) -> bool {
        if self.sessions.len() < slots_max {
            return true;
        }
        let old = |since: Instant| now.since(since) > EVICTION_AGE;
        let stale =
            self.sessions.iter().filter(|(_, session)| old(session.used_at)).min_by_key(|(_, session)| session.used_at);
        let victim = stale.map(|(id, _)| *id).or_else(|| {
            let worth = |session: &Session| (session.is_follower, session.partitions.len());
            // Kafka looks at a session's age whenever it is used, and never in between.
            let was_old = |session: &Session| session.used_at.since(session.created_at) > EVICTION_AGE;
            let evictable = |session: &Session| was_old(session) || (is_follower && !session.is_follower);
            let candidates = self.sessions.iter().filter(|(_, session)| evictable(session));
            let least = candidates.min_by_key(|(id, session)| (worth(session), **id))?;
            (worth(least.1) < (is_follower, size)).then_some(*least.0)
        });
        victim.is_some_and(|id| self.sessions.remove(&id).is_some())
    }

    fn free_id(&self, rng: &dyn Rng) -> i32 {
        loop {
            let id = (rng.next_u64() & i32::MAX as u64) as i32;
            if id != NO_SESSION && !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }
}

impl Session {
    fn new(uses_topic_ids: bool, is_follower: bool, now: Instant) -> Self {
        Self {
            epoch: next_epoch(EPOCH_INITIAL),
            uses_topic_ids,
            is_follower,
            created_at: now,
            used_at: now,
            order: BTreeMap::new(),
            next_place: 0,
            partitions: BTreeMap::new(),
        }
    }

    fn begin_with(&mut self, answered: &Answered<'_>) {
        self.ask(answered.key, answered.request);
        self.partitions.get_mut(answered.key).expect("asked for right before").told(answered);
    }

    fn update(&mut self, request: &SessionRequest) {
        for asked in &request.partitions {
            self.ask(&asked.key, &asked.request);
        }
        for key in &request.forgotten {
            if let Some(cached) = self.partitions.remove(key) {
                self.order.remove(&cached.place);
            }
        }
    }

    fn ask(&mut self, key: &PartitionKey, request: &PartitionRequest) {
        if let Some(cached) = self.partitions.get_mut(key) {
            cached.request = *request;
            return;
        }
        let place = self.next_place;
        self.next_place += 1;
        self.order.insert(place, key.clone());
        let cached = Cached { place, request: *request, topic: None, high_watermark: -1, log_start_offset: -1 };
        self.partitions.insert(key.clone(), cached);
    }

    /// Whether the answer says anything new. Who gets records goes to the end, so that all are served in turn.
    fn tell(&mut self, answered: &Answered<'_>) -> bool {
        let Answered { key, answer, .. } = answered;
        let Some(cached) = self.partitions.get_mut(*key) else { return false };
        let is_new = answer.has_records
            || answer.error
            || answer.must_be_told
            || cached.high_watermark != answer.high_watermark
            || cached.log_start_offset != answer.log_start_offset;
        cached.told(answered);
        if answer.has_records {
            self.order.remove(&cached.place);
            cached.place = self.next_place;
            self.next_place += 1;
            self.order.insert(cached.place, (*key).clone());
        }
        is_new
    }
}

impl Cached {
    fn told(&mut self, answered: &Answered<'_>) {
        if self.topic.is_none() {
            self.topic = answered.topic.cloned();
        }
        let answer = &answered.answer;
        // After an error the next answer is new, whatever it says.
        self.high_watermark = if answer.error { -1 } else { answer.high_watermark };
        self.log_start_offset = answer.log_start_offset;
    }
}

fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests;
