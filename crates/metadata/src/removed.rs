//! Topics that were deleted, the latest ones: whoever finds a log of such a topic knows that it may go. What is neither
//! here nor among the topics, this metadata has never heard of, or too long ago.

use record::TopicId;

use crate::tree::Tree;

/// The oldest are forgotten first. Their logs have long gone, unless their directory was offline all the time.
const KEPT_MAX: usize = 10_000;

#[derive(Clone, Debug, Default)]
pub struct RemovedTopics {
    by_age: Tree<u64, TopicId>,
    next: u64,
}

impl RemovedTopics {
    /// The oldest first.
    pub fn iter(&self) -> impl Iterator<Item = TopicId> + use<'_> {
        self.iter_from(0).map(|(_, id)| id)
    }

    pub(crate) fn iter_from(&self, age: u64) -> impl Iterator<Item = (u64, TopicId)> + use<'_> {
        self.by_age.range_from(&age).map(|(age, id)| (*age, *id))
    }

    pub(crate) fn push(&mut self, id: TopicId) {
        self.by_age.insert(self.next, id);
        self.next += 1;
        if self.by_age.len() > KEPT_MAX {
            let oldest = self.by_age.iter().next().map(|(age, _)| *age).expect("it is not empty");
            self.by_age.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let id = |number: usize| TopicId((number as u128).to_be_bytes());
        let mut removed = RemovedTopics::default();
        (0..KEPT_MAX + 3).for_each(|number| removed.push(id(number)));
        assert!(removed.iter().eq((3..KEPT_MAX + 3).map(id)));
    }
}
