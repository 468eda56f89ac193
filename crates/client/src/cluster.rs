//! A cluster seen from outside: where its brokers are, who leads what, and one connection per broker and purpose.
//! Keeps the last metadata that it got and asks anew only when told to: when an answer has become wrong, the caller
//! knows first.
use std::collections::BTreeMap;
use std::sync::Arc;

use env::Env;
use parking_lot::Mutex;
use protocol::find_coordinator_request::FindCoordinatorRequest;
use protocol::metadata_request::{MetadataRequest, MetadataRequestTopic};
use protocol::metadata_response::MetadataResponse;
use protocol::{ApiKey, ErrorCode, Uuid};
use tokio::sync::Mutex as AsyncMutex;

use crate::address::Address;
use crate::connection::{Connection, ConnectionOptions};
use crate::error::CallError;

/// Cheap to clone; all clones share connections and metadata.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    env: Env,
    bootstrap: Vec<Address>,
    options: ConnectionOptions,
    cluster: Mutex<Arc<Cluster>>,
    // As many as the cluster has brokers, times purposes.
    connections: Mutex<BTreeMap<(Address, Purpose), Slot>>,
}

/// The lock is held while connecting, so that two who want the same connection make one.
type Slot = Arc<AsyncMutex<Option<Connection>>>;

/// Requests that may wait long at the broker go over a connection of their own, since Kafka answers in order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Purpose {
    /// Groups: heartbeats must not wait behind a fetch.
    Coordinator,
    Fetch,
    General,
}

