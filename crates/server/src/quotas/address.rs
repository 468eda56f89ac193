//! The quota of connections of an address: its own, by number or by the name of a host, or that of all others.
use std::net::IpAddr;

use env::Env;
use metadata::{Limit, Part, QuotaEntity};

const KEY: &str = "connection_creation_rate";
/// Of more hosts than these none is looked up.
const HOSTS_MAX: usize = 100;

pub async fn limit(env: &Env, quotas: &metadata::Quotas, ip: IpAddr) -> Option<Limit> {
    let of = |part: Part| quotas.limit(&QuotaEntity { ip: part, ..QuotaEntity::default() }, KEY);
    if let Some(limit) = of(Part::Named(ip.to_string())) {
        return Some(limit);
    }
    let named = quotas.iter().filter_map(|(entity, limits)| match &entity.ip {
        Part::Named(name) => Some((name, *limits.get(KEY)?)),
        Part::Absent | Part::Default => None,
    });
    let hosts: Vec<(&String, Limit)> =
        named.filter(|(name, _)| name.parse::<IpAddr>().is_err()).take(HOSTS_MAX).collect();
    for (host, limit) in hosts {
        let resolved = env.net.resolve(host, 0).await;
        if resolved.is_ok_and(|addresses| addresses.iter().any(|address| address.ip().to_canonical() == ip)) {
            return Some(limit);
        }
    }
    of(Part::Default)
}
