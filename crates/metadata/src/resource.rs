//! Configs that were set while the cluster runs, by what they belong to. Values are texts here; what a topic's mean is
//! in `configs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::HashOrder;
use record::BrokerId;

use crate::tree::Tree;

/// What has configs (Kafka's `ConfigResource`).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Resource {
    Broker(BrokerId),
    /// All brokers that have no value of their own.
    BrokerDefault,
    ClientMetrics(Arc<str>),
    Group(Arc<str>),
    Topic(Arc<str>),
}

/// Kafka's `ConfigResource.Type`, as on the wire.
impl Resource {
    /// None is before it.
    pub const LEAST: Resource = Resource::Broker(BrokerId(i32::MIN));

    pub const TOPIC_TYPE: i8 = 2;
    pub const BROKER_TYPE: i8 = 4;
    pub const BROKER_LOGGER_TYPE: i8 = 8;
    pub const CLIENT_METRICS_TYPE: i8 = 16;
    pub const GROUP_TYPE: i8 = 32;

    pub fn topic(name: &str) -> Resource {
        Resource::Topic(name.into())
    }

    pub fn type_code(&self) -> i8 {
        match self {
            Resource::Broker(_) | Resource::BrokerDefault => Self::BROKER_TYPE,
            Resource::ClientMetrics(_) => Self::CLIENT_METRICS_TYPE,
            Resource::Group(_) => Self::GROUP_TYPE,
            Resource::Topic(_) => Self::TOPIC_TYPE,
        }
    }

    /// The empty name is that of the default of all brokers.
    pub fn name(&self) -> String {
        match self {
            Resource::Broker(id) => id.to_string(),
            Resource::BrokerDefault => String::new(),
            Resource::ClientMetrics(name) | Resource::Group(name) | Resource::Topic(name) => name.to_string(),
        }
    }

    /// `None` for a type that has no configs in the log, and for a broker's name that is no number.
    pub fn of(type_code: i8, name: &str) -> Option<Resource> {
        match type_code {
            Self::BROKER_TYPE if name.is_empty() => Some(Resource::BrokerDefault),
            Self::BROKER_TYPE => name.parse().ok().map(|id| Resource::Broker(BrokerId(id))),
            Self::CLIENT_METRICS_TYPE => Some(Resource::ClientMetrics(name.into())),
            Self::GROUP_TYPE => Some(Resource::Group(name.into())),
            Self::TOPIC_TYPE => Some(Resource::Topic(name.into())),
            _ => None,
        }
    }
}

/// The values that were set for one resource.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Overrides(BTreeMap<String, String>);

impl Overrides {
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one of the unknown that Kafka names: the first in its hash map of all; of one bucket the first by name.
    pub fn first_unknown(&self, is_known: impl Fn(&str) -> bool) -> Option<&str> {
        let order = HashOrder::grown(self.0.len());
        self.0.keys().map(String::as_str).filter(|name| !is_known(name)).min_by_key(|name| order.place(name))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Overrides {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(values: I) -> Self {
        Self(values.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configs(Tree<Resource, Arc<Overrides>>);

impl Configs {
    pub fn of(&self, resource: &Resource) -> Option<&Overrides> {
        self.0.get(resource).map(|overrides| &**overrides)
    }

    pub fn value(&self, resource: &Resource, name: &str) -> Option<&str> {
        self.of(resource)?.value(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Resource, &Overrides)> + use<'_> {
        self.0.iter().map(|(resource, overrides)| (resource, &**overrides))
    }

    pub fn iter_from(&self, resource: &Resource) -> impl Iterator<Item = (&Resource, &Overrides)> + use<'_> {
        self.0.range_from(resource).map(|(resource, overrides)| (resource, &**overrides))
    }

    pub(crate) fn set(&mut self, resource: &Resource, name: String, value: Option<String>) {
        let mut overrides = self.of(resource).cloned().unwrap_or_default();
        match value {
            Some(value) => drop(overrides.0.insert(name, value)),
            None => drop(overrides.0.remove(&name)),
        }
        match overrides.is_empty() {
            true => drop(self.0.remove(resource)),
            false => drop(self.0.insert(resource.clone(), Arc::new(overrides))),
        }
    }

    pub(crate) fn remove(&mut self, resource: &Resource) -> bool {
        self.0.remove(resource).is_some()
    }
}
