//! A machine for the tests of decisions.

use super::*;

struct AnyBrokerKey;

impl BrokerKeys for AnyBrokerKey {
    fn check(&self, _: &Image, _: &[(&str, Option<&str>)], _: bool) -> Result<(), (protocol::ErrorCode, String)> {
        Ok(())
    }

    fn is_list(&self, _: &str) -> Option<bool> {
        Some(false)
    }

    fn default(&self, _: &str) -> Option<String> {
        None
    }
}

struct Zeros;

impl env::Rng for Zeros {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

pub fn machine(image: Image) -> Machine {
    let options = Options {
        node_id: BrokerId(1),
        defaults: TopicDefaults { partitions: 1, replication_factor: 1, delete_enabled: true },
        internal_topics: InternalTopics {
            offsets_partitions: 1,
            offsets_replication_factor: 1,
            offsets_segment_bytes: 1 << 20,
            transactions_partitions: 1,
            transactions_replication_factor: 1,
            transactions_segment_bytes: 1 << 20,
            transactions_min_isr: 1,
        },
        broker_configs: BrokerConfigs::default(),
        broker_keys: Arc::new(AnyBrokerKey),
        features: vec![("metadata.version", 7..=33)],
        requests_max: 1,
    };
    Machine { image, options, rng: Arc::new(Zeros) }
}
