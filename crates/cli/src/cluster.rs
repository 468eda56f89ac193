//! `ottla cluster info`: who is in the cluster, who decides, and what all of it can do.
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use clap::{Args, Subcommand};
use client::{Purpose, Topics};
use env::Env;
use protocol::api_versions_request::ApiVersionsRequest;
use protocol::api_versions_response::ApiVersionsResponse;
use protocol::describe_cluster_request::DescribeClusterRequest;
use protocol::describe_quorum_request::{DescribeQuorumRequest, PartitionData, TopicData};
use protocol::{ApiKey, ErrorCode};
use serde_json::{Value, json};

use crate::connect::{Connect, Session};
use crate::console::Console;
use crate::failure::Failure;
use crate::table::{Output, Table};

#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Show brokers, controllers, features, and with --apis which requests all brokers serve
    Info(Info),
}

#[derive(Args, Debug)]
pub struct Info {
    /// Which APIs all brokers serve, at which versions
    #[arg(short, long)]
    apis: bool,

    /// For people or for programs, which get APIs too
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    connect: Connect,
}

pub async fn run(command: ClusterCommand, env: Env, console: &mut Console) -> Result<(), Failure> {
    match command {
        ClusterCommand::Info(info) => info.run(env, console).await,
    }
}

struct Broker {
    id: i32,
    address: String,
    rack: Option<String>,
    /// A fenced one is known, and takes part in nothing.
    is_fenced: bool,
}

/// Who decides. Brokers before KIP-595, and those that hide it, say nothing.
struct Quorum {
    leader: i32,
    epoch: i32,
    high_watermark: i64,
    voters: Vec<i32>,
    observers: Vec<i32>,
}

impl Info {
    async fn run(self, env: Env, console: &mut Console) -> Result<(), Failure> {
        let session = self.connect.session(&env, console)?;
        let cluster = session.client.metadata(Topics::None).await?;
        let brokers = brokers(&session).await?;
        let quorum = quorum(&session).await?;
        let features = features(&session).await?;
        let apis = match self.apis || self.output == Output::Json {
            true => common_apis(&session, cluster.brokers.keys().copied()).await?,
            false => BTreeMap::new(),
        };
        match self.output {
            Output::Json => {
                let about = to_json(cluster.id.as_deref(), &brokers, quorum.as_ref(), &features, &apis);
                console.print(&about.to_string())
            }
            Output::Table => self.print(cluster.id.as_deref(), &brokers, quorum.as_ref(), &features, &apis, console),
        }
    }

    fn print(
        &self,
        id: Option<&str>,
        brokers: &[Broker],
        quorum: Option<&Quorum>,
        features: &ApiVersionsResponse,
        apis: &BTreeMap<i16, RangeInclusive<i16>>,
        console: &mut Console,
    ) -> Result<(), Failure> {
        console.print(&format!("cluster {}", id.unwrap_or("-")))?;
        if let Some(Quorum { leader, epoch, high_watermark, voters, observers }) = quorum {
            console.print(&format!(
                "controller {leader}  epoch {epoch}  log {high_watermark}  voters {}  observers {}",
                listed(voters),
                listed(observers)
            ))?;
        }
        console.print("")?;
        let mut table = Table::new(&["BROKER", "ADDRESS", "RACK", "STATE"]);
        for Broker { id, address, rack, is_fenced } in brokers {
            table.row(vec![json!(id), json!(address), json!(rack), json!(state(*is_fenced))]);
        }
        table.print(Output::Table, console)?;
        if !features.supported_features.is_empty() {
            console.print("")?;
            let mut table = Table::new(&["FEATURE", "LEVEL", "MIN", "MAX"]);
            for feature in &features.supported_features {
                let level = level(features, &feature.name);
                table.row(vec![
                    json!(feature.name),
                    json!(level),
                    json!(feature.min_version),
                    json!(feature.max_version),
                ]);
            }
            table.print(Output::Table, console)?;
        }
        if !apis.is_empty() {
            console.print("")?;
            let mut table = Table::new(&["API", "KEY", "MIN", "MAX"]);
            for (key, versions) in apis {
                table.row(vec![json!(api_name(*key)), json!(key), json!(versions.start()), json!(versions.end())]);
            }
            table.print(Output::Table, console)?;
        }
        Ok(())
    }
}

fn listed(ids: &[i32]) -> String {
    match ids {
        [] => "-".to_owned(),
        ids => ids.iter().map(i32::to_string).collect::<Vec<_>>().join(","),
    }
}

fn state(is_fenced: bool) -> &'static str {
    if is_fenced { "fenced" } else { "active" }
}

fn api_name(key: i16) -> Option<&'static str> {
    ApiKey::from_code(key).map(ApiKey::name)
}

/// The level that counts, `None` while the feature is off.
fn level(features: &ApiVersionsResponse, name: &str) -> Option<i16> {
    features.finalized_features.iter().find(|feature| feature.name == name).map(|feature| feature.max_version_level)
}

