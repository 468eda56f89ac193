//! Every served version of every API is answered, and in a form that its version can be read by: a field that a version
//! lacks must not be set in it. What is not served closes the connection, and transactions are refused with an error that
//! no client retries.
#[allow(dead_code, reason = "each test uses its part")]
mod wire;

use std::time::Duration;

use bytes::Bytes;
use protocol::api_versions_request::ApiVersionsRequest;
use protocol::api_versions_response::ApiVersionsResponse;
use protocol::create_topics_request::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use protocol::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use protocol::find_coordinator_request::FindCoordinatorRequest;
use protocol::init_producer_id_request::InitProducerIdRequest;
use protocol::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use protocol::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use protocol::metadata_request::{MetadataRequest, MetadataRequestTopic};
use protocol::offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use protocol::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::{ApiKey, ErrorCode, Message, Records, Uuid};
use record::{BatchBuilder, Compression, ProducerEpoch, ProducerId, Sequence, Timestamp};
use server::api::SERVED;
use wire::{Wire, with_broker};

const TOPIC: &str = "letters";

#[test]
fn every_served_version_is_answered() {
    with_broker(|_, broker| async move {
        let mut wire = broker.connect().await;
        let id = create(&mut wire).await;
        wire.ask(&produce(3, id), 3).await.expect("an answer");
        find_group(&mut wire).await;
        for served in SERVED {
            for version in served.versions.clone() {
                ask_one(&mut wire, served.key, version, id).await;
            }
        }
    });
}

