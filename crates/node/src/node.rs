//! The life of a node: opens its directories, its metadata and its sockets, puts the rooms together, and takes them apart
//! again. Decides nothing about records, groups or requests.
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use controller::{Handle, Options, Registration};
use env::{Env, Listener};
use metadata::Resource;
use protocol::Uuid;
use record::BrokerId;
use replication::Replicas;
use server::admission::{ConnectionCounts, ListenerCounts};
use server::api::{Api, Peer, SERVED};
use server::auto_creation::AutoCreation;
use server::broker::{Broker, Settings};
use server::connection::Limits;
use server::error_counts::ErrorCounts;
use server::features::FEATURES;
use server::fetch_session::FetchSessions;
use server::groups::Groups;
use server::listener::{Door, accept};
use server::loggers::Loggers;
use server::memory::FrameMemory;
use server::producer_ids::ProducerIds;
use server::quotas::{Quotas, Windows};
use server::request_times::RequestTimes;
use server::telemetry::Telemetry;
use storage::LogDirs;
use tokio::sync::Semaphore;

use crate::broker_configs::NodeConfigs;
use crate::config::{Config, QuotaConfig};
use crate::connection_limits::CurrentLimits;
use crate::directories::{self, Directories, MetadataDir};
use crate::failure::{Failure, Watch};
use crate::listeners::{advertised, listen};
use crate::metrics::Source;
use crate::start_error::StartError;
use crate::{engine, status};

/// A running node. Dropping it stops nothing: [`Node::stop`] does.
pub struct Node {
    env: Env,
    directories: LogDirs,
    /// Held, so that nobody else has it.
    metadata: MetadataDir,
    failure: Failure,
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

/// What this process may use of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Resources {
    pub memory_bytes: u64,
    /// Files, sockets and whatever else has a descriptor.
    pub open_files_max: u64,
}

impl Node {
    pub async fn start(env: Env, config: &Config, resources: Resources) -> Result<Node, StartError> {
        Self::start_tuned(env, config, resources, Tuning::default()).await
    }

    pub async fn start_tuned(
        env: Env,
        config: &Config,
        resources: Resources,
        mut tuning: Tuning,
    ) -> Result<Node, StartError> {
        let memory = engine::Memory::of(config, resources.memory_bytes);
        let settings = || engine::settings(config, &memory, resources.open_files_max);
        let settings = tuning.storage.take().unwrap_or_else(settings);
        let opened = directories::open(&env, config, settings).await?;
        let logs = opened.logs.clone();
        let started = Self::start_in(opened, env, config, memory, tuning).await;
        if started.is_err() {
            // What was opened is closed in order: the next start finds nothing to recover.
            directories::close(&logs).await;
        }
        started
    }

    #[cfg_attr(not(feature = "mutants"), allow(unused_variables))]
    async fn start_in(
        opened: Directories,
        env: Env,
        config: &Config,
        memory: engine::Memory,
        tuning: Tuning,
    ) -> Result<Node, StartError> {
        let node_id = BrokerId(config.node_id);
        let Directories { logs: directories, metadata, cluster_id } = opened;

        let broker_configs = engine::broker_configs(config);
        #[cfg_attr(not(feature = "mutants"), allow(unused_mut))]
        let mut replicas =
            Replicas::new(node_id, directories.clone(), broker_configs.clone(), config.producer_id_expiration);
        #[cfg(feature = "mutants")]
        {
            replicas.watermark_over_received = tuning.watermark_over_received;
        }
        let replicas = Arc::new(replicas);
        let groups = Groups::new(env.clone(), replicas.clone(), engine::group_config(config));
        let configs = Arc::new(NodeConfigs::new(config));
        let telemetry = Arc::new(Telemetry::new(config.network.telemetry_bytes_max));
        let counts = ConnectionCounts::new(windows(&config.quotas));
        let connection_limits = CurrentLimits::new(env.clone(), configs.clone(), counts.clone(), config);

        let (log, committed) = quorum::LocalLog::open(&env, &metadata.log(), quorum::Settings::new(node_id))
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
            let (connection_limits, telemetry, configs) =
                (connection_limits.clone(), telemetry.clone(), configs.clone());
            move |update: &metadata::Update| {
                if std::mem::take(&mut first) {
                    replicas.settle_strays(&update.image);
                }
                replicas.placement().cordon(configs.cordoned_log_dirs(&update.image));
                replicas.apply(update);
                groups.apply(update);
                connection_limits.refresh(&update.image);
                if update.delta.configs.iter().any(|resource| matches!(resource, Resource::ClientMetrics(_))) {
                    telemetry.subscriptions_changed();
                }
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
            directories: directories::online_ids(&directories),
            features: FEATURES.iter().map(|feature| (feature.name.to_owned(), *feature.versions.end())).collect(),
        };
        controller
            .register_broker(registration)
            .await
            .map_err(|error| StartError(format!("the controller did not take this broker: {error}")))?;
        let failure = Failure::default();
        let watch = Watch {
            env: env.clone(),
            controller: controller.clone(),
            node_id,
            replicas: replicas.clone(),
            metadata: metadata.path().to_owned(),
            report_max: config.log_dir_failure_timeout,
            failure: failure.clone(),
        };
        watch.start();

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
            telemetry,
            auto_creation: AutoCreation::default(),
            request_times: RequestTimes::new(SERVED.len()),
            error_counts: ErrorCounts::new(SERVED.len()),
            producer_ids: ProducerIds::new(controller.clone()),
            settings: Settings {
                auto_create_topics: config.topics.auto_create,
                fetch_bytes_max: config.fetch.response_bytes_max,
                request_partitions_max: config.describe_topic_partitions_max,
            },
            configs,
        });
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
            let connection_limits = connection_limits.clone();
            let present = Box::new(move || connection_limits.now());
            let door = Door { name: name.into(), counts: counts.clone(), of_listener, limits: present };
            serve(&env, listener, door, &broker, &limits);
        }
        Ok(Node { env, directories, metadata, failure, controller, broker, counts, closing, addresses, http })
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

    pub fn directories(&self) -> &LogDirs {
        &self.directories
    }

    /// Nothing had to be recovered when it started.
    pub fn was_clean(&self) -> bool {
        self.directories.opened().all(|directory| directory.facts().was_clean)
    }

    /// Ready when the node cannot go on, with the reason: no log directory is left, or that of the metadata log has failed.
    /// Kafka's broker halts then.
    pub async fn failed(&self) -> String {
        self.failure.told().await
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
        directories::close(&self.directories).await;
        drop(self.metadata);
    }
}

fn windows(config: &QuotaConfig) -> Windows {
    Windows { count: config.windows, length: config.window }
}

fn quotas(config: &QuotaConfig) -> Quotas {
    Quotas::new(windows(config), Windows { count: config.mutation_windows, length: config.mutation_window })
}

fn serve(env: &Env, listener: Box<dyn Listener>, door: Door, broker: &Arc<Broker>, limits: &Limits) {
    let (broker, name) = (broker.clone(), door.name.clone());
    let service = move |connection: &env::Connection| Api {
        broker: broker.clone(),
        peer: Arc::new(Peer::new(connection.peer, name.clone())),
    };
    env.spawn.task("listener", Box::pin(accept(listener, env.clone(), door, limits.clone(), service)));
}

fn random_id(env: &Env) -> [u8; 16] {
    let mut bytes = [0; 16];
    env.rng.fill(&mut bytes);
    bytes
}
