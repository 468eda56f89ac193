//! Which of its metrics a client is asked for, and when it may tell them (KIP-714): rules of Kafka's `ClientMetricsManager`.
//! Knows no receiver: there is none, and what clients push goes nowhere, as with Kafka without one.
use std::collections::BTreeMap;
use std::time::Duration;

use env::Instant;
use metadata::Configs;
use metadata::configs::{Subscribed, subscribed};
use parking_lot::Mutex;
use protocol::{ErrorCode, Uuid};
use record::{Compression, Decompressor};
use rustc_hash::{FxHashMap, FxHasher};

/// Of one more the one is forgotten that was silent for longest.
const INSTANCES_MAX: usize = 16_384;
/// Forgotten after this, or after three of its intervals where that is longer.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Ids below are no client's (`Uuid.RESERVED`).
const RESERVED: [Uuid; 2] = [Uuid::ZERO, Uuid::METADATA_TOPIC];

pub struct Telemetry {
    /// `telemetry.max.bytes`
    bytes_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    instances: FxHashMap<Uuid, Instance>,
    /// By when each was last heard of.
    order: BTreeMap<u64, Uuid>,
    heard: u64,
    /// Grows whenever a subscription changes.
    version: u64,
}

/// A client that has asked what it is to tell.
struct Instance {
    client: About,
    subscribed: Subscribed,
    subscription_id: i32,
    version: u64,
    asked_at: Option<Instant>,
    pushed_at: Option<Instant>,
    is_terminating: bool,
    /// Why its last push was refused.
    refused: Option<ErrorCode>,
    heard: u64,
    heard_at: Instant,
}

/// The instance that was made for a connection, the last one: it is forgotten with it.
#[derive(Default)]
pub struct Teller(Mutex<Option<Uuid>>);

/// What is known of a client, by the names that subscriptions have for it.
pub type About = BTreeMap<&'static str, String>;

/// What a client is told.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub id: i32,
    pub subscribed: Subscribed,
}

/// Who asks or pushes.
pub struct Client<'c> {
    /// Of its instance.
    pub id: Uuid,
    pub about: About,
    pub teller: &'c Teller,
}

/// What a client pushes.
#[derive(Clone, Copy, Debug)]
pub struct Push<'p> {
    pub subscription_id: i32,
    pub is_terminating: bool,
    pub compression_type: i8,
    pub metrics: &'p [u8],
}

impl Telemetry {
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, state: Mutex::default() }
    }

    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// A subscription was set, or changed, or is gone.
    pub fn subscriptions_changed(&self) {
        self.state.lock().version += 1;
    }

    /// GetTelemetrySubscriptions.
    pub fn ask(&self, client: Client<'_>, configs: &Configs, now: Instant) -> Result<Subscription, ErrorCode> {
        let mut state = self.state.lock();
        let instance = state.instance(client, configs, now);
        match instance.may_ask(now) {
            true => instance.asked_at = Some(now),
            false if instance.is_to_ask() => {}
            false => return Err(ErrorCode::ThrottlingQuotaExceeded),
        }
        instance.refused = None;
        Ok(Subscription { id: instance.subscription_id, subscribed: instance.subscribed.clone() })
    }

    /// PushTelemetry.
    pub fn push(&self, client: Client<'_>, push: &Push<'_>, configs: &Configs, now: Instant) -> Result<(), ErrorCode> {
        if RESERVED.contains(&client.id) {
            return Err(ErrorCode::InvalidRequest);
        }
        let pushed = {
            let mut state = self.state.lock();
            let instance = state.instance(client, configs, now);
            let pushed = instance.push(push, self.bytes_max, now);
            instance.is_terminating = push.is_terminating;
            instance.refused = pushed.err();
            pushed
        };
        self.read(pushed?, push.metrics)
    }

    /// Whether it can be read; a receiver would have to. What is compressed may be as long as what is not.
    fn read(&self, compression: Compression, metrics: &[u8]) -> Result<(), ErrorCode> {
        if compression == Compression::None || metrics.is_empty() {
            return Ok(());
        }
        let read = Decompressor::new().decompress(compression, metrics, self.bytes_max).map(|_| ());
        read.map_err(|_| ErrorCode::InvalidRecord)
    }

    /// The connection has ended.
    pub fn forget(&self, teller: &Teller) {
        if let Some(id) = teller.0.lock().take() {
            self.state.lock().remove(id);
        }
    }
}