/// What Metadata said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cluster {
    pub brokers: BTreeMap<i32, Broker>,
    /// Kafka names any live broker; it passes on what only a controller can do.
    pub controller_id: i32,
    pub id: Option<String>,
    pub topics: Vec<Topic>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Broker {
    pub address: Address,
    pub rack: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Topic {
    pub error: ErrorCode,
    pub id: Uuid,
    pub is_internal: bool,
    pub name: String,
    /// By index.
    pub partitions: Vec<Partition>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Partition {
    pub error: ErrorCode,
    pub index: i32,
    pub isr: Vec<i32>,
    /// -1 while there is none.
    pub leader: i32,
    pub leader_epoch: i32,
    pub offline: Vec<i32>,
    pub replicas: Vec<i32>,
}

/// Of which topics Metadata is asked.
#[derive(Clone, Copy, Debug)]
pub enum Topics<'a> {
    All,
    Named {
        names: &'a [String],
        /// Make those that are not there, if the broker allows it.
        create: bool,
    },
    None,
}

/// Version 13 only adds REBOOTSTRAP_REQUIRED, which we would answer as any other error; 0 cannot ask for no topics.
const METADATA_VERSIONS: std::ops::RangeInclusive<i16> = 1..=12;

/// Below version 4 the request names one key.
const FIND_COORDINATOR_VERSIONS: std::ops::RangeInclusive<i16> = 0..=3;

impl Client {
    /// Connects to nobody yet.
    pub fn new(env: Env, bootstrap: Vec<Address>, options: ConnectionOptions) -> Client {
        assert!(!bootstrap.is_empty(), "a client needs somebody to ask");
        let shared = Shared { env, bootstrap, options, cluster: Mutex::default(), connections: Mutex::default() };
        Client { shared: Arc::new(shared) }
    }

    pub fn env(&self) -> &Env {
        &self.shared.env
    }

    pub fn options(&self) -> &ConnectionOptions {
        &self.shared.options
    }

    /// What the last answer to Metadata said.
    pub fn cluster(&self) -> Arc<Cluster> {
        self.shared.cluster.lock().clone()
    }

    /// Asks for metadata and keeps the answer. `Topics::None` learns the brokers only; what is known of topics stays.
    pub async fn metadata(&self, topics: Topics<'_>) -> Result<Arc<Cluster>, CallError> {
        let named = |name: &String| MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
        let only_brokers = matches!(topics, Topics::None);
        let (topics, create) = match topics {
            Topics::All => (None, false),
            Topics::Named { names, create } => (Some(names.iter().map(named).collect()), create),
            Topics::None => (Some(Vec::new()), false),
        };
        let connection = self.any().await?;
        let version = connection.version_of(ApiKey::Metadata, METADATA_VERSIONS)?;
        // Before version 4 every question creates.
        let allow_auto_topic_creation = create || version < 4;
        let request = MetadataRequest { topics, allow_auto_topic_creation, ..Default::default() };
        let timeout = self.shared.options.request_timeout;
        let response = connection.send(&request, version, timeout).await?.response().await?.into_owned()?;
        let mut cluster = Cluster::from(response);
        let mut known = self.shared.cluster.lock();
        if only_brokers {
            cluster.topics = known.topics.clone();
        }
        *known = Arc::new(cluster);
        Ok(known.clone())
    }

    /// A connection to whichever broker answers first: known ones, then the bootstrap list.
    pub async fn any(&self) -> Result<Connection, CallError> {
        let known = self.cluster();
        let brokers = known.brokers.values().map(|broker| &broker.address);
        let mut last = None;
        for address in brokers.chain(&self.shared.bootstrap) {
            match self.connection(address, Purpose::General).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("the bootstrap list is not empty"))
    }

    /// A connection to the broker of this id, as the last metadata has it.
    pub async fn broker(&self, id: i32, purpose: Purpose) -> Result<Connection, CallError> {
        let address = self.cluster().brokers.get(&id).map(|broker| broker.address.clone());
        let address = match address {
            Some(address) => address,
            None => {
                let cluster = self.metadata(Topics::None).await?;
                cluster.brokers.get(&id).ok_or(CallError::NoSuchBroker { id })?.address.clone()
            }
        };
        self.connection(&address, purpose).await.map_err(|error| self.advertised(error))
    }

    /// Where a broker sends us need not be where we can go: the usual trouble of containers, worth a hint.
    fn advertised(&self, error: CallError) -> CallError {
        match error {
            CallError::Connect { address, reason } if !self.shared.bootstrap.contains(&address) => {
                let hint = "the cluster says that a broker is there; see its advertised.listeners";
                CallError::Connect { reason: format!("{reason}; {hint}"), address }
            }
            other => other,
        }
    }

    /// Whom to ask to create and delete topics.
    pub async fn controller(&self) -> Result<Connection, CallError> {
        let known = self.cluster();
        if known.brokers.contains_key(&known.controller_id) {
            return self.broker(known.controller_id, Purpose::General).await;
        }
        let cluster = self.metadata(Topics::None).await?;
        match cluster.brokers.contains_key(&cluster.controller_id) {
            true => self.broker(cluster.controller_id, Purpose::General).await,
            false => self.any().await,
        }
    }

    /// The broker that coordinates a group, or the error code with which the question was answered.
    pub async fn coordinator(&self, group: &str) -> Result<Result<Connection, ErrorCode>, CallError> {
        let request = FindCoordinatorRequest { key: group.to_owned(), ..Default::default() };
        let connection = self.any().await?;
        let timeout = self.shared.options.request_timeout;
        let response = connection.call_within(&request, FIND_COORDINATOR_VERSIONS, timeout).await?;
        match ErrorCode::from_code(response.error_code).unwrap_or(ErrorCode::UnknownServerError) {
            ErrorCode::None => {}
            error => return Ok(Err(error)),
        }
        let port = u16::try_from(response.port).unwrap_or(0);
        let address = Address::new(response.host, port);
        self.connection(&address, Purpose::Coordinator).await.map(Ok).map_err(|error| self.advertised(error))
    }

    async fn connection(&self, address: &Address, purpose: Purpose) -> Result<Connection, CallError> {
        let key = (address.clone(), purpose);
        let slot = self.shared.connections.lock().entry(key).or_default().clone();
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        let connection = Connection::open(&self.shared.env, address, &self.shared.options).await?;
        *slot = Some(connection.clone());
        Ok(connection)
    }
}

impl Cluster {
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.name == name)
    }
}

impl From<MetadataResponse> for Cluster {
    fn from(response: MetadataResponse) -> Cluster {
        let code = |code| ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError);
        let brokers = response.brokers.into_iter().map(|broker| {
            let address = Address::new(broker.host, u16::try_from(broker.port).unwrap_or(0));
            (broker.node_id, Broker { address, rack: broker.rack })
        });
        let topics = response.topics.into_iter().map(|topic| {
            let mut partitions: Vec<Partition> = topic
                .partitions
                .into_iter()
                .map(|partition| Partition {
                    error: code(partition.error_code),
                    index: partition.partition_index,
                    isr: partition.isr_nodes,
                    leader: partition.leader_id,
                    leader_epoch: partition.leader_epoch,
                    offline: partition.offline_replicas,
                    replicas: partition.replica_nodes,
                })
                .collect();
            partitions.sort_by_key(|partition| partition.index);
            Topic {
                error: code(topic.error_code),
                id: topic.topic_id,
                is_internal: topic.is_internal,
                name: topic.name.unwrap_or_default(),
                partitions,
            }
        });
        Cluster {
            brokers: brokers.collect(),
            controller_id: response.controller_id,
            id: response.cluster_id,
            topics: topics.collect(),
        }
    }
}