/// As Kafka: UNKNOWN_TOPIC_OR_PARTITION, and the topic comes behind the answer.
#[test]
fn a_topic_that_is_missing_is_created_behind_the_answer() {
    with_broker(|world, broker| async move {
        let mut wire = broker.connect().await;
        let metadata = |allow_auto_topic_creation| {
            let topics = Some(vec![MetadataRequestTopic { name: Some("new".to_owned()), ..Default::default() }]);
            MetadataRequest { topics, allow_auto_topic_creation, ..Default::default() }
        };
        for allowed in [false, true] {
            let response = wire.ask(&metadata(allowed), 12).await.expect("an answer");
            assert_eq!(response.topics[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
            assert!(response.topics[0].partitions.is_empty());
            world.sleep(Duration::from_secs(1)).await;
        }
        let response = wire.ask(&metadata(false), 12).await.expect("an answer");
        assert_eq!(response.topics[0].error_code, 0);
        assert_eq!(response.topics[0].partitions[0].leader_id, 1);
    });
}

/// One request of an API that its version can say, with as much in it as there is to ask about.
async fn ask_one(wire: &mut Wire, key: ApiKey, version: i16, id: Uuid) {
    let what = format!("{key:?} version {version}");
    match key {
        ApiKey::Produce => {
            let response = wire.ask(&produce(version, id), version).await.expect(&what);
            assert_eq!(response.responses[0].partition_responses[0].error_code, 0, "{what}");
        }
        ApiKey::Fetch => {
            let response = wire.ask(&fetch(version, id), version).await.expect(&what);
            assert_eq!(response.responses[0].partitions[0].error_code, 0, "{what}");
            let records = response.responses[0].partitions[0].records.as_ref().expect("never null");
            assert!(!records.is_empty(), "{what}");
        }
        ApiKey::ListOffsets => {
            let response = wire.ask(&list_offsets(-1), version).await.expect(&what);
            assert!(response.topics[0].partitions[0].offset > 0, "{what}");
        }
        ApiKey::Metadata => {
            let topics = vec![MetadataRequestTopic { name: Some(TOPIC.to_owned()), ..Default::default() }];
            let response = wire.ask(&MetadataRequest { topics: Some(topics), ..Default::default() }, version).await;
            assert_eq!(response.expect(&what).topics[0].partitions[0].leader_id, 1, "{what}");
        }
        ApiKey::OffsetCommit => {
            let response = wire.ask(&offset_commit(version, id), version).await.expect(&what);
            assert_eq!(response.topics[0].partitions[0].error_code, 0, "{what}");
        }
        ApiKey::OffsetFetch => {
            let response = wire.ask(&offset_fetch(version, id), version).await.expect(&what);
            match version {
                8.. => assert_eq!(response.groups[0].topics[0].partitions[0].committed_offset, 1, "{what}"),
                _ => assert_eq!(response.topics[0].partitions[0].committed_offset, 1, "{what}"),
            }
        }
        ApiKey::FindCoordinator => {
            let response = wire.ask(&find_coordinator(version, 0), version).await.expect(&what);
            let node = if version >= 4 { response.coordinators[0].node_id } else { response.node_id };
            assert_eq!(node, 1, "{what}");
        }
        ApiKey::JoinGroup => {
            let response = wire.ask(&join_group(version), version).await.expect(&what);
            let wanted = if version >= 4 { ErrorCode::MemberIdRequired } else { ErrorCode::None };
            assert_eq!(response.error_code, wanted.code(), "{what}");
        }
        ApiKey::ApiVersions => {
            let (name, software) = ("test".to_owned(), "1.0".to_owned());
            let request = ApiVersionsRequest {
                client_software_name: name,
                client_software_version: software,
                ..Default::default()
            };
            let response = wire.ask(&request, version).await.expect(&what);
            let advertised = SERVED.iter().filter(|served| served.is_advertised).count();
            assert_eq!(response.api_keys.len(), advertised, "{what}");
        }
        ApiKey::DescribeConfigs => {
            let resource = |resource_type, name: &str| DescribeConfigsResource {
                resource_type,
                resource_name: name.to_owned(),
                ..Default::default()
            };
            let resources = vec![resource(2, TOPIC), resource(4, "1"), resource(4, "")];
            let request = DescribeConfigsRequest {
                resources,
                include_synonyms: true,
                include_documentation: version >= 3,
                ..Default::default()
            };
            let response = wire.ask(&request, version).await.expect(&what);
            assert!(response.results.iter().all(|result| result.error_code == 0), "{what}");
            let counts: Vec<usize> = response.results.iter().map(|result| result.configs.len()).collect();
            assert!(counts[0] >= 30 && counts[1] > 200 && counts[2] == 0, "{what}: {counts:?}");
        }
        ApiKey::DescribeAcls => {
            let any = protocol::describe_acls_request::DescribeAclsRequest {
                resource_type_filter: 1,
                pattern_type_filter: if version == 1 { 3 } else { 1 },
                operation: 1,
                permission_type: 1,
                ..Default::default()
            };
            let response = wire.ask(&any, version).await.expect(&what);
            assert_eq!(response.error_code, ErrorCode::SecurityDisabled.code(), "{what}");
        }
        _ => ask_empty(wire, key, version, &what).await,
    }
}

/// What is asked about nothing is answered too.
async fn ask_empty(wire: &mut Wire, key: ApiKey, version: i16, what: &str) {
    use protocol::*;
    macro_rules! ask {
        ($($key:ident $module:ident $request:ident;)*) => {
            match key {
                $(ApiKey::$key => drop(wire.ask(&$module::$request::default(), version).await.expect(what)),)*
                _ => panic!("{what} is served and not asked"),
            }
        };
    }
    ask! {
        AddRaftVoter add_raft_voter_request AddRaftVoterRequest;
        AlterClientQuotas alter_client_quotas_request AlterClientQuotasRequest;
        AlterConfigs alter_configs_request AlterConfigsRequest;
        AlterPartitionReassignments alter_partition_reassignments_request AlterPartitionReassignmentsRequest;
        AlterReplicaLogDirs alter_replica_log_dirs_request AlterReplicaLogDirsRequest;
        AlterUserScramCredentials alter_user_scram_credentials_request AlterUserScramCredentialsRequest;
        CreateAcls create_acls_request CreateAclsRequest;
        CreateDelegationToken create_delegation_token_request CreateDelegationTokenRequest;
        CreatePartitions create_partitions_request CreatePartitionsRequest;
        CreateTopics create_topics_request CreateTopicsRequest;
        DeleteAcls delete_acls_request DeleteAclsRequest;
        DeleteGroups delete_groups_request DeleteGroupsRequest;
        DeleteRecords delete_records_request DeleteRecordsRequest;
        DeleteTopics delete_topics_request DeleteTopicsRequest;
        DescribeClientQuotas describe_client_quotas_request DescribeClientQuotasRequest;
        DescribeCluster describe_cluster_request DescribeClusterRequest;
        DescribeDelegationToken describe_delegation_token_request DescribeDelegationTokenRequest;
        DescribeGroups describe_groups_request DescribeGroupsRequest;
        DescribeLogDirs describe_log_dirs_request DescribeLogDirsRequest;
        DescribeProducers describe_producers_request DescribeProducersRequest;
        DescribeQuorum describe_quorum_request DescribeQuorumRequest;
        DescribeTopicPartitions describe_topic_partitions_request DescribeTopicPartitionsRequest;
        DescribeTransactions describe_transactions_request DescribeTransactionsRequest;
        DescribeUserScramCredentials describe_user_scram_credentials_request DescribeUserScramCredentialsRequest;
        ElectLeaders elect_leaders_request ElectLeadersRequest;
        ExpireDelegationToken expire_delegation_token_request ExpireDelegationTokenRequest;
        GetTelemetrySubscriptions get_telemetry_subscriptions_request GetTelemetrySubscriptionsRequest;
        Heartbeat heartbeat_request HeartbeatRequest;
        IncrementalAlterConfigs incremental_alter_configs_request IncrementalAlterConfigsRequest;
        InitProducerId init_producer_id_request InitProducerIdRequest;
        LeaveGroup leave_group_request LeaveGroupRequest;
        ListConfigResources list_config_resources_request ListConfigResourcesRequest;
        ListGroups list_groups_request ListGroupsRequest;
        ListPartitionReassignments list_partition_reassignments_request ListPartitionReassignmentsRequest;
        ListTransactions list_transactions_request ListTransactionsRequest;
        OffsetDelete offset_delete_request OffsetDeleteRequest;
        OffsetForLeaderEpoch offset_for_leader_epoch_request OffsetForLeaderEpochRequest;
        PushTelemetry push_telemetry_request PushTelemetryRequest;
        RemoveRaftVoter remove_raft_voter_request RemoveRaftVoterRequest;
        RenewDelegationToken renew_delegation_token_request RenewDelegationTokenRequest;
        SaslAuthenticate sasl_authenticate_request SaslAuthenticateRequest;
        SaslHandshake sasl_handshake_request SaslHandshakeRequest;
        SyncGroup sync_group_request SyncGroupRequest;
        UnregisterBroker unregister_broker_request UnregisterBrokerRequest;
        UnregisterController unregister_controller_request UnregisterControllerRequest;
        UpdateFeatures update_features_request UpdateFeaturesRequest;
    }
}

#[test]
fn what_is_not_served_closes_the_connection_as_in_kafka() {
    with_broker(|_, broker| async move {
        // Produce is advertised from 0, and refused below 3.
        let served_by_kafka_only = [(ApiKey::Produce, 2), (ApiKey::Fetch, 3), (ApiKey::Metadata, 14)];
        for (key, version) in served_by_kafka_only {
            let mut wire = broker.connect().await;
            wire.send(&frame(key.code(), version)).await;
            assert_eq!(wire.receive().await, None, "{key:?} version {version}");
        }
        let served: Vec<i16> = SERVED.iter().map(|served| served.key.code()).collect();
        for key in (-1..=100).filter(|key| !served.contains(key)) {
            let mut wire = broker.connect().await;
            wire.send(&frame(key, 0)).await;
            assert_eq!(wire.receive().await, None, "key {key}");
        }
        for (length, name) in [(-1, "negative"), (i32::MAX, "enormous"), (0, "empty")] {
            let mut wire = broker.connect().await;
            wire.send(&i32::to_be_bytes(length)).await;
            assert_eq!(wire.receive().await, None, "a frame of {name} length");
        }
    });
}

#[test]
fn api_versions_of_the_future_is_answered_in_the_form_of_the_past() {
    with_broker(|_, broker| async move {
        let mut wire = broker.connect().await;
        let body = wire.exchange(&frame(ApiKey::ApiVersions.code(), 99), ApiKey::ApiVersions, 99).await;
        let response = ApiVersionsResponse::decode(0, &body.expect("an answer")).expect("version 0");
        assert_eq!(response.error_code, ErrorCode::UnsupportedVersion.code());
        let named: Vec<i16> = response.api_keys.iter().map(|key| key.api_key).collect();
        assert_eq!(named, [ApiKey::ApiVersions.code()]);
        // And the connection lives on.
        assert!(wire.ask(&list_offsets(-1), 1).await.is_some());
    });
}

#[test]
fn produce_is_advertised_from_0_as_kafka_does() {
    with_broker(|_, broker| async move {
        let mut wire = broker.connect().await;
        let response = wire.ask(&ApiVersionsRequest::default(), 0).await.expect("an answer");
        let produce = response.api_keys.iter().find(|key| key.api_key == 0).expect("Produce");
        assert_eq!((produce.min_version, produce.max_version), (0, 13));
        let features = wire.ask(&api_versions(), 4).await.expect("an answer").finalized_features;
        let names: Vec<&str> = features.iter().map(|feature| feature.name.as_str()).collect();
        assert_eq!(names, ["metadata.version"]);
    });
}

#[test]
fn transactions_are_refused_for_good() {
    with_broker(|_, broker| async move {
        let mut wire = broker.connect().await;
        let id = create(&mut wire).await;
        let refused = ErrorCode::TransactionalIdAuthorizationFailed.code();
        let found = wire.ask(&find_coordinator(4, 1), 4).await.expect("an answer");
        assert_eq!(found.coordinators[0].error_code, refused);
        let request = InitProducerIdRequest { transactional_id: Some("t".to_owned()), ..Default::default() };
        assert_eq!(wire.ask(&request, 4).await.expect("an answer").error_code, refused);
        let request = InitProducerIdRequest { transactional_id: Some(String::new()), ..Default::default() };
        assert_eq!(wire.ask(&request, 4).await.expect("an answer").error_code, ErrorCode::InvalidRequest.code());
        let request = ProduceRequest { transactional_id: Some("t".to_owned()), ..produce(9, id) };
        let response = wire.ask(&request, 9).await.expect("an answer");
        assert_eq!(response.responses[0].partition_responses[0].error_code, refused);
        let mut batch =
            BatchBuilder::new(Compression::None).with_producer(ProducerId(1), ProducerEpoch(0), Sequence(0), true);
        batch.append(Timestamp(1), None, Some(b"v"));
        let mut request = produce(9, id);
        request.topic_data[0].partition_data[0].records = Some(Records::Here(batch.build().into()));
        let response = wire.ask(&request, 9).await.expect("an answer");
        assert_eq!(response.responses[0].partition_responses[0].error_code, refused);
    });
}

#[test]
fn a_compacted_topic_wants_keys() {
    with_broker(|_, broker| async move {
        let mut wire = broker.connect().await;
        let config = CreatableTopicConfig {
            name: "cleanup.policy".to_owned(),
            value: Some("compact,delete".to_owned()),
            ..Default::default()
        };
        let topic = CreatableTopic {
            name: "compacted".to_owned(),
            num_partitions: 1,
            replication_factor: 1,
            configs: vec![config],
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let response = wire.ask(&request, 7).await.expect("an answer");
        assert_eq!(response.topics[0].error_code, ErrorCode::None.code());
        let id = response.topics[0].topic_id;
        for (key, expected) in [(None, ErrorCode::InvalidRecord), (Some(&b"k"[..]), ErrorCode::None)] {
            let mut batch = BatchBuilder::new(Compression::None);
            batch.append(Timestamp(1), key, Some(b"v"));
            let mut request = produce(13, id);
            request.topic_data[0].partition_data[0].records = Some(Records::Here(batch.build().into()));
            let response = wire.ask(&request, 13).await.expect("an answer");
            assert_eq!(response.responses[0].partition_responses[0].error_code, expected.code(), "{key:?}");
        }
    });
}

/// Just a header, with a correlation id and a client id: what a body would be, nobody gets to know.
fn frame(key: i16, version: i16) -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 11];
    frame.extend(key.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(7i32.to_be_bytes());
    frame.extend((-1i16).to_be_bytes());
    frame.push(0);
    frame
}

fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "test".to_owned(),
        client_software_version: "1.0".to_owned(),
        ..Default::default()
    }
}

