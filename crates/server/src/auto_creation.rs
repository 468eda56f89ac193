//! Topics that are being created because somebody has asked for their metadata: behind the answer, and each once at a time
//! (Kafka's `AutoTopicCreationManager`). Creates nothing itself.
use std::collections::BTreeSet;

use parking_lot::Mutex;

/// Further ones are not begun; whoever asked for them asks again.
const NAMES_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub struct AutoCreation {
    names: Mutex<BTreeSet<String>>,
}

impl AutoCreation {
    /// Those of these that are to be created now. `ended` must be told of them.
    pub fn begin<'n>(&self, names: impl Iterator<Item = &'n str>) -> Vec<String> {
        let mut under_way = self.names.lock();
        let mut begun = Vec::new();
        for name in names {
            if under_way.len() < NAMES_MAX && under_way.insert(name.to_owned()) {
                begun.push(name.to_owned());
            }
        }
        begun
    }

    pub fn ended(&self, names: &[String]) {
        let mut under_way = self.names.lock();
        for name in names {
            under_way.remove(name);
        }
    }
}
