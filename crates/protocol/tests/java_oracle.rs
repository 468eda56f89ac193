//! Kafka's own generated Java classes as the judge: every message at every version, both ways, values and refusals.
//!
//! Needs a JDK and maven, which fetches Kafka's jars to `target/cache/protocol-oracle` at the first run. Without them
//! the tests print `not run: reason`, and fail if `OTTLA_TEST_COMPLETE` is 1.

#[path = "oracle/java.rs"]
mod java;
#[path = "oracle/json.rs"]
mod json;
#[path = "oracle/random.rs"]
mod random;
#[path = "oracle/shapes.rs"]
mod shapes;

use std::collections::{BTreeMap, BTreeSet};

use java::{Outcome, Question, ask_text, ask_transcode};
use json::json_of_message;
use protocol::{ARRAY_ELEMENTS_MAX, ApiKey, DecodeErrorKind, ErrorCode, MessageKind, TAGGED_FIELDS_MAX};
use random::{Rng, random_message};
use shapes::{Seen, expected, look_at};

const MESSAGES_PER_VERSION_MIN: usize = 8;
const MESSAGES_PER_VERSION_MAX: usize = 20_000;
const MUTANTS_PER_VERSION: usize = 30;

fn every_version() -> impl Iterator<Item = (MessageKind, i16)> {
    MessageKind::ALL.iter().flat_map(|&kind| kind.versions().map(move |version| (kind, version)))
}

/// Random messages that together show all that the schema allows in this version.
fn messages_of_every_shape(kind: MessageKind, version: i16, rng: &mut Rng) -> Vec<Vec<u8>> {
    let (mut seen, mut messages) = (Seen::default(), Vec::new());
    for drawn in 0..MESSAGES_PER_VERSION_MAX {
        if drawn >= MESSAGES_PER_VERSION_MIN && seen.missing(kind, version).is_empty() {
            return messages;
        }
        let (bytes, seen_before) = (random_message(kind, rng, version), seen.len());
        look_at(kind, version, &bytes, &mut seen);
        if drawn < MESSAGES_PER_VERSION_MIN || seen.len() > seen_before {
            messages.push(bytes);
        }
    }
    panic!("{} v{version} never showed {:?}", kind.name(), seen.missing(kind, version));
}

fn what_they_cover() -> String {
    let shapes = every_version()
        .map(|(kind, version)| expected(kind).iter().filter(|expected| expected.versions.contains(&version)).count());
    let shapes: usize = shapes.sum();
    format!("{} kinds, {} versions of them, {shapes} shapes", MessageKind::ALL.len(), every_version().count())
}

#[test]
fn java_reads_what_we_write_and_writes_the_same_bytes() {
    let mut rng = Rng::new(1);
    let mut questions = Vec::new();
    for (kind, version) in every_version() {
        for bytes in messages_of_every_shape(kind, version, &mut rng) {
            questions.push(Question { kind, version, to: version, bytes });
        }
    }
    println!("{} messages: {}", questions.len(), what_they_cover());
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
    let mut seen: BTreeMap<(&str, i16), Seen> = BTreeMap::new();
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
        look_at(*kind, *version, &encoded, seen.entry((kind.name(), *version)).or_default());
    }
    let missing = |(kind, version): (MessageKind, i16)| seen[&(kind.name(), version)].missing(kind, version).len();
    let missing: usize = every_version().map(missing).sum();
    println!("{} messages: {}, {missing} of them not shown by Java", pairs.len(), what_they_cover());
    assert!(missing < 1200, "Java's messages no longer show what they did");
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

/// What metrics count as the errors of an answer. A code that Kafka does not know is its UNKNOWN_SERVER_ERROR.
#[test]
fn java_and_we_count_the_same_errors() {
    let mut rng = Rng::new(4);
    let mut responses = Vec::new();
    // Nobody is answered with these yet, and Kafka counts them in ways of their own.
    let later = ["AddPartitionsToTxn", "AssignReplicasToDirs", "DescribeShareGroupOffsets", "FetchSnapshot"];
    let api = |kind: &MessageKind| kind.name().strip_suffix("Response").filter(|api| !later.contains(api));
    for (kind, version) in every_version().filter(|(kind, _)| api(kind).is_some()) {
        for _ in 0..12 {
            responses.push((kind, version, random_message(kind, &mut rng, version)));
        }
    }
    let Some(answers) = java::ask_error_counts(&responses) else { return };
    let (mut counted, mut wrong) = (0, BTreeMap::new());
    for ((kind, version, bytes), theirs) in responses.iter().zip(answers) {
        let Some(theirs) = theirs else { continue };
        let mut ours = BTreeMap::new();
        for code in kind.error_codes(*version, bytes).expect("what we wrote ourselves") {
            *ours.entry(ErrorCode::from_code(code).map_or(-1, ErrorCode::code)).or_default() += 1;
        }
        counted += theirs.values().sum::<usize>();
        if ours != theirs {
            wrong.insert((kind.name(), *version), format!("{ours:?}, Java: {theirs:?}"));
        }
    }
    println!("{counted} errors");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(counted > 1000);
}

