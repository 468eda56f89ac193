//! How many connections clients may have at present: as configured, and as altered since. The hosts of
//! `max.connections.per.ip.overrides` are looked up when they are set, as in Kafka (`ConnectionQuotas`).
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use env::Env;
use metadata::Image;
use parking_lot::Mutex;
use server::listener::ConnectionLimits;

use crate::broker_configs::NodeConfigs;

pub(crate) struct CurrentLimits {
    env: Env,
    configs: Arc<NodeConfigs>,
    state: Mutex<State>,
}

struct State {
    /// What the limits are, or will be once the hosts are looked up.
    wanted: Written,
    limits: Arc<ConnectionLimits>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Written {
    connections_max: usize,
    per_ip_max: usize,
    overrides: String,
}

impl CurrentLimits {
    /// Without the overrides: they come with the first `refresh`.
    pub fn new(env: Env, configs: Arc<NodeConfigs>) -> Arc<Self> {
        let wanted = Written { connections_max: usize::MAX, per_ip_max: usize::MAX, overrides: String::new() };
        let limits = Arc::new(wanted.limits(BTreeMap::new()));
        Arc::new(Self { env, configs, state: Mutex::new(State { wanted, limits }) })
    }

    pub fn now(&self) -> Arc<ConnectionLimits> {
        self.state.lock().limits.clone()
    }

    /// Follows what is set in this image.
    pub fn refresh(self: &Arc<Self>, image: &Image) {
        let number = |name| self.configs.value(image, name).and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
        let wanted = Written {
            connections_max: number("max.connections"),
            per_ip_max: number("max.connections.per.ip"),
            overrides: self.configs.value(image, "max.connections.per.ip.overrides").unwrap_or_default(),
        };
        let mut state = self.state.lock();
        if state.wanted == wanted {
            return;
        }
        let numbers = overrides(&wanted.overrides).unwrap_or_default();
        // Addresses count at once, names once they are found.
        let known = numbers.iter().filter_map(|(host, number)| Some((host.parse::<IpAddr>().ok()?, *number)));
        state.limits = Arc::new(wanted.limits(known.collect()));
        state.wanted = wanted.clone();
        drop(state);
        if numbers.iter().any(|(host, _)| host.parse::<IpAddr>().is_err()) {
            let numbers = numbers.into_iter().map(|(host, number)| (host.to_owned(), number)).collect();
            let this = self.clone();
            self.env.spawn.task("connection limits", Box::pin(async move { this.look_up(wanted, numbers).await }));
        }
    }

    async fn look_up(&self, wanted: Written, numbers: Vec<(String, usize)>) {
        let mut by_ip = BTreeMap::new();
        for (host, number) in numbers {
            match self.env.net.resolve(&host, 0).await {
                Ok(addresses) => by_ip.extend(addresses.iter().map(|found| (found.ip().to_canonical(), number))),
                Err(error) => {
                    tracing::error!(host, %error, "a host of max.connections.per.ip.overrides was not found");
                }
            }
        }
        let mut state = self.state.lock();
        if state.wanted == wanted {
            state.limits = Arc::new(wanted.limits(by_ip));
        }
    }
}

impl Written {
    fn limits(&self, per_ip_overrides: BTreeMap<IpAddr, usize>) -> ConnectionLimits {
        ConnectionLimits { connections_max: self.connections_max, per_ip_max: self.per_ip_max, per_ip_overrides }
    }
}

/// `host:number`, separated by commas; the number is behind the last colon, as hosts may be IPv6 addresses.
pub(crate) fn overrides(text: &str) -> Option<Vec<(&str, usize)>> {
    let elements = text.split(',').map(str::trim).filter(|element| !element.is_empty());
    elements
        .map(|element| {
            let (host, number) = element.rsplit_once(':')?;
            let host = host.trim().trim_start_matches('[').trim_end_matches(']');
            Some((host, number.trim().parse::<i32>().ok()?.try_into().ok()?)).filter(|(host, _)| !host.is_empty())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::overrides;

    #[test]
    fn overrides_are_hosts_and_numbers() {
        assert_eq!(overrides(""), Some(vec![]));
        assert_eq!(overrides("10.0.0.1:5, [::1]:0,box:7"), Some(vec![("10.0.0.1", 5), ("::1", 0), ("box", 7)]));
        for wrong in ["10.0.0.1", "10.0.0.1:", "10.0.0.1:-1", ":5", "10.0.0.1:many"] {
            assert_eq!(overrides(wrong), None, "{wrong}");
        }
    }
}