async fn create(wire: &mut Wire) -> Uuid {
    let topic =
        CreatableTopic { name: TOPIC.to_owned(), num_partitions: 2, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    let response = wire.ask(&request, 7).await.expect("an answer");
    assert_eq!(response.topics[0].error_code, 0);
    response.topics[0].topic_id
}

/// Until its coordinator has loaded.
async fn find_group(wire: &mut Wire) {
    wire.ask(&find_coordinator(6, 0), 6).await.expect("an answer");
    loop {
        let response = wire.ask(&offset_commit(9, Uuid::ZERO), 9).await.expect("an answer");
        match ErrorCode::from_code(response.topics[0].partitions[0].error_code) {
            Some(ErrorCode::None) => return,
            Some(ErrorCode::CoordinatorLoadInProgress | ErrorCode::NotCoordinator) => {}
            error => panic!("{error:?}"),
        }
    }
}

fn produce(version: i16, id: Uuid) -> ProduceRequest {
    let mut batch = BatchBuilder::new(Compression::None);
    batch.append(Timestamp(1), Some(b"key"), Some(b"value"));
    let partition = PartitionProduceData { records: Some(Records::Here(batch.build().into())), ..Default::default() };
    let by_id = version >= 13;
    let topic = TopicProduceData {
        name: if by_id { String::new() } else { TOPIC.to_owned() },
        topic_id: if by_id { id } else { Uuid::ZERO },
        partition_data: vec![partition],
        ..Default::default()
    };
    ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() }
}

