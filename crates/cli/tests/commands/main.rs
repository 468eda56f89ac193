//! The commands as a user has them, against a broker: one of Ottla's in this process, or the one that
//! OTTLA_TEST_BOOTSTRAP names (Apache Kafka with `group.initial.rebalance.delay.ms=0` passes all of this).
mod administration;
mod bed;

use std::io;
use std::time::{Duration, Instant};

use clap::Parser;
use cli::Console;
use env::real::Runtime;
use serde_json::Value;

use bed::{Arguments, Running, Written, fed, ok, ran, topic};

#[test]
fn topics_are_made_listed_described_and_deleted() {
    let topic = topic("life", "-p 3 -r 1 -c retention.ms=60000");
    let again = ran(&format!("topic create {topic}"));
    assert_eq!(again.code, 1);
    assert!(again.err.contains("(TOPIC_ALREADY_EXISTS, 36)\n  --if-not-exists"), "{}", again.err);
    ok(&format!("topic create {topic} --if-not-exists"));

    let listed: Value = serde_json::from_str(&ok("topic list -o json")).unwrap();
    let row = listed.as_array().unwrap().iter().find(|row| row["topic"] == topic.as_str()).unwrap();
    assert_eq!((&row["partitions"], &row["replicas"]), (&Value::from(3), &Value::from(1)));

    let described = ok(&format!("topic describe {topic}"));
    assert!(described.contains("retention.ms=60000"), "{described}");
    assert!(!described.contains("segment.bytes"), "defaults are left out: {described}");
    assert!(described.lines().last().unwrap().split_whitespace().next() == Some("2"), "{described}");
    assert!(ok(&format!("topic describe {topic} --all")).contains("segment.bytes=1073741824"));

    let wrong = ran(&format!("topic create {topic}-wrong -c retention.ms=soon"));
    assert!(wrong.code == 1 && wrong.err.contains("(INVALID_CONFIG, 40)"), "{}", wrong.err);
    let too_many = ran(&format!("topic create {topic}-wide -r 9"));
    assert!(too_many.err.contains("(INVALID_REPLICATION_FACTOR, 38)\n"), "{}", too_many.err);
    let checked = ran(&format!("topic create {topic}-checked --dry-run"));
    assert!(checked.code == 0 && checked.err.ends_with("could be made\n"), "{}", checked.err);

    ok(&format!("topic delete {topic}"));
    for command in
        [format!("topic describe {topic}"), format!("topic delete {topic}"), format!("topic describe {topic}-checked")]
    {
        let gone = ran(&command);
        assert!(
            gone.code == 3 && gone.err.contains("(UNKNOWN_TOPIC_OR_PARTITION, 3)") || gone.err.contains(", 3\n"),
            "{}",
            gone.err
        );
    }
    ok(&format!("topic delete {topic} --if-exists"));
}

#[test]
fn what_is_produced_is_consumed_with_every_codec() {
    let topic = topic("codecs", "-p 1");
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let produced = fed(&format!("produce {topic} -z {codec} -K : -H codec={codec} -v"), format!("k:{codec}\n"));
        assert_eq!(produced.code, 0, "{}", produced.err);
    }
    let out = ok(&format!("consume {topic} --exit --format %p@%o:%k:%v:%h\\n"));
    let lines: Vec<String> = ["none", "gzip", "snappy", "lz4", "zstd"]
        .iter()
        .enumerate()
        .map(|(offset, codec)| format!("0@{offset}:k:{codec}:codec={codec}"))
        .collect();
    assert_eq!(out.lines().collect::<Vec<_>>(), lines);
}

#[test]
fn many_records_arrive_once_and_in_the_order_of_their_key() {
    let topic = topic("many", "-p 7");
    let count = 50_000;
    let input: String = (0..count).map(|number| format!("k{}:{number}\n", number % 100)).collect();
    assert_eq!(fed(&format!("produce {topic} -K : -z lz4"), input).code, 0);
    let out = ok(&format!("consume {topic} --exit --format %k:%v\\n"));
    let mut last = std::collections::BTreeMap::new();
    for line in out.lines() {
        let (key, value) = line.split_once(':').unwrap();
        let value: i64 = value.parse().unwrap();
        let before = last.insert(key, value);
        assert!(before.is_none_or(|before| before == value - 100), "{key}: {before:?}, then {value}");
    }
    assert_eq!(out.lines().count(), count);
}

#[test]
fn what_stands_before_a_record_that_cannot_be_read_is_written() {
    let topic = topic("unreadable", "-p 1");
    let ran = fed(&format!("produce {topic} -K :"), "a:1\nb:2\nno key\nc:3\n");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains(&format!("record 3 has no :; 2 records written to {topic}\n")), "{}", ran.err);
    assert_eq!(ok(&format!("consume {topic} --exit")), "1\n2\n");
}

