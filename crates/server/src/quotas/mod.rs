//! Enforces client quotas (`ClientQuotaManager`, `ClientRequestQuotaManager`, `ControllerMutationQuotaManager`): says for how
//! long a client is to be silent that has used more than it may. What it may is in the image of the cluster; whoever
//! answers the client tells it, and its connection keeps the silence.
use std::time::Duration;

use env::Instant;
use metadata::{Limit, Part, QuotaEntity};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tally::Counter;

pub(crate) mod counted;
mod meter;
mod rate;

pub use meter::{Meter, Metered};
pub(crate) use rate::Rate;
use rate::TokenBucket;
pub use rate::Windows;

/// Bytes that a quota counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flow {
    Fetch,
    Produce,
}

impl Flow {
    fn kind(self) -> Kind {
        match self {
            Flow::Fetch => Kind::Fetch,
            Flow::Produce => Kind::Produce,
        }
    }

    fn key(self) -> &'static str {
        match self {
            Flow::Fetch => "consumer_byte_rate",
            Flow::Produce => "producer_byte_rate",
        }
    }
}

const MUTATION_KEY: &str = "controller_mutation_rate";
/// In percent of one thread.
const REQUEST_KEY: &str = "request_percentage";

/// Who uses it.
#[derive(Clone, Copy, Debug)]
pub struct Client<'c> {
    pub user: &'c str,
    pub client_id: &'c str,
}

/// The name of who has not said who it is.
pub const ANONYMOUS: &str = "ANONYMOUS";

impl<'c> Client<'c> {
    pub fn anonymous(client_id: &'c str) -> Self {
        Self { user: ANONYMOUS, client_id }
    }
}

/// The quota that counts for a client, and with whom it shares it.
#[derive(Clone, Debug, PartialEq)]
struct Quota {
    limit: Limit,
    shared_by: Shared,
}

/// All who have this in common use one quota together.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct Shared {
    user: Option<String>,
    client_id: Option<String>,
}

pub struct Quotas {
    windows: Windows,
    /// `controller.quota.window.num`, `controller.quota.window.size.seconds`
    mutation_windows: Windows,
    fetched: Counted<Rate>,
    produced: Counted<Rate>,
    requests: Counted<Rate>,
    mutations: Counted<(TokenBucket, Limit)>,
    throttled: [Throttled; KINDS.len()],
}

/// What a quota is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    ControllerMutation,
    Fetch,
    Produce,
    Request,
}

pub const KINDS: [Kind; 4] = [Kind::ControllerMutation, Kind::Fetch, Kind::Produce, Kind::Request];

/// How often somebody was told to be silent, and for how long in all.
#[derive(Default)]
pub struct Throttled {
    pub times: Counter,
    pub nanos: Counter,
}

impl Throttled {
    pub(crate) fn record(&self, silence: Duration) {
        if !silence.is_zero() {
            self.times.add(1);
            self.nanos.add(silence.as_nanos() as u64);
        }
    }
}

/// What each has used.
type Counted<T> = Mutex<FxHashMap<Shared, T>>;

impl Quotas {
    pub fn new(windows: Windows, mutation_windows: Windows) -> Self {
        let [fetched, produced, requests] = Default::default();
        let (mutations, throttled) = Default::default();
        Self { windows, mutation_windows, fetched, produced, requests, mutations, throttled }
    }

    /// Of the broker's life.
    pub fn throttled(&self, kind: Kind) -> &Throttled {
        &self.throttled[kind as usize]
    }

    /// Counts bytes that were fetched or produced; says for how long the client is to be silent.
    pub fn record(
        &self,
        quotas: &metadata::Quotas,
        flow: Flow,
        client: Client<'_>,
        bytes: f64,
        now: Instant,
    ) -> Duration {
        match find(quotas, flow.key(), client) {
            Some(quota) => self.told(flow.kind(), self.record_rate(self.of_flow(flow), quota, bytes, now)),
            None => Duration::ZERO,
        }
    }

    /// Takes back what was counted: it is not sent after all.
    pub fn unrecord(&self, quotas: &metadata::Quotas, flow: Flow, client: Client<'_>, bytes: f64, now: Instant) {
        if let Some(quota) = find(quotas, flow.key(), client) {
            self.record_rate(self.of_flow(flow), quota, -bytes, now);
        }
    }

