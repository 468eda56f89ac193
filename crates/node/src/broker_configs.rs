//! This broker's configuration as admin clients see it: DescribeConfigs of a broker. Rules of Kafka's
//! `ConfigHelper.createBrokerConfigEntry` and `DynamicBrokerConfig`.
use std::collections::BTreeSet;
use std::path::PathBuf;

use metadata::{Image, Overrides, Resource};
use protocol::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use record::BrokerId;
use server::broker::{BrokerConfigs, ConfigQuery};

use crate::config::{Config, Key, Setting, Settings, Source, UpdateMode, key, of_listener};

pub(crate) struct NodeConfigs {
    node_id: BrokerId,
    settings: Settings,
    /// In lower case.
    listeners: Vec<String>,
    log_dirs: Vec<PathBuf>,
}

/// Kafka's `ConfigEntry.ConfigSource`.
const DYNAMIC_BROKER: i8 = 2;
const DYNAMIC_DEFAULT_BROKER: i8 = 3;
const STATIC_BROKER: i8 = 4;
const DEFAULT: i8 = 5;

/// Keys that stand for each other in another unit, the strongest first (`DynamicBrokerConfig.brokerConfigSynonyms`).
const FAMILIES: &[&[&str]] = &[
    &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
    &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    &["log.roll.ms", "log.roll.hours"],
];

impl NodeConfigs {
    pub fn new(config: &Config) -> Self {
        let listeners = config.listeners.iter().map(|listener| listener.name.to_lowercase()).collect();
        let (settings, log_dirs) = (config.settings.clone(), config.log_dirs.clone());
        Self { node_id: BrokerId(config.node_id), settings, listeners, log_dirs }
    }

    pub fn node_id(&self) -> BrokerId {
        self.node_id
    }

    pub fn log_dirs(&self) -> &[PathBuf] {
        &self.log_dirs
    }

    /// The log directories that get no new replicas (KIP-1066).
    pub fn cordoned_log_dirs(&self, image: &Image) -> BTreeSet<PathBuf> {
        let value = self.value(image, "cordoned.log.dirs").unwrap_or_default();
        let named: BTreeSet<&str> = value.split(',').map(str::trim).collect();
        let is_named = |path: &&PathBuf| named.contains("*") || path.to_str().is_some_and(|path| named.contains(path));
        self.log_dirs.iter().filter(is_named).cloned().collect()
    }

    pub fn has_listener(&self, lower_case: &str) -> bool {
        self.listeners.iter().any(|known| known == lower_case)
    }

    fn entry(&self, image: &Image, setting: &Setting<'_>, query: &ConfigQuery<'_>) -> DescribeConfigsResourceResult {
        let key = setting.key;
        let synonyms = self.synonyms(image, key);
        let (value, source) = synonyms
            .first()
            .map_or((setting.value.map(str::to_owned), DEFAULT), |first| (first.value.clone(), first.source));
        DescribeConfigsResourceResult {
            name: key.name.to_owned(),
            value: value.filter(|_| !key.is_sensitive()),
            read_only: key.update_mode == UpdateMode::ReadOnly,
            config_source: source,
            is_sensitive: key.is_sensitive(),
            synonyms: if query.include_synonyms { synonyms } else { vec![] },
            config_type: key.kind.code(),
            documentation: query.include_documentation.then(|| key.documentation.to_owned()),
            ..Default::default()
        }
    }

    /// The value that counts at present.
    pub fn value(&self, image: &Image, name: &str) -> Option<String> {
        self.synonyms(image, key(name)?).into_iter().next()?.value
    }

    /// Names of what is set for single listeners.
    fn set_of_listeners<'a>(&'a self, image: &'a Image) -> BTreeSet<&'a str> {
        let dynamic = [Resource::Broker(self.node_id), Resource::BrokerDefault];
        let set = dynamic.iter().filter_map(|resource| image.configs.of(resource)).flat_map(Overrides::iter);
        let set = set.map(|(name, _)| name).filter(|name| of_listener(name).is_some());
        set.chain(self.settings.of_listeners().map(|(name, ..)| name)).collect()
    }

    /// Its own values come before those of the key.
    fn entry_of_listener(
        &self,
        image: &Image,
        name: &str,
        query: &ConfigQuery<'_>,
    ) -> Option<DescribeConfigsResourceResult> {
        let base = key(of_listener(name)?.1)?;
        let of = |resource: Resource| image.configs.value(&resource, name);
        let own = [
            (of(Resource::Broker(self.node_id)), DYNAMIC_BROKER),
            (of(Resource::BrokerDefault), DYNAMIC_DEFAULT_BROKER),
            (self.settings.of_listener(name), STATIC_BROKER),
        ];
        let shown = |value: &str| (!base.is_sensitive()).then(|| value.to_owned());
        let own = own.into_iter().filter_map(|(value, source)| {
            Some(DescribeConfigsSynonym { name: name.to_owned(), value: shown(value?), source, ..Default::default() })
        });
        let synonyms: Vec<DescribeConfigsSynonym> = own.chain(self.synonyms(image, base)).collect();
        let first = synonyms.first()?;
        Some(DescribeConfigsResourceResult {
            name: name.to_owned(),
            value: first.value.clone(),
            read_only: true, // Kafka looks for this name among those that may be altered, and finds it not.
            config_source: first.source,
            is_sensitive: base.is_sensitive(),
            synonyms: if query.include_synonyms { synonyms } else { vec![] },
            config_type: base.kind.code(),
            documentation: None,
            ..Default::default()
        })
    }