#[test]
fn json_copies_bytes_nulls_headers_and_times() {
    let (from, to) = (topic("json-from", "-p 1"), topic("json-to", "-p 2"));
    let input = concat!(
        r#"{"key":"k","value_base64":"/wA=","timestamp":1700000000000,"headers":[{"name":"h","value":null}]}"#,
        "\n",
        r#"{"key":null,"value":null}"#,
        "\n"
    );
    assert_eq!(fed(&format!("produce {from} --format json"), input).code, 0);
    let copied = ok(&format!("consume {from} --exit --format json"));
    assert_eq!(fed(&format!("produce {to} --format json"), copied).code, 0);
    let out = ok(&format!("consume {to} --exit --format json"));
    let mut records: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    records.sort_by_key(|record| record["timestamp"].as_i64());
    assert_eq!(records.len(), 2);
    assert_eq!(records[0]["value_base64"], "/wA=");
    assert_eq!(records[0]["timestamp"], 1_700_000_000_000_i64);
    assert_eq!(records[0]["headers"], serde_json::json!([{"name": "h", "value": null}]));
    assert_eq!((&records[1]["key"], &records[1]["value"]), (&Value::Null, &Value::Null));
}

#[test]
fn offsets_choose_what_is_read() {
    let topic = topic("offsets", "-p 1");
    let input: String = (0..10)
        .map(|number| format!("{{\"value\":\"v{number}\",\"timestamp\":{}}}\n", 1_700_000_000_000_i64 + number * 1000))
        .collect();
    assert_eq!(fed(&format!("produce {topic} --format json"), input).code, 0);
    let read = |range: &str| {
        let out = ok(&format!("consume {topic} --offset {range} --format %o,"));
        out.trim_end_matches(',').to_owned()
    };
    assert_eq!(read(":end"), "0,1,2,3,4,5,6,7,8,9");
    assert_eq!(read("-3:end"), "7,8,9");
    assert_eq!(read("+8:end"), "8,9");
    assert_eq!(read("2:4"), "2,3");
    assert_eq!(read("@1700000005000:end"), "5,6,7,8,9");
    assert_eq!(read("@1700000002000:@1700000004000"), "2,3");
    assert_eq!(read("@2023-11-14T22:13:27.5Z:end"), "8,9");
    assert_eq!(read("end:end"), "");
    assert_eq!(ok(&format!("consume {topic} -n 3 --format %v")), "v0v1v2");
    let beyond = ran(&format!("consume {topic} --offset 11"));
    assert_eq!((beyond.code, beyond.err.lines().nth(1)), (3, Some("  there are 0 to 10")));
    assert_eq!(ran(&format!("consume {topic} -p 1")).code, 3);
}

#[test]
fn a_group_goes_on_where_it_stopped() {
    let topic = topic("group", "-p 4");
    let group = format!("{topic}-g");
    let feed = |from: i32, to: i32| {
        let input: String = (from..to).map(|number| format!("k{number}:{number}\n")).collect();
        assert_eq!(fed(&format!("produce {topic} -K :"), input).code, 0);
    };
    let numbers = |out: &str| {
        let mut numbers: Vec<i32> = out.lines().map(|line| line.parse().unwrap()).collect();
        numbers.sort();
        numbers
    };
    feed(0, 100);
    let first = ok(&format!("consume {topic} --group {group} --exit"));
    assert_eq!(numbers(&first), (0..100).collect::<Vec<_>>());
    feed(100, 150);
    let second = ok(&format!("consume {topic} --group {group} --exit"));
    assert_eq!(numbers(&second), (100..150).collect::<Vec<_>>());

    let described: Value = serde_json::from_str(&ok(&format!("group describe {group} -o json"))).unwrap();
    assert_eq!((&described[0]["state"], &described[0]["type"]), (&"Empty".into(), &"classic".into()));
    let partitions = described[0]["partitions"].as_array().unwrap();
    assert!(partitions.iter().all(|partition| partition["lag"] == 0), "{described}");
    assert_eq!(partitions.iter().map(|partition| partition["committed"].as_i64().unwrap()).sum::<i64>(), 150);
    assert!(ok("group list").lines().any(|line| line.starts_with(&group)));
    let nobody = ran(&format!("group describe {group}-nobody"));
    assert!(nobody.code == 3 && nobody.err.contains("there is no group"), "{}", nobody.err);
}