    /// As much as a client may take at once.
    pub fn burst_bytes(&self, quotas: &metadata::Quotas, flow: Flow, client: Client<'_>) -> Option<usize> {
        let quota = find(quotas, flow.key(), client)?;
        Some((quota.limit.value() * self.windows.burst().as_secs_f64()) as usize)
    }

    /// Whether the time that requests of this client take is to be measured.
    pub fn limits_requests(&self, quotas: &metadata::Quotas, client: Client<'_>) -> bool {
        find(quotas, REQUEST_KEY, client).is_some()
    }

    /// Counts the time that a request has kept a thread.
    pub fn record_request(
        &self,
        quotas: &metadata::Quotas,
        client: Client<'_>,
        spent: Duration,
        now: Instant,
    ) -> Duration {
        let Some(quota) = find(quotas, REQUEST_KEY, client) else { return Duration::ZERO };
        let percent = spent.as_secs_f64() * 100.0;
        // For a window at most: such a client is slowed down and not cut off.
        let silence = self.record_rate(&self.requests, quota, percent, now).min(self.windows.length);
        self.told(Kind::Request, silence)
    }

    /// Takes so many changes of partitions out of the client's bucket. `is_strict`: not if it is overdrawn already.
    /// Whether it has, and for how long the client is to be silent.
    pub fn record_mutations(
        &self,
        quotas: &metadata::Quotas,
        client: Client<'_>,
        mutations: f64,
        is_strict: bool,
        now: Instant,
    ) -> (bool, Duration) {
        let Some(Quota { limit, shared_by }) = find(quotas, MUTATION_KEY, client) else {
            return (true, Duration::ZERO);
        };
        let windows = self.mutation_windows;
        let mut counted = self.mutations.lock();
        let is_full = |(bucket, limit): &mut (TokenBucket, Limit)| bucket.is_full(limit.value(), now);
        let (bucket, known_limit) =
            counted::entry(&mut counted, shared_by, Shared::default(), is_full, || (TokenBucket::default(), limit));
        *known_limit = limit;
        let overdrawn = bucket.throttle(limit.value(), now, windows);
        if is_strict && !overdrawn.is_zero() {
            return (false, self.told(Kind::ControllerMutation, overdrawn));
        }
        bucket.take(mutations, limit.value(), now);
        match is_strict {
            // The request that overdraws it has been let through.
            true => (true, Duration::ZERO),
            false => {
                let silence = bucket.throttle(limit.value(), now, windows);
                (true, self.told(Kind::ControllerMutation, silence))
            }
        }
    }

    fn told(&self, kind: Kind, silence: Duration) -> Duration {
        self.throttled(kind).record(silence);
        silence
    }

    fn of_flow(&self, flow: Flow) -> &Counted<Rate> {
        match flow {
            Flow::Fetch => &self.fetched,
            Flow::Produce => &self.produced,
        }
    }

    fn record_rate(&self, counted: &Counted<Rate>, quota: Quota, used: f64, now: Instant) -> Duration {
        let mut counted = counted.lock();
        let is_forgotten = |rate: &mut Rate| rate.is_forgotten(now, self.windows);
        let rate = counted::entry(&mut counted, quota.shared_by, Shared::default(), is_forgotten, Rate::default);
        rate.record(used, now, self.windows);
        rate.throttle(quota.limit.value(), now, self.windows)
    }
}

/// The first of these that is set counts (`DefaultQuotaCallback`): of the user and the client, of the user, of the client,
/// each by name before by default.
fn find(quotas: &metadata::Quotas, key: &str, client: Client<'_>) -> Option<Quota> {
    if quotas.is_empty() {
        return None;
    }
    let named = |name: &str| Part::Named(name.to_owned());
    let (user, client_id) = (named(client.user), named(client.client_id));
    let candidates = [
        (user.clone(), client_id.clone()),
        (user.clone(), Part::Default),
        (user, Part::Absent),
        (Part::Default, client_id.clone()),
        (Part::Default, Part::Default),
        (Part::Default, Part::Absent),
        (Part::Absent, client_id),
        (Part::Absent, Part::Default),
    ];
    candidates.into_iter().find_map(|(user, client_id)| {
        let shared_by = Shared {
            user: (user != Part::Absent).then(|| client.user.to_owned()),
            client_id: (client_id != Part::Absent).then(|| client.client_id.to_owned()),
        };
        let limit = quotas.limit(&QuotaEntity { user, client_id, ip: Part::Absent }, key)?;
        Some(Quota { limit, shared_by })
    })
}

#[cfg(test)]
mod tests;
