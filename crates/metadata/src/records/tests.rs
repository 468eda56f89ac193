use record::LeaderEpoch;

use super::*;
use crate::{Directories, Endpoint, Replicas};

fn samples() -> Vec<Record> {
    let partition = Partition {
        replicas: Replicas::from_slice(&[BrokerId(1), BrokerId(2)]),
        directories: Directories::from_slice(&[protocol::Uuid([3; 16]), protocol::Uuid([4; 16])]),
        isr: Replicas::from_slice(&[BrokerId(2)]),
        leader: None,
        leader_epoch: LeaderEpoch(5),
        partition_epoch: 6,
    };
    vec![
        Record::Broker(Broker {
            id: BrokerId(1),
            epoch: 7,
            incarnation: protocol::Uuid([8; 16]),
            endpoints: vec![Endpoint {
                listener: "PLAINTEXT".into(),
                host: "localhost".into(),
                port: 9092,
                security_protocol: 0,
            }],
            rack: Some("a".into()),
            directories: vec![protocol::Uuid([3; 16])],
            fenced: true,
        }),
        Record::BrokerDirectories { broker: BrokerId(1), epoch: 7, directories: vec![protocol::Uuid([3; 16])] },
        Record::BrokerFenced { broker: BrokerId(1), epoch: 7, fenced: false },
        Record::BrokerRemoved(BrokerId(1)),
        Record::Config { resource: Resource::topic("ä"), name: "retention.ms".into(), value: Some("1".into()) },
        Record::Config { resource: Resource::BrokerDefault, name: "x".into(), value: None },
        Record::Config { resource: Resource::Broker(BrokerId(3)), name: "x".into(), value: Some(String::new()) },
        Record::ClientQuota {
            entity: QuotaEntity {
                user: crate::Part::Named("ada".into()),
                client_id: crate::Part::Default,
                ..Default::default()
            },
            key: "producer_byte_rate".into(),
            limit: Limit::new(1.5),
        },
        Record::ClientQuota {
            entity: QuotaEntity { ip: crate::Part::Named("10.0.0.1".into()), ..Default::default() },
            key: "connection_creation_rate".into(),
            limit: None,
        },
        Record::ScramCredential {
            key: ("ada".into(), crate::ScramMechanism::Sha512),
            credential: Some(ScramCredential {
                salt: Bytes::from_static(b"salt"),
                stored_key: Bytes::from_static(b"stored"),
                server_key: Bytes::from_static(b"server"),
                iterations: 4096,
            }),
        },
        Record::ScramCredential { key: ("ada".into(), crate::ScramMechanism::Sha256), credential: None },
        Record::Feature { name: "metadata.version".into(), level: 30 },
        Record::LeadershipRenewed(BrokerId(1)),
        Record::NextBrokerEpoch(9),
        Record::NextProducerId(ProducerId(1000)),
        Record::Topic { id: TopicId([9; 16]), name: "flights".into() },
        Record::Partition { topic: TopicId([9; 16]), index: 3, partition },
        Record::TopicRemoved(TopicId([9; 16])),
    ]
}

#[test]
fn records_come_back_as_they_were() {
    let samples = samples();
    let bytes = Records::of(&samples);
    let read: Result<Vec<Record>, DecodeError> = Records::decode(&bytes).collect();
    assert_eq!(read, Ok(samples));
}

#[test]
fn bytes_are_those_that_the_format_page_tells() {
    let bytes = Records::of(&[Record::Topic { id: TopicId([0xab; 16]), name: "ab".into() }]);
    let mut expected = vec![0, 1, 0, 0, 0, 0, 0, 22];
    expected.extend([0xab; 16]);
    expected.extend([0, 0, 0, 2, b'a', b'b']);
    assert_eq!(bytes, expected);
    let bytes = Records::of(&[Record::LeadershipRenewed(BrokerId(258))]);
    assert_eq!(bytes[..], [0, 8, 0, 0, 0, 0, 0, 4, 0, 0, 1, 2]);
}

#[test]
fn what_is_cut_or_newer_or_too_long_is_an_error_and_never_a_panic() {
    let whole = Records::of(&samples());
    let boundaries: Vec<usize> = samples()
        .iter()
        .scan(0, |at, record| {
            *at += Records::of([record]).len();
            Some(*at)
        })
        .collect();
    for cut in 0..whole.len() {
        let failed = Records::decode(&whole[..cut]).any(|record| record.is_err());
        assert_eq!(failed, cut != 0 && !boundaries.contains(&cut), "cut at {cut}");
    }
    for at in 0..whole.len() {
        for flip in [1, 0x80] {
            let mut bytes = whole.to_vec();
            bytes[at] ^= flip;
            Records::decode(&bytes).for_each(drop);
        }
    }
    let error = |bytes: &[u8]| Records::decode(bytes).next().unwrap().unwrap_err();
    assert_eq!(error(&[0, 99, 0, 0, 0, 0, 0, 0]), DecodeError::Newer { kind: 99, version: 0 });
    assert_eq!(error(&[0, 8, 0, 1, 0, 0, 0, 0]), DecodeError::Newer { kind: 8, version: 1 });
    assert!(matches!(error(&[0, 8, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 9]), DecodeError::Malformed(_)));
}
