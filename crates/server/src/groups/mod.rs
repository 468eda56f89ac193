//! The groups of this node: one coordinator for each partition of `__consumer_offsets` that it leads. Brings requests,
//! commits and time to the machines, and their answers back; decides nothing about groups.
mod load;
mod log;
mod shard;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use coordinator::group::{Answer, Caller, DeletedTopic, GroupConfig, GroupSummary, Request, partition_for};
use env::{Env, Instant};
use metadata::{Topic, Update};
use parking_lot::Mutex;
use protocol::{ErrorCode, Uuid};
use replication::{Partition, Replicas};
use tokio::sync::{Notify, oneshot};

use shard::Shard;

pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Cheap to clone; every clone is the same groups.
#[derive(Clone)]
pub struct Groups {
    inner: Arc<Inner>,
}

struct Inner {
    env: Env,
    replicas: Arc<Replicas>,
    config: Arc<GroupConfig>,
    state: Mutex<State>,
    wake: Notify,
    /// When the task below looks again by itself, in nanoseconds: who has an earlier deadline wakes it.
    next_look: AtomicU64,
    closed: AtomicBool,
}

#[derive(Default)]
struct State {
    /// How many partitions the offsets topic has; 0 before it exists.
    partitions: i32,
    shards: BTreeMap<i32, Arc<Shard>>,
}

impl Groups {
    pub fn new(env: Env, replicas: Arc<Replicas>, config: GroupConfig) -> Self {
        let inner = Arc::new(Inner {
            env,
            replicas,
            config: Arc::new(config),
            state: Mutex::default(),
            wake: Notify::new(),
            next_look: AtomicU64::new(u64::MAX),
            closed: AtomicBool::new(false),
        });
        inner.env.spawn.task("groups", Box::pin(keep_time(inner.clone())));
        Self { inner }
    }

    /// Takes note of a change of the cluster: which partitions of the offsets topic are led here, which topics are gone.
    pub fn apply(&self, update: &Update) {
        for topic in &update.delta.topics_deleted {
            match &*topic.name {
                OFFSETS_TOPIC => self.inner.forget_all(),
                _ => self.inner.topic_deleted(topic),
            }
        }
        let Some(topic) = update.image.topics.by_name(OFFSETS_TOPIC) else { return };
        self.inner.state.lock().partitions = topic.partitions.len() as i32;
        for &(_, index) in update.delta.partitions.iter().filter(|(id, _)| *id == topic.id) {
            self.inner.lead_or_resign(index);
        }
    }

    /// Asks the coordinator of a group; the answer may take as long as a rebalance.
    pub async fn request(&self, group_id: &str, caller: &Caller, request: Request) -> Answer {
        match self.inner.shard_of(group_id) {
            Some(shard) => self.inner.ask(&shard, caller, request).await,
            None => request.refused(ErrorCode::NotCoordinator),
        }
    }

    /// The same question to every coordinator of this node.
    pub async fn request_all(&self, caller: &Caller, request: Request) -> Vec<Answer> {
        let shards: Vec<Arc<Shard>> = self.inner.state.lock().shards.values().cloned().collect();
        let mut answers = Vec::with_capacity(shards.len());
        for shard in shards {
            answers.push(self.inner.ask(&shard, caller, request.clone()).await);
        }
        answers
    }

    /// The partitions of the offsets topic that are coordinated here.
    pub fn shards(&self) -> Vec<i32> {
        self.inner.state.lock().shards.keys().copied().collect()
    }

    /// The groups of one of them. Its requests wait meanwhile.
    pub fn summaries(&self, shard: i32) -> Vec<GroupSummary> {
        let shard = self.inner.state.lock().shards.get(&shard).cloned();
        shard.map(|shard| shard.summaries()).unwrap_or_default()
    }

    /// Which partition of the offsets topic keeps a group; none before the topic exists.
    pub fn partition_of(&self, group_id: &str) -> Option<i32> {
        let partitions = self.inner.state.lock().partitions;
        (partitions > 0).then(|| partition_for(group_id, partitions))
    }

    /// Answers all who wait, and nobody from now on.
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        self.inner.forget_all();
        self.inner.wake.notify_one();
    }
}

