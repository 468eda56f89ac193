//! Kafka's own generated Java classes as the judge: every message at every version, both ways, values and refusals.
//!
//! Needs a JDK and a folder with Kafka's jars: the one of `OTTLA_KAFKA_CLIENTS_JAR`, else `target/cache/kafka/broker` or
//! `target/cache/protocol-oracle/jars`. Without them the tests print `not run: reason`, and fail if
//! `OTTLA_TEST_COMPLETE` is 1.

#[path = "oracle/java.rs"]
mod java;
#[path = "oracle/json.rs"]
mod json;
#[path = "oracle/random.rs"]
mod random;

use java::{Outcome, Question, ask_text, ask_transcode};
use json::json_of_message;
use protocol::{ApiKey, DecodeErrorKind, ErrorCode, MessageKind};
use random::{Rng, random_message};

const MESSAGES_PER_VERSION: usize = 12;
const MUTANTS_PER_VERSION: usize = 30;

fn every_version() -> impl Iterator<Item = (MessageKind, i16)> {
    MessageKind::ALL.iter().flat_map(|&kind| kind.versions().map(move |version| (kind, version)))
}

#[test]
fn java_reads_what_we_write_and_writes_the_same_bytes() {
    let mut rng = Rng::new(1);
    let mut questions = Vec::new();
    for (kind, version) in every_version() {
        for _ in 0..MESSAGES_PER_VERSION {
            questions.push(Question { kind, version, to: version, bytes: random_message(kind, &mut rng, version) });
        }
    }
    let Some(outcomes) = ask_transcode(&questions) else { return };
    for (Question { kind, version, bytes, .. }, outcome) in questions.iter().zip(outcomes) {
        let context = || format!("{} v{version}: {bytes:02x?}", kind.name());
        let Outcome::Transcoded { consumed, encoded, json } = outcome else { panic!("{outcome:?} {}", context()) };
        assert_eq!(consumed, bytes.len(), "{}", context());
        assert_eq!(&encoded, bytes, "{}", context());
        assert_eq!(json, json_of_message(*kind, *version, bytes), "{}", context());
        assert_eq!(kind.check(*version, bytes), Ok(&[][..]), "{}", context());
    }
}

#[test]
fn we_read_what_java_writes_and_write_the_same_bytes() {
    let pairs: Vec<(MessageKind, i16, i64)> =
        every_version().flat_map(|(kind, version)| (0..8).map(move |seed| (kind, version, seed))).collect();
    let Some(answers) = java::ask_random(&pairs) else { return };
    for ((kind, version, _), (by_schema, outcome)) in pairs.iter().zip(answers) {
        let context = || format!("{} v{version}: {by_schema:02x?}", kind.name());
        let Outcome::Transcoded { consumed, encoded, json } = outcome else { panic!("{outcome:?} {}", context()) };
        assert_eq!(consumed, by_schema.len(), "{}", context());
        // Two spellings: Kafka's generic serialisation, which also writes defaults in tagged fields, and its classes'.
        for bytes in [&by_schema, &encoded] {
            assert_eq!(kind.check(*version, bytes), Ok(&[][..]), "{}", context());
            assert_eq!(kind.reencode(*version, *version, bytes), Ok(Ok(encoded.clone())), "{}", context());
        }
        assert_eq!(json, json_of_message(*kind, *version, &encoded), "{}", context());
    }
}

