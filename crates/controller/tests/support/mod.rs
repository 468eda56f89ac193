//! A node's controller as tests want it.

use std::path::Path;
use std::sync::{Arc, Mutex};

use controller::{Handle, InternalTopics, Options, Registration, TopicDefaults};
use env::Env;
use metadata::configs::{BrokerConfigs, BrokerKeys};
use metadata::{Endpoint, Image, Update};
use protocol::{ErrorCode, Uuid};
use quorum::LocalLog;
use record::BrokerId;

pub const NODE: BrokerId = BrokerId(1);

/// Every broker key may be altered to anything.
struct AnyBrokerKey;

impl BrokerKeys for AnyBrokerKey {
    fn check(&self, _: &Image, _: &[(&str, Option<&str>)], _: bool) -> Result<(), (ErrorCode, String)> {
        Ok(())
    }

    fn is_list(&self, _: &str) -> Option<bool> {
        Some(false)
    }

    fn default(&self, _: &str) -> Option<String> {
        None
    }
}

pub fn options(partitions: i32) -> Options {
    Options {
        node_id: NODE,
        defaults: TopicDefaults { partitions, replication_factor: 1, delete_enabled: true },
        internal_topics: InternalTopics {
            offsets_partitions: 50,
            offsets_replication_factor: 1,
            offsets_segment_bytes: 104_857_600,
            transactions_partitions: 50,
            transactions_replication_factor: 1,
            transactions_segment_bytes: 104_857_600,
            transactions_min_isr: 1,
        },
        broker_configs: BrokerConfigs::default(),
        broker_keys: Arc::new(AnyBrokerKey),
        features: vec![("metadata.version", 7..=33)],
        requests_max: 100,
    }
}

pub type Updates = Arc<Mutex<Vec<Update>>>;

/// Starts a controller and registers its broker, as a node does.
pub async fn start(env: &Env, options: Options) -> (Handle, Updates) {
    let settings = quorum::Settings { snapshot_after_bytes: 256 * 1024, ..quorum::Settings::new(NODE) };
    let (log, committed) = LocalLog::open(env, Path::new("/data/metadata"), settings).unwrap();
    let updates = Updates::default();
    let seen = updates.clone();
    let on_update = Box::new(move |update: &Update| seen.lock().unwrap().push(update.clone()));
    let handle = controller::start(env, Arc::new(log), committed, options, on_update);
    let mut incarnation = [0; 16];
    env.rng.fill(&mut incarnation);
    let registration = Registration {
        broker: NODE,
        incarnation: Uuid(incarnation),
        endpoints: vec![Endpoint {
            listener: "PLAINTEXT".into(),
            host: "localhost".into(),
            port: 9092,
            security_protocol: 0,
        }],
        rack: None,
        directories: vec![Uuid([7; 16])],
        features: vec![("metadata.version".into(), 33)],
    };
    handle.register_broker(registration).await.unwrap();
    (handle, updates)
}