#[test]
fn two_members_share_and_one_takes_over() {
    let topic = topic("members", "-p 4");
    let group = format!("{topic}-g");
    let consume = format!("consume {topic} --group {group}");
    let feed = |from: i32, to: i32| {
        let input: String = (from..to).map(|number| format!("k{number}:{number}\n")).collect();
        assert_eq!(fed(&format!("produce {topic} -K :"), input).code, 0);
    };
    let count = |text: &str| text.lines().count();
    let first = Running::start(&consume, "");
    feed(0, 100);
    first.wait_for("the first reads alone", |out| count(out) == 100);
    let second = Running::start(&consume, "");
    // Both have partitions once the first has heard of the second.
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let described: Value = serde_json::from_str(&ok(&format!("group describe {group} -o json"))).unwrap();
        let partitions = described[0]["partitions"].as_array().unwrap();
        let mut owners: Vec<&str> = partitions.iter().filter_map(|partition| partition["member"].as_str()).collect();
        owners.sort();
        owners.dedup();
        if owners.len() == 2 && described[0]["state"] == "Stable" {
            break;
        }
        assert!(Instant::now() < deadline, "{described}");
        std::thread::sleep(Duration::from_millis(100));
    }
    feed(100, 200);
    second.wait_for("the second reads its share", |out| count(out) > 0);
    let (first_text, second_text) = (first.out.clone(), second.out.clone());
    first.wait_for("both read everything", |_| count(&first_text.text()) + count(&second_text.text()) == 200);
    let gone = first.interrupt();
    assert_eq!(gone.code, 0, "{}", gone.err);
    let before = count(&second.out.text());
    feed(200, 300);
    second.wait_for("the second takes over", |out| count(out) == before + 100);
    let last = second.interrupt();
    let mut all: Vec<i32> = gone.out.lines().chain(last.out.lines()).map(|line| line.parse().unwrap()).collect();
    all.sort();
    assert_eq!(all, (0..300).collect::<Vec<_>>(), "nothing is lost, nothing is read twice");
}

#[test]
fn a_consumer_follows_until_it_is_interrupted() {
    let topic = topic("follow", "-p 1");
    let follower = Running::start(&format!("consume {topic}"), "");
    for number in 0..3 {
        assert_eq!(fed(&format!("produce {topic}"), format!("{number}\n")).code, 0);
        follower.wait_for("it is there at once", |out| out.lines().count() == number + 1);
    }
    let ended = follower.interrupt();
    assert_eq!((ended.code, ended.out.as_str()), (0, "0\n1\n2\n"));
}

#[test]
fn failures_name_their_cause_and_their_remedy() {
    let topic = topic("failures", "-p 1");
    let large = fed(&format!("produce {topic}"), vec![b'x'; 3 << 20]);
    assert_eq!(large.code, 1);
    assert!(large.err.contains("MESSAGE_TOO_LARGE") && large.err.contains("max.message.bytes"), "{}", large.err);
    let keyless = fed(&format!("produce {topic} -K :"), "a:b\nc\n");
    assert!(keyless.code == 1 && keyless.err.starts_with("ottla: record 2 has no :"), "{}", keyless.err);
    let elsewhere = ran(&format!("produce {topic} -p 7"));
    assert_eq!((elsewhere.code, elsewhere.err.lines().nth(1)), (3, Some("  there are 0 to 0")));
    let missing = ran(&format!("consume {topic}-missing"));
    assert!(missing.code == 3 && missing.err.contains("ottla topic list"), "{}", missing.err);

    let dead = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let words = ["ottla", "topic", "list", "-b", &dead.to_string()].map(str::to_owned);
    let command = Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).command;
    let err = Written::default();
    let console = Console::new(
        Box::new(io::empty()),
        Box::new(io::sink()),
        Box::new(err.clone()),
        Box::pin(std::future::pending()),
    );
    let runtime = Runtime::new(1).unwrap();
    let code = runtime.block_on(async { cli::run(command, env::real::env(), console).await });
    assert_eq!(code, 5);
    assert!(err.text().starts_with(&format!("ottla: cannot connect to {dead}: Connection refused")), "{}", err.text());
}

#[test]
fn acks_are_what_was_asked_for() {
    let topic = topic("acks", "-p 1");
    for options in ["--acks 0", "--acks 1", "--acks all", "--no-idempotence"] {
        assert_eq!(fed(&format!("produce {topic} {options}"), "x\n".repeat(1000)).code, 0, "{options}");
    }
    let follower = Running::start(&format!("consume {topic} -n 4000"), "");
    follower.wait_for("all of them", |out| out.lines().count() == 4000);
    assert_eq!(follower.end().code, 0);
}