/// Bytes that are nearly a message: both sides take them for the same message, or refuse them. We refuse two things
/// more: strings that are not UTF-8 (Java replaces what it cannot read) and tagged fields that lie about their size.
#[test]
fn java_and_we_agree_on_what_is_no_message() {
    let mut rng = Rng::new(2);
    let mut questions = Vec::new();
    for (kind, version) in every_version() {
        for _ in 0..MUTANTS_PER_VERSION {
            let mut bytes = random_message(kind, &mut rng, version);
            mutate(&mut bytes, &mut rng);
            questions.push(Question { kind, version, to: version, bytes });
        }
    }
    let Some(outcomes) = ask_transcode(&questions) else { return };
    let (mut taken, mut refused, mut stricter) = (0, 0, 0);
    for (Question { kind, version, bytes, .. }, outcome) in questions.iter().zip(outcomes) {
        let context = || format!("{} v{version}: {bytes:02x?}", kind.name());
        let ours = kind.check(*version, bytes).map(|rest| bytes.len() - rest.len());
        match (ours, &outcome) {
            (Ok(ours), Outcome::Transcoded { consumed, encoded, .. }) => {
                assert_eq!(ours, *consumed, "{}", context());
                assert_eq!(kind.reencode(*version, *version, bytes), Ok(Ok(encoded.clone())), "{}", context());
                taken += 1;
            }
            (Ok(ours), Outcome::NotEncoded { consumed, .. }) => {
                assert_eq!(ours, *consumed, "{}", context());
                assert!(matches!(kind.reencode(*version, *version, bytes), Ok(Err(_))), "{} {outcome:?}", context());
            }
            (Err(_), Outcome::NotDecoded { .. }) => refused += 1,
            (Err(error), _) if matches!(error.kind, DecodeErrorKind::Utf8 | DecodeErrorKind::TagSize) => stricter += 1,
            (ours, _) => panic!("we: {ours:?}, Java: {outcome:?}, {}", context()),
        }
    }
    println!("{taken} taken by both, {refused} refused by both, {stricter} refused by us only");
    assert!(taken > 1000 && refused > 1000 && stricter > 100, "the mutations no longer reach all of this");
}

/// A message of one version written at another: fields are dropped, or the version cannot hold what is set.
#[test]
fn java_and_we_agree_on_what_another_version_can_hold() {
    let mut rng = Rng::new(3);
    let mut questions = Vec::new();
    for (kind, version) in every_version() {
        for to in kind.versions().filter(|to| *to != version) {
            for _ in 0..3 {
                questions.push(Question { kind, version, to, bytes: random_message(kind, &mut rng, version) });
            }
        }
    }
    let Some(outcomes) = ask_transcode(&questions) else { return };
    let (mut held, mut not_held) = (0, 0);
    for (Question { kind, version, to, bytes }, outcome) in questions.iter().zip(outcomes) {
        let ours = kind.reencode(*version, *to, bytes).expect("what we wrote ourselves");
        match (ours, &outcome) {
            (Ok(ours), Outcome::Transcoded { encoded, .. }) if ours == *encoded => held += 1,
            (Err(_), Outcome::NotEncoded { .. }) => not_held += 1,
            (ours, _) => panic!("we: {ours:?}, Java: {outcome:?}, {} v{version} to v{to}: {bytes:02x?}", kind.name()),
        }
    }
    println!("{held} held by the other version, {not_held} not");
    assert!(held > 1000 && not_held > 1000, "the random messages no longer reach both");
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..1 + rng.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.below(bytes.len());
        match rng.below(5) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][rng.below(5)],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, rng.next() as u8),
            _ => drop(bytes.remove(at)),
        }
    }
}

#[test]
fn error_codes_are_kafkas() {
    let Some(theirs) = ask_text(b'E') else { return };
    let mut ours: Vec<String> = Vec::new();
    for error in ErrorCode::ALL {
        let retriable = if error.is_retriable() { " retriable" } else { "" };
        let metadata = if error.is_invalid_metadata() { " metadata" } else { "" };
        ours.push(format!("{} {error}{retriable}{metadata}", error.code()));
    }
    let mut theirs: Vec<&str> = theirs.lines().collect();
    theirs.sort_by_key(|line| line.split(' ').next().unwrap().parse::<i16>().unwrap());
    assert_eq!(ours, theirs);
}

#[test]
fn api_keys_have_kafkas_names_versions_and_header_versions() {
    let Some(theirs) = ask_text(b'K') else { return };
    let mut ours: Vec<String> = Vec::new();
    for key in ApiKey::ALL {
        let (versions, stable) = (key.versions(), key.stable_versions());
        let mut line = format!("{} {key} {} {} {}", key.code(), versions.start(), versions.end(), stable.end());
        for version in versions {
            line += &format!(" {}/{}", key.request_header_version(version), key.response_header_version(version));
        }
        ours.push(line);
    }
    let mut theirs: Vec<&str> = theirs.lines().collect();
    theirs.sort_by_key(|line| line.split(' ').next().unwrap().parse::<i16>().unwrap());
    assert_eq!(ours, theirs);
}
