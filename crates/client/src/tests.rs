//! Connections against a broker that behaves, and against ones that do not.
use std::time::Duration;

use env::{Env, Listener, Listening};
use protocol::api_versions_response::{ApiVersion, ApiVersionsResponse};
use protocol::list_groups_request::ListGroupsRequest;
use protocol::list_groups_response::{ListGroupsResponse, ListedGroup};
use protocol::metadata_response::{MetadataResponse, MetadataResponseBroker};
use protocol::{ApiKey, ErrorCode, RequestFrame, encode_response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::*;

/// What a broker does with a request.
enum Reaction {
    Answer(Vec<u8>),
    /// Answers with bytes as they are.
    Raw(Vec<u8>),
    Silence,
    Hang,
}

struct FakeBroker {
    address: Address,
}

impl FakeBroker {
    /// Serves every connection with one task and one script.
    fn start(env: &Env, script: fn(RequestFrame<'_>, u16) -> Reaction) -> FakeBroker {
        let mut listener = env.net.listen("127.0.0.1:0".parse().unwrap(), Listening::with_backlog(16)).unwrap();
        let port = listener.local_address().port();
        let env_of_tasks = env.clone();
        let accept = async move {
            while let Ok(connection) = <dyn Listener>::accept(&mut *listener).await {
                env_of_tasks.spawn.task("fake", Box::pin(serve(connection, script, port)));
            }
        };
        env.spawn.task("fake-accept", Box::pin(accept));
        FakeBroker { address: Address::new("127.0.0.1", port) }
    }
}

async fn serve(mut connection: env::net::Connection, script: fn(RequestFrame<'_>, u16) -> Reaction, port: u16) {
    loop {
        let mut length = [0; 4];
        if connection.receiver.read_exact(&mut length).await.is_err() {
            return;
        }
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        connection.receiver.read_exact(&mut frame).await.unwrap();
        match script(RequestFrame::parse(&frame).unwrap(), port) {
            Reaction::Answer(bytes) | Reaction::Raw(bytes) => connection.sender.write_all(&bytes).await.unwrap(),
            Reaction::Silence => {}
            Reaction::Hang => return,
        }
    }
}

fn versions(request: &RequestFrame<'_>) -> Reaction {
    let served =
        [(ApiKey::ApiVersions, 0, 4), (ApiKey::Metadata, 0, 9), (ApiKey::ListGroups, 0, 3), (ApiKey::Fetch, 90, 99)];
    let api = |(key, min_version, max_version): (ApiKey, i16, i16)| ApiVersion {
        api_key: key.code(),
        min_version,
        max_version,
        ..Default::default()
    };
    let response = ApiVersionsResponse { api_keys: served.map(api).to_vec(), ..Default::default() };
    answer(request, request.api_version, &response)
}

fn answer<M: protocol::Message>(request: &RequestFrame<'_>, version: i16, response: &M) -> Reaction {
    Reaction::Answer(encode_response(response, request.api_key, version, request.correlation_id).unwrap())
}

/// Serves ApiVersions, Metadata of itself, and ListGroups with the client id and correlation id as a group.
fn well_behaved(request: RequestFrame<'_>, port: u16) -> Reaction {
    match request.api_key {
        ApiKey::ApiVersions => versions(&request),
        ApiKey::Metadata => {
            let broker = MetadataResponseBroker {
                node_id: 7,
                host: "127.0.0.1".into(),
                port: port.into(),
                ..Default::default()
            };
            let response = MetadataResponse { brokers: vec![broker], controller_id: 7, ..Default::default() };
            answer(&request, request.api_version, &response)
        }
        _ => {
            let group_id = format!("{}-{}", request.client_id.unwrap(), request.correlation_id);
            let groups = vec![ListedGroup { group_id, ..Default::default() }];
            answer(&request, request.api_version, &ListGroupsResponse { groups, ..Default::default() })
        }
    }
}

fn options() -> ConnectionOptions {
    ConnectionOptions { request_timeout: Duration::from_secs(5), ..Default::default() }
}

async fn open(
    script: fn(RequestFrame<'_>, u16) -> Reaction,
    options: &ConnectionOptions,
) -> Result<Connection, CallError> {
    let env = env::real::env();
    let broker = FakeBroker::start(&env, script);
    Connection::open(&env, &broker.address, options).await
}

#[tokio::test]
async fn versions_are_negotiated_and_the_highest_common_one_is_used() {
    let connection = open(well_behaved, &options()).await.unwrap();
    assert_eq!(connection.version_of(ApiKey::ListGroups, 0..=5), Ok(3));
    assert_eq!(connection.version_of(ApiKey::ListGroups, 0..=2), Ok(2));
    let unserved = connection.version_of(ApiKey::Heartbeat, 0..=4).unwrap_err();
    assert_eq!(unserved.to_string(), "the broker does not serve Heartbeat");
    let newer = connection.version_of(ApiKey::Fetch, 4..=18).unwrap_err();
    assert_eq!(newer.to_string(), "the broker serves Fetch 90-99, and 4-18 is needed");
    let response = connection.call(&ListGroupsRequest::default()).await.unwrap();
    assert_eq!(response.groups[0].group_id, "ottla-1");
}

#[tokio::test]
async fn a_broker_that_knows_only_an_older_api_versions_is_asked_again() {
    fn old(request: RequestFrame<'_>, _: u16) -> Reaction {
        if request.api_version > 1 {
            let own = ApiVersion { api_key: 18, min_version: 0, max_version: 1, ..Default::default() };
            let error_code = ErrorCode::UnsupportedVersion.code();
            return answer(&request, 0, &ApiVersionsResponse { error_code, api_keys: vec![own], ..Default::default() });
        }
        versions(&request)
    }
    let connection = open(old, &options()).await.unwrap();
    assert_eq!(connection.version_of(ApiKey::Metadata, 0..=12), Ok(9));

    fn stubborn(request: RequestFrame<'_>, _: u16) -> Reaction {
        let error_code = ErrorCode::UnsupportedVersion.code();
        answer(&request, 0, &ApiVersionsResponse { error_code, ..Default::default() })
    }
    let error = open(stubborn, &options()).await.err().unwrap();
    assert!(error.to_string().ends_with("ApiVersions was refused: UNSUPPORTED_VERSION"), "{error}");
}

#[tokio::test]
async fn many_requests_are_under_way_and_each_gets_its_own_answer() {
    let connection = open(well_behaved, &ConnectionOptions { in_flight_max: 100, ..options() }).await.unwrap();
    let mut pending = Vec::new();
    for _ in 0..100 {
        let request = ListGroupsRequest::default();
        pending.push(connection.send(&request, 3, Duration::from_secs(5)).await.unwrap());
    }
    drop(pending.remove(50)); // Nobody waits for this one; the others are not disturbed.
    for (index, pending) in (0..).zip(pending) {
        let response = pending.response().await.unwrap();
        let id = if index < 50 { index + 1 } else { index + 2 }; // 0 was ApiVersions.
        let view = response.view().unwrap();
        assert_eq!(view.groups.first().unwrap().group_id, format!("ottla-{id}"));
    }
}

#[tokio::test]
async fn silence_ends_in_a_timeout_for_all_who_wait() {
    fn silent(request: RequestFrame<'_>, _: u16) -> Reaction {
        if request.api_key == ApiKey::ApiVersions { versions(&request) } else { Reaction::Silence }
    }
    let connection = open(silent, &ConnectionOptions { in_flight_max: 2, ..options() }).await.unwrap();
    let short = Duration::from_millis(50);
    let first = connection.send(&ListGroupsRequest::default(), 3, short).await.unwrap();
    let second = connection.send(&ListGroupsRequest::default(), 3, Duration::from_secs(60)).await.unwrap();
    let request = ListGroupsRequest::default();
    let third = connection.call_within(&request, 0..=3, Duration::from_secs(60));
    let (first, second, third) = tokio::join!(first.response(), second.response(), third);
    assert!(matches!(first.err(), Some(CallError::Timeout { api_key: ApiKey::ListGroups, .. })));
    assert!(matches!(second.err(), Some(CallError::Closed { .. })));
    assert!(matches!(third.err(), Some(CallError::Closed { .. })));
    assert!(connection.is_closed());
}

#[tokio::test]
async fn bad_answers_end_the_connection_with_a_reason() {
    async fn reason(script: fn(RequestFrame<'_>, u16) -> Reaction) -> String {
        let connection = open(script, &ConnectionOptions { response_bytes_max: 1000, ..options() }).await.unwrap();
        connection.call(&ListGroupsRequest::default()).await.unwrap_err().to_string()
    }
    macro_rules! script {
        ($reaction:expr) => {
            |request, _| if request.api_key == ApiKey::ApiVersions { versions(&request) } else { $reaction }
        };
    }
    let large = reason(script!(Reaction::Raw(0x7fff_ffff_u32.to_be_bytes().to_vec()))).await;
    assert!(large.ends_with("an answer of 2147483647 bytes, and at most 1000 are taken"), "{large}");
    let negative = reason(script!(Reaction::Raw((-1i32).to_be_bytes().to_vec()))).await;
    assert!(negative.ends_with("an answer of -1 bytes"), "{negative}");
    let http = reason(script!(Reaction::Raw(b"HTTP/1.1 400 Bad Request".to_vec()))).await;
    assert!(http.ends_with("it speaks HTTP there, not Kafka's protocol"), "{http}");
    let short = reason(script!(Reaction::Raw(vec![0, 0, 0, 2, 1, 1]))).await;
    assert!(short.ends_with("an answer of less than four bytes"), "{short}");
    let other = reason(script!(Reaction::Raw(vec![0, 0, 0, 4, 0, 0, 0, 9]))).await;
    assert!(other.ends_with("an answer to request 9, and 1 is next"), "{other}");
    let empty = reason(script!(Reaction::Raw(vec![0, 0, 0, 4, 0, 0, 0, 1]))).await;
    assert!(empty.starts_with("the answer to ListGroups v3 cannot be read"), "{empty}");
    let gone = reason(script!(Reaction::Hang)).await;
    assert!(gone.ends_with("closed by the broker"), "{gone}");
}

#[tokio::test]
async fn a_client_finds_brokers_and_shares_connections() {
    let env = env::real::env();
    let broker = FakeBroker::start(&env, well_behaved);
    let dead = {
        let listener = env.net.listen("127.0.0.1:0".parse().unwrap(), Listening::with_backlog(1)).unwrap();
        Address::new("127.0.0.1", listener.local_address().port())
    };
    let client = Client::new(env.clone(), vec![dead.clone(), broker.address.clone()], options());
    let cluster = client.metadata(Topics::All).await.unwrap();
    assert_eq!(cluster.brokers[&7].address, broker.address);
    let (one, other) = tokio::join!(client.broker(7, Purpose::Fetch), client.broker(7, Purpose::Fetch));
    let ids = [one.unwrap(), other.unwrap()].map(|connection| async move {
        connection.call(&ListGroupsRequest::default()).await.unwrap().groups.remove(0).group_id
    });
    let [first, second] = ids;
    assert_eq!((first.await, second.await), ("ottla-1".to_owned(), "ottla-2".to_owned()), "it is one connection");
    assert_eq!(client.broker(8, Purpose::General).await.err(), Some(CallError::NoSuchBroker { id: 8 }));

    let lonely = Client::new(env, vec![dead.clone()], options());
    let error = lonely.any().await.err().unwrap();
    assert!(error.to_string().starts_with(&format!("cannot connect to {dead}: ")), "{error}");
}

#[tokio::test]
async fn a_broker_that_is_not_where_the_cluster_says_is_explained() {
    fn misadvertised(request: RequestFrame<'_>, _: u16) -> Reaction {
        well_behaved(request, 1)
    }
    let env = env::real::env();
    let broker = FakeBroker::start(&env, misadvertised);
    let client = Client::new(env, vec![broker.address], options());
    let error = client.broker(7, Purpose::General).await.err().unwrap().to_string();
    assert!(error.starts_with("cannot connect to 127.0.0.1:1: ") && error.ends_with("advertised.listeners"), "{error}");
}

#[test]
fn addresses_are_read_and_written() {
    for (text, host, port) in [
        ("localhost:9092", "localhost", 9092),
        ("[::1]:1", "::1", 1),
        ("PLAINTEXT://h:2", "h", 2),
        ("1.2.3.4:65535", "1.2.3.4", 65535),
    ] {
        assert_eq!(text.parse(), Ok(Address::new(host, port)), "{text}");
    }
    for text in ["", "localhost", ":9092", "h:0", "h:65536", "::1:9092", "h:x"] {
        assert!(text.parse::<Address>().is_err(), "{text}");
    }
    assert_eq!(
        Address::parse_list("a:1, [::1]:2,").unwrap().iter().map(Address::to_string).collect::<Vec<_>>(),
        ["a:1", "[::1]:2"]
    );
    assert!(Address::parse_list(" , ").is_err());
}