    /// The value that counts for one listener: its own, or that of all.
    pub fn value_of_listener(&self, image: &Image, listener: &str, name: &str) -> Option<String> {
        let own = format!("listener.name.{}.{name}", listener.to_lowercase());
        let dynamic = [Resource::Broker(self.node_id), Resource::BrokerDefault];
        let set = dynamic.iter().find_map(|resource| image.configs.value(resource, &own));
        set.or_else(|| self.settings.of_listener(&own)).map(str::to_owned).or_else(|| self.value(image, name))
    }

    /// All values that the key has, or would have without the one before, the strongest first.
    fn synonyms(&self, image: &Image, key: &Key) -> Vec<DescribeConfigsSynonym> {
        let family = FAMILIES.iter().find(|family| family.contains(&key.name));
        // A key stands for those after it in its family, never for those before.
        let names: Vec<&str> = match family {
            Some(family) => family.iter().copied().skip_while(|name| *name != key.name).collect(),
            None => vec![key.name],
        };
        let synonym = |name: &str, value: Option<&str>, source: i8| DescribeConfigsSynonym {
            name: name.to_owned(),
            value: value.filter(|_| !key.is_sensitive()).map(str::to_owned),
            source,
            ..Default::default()
        };
        let mut synonyms = Vec::new();
        let dynamic =
            [(Resource::Broker(self.node_id), DYNAMIC_BROKER), (Resource::BrokerDefault, DYNAMIC_DEFAULT_BROKER)];
        for (resource, source) in &dynamic {
            let set = names.iter().filter_map(|name| Some((name, image.configs.value(resource, name)?)));
            synonyms.extend(set.map(|(name, value)| synonym(name, Some(value), *source)));
        }
        let settings = || names.iter().filter_map(|name| self.settings.find(name));
        let set = settings().filter(|setting| *setting.source != Source::Default);
        synonyms.extend(set.map(|setting| synonym(setting.key.name, setting.value, STATIC_BROKER)));
        if matches!(key.name, "node.id" | "broker.id") {
            // Two names of one thing: whichever was written, both are set.
            synonyms = vec![synonym(key.name, Some(&self.node_id.to_string()), STATIC_BROKER)];
        }
        let defaults = settings().filter(|setting| setting.key.default.is_some() && key.name != "node.id");
        synonyms.extend(defaults.map(|setting| synonym(setting.key.name, setting.key.default, DEFAULT)));
        // Those that a key stands for are shown behind a value of its own, and not at all while it has none.
        synonyms.into_iter().skip_while(|synonym| synonym.name != key.name).collect()
    }
}

impl BrokerConfigs for NodeConfigs {
    fn describe(&self, image: &Image, query: &ConfigQuery<'_>) -> DescribeConfigsResult {
        let wanted = |name: &str| query.names.as_ref().is_none_or(|names| names.contains(&name));
        let configs = match query.resource_name {
            // What is set for all brokers, and only that.
            "" => {
                let set = image.configs.of(&Resource::BrokerDefault);
                let set = set.into_iter().flat_map(|set| set.iter()).filter(|(name, _)| wanted(name));
                set.filter_map(|(name, value)| default_entry(name, value, query)).collect()
            }
            _ => {
                let is_shown = |setting: &Setting<'_>| !setting.key.internal || *setting.source != Source::Default;
                let shown = self.settings.iter().filter(|setting| wanted(setting.key.name) && is_shown(setting));
                let entries = shown.map(|setting| self.entry(image, &setting, query));
                let of_listeners = self.set_of_listeners(image).into_iter().filter(|name| wanted(name));
                entries.chain(of_listeners.filter_map(|name| self.entry_of_listener(image, name, query))).collect()
            }
        };
        DescribeConfigsResult { error_message: Some(String::new()), configs, ..Default::default() }
    }
}

fn default_entry(name: &str, value: &str, query: &ConfigQuery<'_>) -> Option<DescribeConfigsResourceResult> {
    let of_listener = of_listener(name).and_then(|(_, base)| key(base));
    let key = key(name).or(of_listener)?;
    let value = (!key.is_sensitive()).then(|| value.to_owned());
    let synonym = DescribeConfigsSynonym {
        name: name.to_owned(),
        value: value.clone(),
        source: DYNAMIC_DEFAULT_BROKER,
        ..Default::default()
    };
    Some(DescribeConfigsResourceResult {
        name: name.to_owned(),
        value,
        read_only: of_listener.is_some(),
        config_source: DYNAMIC_DEFAULT_BROKER,
        is_sensitive: key.is_sensitive(),
        synonyms: if query.include_synonyms { vec![synonym] } else { vec![] },
        config_type: key.kind.code(),
        documentation: (query.include_documentation && of_listener.is_none()).then(|| key.documentation.to_owned()),
        ..Default::default()
    })
}
