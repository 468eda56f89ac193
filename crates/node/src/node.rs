//! The life of a node: opens its directory, its metadata and its sockets, puts the rooms together, and takes them apart
//! again. Decides nothing about records, groups or requests.
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use controller::{Handle, Options, Registration};
use env::{Env, Listener};
use protocol::Uuid;
use record::BrokerId;
use replication::Replicas;
use server::api::{Api, Peer, SERVED};
use server::broker::{Broker, Settings};
use server::connection::Limits;
use server::features::FEATURES;
use server::fetch_session::FetchSessions;
use server::groups::Groups;
use server::listener::{ConnectionCounts, ListenerCounts, accept};
use server::loggers::Loggers;
use server::memory::FrameMemory;
use server::producer_ids::ProducerIds;
use server::quotas::{Quotas, Windows};
use server::request_times::RequestTimes;
use storage::{Identity, LogDir, MetaError, OpenError};
use tokio::sync::Semaphore;

use crate::broker_configs::NodeConfigs;
use crate::config::{Config, QuotaConfig};
use crate::connection_limits::CurrentLimits;
use crate::listeners::{advertised, listen};
use crate::metrics::Source;
use crate::start_error::StartError;
use crate::{engine, status};

/// A running node. Dropping it stops nothing: [`Node::stop`] does.
pub struct Node {
    env: Env,
    directory: LogDir,
    controller: Handle,
    broker: Arc<Broker>,
    counts: Arc<ConnectionCounts>,
    closing: Arc<Semaphore>,
    addresses: Vec<(String, SocketAddr)>,
    http: Option<SocketAddr>,
}

/// What only a simulation chooses: sizes of the log engine that make a short run see everything, and a bug to be found.
#[derive(Default)]
pub struct Tuning {
    pub storage: Option<storage::Settings>,
    #[cfg(feature = "mutants")]
    pub watermark_over_received: bool,
}

/// Further ones wait.
const CONTROLLER_REQUESTS_MAX: usize = 1024;
/// How long a stopping node lets its connections finish what they have begun.
const DRAIN_MAX: Duration = Duration::from_millis(700);
const DRAIN_STEP: Duration = Duration::from_millis(5);

impl Node {
    /// `memory_bytes` is what this process may use of the machine.
    pub async fn start(env: Env, config: &Config, memory_bytes: u64) -> Result<Node, StartError> {
        Self::start_tuned(env, config, memory_bytes, Tuning::default()).await
    }

    pub async fn start_tuned(
        env: Env,
        config: &Config,
        memory_bytes: u64,
        mut tuning: Tuning,
    ) -> Result<Node, StartError> {
        let memory = engine::Memory::of(config, memory_bytes);
        let settings = tuning.storage.take().unwrap_or_else(|| engine::settings(config, &memory));
        let directory = open_directory(&env, config, settings)?;
        let started = Self::start_in(directory.clone(), env, config, memory, tuning).await;
        if started.is_err() {
            // What was opened is closed in order: the next start finds nothing to recover.
            let _ = directory.close().await;
        }
        started
    }

