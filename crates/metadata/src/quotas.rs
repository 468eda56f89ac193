//! Client quotas (KIP-546): what a user, a client or an address may use, by the key of the quota. Which of several counts
//! for a client is `server`'s to find, and to enforce.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::tree::Tree;

/// Whose quota it is: one dimension of a [`QuotaEntity`].
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// The quota does not look at this.
    #[default]
    Absent,
    /// All that have no quota under their own name.
    Default,
    Named(String),
}

/// Kafka's `ClientQuotaEntity`.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct QuotaEntity {
    pub client_id: Part,
    pub ip: Part,
    pub user: Part,
}

impl QuotaEntity {
    pub const CLIENT_ID: &str = "client-id";
    pub const IP: &str = "ip";
    pub const USER: &str = "user";

    /// Those that are there, with their names on the wire.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        let parts = [(Self::CLIENT_ID, &self.client_id), (Self::IP, &self.ip), (Self::USER, &self.user)];
        parts.into_iter().filter_map(|(kind, part)| match part {
            Part::Absent => None,
            Part::Default => Some((kind, None)),
            Part::Named(name) => Some((kind, Some(name.as_str()))),
        })
    }

    /// `None` for a kind that is none.
    pub fn part_mut(&mut self, kind: &str) -> Option<&mut Part> {
        match kind {
            Self::CLIENT_ID => Some(&mut self.client_id),
            Self::IP => Some(&mut self.ip),
            Self::USER => Some(&mut self.user),
            _ => None,
        }
    }
}

impl From<Option<&str>> for Part {
    /// As the wire says it: no name is the default.
    fn from(name: Option<&str>) -> Self {
        name.map_or(Part::Default, |name| Part::Named(name.to_owned()))
    }
}

/// A finite number above 0, and so equal to itself.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Limit(f64);

impl Eq for Limit {}

impl Limit {
    pub fn new(value: f64) -> Option<Self> {
        (value.is_finite() && value > 0.0).then_some(Self(value))
    }

    pub fn value(self) -> f64 {
        self.0
    }
}

/// By key, such as `producer_byte_rate`.
pub type Limits = BTreeMap<String, Limit>;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quotas(Tree<QuotaEntity, Arc<Limits>>);

impl Quotas {
    pub fn limit(&self, entity: &QuotaEntity, key: &str) -> Option<Limit> {
        self.0.get(entity)?.get(key).copied()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&QuotaEntity, &Limits)> + use<'_> {
        self.0.iter().map(|(entity, limits)| (entity, &**limits))
    }

    pub(crate) fn iter_from(&self, entity: &QuotaEntity) -> impl Iterator<Item = (&QuotaEntity, &Limits)> + use<'_> {
        self.0.range_from(entity).map(|(entity, limits)| (entity, &**limits))
    }

    pub(crate) fn set(&mut self, entity: QuotaEntity, key: String, limit: Option<Limit>) {
        let mut limits = self.0.get(&entity).map(|limits| (**limits).clone()).unwrap_or_default();
        match limit {
            Some(limit) => drop(limits.insert(key, limit)),
            None => drop(limits.remove(&key)),
        }
        match limits.is_empty() {
            true => drop(self.0.remove(&entity)),
            false => drop(self.0.insert(entity, Arc::new(limits))),
        }
    }
}
