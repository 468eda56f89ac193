//! How a server and a client use the codec, from the frame of a request to the frame of its response, and back.

use protocol::fetch_request::{FetchPartition, FetchRequest, FetchRequestView, FetchTopic};
use protocol::fetch_response::{FetchResponse, FetchResponseView, FetchableTopicResponse, PartitionData};
use protocol::metadata_request::{MetadataRequest, MetadataRequestTopic, MetadataRequestView};
use protocol::metadata_response::{MetadataResponse, MetadataResponseTopic, MetadataResponseView};
use protocol::{
    ApiKey, ErrorCode, Records, RequestFrame, Segment, Uuid, View, decode_response_header, encode_request,
    encode_response, encode_response_in_segments,
};

#[test]
fn metadata_goes_from_client_to_server_and_back() {
    // Client. What is not named has Kafka's default.
    let topic = MetadataRequestTopic { name: Some("orders".into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    let frame = encode_request(&request, 12, 7, Some("app")).expect("version 12 can hold it");

    // Server. The four bytes of length are the connection's; all that is read borrows from the frame.
    let frame = RequestFrame::parse(&frame[4..]).expect("a request header");
    assert_eq!((frame.api_key, frame.api_version, frame.client_id), (ApiKey::Metadata, 12, Some("app")));
    let request = MetadataRequestView::decode(frame.api_version, frame.body).expect("a Metadata request");
    assert!(request.allow_auto_topic_creation);
    let mut topics = Vec::new();
    for asked in request.topics.expect("null would be: all topics") {
        let name: Option<&str> = asked.name;
        topics.push(MetadataResponseTopic {
            error_code: ErrorCode::UnknownTopicOrPartition.code(),
            name: name.map(str::to_owned),
            ..Default::default()
        });
    }
    let response = MetadataResponse { controller_id: 1, topics, ..Default::default() };
    let frame = encode_response(&response, frame.api_key, frame.api_version, frame.correlation_id).expect("it fits");

    // Client again.
    let (correlation_id, body) = decode_response_header(ApiKey::Metadata, 12, &frame[4..]).expect("a header");
    let response = MetadataResponseView::decode(12, body).expect("a Metadata response");
    let topic = response.topics.first().expect("one topic");
    assert_eq!((correlation_id, topic.name, topic.topic_id), (7, Some("orders"), Uuid::ZERO));
    assert_eq!(ErrorCode::from_code(topic.error_code), Some(ErrorCode::UnknownTopicOrPartition));
}

#[test]
fn a_fetch_response_leaves_holes_for_records_that_are_elsewhere() {
    let partition =
        FetchPartition { partition: 3, fetch_offset: 40, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = FetchTopic { topic: "orders".into(), partitions: vec![partition], ..Default::default() };
    let request = FetchRequest { max_wait_ms: 500, min_bytes: 1, topics: vec![topic], ..Default::default() };
    let frame = encode_request(&request, 12, 8, None).expect("version 12 can hold it");

    let frame = RequestFrame::parse(&frame[4..]).expect("a request header");
    let request = FetchRequestView::decode(frame.api_version, frame.body).expect("a Fetch request");
    let records = b"batches, somewhere in a file";
    let mut responses = Vec::new();
    for topic in request.topics {
        let answer = |partition: protocol::fetch_request::FetchPartitionView<'_>| PartitionData {
            partition_index: partition.partition,
            high_watermark: partition.fetch_offset + 2,
            records: Some(Records::Elsewhere(records.len())),
            ..Default::default()
        };
        let partitions = topic.partitions.iter().map(answer).collect();
        responses.push(FetchableTopicResponse { topic: topic.topic.into(), partitions, ..Default::default() });
    }
    let response = FetchResponse { responses, ..Default::default() };
    let segments = encode_response_in_segments(&response, frame.api_key, frame.api_version, frame.correlation_id)
        .expect("it fits");

    // The connection: `writev` and `sendfile` in turn.
    let mut sent = Vec::new();
    for segment in segments.iter() {
        match segment {
            Segment::Bytes(bytes) => sent.extend_from_slice(bytes),
            Segment::Records { length } => sent.extend_from_slice(&records[..length]),
        }
    }
    assert_eq!(sent.len(), segments.len());
    assert_eq!(sent[..4], (sent.len() as u32 - 4).to_be_bytes());
    let segments: Vec<_> = segments.into_segments().collect();
    let [Segment::Bytes(head), Segment::Records { length }, Segment::Bytes(tail)] = &segments[..] else {
        panic!("{segments:?}");
    };
    assert_eq!([&head[..], &records[..*length], &tail[..]].concat(), sent);

    let (_, body) = decode_response_header(ApiKey::Fetch, 12, &sent[4..]).expect("a header");
    let response = FetchResponseView::decode(12, body).expect("a Fetch response");
    let partition = response.responses.first().expect("one topic").partitions.first().expect("one partition");
    assert_eq!((partition.high_watermark, partition.records), (42, Some(&records[..])));
}
