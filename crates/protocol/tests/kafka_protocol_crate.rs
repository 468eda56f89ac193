//! A second judge: the `kafka-protocol` crate, written by others from the same schemas. It is of an older Kafka, so it
//! is asked about the versions that it knows only.

#[path = "oracle/random.rs"]
mod random;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey as TheirKey, RequestKind, ResponseKind};
use protocol::{ApiKey, MessageKind};
use random::{Rng, random_message};

const MESSAGES_PER_VERSION: usize = 6;

fn kind(name: &str) -> MessageKind {
    *MessageKind::ALL.iter().find(|kind| kind.name() == name).expect("every API has a request and a response")
}

#[test]
fn the_kafka_protocol_crate_decodes_what_we_encode_and_encodes_what_we_decode() {
    let mut rng = Rng::new(4);
    // Theirs writes unknown tagged fields behind the known ones, whatever their order; Kafka's classes judge those.
    rng.with_unknown_tags = false;
    let (mut judged, mut unknown, mut apis_unknown) = (0, 0, Vec::new());
    for &api_key in ApiKey::ALL {
        let Ok(their_key) = TheirKey::try_from(api_key.code()) else {
            apis_unknown.push(api_key.name());
            continue;
        };
        let (request, response) = (kind(&format!("{api_key}Request")), kind(&format!("{api_key}Response")));
        let theirs = their_key.valid_versions();
        for version in api_key.versions().filter(|version| (theirs.min..=theirs.max).contains(version)) {
            for _ in 0..MESSAGES_PER_VERSION {
                let verdicts = [
                    judge(request, version, &mut rng, |bytes, out| {
                        RequestKind::decode(their_key, bytes, version)?.encode(out, version)
                    }),
                    judge(response, version, &mut rng, |bytes, out| {
                        ResponseKind::decode(their_key, bytes, version)?.encode(out, version)
                    }),
                ];
                judged += verdicts.iter().filter(|known| **known).count();
                unknown += verdicts.iter().filter(|known| !**known).count();
            }
        }
    }
    println!("{judged} messages judged, {unknown} of a version and {apis_unknown:?} not known to the crate");
    assert!(judged > 3000 && unknown < judged / 20);
}

/// False if the crate says that it does not know the version.
fn judge<E: std::fmt::Debug>(
    kind: MessageKind,
    version: i16,
    rng: &mut Rng,
    theirs: impl FnOnce(&mut Bytes, &mut BytesMut) -> Result<(), E>,
) -> bool {
    let ours = random_message(kind, rng, version);
    let context = || format!("{} v{version}: {ours:02x?}", kind.name());
    let (mut rest, mut encoded) = (Bytes::from(ours.clone()), BytesMut::new());
    if let Err(error) = theirs(&mut rest, &mut encoded) {
        let error = format!("{error:?}");
        assert!(error.contains("specified version not supported"), "{error} {}", context());
        return false;
    }
    assert!(rest.is_empty(), "{rest:02x?} not read of {}", context());
    assert_eq!(encoded, ours, "{}", context());
    assert_eq!(kind.reencode(version, version, &encoded), Ok(Ok(ours.clone())), "{}", context());
    true
}
