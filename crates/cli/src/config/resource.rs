//! A configurable thing of a cluster: what DescribeConfigs says of it, and how IncrementalAlterConfigs changes it.
use std::fmt;

use clap::ValueEnum;
use client::{Connection, Purpose};
use protocol::ErrorCode;
use protocol::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::describe_configs_response::DescribeConfigsResourceResult;
use protocol::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use serde_json::{Value, json};

use crate::connect::Session;
use crate::failure::Failure;

/// `ConfigResource.Type`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
#[repr(i8)]
pub enum Kind {
    Topic = 2,
    Broker = 4,
    BrokerLogger = 8,
    ClientMetrics = 16,
    Group = 32,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Topic => "topic",
            Kind::Broker => "broker",
            Kind::BrokerLogger => "broker-logger",
            Kind::ClientMetrics => "client-metrics",
            Kind::Group => "group",
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resource {
    pub kind: Kind,
    /// Empty for all brokers.
    pub name: String,
}

impl Resource {
    pub fn shown(&self) -> &str {
        if self.name.is_empty() { "default" } else { &self.name }
    }

    /// What is of one broker that one alone knows and changes; everything else any broker does.
    async fn ask(&self, session: &Session) -> Result<Connection, Failure> {
        match self.kind {
            Kind::Broker | Kind::BrokerLogger if !self.name.is_empty() => {
                let usage = || Failure::usage(format!("`{}` is no broker: they have numbers", self.name));
                let id = self.name.parse().map_err(|_| usage())?;
                session.client.broker(id, Purpose::General).await.map_err(|error| match error {
                    client::CallError::NoSuchBroker { id } => Failure::not_found(format!("there is no broker {id}"))
                        .remedy("`ottla cluster info` shows which there are"),
                    error => error.into(),
                })
            }
            _ => Ok(session.client.any().await?),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.shown())
    }
}

/// One configuration, as the broker has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub key: String,
    /// Null also for what is secret.
    pub value: Option<String>,
    source: i8,
    is_read_only: bool,
    is_sensitive: bool,
    /// The strongest first; this entry itself is among them.
    synonyms: Vec<Synonym>,
    documentation: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Synonym {
    key: String,
    value: Option<String>,
    source: i8,
}

/// `ConfigSource`, in the words of Kafka's admin client.
const ORIGINS: [&str; 9] = [
    "UNKNOWN",
    "DYNAMIC_TOPIC_CONFIG",
    "DYNAMIC_BROKER_CONFIG",
    "DYNAMIC_DEFAULT_BROKER_CONFIG",
    "STATIC_BROKER_CONFIG",
    "DEFAULT_CONFIG",
    "DYNAMIC_BROKER_LOGGER_CONFIG",
    "DYNAMIC_CLIENT_METRICS_CONFIG",
    "DYNAMIC_GROUP_CONFIG",
];
const DEFAULT_CONFIG: i8 = 5;

fn origin(source: i8) -> &'static str {
    usize::try_from(source).ok().and_then(|index| ORIGINS.get(index)).copied().unwrap_or("UNKNOWN")
}

impl Entry {
    pub fn is_default(&self) -> bool {
        self.source == DEFAULT_CONFIG
    }

    pub fn origin(&self) -> &'static str {
        origin(self.source)
    }

    pub fn shown(&self) -> Value {
        if self.is_sensitive { json!("***") } else { json!(self.value) }
    }

    /// What would count if the first of the synonyms were not there.
    pub fn otherwise(&self) -> Option<&Synonym> {
        self.synonyms.get(1)
    }

    /// The value once what is set on a resource of this kind is taken back.
    pub fn without(&self, kind: Kind) -> Value {
        let own: i8 = match kind {
            Kind::Topic => 1,
            Kind::Broker => 2,
            Kind::BrokerLogger => 6,
            Kind::ClientMetrics => 7,
            Kind::Group => 8,
        };
        // For all brokers it is 3; then nothing of one broker is among the synonyms.
        let is_own = |source: i8| source == own || (kind == Kind::Broker && source == 3 && self.source == 3);
        match self.synonyms.iter().find(|synonym| !is_own(synonym.source)) {
            Some(synonym) => json!(synonym.value),
            None => Value::Null,
        }
    }

    pub fn to_json(&self) -> Value {
        let synonym =
            |synonym: &Synonym| json!({"key": synonym.key, "value": synonym.value, "origin": origin(synonym.source)});
        json!({
            "key": self.key,
            "value": self.value,
            "origin": self.origin(),
            "read_only": self.is_read_only,
            "sensitive": self.is_sensitive,
            "synonyms": self.synonyms.iter().map(synonym).collect::<Vec<_>>(),
            "documentation": self.documentation,
        })
    }
}