fn fetch(version: i16, id: Uuid) -> FetchRequest {
    let by_id = version >= 13;
    let partition = FetchPartition { partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = FetchTopic {
        topic: if by_id { String::new() } else { TOPIC.to_owned() },
        topic_id: if by_id { id } else { Uuid::ZERO },
        partitions: vec![partition],
        ..Default::default()
    };
    FetchRequest { max_wait_ms: 100, min_bytes: 1, max_bytes: 1 << 20, topics: vec![topic], ..Default::default() }
}

fn list_offsets(timestamp: i64) -> ListOffsetsRequest {
    let partitions = vec![ListOffsetsPartition { timestamp, ..Default::default() }];
    let topic = ListOffsetsTopic { name: TOPIC.to_owned(), partitions, ..Default::default() };
    ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() }
}

fn find_coordinator(version: i16, key_type: i8) -> FindCoordinatorRequest {
    match version {
        4.. => FindCoordinatorRequest { key_type, coordinator_keys: vec!["readers".to_owned()], ..Default::default() },
        _ => FindCoordinatorRequest { key_type, key: "readers".to_owned(), ..Default::default() },
    }
}

fn join_group(version: i16) -> JoinGroupRequest {
    let protocols = vec![JoinGroupRequestProtocol {
        name: "range".to_owned(),
        metadata: Bytes::from_static(b"anything"),
        ..Default::default()
    }];
    JoinGroupRequest {
        group_id: format!("joined-{version}"),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".to_owned(),
        protocols,
        ..Default::default()
    }
}

