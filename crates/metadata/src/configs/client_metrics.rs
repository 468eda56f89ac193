//! The configs of a subscription to clients' metrics (KIP-714), and which clients it is for. The table and the messages are
//! Kafka 4.4's (`ClientMetricsConfigs`).
use std::collections::{BTreeMap, BTreeSet};

use protocol::ErrorCode;
use protocol::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsSynonym};

use super::Asked;
use super::broker::Source;
use super::describe::is_asked;
use super::keys::Kind;
use crate::pattern::matches_whole;
use crate::{Configs, Overrides, Resource, is_pattern};

/// `CLIENT_METRICS_CONFIG`
const OF_SUBSCRIPTION: i8 = 7;

const INTERVAL: &str = "interval.ms";
const MATCH: &str = "match";
const METRICS: &str = "metrics";

/// Name, kind, default, documentation.
const KEYS: &[(&str, Kind, &str, &str)] = &[
    (INTERVAL, Kind::Int, "300000", "How often clients push their metrics."),
    (MATCH, Kind::List, "", "Which clients are asked: patterns of what they say of themselves."),
    (METRICS, Kind::List, "", "Which metrics they are asked for: what the names begin with."),
];

/// What a pattern may look at.
const MATCHED: [&str; 6] = [
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

const ALL: &str = "*";
const INTERVAL_MS_DEFAULT: i32 = 300_000;
const INTERVAL_MS_MIN: i32 = 100;
const INTERVAL_MS_MAX: i32 = 3_600_000;

/// Whether a subscription may have these configs. Kafka has two codes for the reasons.
pub fn check_client_metrics(configs: &Overrides) -> Result<(), (ErrorCode, String)> {
    if let Some(name) = configs.first_unknown(|name| KEYS.iter().any(|(known, ..)| *known == name)) {
        return Err((ErrorCode::InvalidRequest, format!("Unknown client metrics configuration: {name}")));
    }
    let invalid = |text: String| Err((ErrorCode::InvalidConfig, text));
    if let Some(value) = configs.value(INTERVAL) {
        let Ok(interval_ms) = value.trim().parse::<i32>() else {
            return invalid(format!("Invalid value {value} for configuration {INTERVAL}: Not a number of type INT"));
        };
        if !(INTERVAL_MS_MIN..=INTERVAL_MS_MAX).contains(&interval_ms) {
            let text = format!(
                "Invalid value {interval_ms} for {INTERVAL}, interval must be between {INTERVAL_MS_MIN} and \
                 {INTERVAL_MS_MAX} (1 hour)"
            );
            return Err((ErrorCode::InvalidRequest, text));
        }
    }
    for name in [METRICS, MATCH] {
        if elements(configs.value(name)).any(str::is_empty) {
            return invalid(format!("Configuration '{name}' values must not be empty."));
        }
    }
    match elements(configs.value(MATCH)).find(|element| !is_match(element)) {
        Some(element) => invalid(format!("Illegal client matching pattern: {element}")),
        None => Ok(()),
    }
}

fn elements(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.map(str::trim).filter(|list| !list.is_empty()).into_iter().flat_map(|list| list.split(',').map(str::trim))
}

/// `name=pattern`
fn is_match(element: &str) -> bool {
    element.split_once('=').is_some_and(|(name, pattern)| {
        MATCHED.contains(&name.trim()) && !pattern.is_empty() && !pattern.contains('=') && is_pattern(pattern.trim())
    })
}

/// What one client is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subscribed {
    /// What the names of metrics begin with; `*` are all.
    pub metrics: BTreeSet<String>,
    pub interval_ms: i32,
}

/// All subscriptions that are for a client, by what is known of it (`ClientMetricsManager.createClientInstance`).
pub fn subscribed(configs: &Configs, client: &BTreeMap<&str, String>) -> Subscribed {
    let own = configs.iter().filter(|(resource, _)| matches!(resource, Resource::ClientMetrics(_)));
    let matching = own.map(|(_, subscription)| subscription).filter(|subscription| is_for(subscription, client));
    let mut subscribed = Subscribed { metrics: BTreeSet::new(), interval_ms: INTERVAL_MS_DEFAULT };
    for subscription in matching {
        subscribed.metrics.extend(elements(subscription.value(METRICS)).map(str::to_owned));
        let interval = subscription.value(INTERVAL).and_then(|text| text.trim().parse().ok());
        subscribed.interval_ms = subscribed.interval_ms.min(interval.unwrap_or(INTERVAL_MS_DEFAULT));
    }
    if subscribed.metrics.contains(ALL) {
        subscribed.metrics = BTreeSet::from([ALL.to_owned()]);
    }
    subscribed
}

fn is_for(subscription: &Overrides, client: &BTreeMap<&str, String>) -> bool {
    let patterns: BTreeMap<&str, &str> = elements(subscription.value(MATCH))
        .filter_map(|element| element.split_once('='))
        .map(|(name, pattern)| (name.trim(), pattern.trim()))
        .collect();
    patterns.iter().all(|(name, pattern)| client.get(name).is_some_and(|known| matches_whole(pattern, known)))
}

/// The configs of a subscription by name.
pub fn describe_client_metrics(
    subscription: Option<&Overrides>,
    asked: Asked<'_>,
) -> Vec<DescribeConfigsResourceResult> {
    let wanted = KEYS.iter().filter(|(name, ..)| is_asked(name, asked.names));
    let describe = |(name, kind, default, documentation): &(&str, Kind, &str, &str)| {
        let own = subscription.and_then(|subscription| subscription.value(name)).map(|value| kind.shown(value));
        let synonym = |value: String| DescribeConfigsSynonym {
            name: (*name).to_owned(),
            value: Some(value),
            source: OF_SUBSCRIPTION,
            ..Default::default()
        };
        DescribeConfigsResourceResult {
            name: (*name).to_owned(),
            value: Some(own.as_deref().unwrap_or(default).to_owned()),
            config_source: if own.is_some() { OF_SUBSCRIPTION } else { Source::Default as i8 },
            config_type: kind.code(),
            documentation: asked.documentation.then(|| (*documentation).to_owned()),
            synonyms: own.filter(|_| asked.synonyms).map(synonym).into_iter().collect(),
            ..Default::default()
        }
    };
    wanted.map(describe).collect()
}