impl fmt::Display for Synonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Synonym { key, value, source } = self;
        write!(f, "{}:{key}={}", origin(*source), value.as_deref().unwrap_or("null"))
    }
}

impl From<DescribeConfigsResourceResult> for Entry {
    fn from(result: DescribeConfigsResourceResult) -> Entry {
        let synonyms = result.synonyms.into_iter().map(|synonym| Synonym {
            key: synonym.name,
            value: synonym.value,
            source: synonym.source,
        });
        Entry {
            key: result.name,
            value: result.value,
            source: result.config_source,
            is_read_only: result.read_only,
            is_sensitive: result.is_sensitive,
            synonyms: synonyms.collect(),
            documentation: result.documentation,
        }
    }
}

/// The configurations of `resource` by name: these, or all. Keys that it does not have are left out by the broker.
pub async fn describe(
    session: &Session,
    resource: &Resource,
    keys: Option<Vec<String>>,
) -> Result<Vec<Entry>, Failure> {
    let asked = DescribeConfigsResource {
        resource_type: resource.kind as i8,
        resource_name: resource.name.clone(),
        configuration_keys: keys,
        ..Default::default()
    };
    let connection = resource.ask(session).await?;
    let version = connection.version_of(protocol::ApiKey::DescribeConfigs, 1..=4)?;
    let request = DescribeConfigsRequest {
        resources: vec![asked],
        include_synonyms: true,
        include_documentation: version >= 3,
        ..Default::default()
    };
    let response = connection.call_within(&request, version..=version, session.timeout).await?;
    let Some(result) = response.results.into_iter().next() else {
        return Err(Failure::new(format!("the broker's answer lacks {resource}")));
    };
    if result.error_code != ErrorCode::None.code() {
        return Err(Failure::of_code(&resource.to_string(), result.error_code, result.error_message.as_deref()));
    }
    let mut entries: Vec<Entry> = result.configs.into_iter().map(Entry::from).collect();
    entries.sort_by(|left, right| left.key.cmp(&right.key));
    Ok(entries)
}

/// A new value, or none: then the default counts again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    pub key: String,
    pub value: Option<String>,
}

/// Changes these and leaves the others as they are (KIP-339).
pub async fn alter(session: &Session, resource: &Resource, changes: &[Change], dry_run: bool) -> Result<(), Failure> {
    const SET: i8 = 0;
    const DELETE: i8 = 1;
    let config = |change: &Change| AlterableConfig {
        name: change.key.clone(),
        config_operation: if change.value.is_some() { SET } else { DELETE },
        value: change.value.clone(),
        ..Default::default()
    };
    let altered = AlterConfigsResource {
        resource_type: resource.kind as i8,
        resource_name: resource.name.clone(),
        configs: changes.iter().map(config).collect(),
        ..Default::default()
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![altered], validate_only: dry_run, ..Default::default() };
    let deadline = session.deadline();
    loop {
        let connection = resource.ask(session).await?;
        let response = connection.call_within(&request, 0..=1, session.timeout).await?;
        let Some(result) = response.responses.into_iter().next() else {
            return Err(Failure::new(format!("the broker's answer lacks {resource}")));
        };
        match ErrorCode::from_code(result.error_code) {
            Some(ErrorCode::None) => return Ok(()),
            Some(ErrorCode::NotController) if session.pause(deadline).await => {}
            _ => {
                let message = result.error_message.as_deref();
                return Err(Failure::of_code(&resource.to_string(), result.error_code, message));
            }
        }
    }
}