/// Kafka 4.4 refuses more than a million elements and more than 10,000 tagged fields, and so do we, to the element.
#[test]
fn java_and_we_agree_on_how_much_is_too_much() {
    let kind = |name: &str| *MessageKind::ALL.iter().find(|kind| kind.name() == name).expect("a message");
    let mut asked = Vec::new();
    for count in [ARRAY_ELEMENTS_MAX, ARRAY_ELEMENTS_MAX + 1] {
        // Of strings, structs and numbers, the last also inside a struct; lengths of four bytes and varints.
        let (plain, compact) = ((count as u32).to_be_bytes().to_vec(), varint(count + 1));
        let one_topic = [0, 0, 0, 0, 1, 0, 1, b'a'].to_vec();
        asked.push((kind("DeleteTopicsRequest"), 1, [plain.clone(), vec![0; 2 * count + 4]].concat()));
        asked.push((kind("MetadataRequest"), 9, [compact.clone(), [1, 0].repeat(count), vec![0; 4]].concat()));
        asked.push((kind("ListConfigResourcesRequest"), 1, [compact, vec![0; count + 1]].concat()));
        asked.push((kind("ElectLeadersRequest"), 1, [one_topic, plain, vec![0; 4 * count + 4]].concat()));
    }
    for count in [TAGGED_FIELDS_MAX, TAGGED_FIELDS_MAX + 1] {
        let tags: Vec<u8> = (0..count).flat_map(|tag| [varint(tag + 100), vec![0]].concat()).collect();
        let tags = [varint(count), tags].concat();
        asked.push((kind("ResponseHeader"), 1, [vec![0; 4], tags.clone()].concat()));
        asked.push((kind("ApiVersionsResponse"), 3, [vec![0; 2], vec![1], vec![0; 4], tags].concat()));
    }
    let Some(answers) = java::ask_check(&asked) else { return };
    let mut verdicts = Vec::new();
    for ((kind, version, bytes), theirs) in asked.iter().zip(answers) {
        let ours = kind.check(*version, bytes).map(|rest| bytes.len() - rest.len());
        assert_eq!(ours.ok(), theirs.clone().ok(), "{} v{version}: we: {ours:?}, Java: {theirs:?}", kind.name());
        verdicts.push(ours.is_ok());
    }
    assert_eq!(verdicts, [true, true, true, true, false, false, false, false, true, true, false, false]);
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
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
fn there_is_every_message_of_kafka_at_each_of_its_versions() {
    let Some(theirs) = ask_text(b'M') else { return };
    let line = |kind: &MessageKind| format!("{} {} {}", kind.name(), kind.versions().start(), kind.versions().end());
    let ours: BTreeSet<String> = MessageKind::ALL.iter().map(line).collect();
    let theirs: BTreeSet<String> = theirs.lines().map(str::to_owned).collect();
    assert_eq!(ours.difference(&theirs).collect::<Vec<_>>(), Vec::<&String>::new(), "ours alone");
    assert_eq!(theirs.difference(&ours).collect::<Vec<_>>(), Vec::<&String>::new(), "Kafka's alone");
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
        // Also of versions that nobody knows: ApiVersions is answered at any.
        for version in -1..=versions.end() + 2 {
            line += &format!(" {}/{}", key.request_header_version(version), key.response_header_version(version));
        }
        ours.push(line);
    }
    let mut theirs: Vec<&str> = theirs.lines().collect();
    theirs.sort_by_key(|line| line.split(' ').next().unwrap().parse::<i16>().unwrap());
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).for_each(|(ours, theirs)| assert_eq!(ours, theirs));
}