fn offset_commit(version: i16, id: Uuid) -> OffsetCommitRequest {
    let by_id = version >= 10;
    let partition = OffsetCommitRequestPartition {
        committed_offset: 1,
        committed_metadata: Some("note".to_owned()),
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: if by_id { String::new() } else { TOPIC.to_owned() },
        topic_id: if by_id { id } else { Uuid::ZERO },
        partitions: vec![partition],
        ..Default::default()
    };
    OffsetCommitRequest { group_id: "readers".to_owned(), topics: vec![topic], ..Default::default() }
}

fn offset_fetch(version: i16, id: Uuid) -> OffsetFetchRequest {
    if version < 8 {
        let topic =
            OffsetFetchRequestTopic { name: TOPIC.to_owned(), partition_indexes: vec![0], ..Default::default() };
        let topics = Some(vec![topic]);
        return OffsetFetchRequest { group_id: "readers".to_owned(), topics, ..Default::default() };
    }
    let by_id = version >= 10;
    let topic = OffsetFetchRequestTopics {
        name: if by_id { String::new() } else { TOPIC.to_owned() },
        topic_id: if by_id { id } else { Uuid::ZERO },
        partition_indexes: vec![0],
        ..Default::default()
    };
    let group =
        OffsetFetchRequestGroup { group_id: "readers".to_owned(), topics: Some(vec![topic]), ..Default::default() };
    OffsetFetchRequest { groups: vec![group], ..Default::default() }
}