impl State {
    fn instance(&mut self, client: Client<'_>, configs: &Configs, now: Instant) -> &mut Instance {
        let Client { id, about, teller } = client;
        let known = self.remove(id).filter(|known| !known.is_forgotten(now));
        let mut instance = match known {
            Some(known) if known.version == self.version => known,
            known => {
                *teller.0.lock() = Some(id);
                // It is judged anew, as the client that it was first.
                Instance::new(id, known.map_or(about, |known| known.client), configs, self.version, now)
            }
        };
        if self.instances.len() >= INSTANCES_MAX {
            let oldest = *self.order.values().next().expect("each instance has its place in the order");
            self.remove(oldest);
        }
        self.heard += 1;
        (instance.heard, instance.heard_at) = (self.heard, now);
        self.order.insert(self.heard, id);
        self.instances.entry(id).or_insert(instance)
    }

    fn remove(&mut self, id: Uuid) -> Option<Instance> {
        let instance = self.instances.remove(&id)?;
        self.order.remove(&instance.heard);
        Some(instance)
    }
}

impl Instance {
    fn new(id: Uuid, client: About, configs: &Configs, version: u64, now: Instant) -> Self {
        let subscribed = subscribed(configs, &client);
        let subscription_id = subscription_id(id, &subscribed);
        let (asked_at, pushed_at) = (None, None);
        Self {
            client,
            subscribed,
            subscription_id,
            version,
            asked_at,
            pushed_at,
            is_terminating: false,
            refused: None,
            heard: 0,
            heard_at: now,
        }
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(self.subscribed.interval_ms as u64)
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        now.since(self.heard_at) >= SILENCE_MAX.max(self.interval() * 3)
    }

    fn may_ask(&self, now: Instant) -> bool {
        self.asked_at.max(self.pushed_at).is_none_or(|last| now.since(last) >= self.interval())
    }

    /// What it pushed was refused as it did not know what it is asked for.
    fn is_to_ask(&self) -> bool {
        matches!(self.refused, Some(ErrorCode::UnknownSubscriptionId | ErrorCode::UnsupportedCompressionType))
    }

    /// At once after it has asked, since clients do not wait for a whole interval the first time.
    fn may_push(&self, now: Instant) -> bool {
        self.asked_at > self.pushed_at || self.pushed_at.is_none_or(|last| now.since(last) >= self.interval())
    }

    fn push(&mut self, push: &Push<'_>, bytes_max: usize, now: Instant) -> Result<Compression, ErrorCode> {
        if self.is_terminating {
            return Err(ErrorCode::InvalidRequest); // It has said that this was its last.
        }
        match self.may_push(now) {
            true => self.pushed_at = Some(now),
            false if !push.is_terminating => return Err(ErrorCode::ThrottlingQuotaExceeded),
            false => {}
        }
        if push.subscription_id != self.subscription_id {
            return Err(ErrorCode::UnknownSubscriptionId);
        }
        let compression =
            Compression::from_id(push.compression_type).map_err(|_| ErrorCode::UnsupportedCompressionType)?;
        match push.metrics.len() > bytes_max {
            true => Err(ErrorCode::TelemetryTooLarge),
            false => Ok(compression),
        }
    }
}

/// Another one whenever what is asked for is another: clients ask anew when theirs is not known.
fn subscription_id(id: Uuid, subscribed: &Subscribed) -> i32 {
    use std::hash::{Hash, Hasher};
    let mut hasher = FxHasher::default();
    (id, &subscribed.metrics, subscribed.interval_ms).hash(&mut hasher);
    (hasher.finish() >> 32) as i32
}