    #[cfg_attr(not(feature = "mutants"), allow(unused_variables))]
    async fn start_in(
        directory: LogDir,
        env: Env,
        config: &Config,
        memory: engine::Memory,
        tuning: Tuning,
    ) -> Result<Node, StartError> {
        let facts = directory.facts();
        let node_id = BrokerId(facts.node_id);
        let cluster_id = facts.cluster_id.clone();
        let directory_id = Uuid(facts.directory_id.0);

        let broker_configs = engine::broker_configs(config);
        #[cfg_attr(not(feature = "mutants"), allow(unused_mut))]
        let mut replicas =
            Replicas::new(node_id, directory.clone(), broker_configs.clone(), config.producer_id_expiration);
        #[cfg(feature = "mutants")]
        {
            replicas.watermark_over_received = tuning.watermark_over_received;
        }
        let replicas = Arc::new(replicas);
        let groups = Groups::new(env.clone(), replicas.clone(), engine::group_config(config));
        let configs = Arc::new(NodeConfigs::new(config));
        let connection_limits = CurrentLimits::new(env.clone(), configs.clone());

        let place = directory.path().join(quorum::DIRECTORY);
        let (log, committed) = quorum::LocalLog::open(&env, &place, quorum::Settings::new(node_id))
            .map_err(|error| StartError(error.to_string()))?;
        let options = Options {
            node_id,
            defaults: engine::topic_defaults(config),
            internal_topics: engine::internal_topics(config),
            broker_configs,
            broker_keys: configs.clone(),
            features: FEATURES.iter().map(|feature| (feature.name, feature.versions.clone())).collect(),
            requests_max: CONTROLLER_REQUESTS_MAX,
        };
        let mut first = true;
        let on_update = {
            let (replicas, groups) = (replicas.clone(), groups.clone());
            let connection_limits = connection_limits.clone();
            move |update: &metadata::Update| {
                if std::mem::take(&mut first) {
                    replicas.delete_strays(&update.image);
                }
                replicas.apply(update);
                groups.apply(update);
                connection_limits.refresh(&update.image);
            }
        };
        let controller = controller::start(&env, Arc::new(log), committed, options, Box::new(on_update));

        let closing = Arc::new(Semaphore::new(0));
        let listeners = listen(&env, config).await?;
        let endpoints = advertised(config, &listeners);
        let registration = Registration {
            broker: node_id,
            incarnation: Uuid(random_id(&env)),
            endpoints,
            rack: config.rack.clone(),
            directories: vec![directory_id],
            features: FEATURES.iter().map(|feature| (feature.name.to_owned(), *feature.versions.end())).collect(),
        };
        controller
            .register_broker(registration)
            .await
            .map_err(|error| StartError(format!("the controller did not take this broker: {error}")))?;

        let broker = Arc::new(Broker {
            env: env.clone(),
            node_id,
            cluster_id,
            controller: controller.clone(),
            replicas,
            groups,
            fetch_sessions: FetchSessions::new(config.fetch.session_slots),
            loggers: Loggers::default(),
            quotas: quotas(&config.quotas),
            request_times: RequestTimes::new(SERVED.len()),
            producer_ids: ProducerIds::new(controller.clone()),
            settings: Settings {
                auto_create_topics: config.topics.auto_create,
                fetch_bytes_max: config.fetch.response_bytes_max,
                request_partitions_max: config.describe_topic_partitions_max,
            },
            configs,
        });
        let counts = Arc::new(ConnectionCounts::default());
        let limits = Limits {
            frame_bytes_max: config.network.request_bytes_max,
            idle_max: config.network.connections_max_idle.unwrap_or(Duration::MAX),
            memory: FrameMemory::new(memory.frames_bytes),
            clock: env.clock.clone(),
            closing: closing.clone(),
        };
        let addresses = listeners.iter().map(|(name, listener)| (name.clone(), listener.local_address())).collect();
        let listener_counts: Vec<(String, Arc<ListenerCounts>)> =
            listeners.iter().map(|(name, _)| (name.clone(), Arc::default())).collect();
        let source = Source {
            broker: broker.clone(),
            listeners: listener_counts.clone(),
            frame_memory: limits.memory.clone(),
            closing: closing.clone(),
            started_ms: env.clock.wall_ms(),
        };
        let http = status::serve(&env, config, source).await?;
        connection_limits.refresh(&broker.image());
        for ((name, listener), (_, of_listener)) in listeners.into_iter().zip(listener_counts) {
            serve(&env, name, listener, &broker, (&counts, of_listener), &connection_limits, &limits);
        }
        Ok(Node { env, directory, controller, broker, counts, closing, addresses, http })
    }

    /// Listener name and address of each socket that takes Kafka's protocol.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    pub fn directory(&self) -> &LogDir {
        &self.directory
    }

    /// Takes no further request, lets those that were begun end, and seals the log.
    pub async fn stop(self) {
        self.closing.close();
        self.broker.groups.close();
        let deadline = self.env.clock.now() + DRAIN_MAX;
        while self.counts.total() > 0 && self.env.clock.now() < deadline {
            self.env.clock.sleep_until(self.env.clock.now() + DRAIN_STEP).await;
        }
        self.controller.close().await;
        match self.directory.close().await {
            Ok(Ok(())) => {}
            _ => tracing::error!("the log directory could not be sealed; the next start recovers it"),
        }
    }
}

fn quotas(config: &QuotaConfig) -> Quotas {
    let windows = Windows { count: config.windows, length: config.window };
    Quotas::new(windows, Windows { count: config.mutation_windows, length: config.mutation_window })
}

fn open_directory(env: &Env, config: &Config, settings: storage::Settings) -> Result<LogDir, StartError> {
    let [path] = &config.log_dirs[..] else {
        let count = config.log_dirs.len();
        return Err(StartError(format!("log.dirs names {count} directories, and Ottla serves one so far: name one")));
    };
    env::disk::create_dir_all(&*env.disk, path).map_err(|error| {
        StartError(format!("the log directory {} cannot be made: {error}; see log.dirs", path.display()))
    })?;
    let identity = Identity { cluster_id: config.cluster_id.clone(), node_id: config.node_id };
    LogDir::open(env, path, &identity, settings).map_err(|error| {
        let remedy = match &error {
            OpenError::Locked { .. } => "; stop that one, or give this one a directory of its own with log.dirs",
            OpenError::Meta(MetaError::Foreign { .. }) => "; start with the same, or with another log.dirs",
            _ => "",
        };
        StartError(format!("{error}{remedy}"))
    })
}

fn serve(
    env: &Env,
    name: String,
    listener: Box<dyn Listener>,
    broker: &Arc<Broker>,
    (counts, of_listener): (&Arc<ConnectionCounts>, Arc<ListenerCounts>),
    connection_limits: &Arc<CurrentLimits>,
    limits: &Limits,
) {
    let (broker, name): (Arc<Broker>, Arc<str>) = (broker.clone(), name.into());
    let service = move |connection: &env::Connection| Api {
        broker: broker.clone(),
        peer: Arc::new(Peer { address: connection.peer, listener: name.clone() }),
    };
    let connection_limits = connection_limits.clone();
    let allowed = move || connection_limits.now();
    let accepting = accept(listener, env.clone(), counts.clone(), of_listener, allowed, limits.clone(), service);
    env.spawn.task("listener", Box::pin(accepting));
}

fn random_id(env: &Env) -> [u8; 16] {
    let mut bytes = [0; 16];
    env.rng.fill(&mut bytes);
    bytes
}
