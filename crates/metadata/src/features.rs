//! The feature levels that the cluster has finalised (KIP-584).

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Features(BTreeMap<String, i16>);

impl Features {
    pub fn level(&self, name: &str) -> Option<i16> {
        self.0.get(name).copied()
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i16)> {
        self.0.iter().map(|(name, level)| (name.as_str(), *level))
    }

    /// Level 0 is that of a feature that is off: it is not listed.
    pub(crate) fn set(&mut self, name: String, level: i16) {
        match level {
            0 => drop(self.0.remove(&name)),
            level => drop(self.0.insert(name, level)),
        }
    }
}