impl Inner {
    fn shard_of(&self, group_id: &str) -> Option<Arc<Shard>> {
        let state = self.state.lock();
        let index = (state.partitions > 0).then(|| partition_for(group_id, state.partitions))?;
        state.shards.get(&index).cloned()
    }

    fn lead_or_resign(self: &Arc<Self>, index: i32) {
        let partition = self.replicas.partition(OFFSETS_TOPIC, index).filter(|partition| partition.is_leader());
        let mut state = self.state.lock();
        let here = state.shards.get(&index);
        if let (Some(shard), Some(partition)) = (here, &partition)
            && shard.leads(partition)
        {
            return;
        }
        let before = state.shards.remove(&index);
        if let Some(partition) = partition
            && !self.closed.load(Ordering::Acquire)
        {
            state.shards.insert(index, self.start(partition));
        }
        drop(state);
        if let Some(shard) = before {
            shard.resign();
        }
    }

    /// A new coordinator, which loads its partition before it serves.
    fn start(self: &Arc<Self>, partition: Arc<Partition>) -> Arc<Shard> {
        let shard = Shard::new(partition, self.config.clone(), self.env.rng.clone());
        let (inner, weak) = (Arc::downgrade(self), Arc::downgrade(&shard));
        shard.partition().on_committed(Arc::new(move |_| {
            if let (Some(inner), Some(shard)) = (inner.upgrade(), weak.upgrade()) {
                shard.mark_committed();
                inner.wake.notify_one();
            }
        }));
        self.env.spawn.task("groups load", Box::pin(load::load(self.clone(), shard.clone())));
        shard
    }

    async fn ask(self: &Arc<Self>, shard: &Arc<Shard>, caller: &Caller, request: Request) -> Answer {
        let refused = request.refused(ErrorCode::NotCoordinator);
        let (ticket, answer) = oneshot::channel();
        shard.request(&*self.env.clock, caller, request, ticket);
        self.after(shard);
        answer.await.unwrap_or(refused)
    }

    fn topic_deleted(self: &Arc<Self>, topic: &Topic) {
        let deleted = [DeletedTopic { name: topic.name.to_string(), id: Uuid(topic.id.0) }];
        let shards: Vec<Arc<Shard>> = self.state.lock().shards.values().cloned().collect();
        for shard in shards {
            shard.topics_deleted(&*self.env.clock, &deleted);
            self.after(&shard);
        }
    }

    /// After every use of a shard: its timer may have moved, or a failed append may have ended it.
    fn after(self: &Arc<Self>, shard: &Arc<Shard>) {
        if shard.is_lost() {
            self.lead_or_resign(shard.index());
        }
        if shard.next_deadline().is_some_and(|deadline| deadline.0 < self.next_look.load(Ordering::Acquire)) {
            self.wake.notify_one();
        }
    }

    fn forget_all(&self) {
        let mut state = self.state.lock();
        let shards = std::mem::take(&mut state.shards);
        drop(state);
        shards.into_values().for_each(|shard| shard.resign());
    }
}

/// The one task of all coordinators: tells them what has been committed and what time it is.
async fn keep_time(inner: Arc<Inner>) {
    while !inner.closed.load(Ordering::Acquire) {
        let clock = &*inner.env.clock;
        inner.next_look.store(0, Ordering::Release); // Nobody need wake who is about to look.
        let shards: Vec<Arc<Shard>> = inner.state.lock().shards.values().cloned().collect();
        for shard in &shards {
            shard.look(clock);
            if shard.is_lost() {
                inner.lead_or_resign(shard.index());
            }
        }
        let next = shards.iter().filter_map(|shard| shard.next_deadline()).min().unwrap_or(Instant::NEVER);
        inner.next_look.store(next.0, Ordering::Release);
        // A deadline that came in between has seen the 0 and woken nobody.
        let missed =
            shards.iter().filter_map(|shard| shard.next_deadline()).min().is_some_and(|deadline| deadline < next);
        if missed {
            continue;
        }
        let sleep = clock.sleep_until(next);
        tokio::select! {
            biased;
            () = inner.wake.notified() => {}
            () = sleep => {}
        }
    }
}
