//! What went through the partitions of each topic on this node: Kafka's `BrokerTopicMetrics`. A topic's counters go with
//! it; those of all topics together never go back.
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tally::Counter;

/// Of one topic, shared by its partitions.
#[derive(Debug, Default)]
pub struct Traffic {
    pub messages_in: Counter,
    pub bytes_in: Counter,
    pub bytes_out: Counter,
    /// By partition: a Produce to two partitions of a topic counts twice, as in Kafka.
    pub produce_requests: Counter,
    pub fetch_requests: Counter,
    /// For no reason that a client is expected to meet.
    pub failed_produce_requests: Counter,
    pub failed_fetch_requests: Counter,
}

/// A reading of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TrafficSums {
    pub messages_in: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub produce_requests: u64,
    pub fetch_requests: u64,
    pub failed_produce_requests: u64,
    pub failed_fetch_requests: u64,
}

impl Traffic {
    pub fn sums(&self) -> TrafficSums {
        TrafficSums {
            messages_in: self.messages_in.value(),
            bytes_in: self.bytes_in.value(),
            bytes_out: self.bytes_out.value(),
            produce_requests: self.produce_requests.value(),
            fetch_requests: self.fetch_requests.value(),
            failed_produce_requests: self.failed_produce_requests.value(),
            failed_fetch_requests: self.failed_fetch_requests.value(),
        }
    }
}

impl TrafficSums {
    fn add(&mut self, other: TrafficSums) {
        self.messages_in += other.messages_in;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.produce_requests += other.produce_requests;
        self.fetch_requests += other.fetch_requests;
        self.failed_produce_requests += other.failed_produce_requests;
        self.failed_fetch_requests += other.failed_fetch_requests;
    }
}

/// Of all topics.
#[derive(Debug, Default)]
pub(crate) struct TrafficByTopic(Mutex<ByTopic>);

#[derive(Debug, Default)]
struct ByTopic {
    topics: FxHashMap<Arc<str>, Arc<Traffic>>,
    /// Of those that are gone.
    gone: TrafficSums,
}

impl TrafficByTopic {
    pub fn of(&self, topic: &Arc<str>) -> Arc<Traffic> {
        self.0.lock().topics.entry(topic.clone()).or_default().clone()
    }

    pub fn forget(&self, topic: &str) {
        let mut state = self.0.lock();
        if let Some(traffic) = state.topics.remove(topic) {
            state.gone.add(traffic.sums());
        }
    }

    /// By name, and all together.
    pub fn read(&self) -> (Vec<(Arc<str>, TrafficSums)>, TrafficSums) {
        let state = self.0.lock();
        let mut all = state.gone;
        let mut topics: Vec<(Arc<str>, TrafficSums)> =
            state.topics.iter().map(|(name, traffic)| (name.clone(), traffic.sums())).collect();
        drop(state);
        topics.iter().for_each(|(_, sums)| all.add(*sums));
        topics.sort_by(|(one, _), (other, _)| one.cmp(other));
        (topics, all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_topics_together_never_go_back() {
        let traffic = TrafficByTopic::default();
        let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
        traffic.of(&one).bytes_in.add(5);
        traffic.of(&two).bytes_in.add(7);
        assert_eq!(traffic.read().1.bytes_in, 12);
        traffic.forget("one");
        let (topics, all) = traffic.read();
        assert_eq!((topics.len(), all.bytes_in), (1, 12));
        traffic.of(&one).bytes_in.add(1);
        let (topics, all) = traffic.read();
        assert_eq!(
            topics.iter().map(|(name, sums)| (&**name, sums.bytes_in)).collect::<Vec<_>>(),
            [("one", 1), ("two", 7)]
        );
        assert_eq!(all.bytes_in, 13);
    }
}
