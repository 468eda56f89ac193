//! How many connections clients may have at present, and how fast they may come: as configured, and as altered since. Hosts
//! are looked up when they are set, as in Kafka (`ConnectionQuotas`).
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use env::Env;
use metadata::{Image, Part};
use parking_lot::Mutex;
use server::admission::{ConnectionCounts, ConnectionLimits, Limits};

use crate::broker_configs::NodeConfigs;
use crate::config::{Config, per_ip_overrides};

pub(crate) struct CurrentLimits {
    env: Env,
    configs: Arc<NodeConfigs>,
    /// The connections that there are: some of them close when there may be fewer.
    counts: Arc<ConnectionCounts>,
    listeners: BTreeSet<Arc<str>>,
    protected: Option<Arc<str>>,
    state: Mutex<State>,
}

struct State {
    /// What the limits are, or will be once the hosts are looked up.
    wanted: Written,
    limits: Arc<ConnectionLimits>,
}

#[derive(Clone, Debug, PartialEq)]
struct Written {
    of_broker: Limits,
    of_listeners: BTreeMap<Arc<str>, Limits>,
    per_ip_max: usize,
    overrides: String,
    created_per_second_and_ip_max: Option<f64>,
    created_by_host: BTreeMap<String, f64>,
}

/// The addresses of hosts.
type Found = BTreeMap<String, Vec<IpAddr>>;

/// Of more hosts than these none is looked up.
const HOSTS_MAX: usize = 100;

impl CurrentLimits {
    /// None until the first `refresh`.
    pub fn new(env: Env, configs: Arc<NodeConfigs>, counts: Arc<ConnectionCounts>, config: &Config) -> Arc<Self> {
        let listeners: BTreeSet<Arc<str>> =
            config.listeners.iter().map(|listener| listener.name.as_str().into()).collect();
        let protected = (listeners.len() > 1).then(|| config.inter_broker_listener.as_str().into());
        let wanted = Written {
            of_broker: Limits::NONE,
            of_listeners: BTreeMap::new(),
            per_ip_max: usize::MAX,
            overrides: String::new(),
            created_per_second_and_ip_max: None,
            created_by_host: BTreeMap::new(),
        };
        let limits = Arc::new(ConnectionLimits::none());
        Arc::new(Self { env, configs, counts, listeners, protected, state: Mutex::new(State { wanted, limits }) })
    }

    pub fn now(&self) -> Arc<ConnectionLimits> {
        self.state.lock().limits.clone()
    }

    /// Follows what is set in this image.
    pub fn refresh(self: &Arc<Self>, image: &Image) {
        let wanted = self.written(image);
        let mut state = self.state.lock();
        if state.wanted == wanted {
            return;
        }
        // Addresses count at once, names once they are found.
        state.limits = Arc::new(self.limits(&wanted, &Found::new()));
        state.wanted = wanted.clone();
        self.counts.close_excess(&state.limits);
        drop(state);
        let hosts: BTreeSet<String> = wanted.hosts().filter(|host| host.parse::<IpAddr>().is_err()).collect();
        if !hosts.is_empty() {
            let this = self.clone();
            self.env.spawn.task("connection limits", Box::pin(async move { this.look_up(wanted, hosts).await }));
        }
    }

    fn written(&self, image: &Image) -> Written {
        let limits = |value: &dyn Fn(&str) -> Option<String>| Limits {
            connections_max: value("max.connections").and_then(|text| text.parse().ok()).unwrap_or(usize::MAX),
            created_per_second_max: value(CREATION_RATE).and_then(|text| text.parse().ok()).unwrap_or(f64::INFINITY),
        };
        let value = |name: &str| self.configs.value(image, name);
        let of_listeners = self
            .listeners
            .iter()
            .map(|listener| (listener.clone(), limits(&|name| self.configs.value_of_listener(image, listener, name))));
        let rates = image.quotas.iter().filter_map(|(entity, limits)| Some((&entity.ip, limits.get(IP_RATE)?.value())));
        let mut created_by_host = BTreeMap::new();
        let mut created_per_second_and_ip_max = None;
        for (part, rate) in rates {
            match part {
                Part::Absent => {}
                Part::Default => created_per_second_and_ip_max = Some(rate),
                Part::Named(host) => drop(created_by_host.insert(host.clone(), rate)),
            }
        }
        Written {
            of_broker: limits(&value),
            of_listeners: of_listeners.collect(),
            per_ip_max: value("max.connections.per.ip").and_then(|text| text.parse().ok()).unwrap_or(usize::MAX),
            overrides: value("max.connections.per.ip.overrides").unwrap_or_default(),
            created_per_second_and_ip_max,
            created_by_host,
        }
    }

    async fn look_up(&self, wanted: Written, hosts: BTreeSet<String>) {
        let mut found = Found::new();
        for host in hosts.into_iter().take(HOSTS_MAX) {
            match self.env.net.resolve(&host, 0).await {
                Ok(addresses) => {
                    let addresses = addresses.iter().map(|found| found.ip().to_canonical()).collect();
                    found.insert(host, addresses);
                }
                Err(error) => tracing::error!(host, %error, "a host whose connections are limited was not found"),
            }
        }
        let mut state = self.state.lock();
        if state.wanted == wanted {
            state.limits = Arc::new(self.limits(&wanted, &found));
        }
    }

    fn limits(&self, wanted: &Written, found: &Found) -> ConnectionLimits {
        let addresses = |host: &str| match host.parse::<IpAddr>() {
            Ok(address) => vec![address.to_canonical()],
            Err(_) => found.get(host).cloned().unwrap_or_default(),
        };
        let numbers = per_ip_overrides(&wanted.overrides).unwrap_or_default();
        let per_ip =
            numbers.into_iter().flat_map(|(host, number)| addresses(host).into_iter().map(move |ip| (ip, number)));
        let rates = wanted.created_by_host.iter();
        let rates = rates.flat_map(|(host, rate)| addresses(host).into_iter().map(move |ip| (ip, *rate)));
        ConnectionLimits {
            of_broker: wanted.of_broker,
            of_listeners: wanted.of_listeners.clone(),
            protected: self.protected.clone(),
            per_ip_max: wanted.per_ip_max,
            per_ip_overrides: per_ip.collect(),
            created_per_second_and_ip_max: wanted.created_per_second_and_ip_max,
            created_per_second_overrides: rates.collect(),
        }
    }
}

const CREATION_RATE: &str = "max.connection.creation.rate";
const IP_RATE: &str = "connection_creation_rate";

impl Written {
    fn hosts(&self) -> impl Iterator<Item = String> + use<'_> {
        let overridden = per_ip_overrides(&self.overrides).unwrap_or_default();
        overridden.into_iter().map(|(host, _)| host.to_owned()).chain(self.created_by_host.keys().cloned())
    }
}