fn to_json(
    id: Option<&str>,
    brokers: &[Broker],
    quorum: Option<&Quorum>,
    features: &ApiVersionsResponse,
    apis: &BTreeMap<i16, RangeInclusive<i16>>,
) -> Value {
    let broker = |broker: &Broker| json!({"id": broker.id, "address": broker.address, "rack": broker.rack, "state": state(broker.is_fenced)});
    let controllers = |quorum: &Quorum| {
        let Quorum { leader, epoch, high_watermark, voters, observers } = quorum;
        let (end, voters, observers) = (json!(high_watermark), json!(voters), json!(observers));
        json!({"leader": leader, "epoch": epoch, "high_watermark": end, "voters": voters, "observers": observers})
    };
    let supported = features.supported_features.iter().map(|feature| {
        let level = level(features, &feature.name);
        json!({"feature": feature.name, "level": level, "min": feature.min_version, "max": feature.max_version})
    });
    let apis = apis.iter().map(
        |(key, versions)| json!({"api": api_name(*key), "key": key, "min": versions.start(), "max": versions.end()}),
    );
    json!({
        "cluster": id,
        "brokers": brokers.iter().map(broker).collect::<Vec<_>>(),
        "controllers": quorum.map(controllers),
        "features": supported.collect::<Vec<_>>(),
        "features_epoch": features.finalized_features_epoch,
        "apis": apis.collect::<Vec<_>>(),
    })
}

/// By DescribeCluster, which knows fenced ones, or as Metadata had it.
async fn brokers(session: &Session) -> Result<Vec<Broker>, Failure> {
    let connection = session.client.any().await?;
    let Ok(version) = connection.version_of(ApiKey::DescribeCluster, 0..=2) else {
        let cluster = session.client.cluster();
        let broker = |(id, broker): (&i32, &client::Broker)| Broker {
            id: *id,
            address: broker.address.to_string(),
            rack: broker.rack.clone(),
            is_fenced: false,
        };
        return Ok(cluster.brokers.iter().map(broker).collect());
    };
    let request = DescribeClusterRequest { include_fenced_brokers: version >= 2, ..Default::default() };
    let response = connection.call_within(&request, version..=version, session.timeout).await?;
    if response.error_code != ErrorCode::None.code() {
        return Err(Failure::of_code("the cluster", response.error_code, response.error_message.as_deref()));
    }
    let broker = |broker: protocol::describe_cluster_response::DescribeClusterBroker| Broker {
        id: broker.broker_id,
        address: format!("{}:{}", broker.host, broker.port),
        rack: broker.rack,
        is_fenced: broker.is_fenced,
    };
    let mut brokers: Vec<Broker> = response.brokers.into_iter().map(broker).collect();
    brokers.sort_by_key(|broker| broker.id);
    Ok(brokers)
}

async fn quorum(session: &Session) -> Result<Option<Quorum>, Failure> {
    let connection = session.client.any().await?;
    if connection.version_of(ApiKey::DescribeQuorum, 0..=2).is_err() {
        return Ok(None);
    }
    let partition = PartitionData::default();
    let topic =
        TopicData { topic_name: "__cluster_metadata".to_owned(), partitions: vec![partition], ..Default::default() };
    let request = DescribeQuorumRequest { topics: vec![topic], ..Default::default() };
    let response = connection.call_within(&request, 0..=2, session.timeout).await?;
    let partition = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
    let code = partition.as_ref().map_or(response.error_code, |partition| response.error_code + partition.error_code);
    let Some(partition) = partition.filter(|_| code == ErrorCode::None.code()) else {
        return Err(Failure::of_code("the controllers", code, response.error_message.as_deref()));
    };
    let ids = |replicas: Vec<protocol::describe_quorum_response::ReplicaState>| {
        replicas.into_iter().map(|replica| replica.replica_id).collect()
    };
    Ok(Some(Quorum {
        leader: partition.leader_id,
        epoch: partition.leader_epoch,
        high_watermark: partition.high_watermark,
        voters: ids(partition.current_voters),
        observers: ids(partition.observers),
    }))
}

async fn features(session: &Session) -> Result<ApiVersionsResponse, Failure> {
    let request = ApiVersionsRequest {
        client_software_name: "ottla".to_owned(),
        client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Default::default()
    };
    let connection = session.client.any().await?;
    let version = connection.version_of(ApiKey::ApiVersions, 0..=4)?;
    let request = if version < 3 { ApiVersionsRequest::default() } else { request };
    let mut response = connection.call_within(&request, version..=version, session.timeout).await?;
    response.supported_features.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(response)
}

/// What a client may use wherever it lands.
async fn common_apis(
    session: &Session,
    brokers: impl Iterator<Item = i32>,
) -> Result<BTreeMap<i16, RangeInclusive<i16>>, Failure> {
    let mut common: Option<BTreeMap<i16, RangeInclusive<i16>>> = None;
    for id in brokers {
        let connection = session.client.broker(id, Purpose::General).await?;
        let served: BTreeMap<i16, RangeInclusive<i16>> = connection.versions().iter().collect();
        common = Some(match common {
            None => served,
            Some(common) => intersection(common, &served),
        });
    }
    Ok(common.unwrap_or_default())
}

fn intersection(
    common: BTreeMap<i16, RangeInclusive<i16>>,
    served: &BTreeMap<i16, RangeInclusive<i16>>,
) -> BTreeMap<i16, RangeInclusive<i16>> {
    let both = |(key, versions): (i16, RangeInclusive<i16>)| {
        let theirs = served.get(&key)?;
        let range = *versions.start().max(theirs.start())..=*versions.end().min(theirs.end());
        (!range.is_empty()).then_some((key, range))
    };
    common.into_iter().filter_map(both).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_have_in_common_what_each_serves() {
        let one = BTreeMap::from([(0, 3..=13), (1, 4..=18), (2, 1..=4), (3, 0..=1)]);
        let other = BTreeMap::from([(0, 0..=9), (1, 4..=18), (2, 5..=9)]);
        assert_eq!(intersection(one, &other), BTreeMap::from([(0, 3..=9), (1, 4..=18)]));
    }
}
