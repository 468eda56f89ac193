//! What administrators do: configurations, partitions, trimming, moving and deleting groups, looking at the cluster.
use std::time::{Duration, Instant};

use cli::completions::{self, Names};
use env::real::Runtime;
use serde_json::{Value, json};

use crate::bed::{Running, bootstrap, fed, ok, ran, topic};

fn parsed(line: &str) -> Value {
    serde_json::from_str(&ok(line)).unwrap()
}

/// The row of a table in JSON of which `column` says `value`.
fn row(rows: &Value, column: &str, value: impl Into<Value>) -> Value {
    let value = value.into();
    let found = rows.as_array().unwrap().iter().find(|row| row[column] == value);
    found.unwrap_or_else(|| panic!("no {column} {value} in {rows}")).clone()
}

fn feed(topic: &str, from: i32, to: i32) {
    let input: String = (from..to).map(|number| format!("k{number}:{number}\n")).collect();
    assert_eq!(fed(&format!("produce {topic} -K :"), input).code, 0);
}

/// Waits until the first row of `config get` says this: Apache Kafka answers a change before its brokers have heard of it.
fn until(get: &str, value: &Value, origin: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let entries = parsed(get);
        if (&entries[0]["value"], entries[0]["origin"].as_str()) == (value, Some(origin)) {
            return;
        }
        assert!(Instant::now() < deadline, "{get}: {value} {origin}: {entries}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_topic_s_configuration_changes_and_comes_back() {
    let topic = topic("alter", "-p 1 -c retention.ms=60000");
    let alter = format!("topic alter {topic} --set retention.ms=70000 --set segment.bytes=2000000 -o json");
    let tried = parsed(&format!("{alter} --dry-run"));
    let retention = row(&tried, "key", "retention.ms");
    assert_eq!((&retention["old"], &retention["new"]), (&json!("60000"), &json!("70000")));
    assert_eq!(retention["old_origin"], "DYNAMIC_TOPIC_CONFIG");
    let segment = row(&tried, "key", "segment.bytes");
    assert_eq!((&segment["old"], &segment["old_origin"]), (&json!("1073741824"), &json!("DEFAULT_CONFIG")));
    let get = format!("config get topic {topic} retention.ms segment.bytes -o json");
    assert_eq!(row(&parsed(&get), "key", "retention.ms")["value"], "60000", "a dry run changes nothing");

    assert_eq!(parsed(&alter), tried, "it says before what it does");
    until(&get, &json!("70000"), "DYNAMIC_TOPIC_CONFIG"); // Sorted by key, so retention.ms is first.
    let changed = parsed(&get);
    let retention = row(&changed, "key", "retention.ms");
    assert_eq!((&retention["value"], &retention["origin"]), (&json!("70000"), &json!("DYNAMIC_TOPIC_CONFIG")));
    let synonyms = retention["synonyms"].as_array().unwrap();
    assert_eq!(synonyms[0], json!({"key": "retention.ms", "value": "70000", "origin": "DYNAMIC_TOPIC_CONFIG"}));
    let synonyms = row(&changed, "key", "segment.bytes")["synonyms"].clone();
    assert_eq!(synonyms[1]["origin"], "DEFAULT_CONFIG", "{synonyms}");
    assert!(!retention["documentation"].as_str().unwrap().is_empty(), "{retention}");

    let undone = parsed(&format!("topic alter {topic} --delete segment.bytes -o json"));
    assert_eq!(row(&undone, "key", "segment.bytes")["new"], "1073741824", "what counts without it");
    until(&format!("config get topic {topic} segment.bytes -o json"), &json!("1073741824"), "DEFAULT_CONFIG");

    let wrong = ran(&format!("topic alter {topic} --set retention.ms=soon"));
    assert!(wrong.code == 1 && wrong.err.contains("(INVALID_CONFIG, 40)"), "{}", wrong.err);
    let missing = ran(&format!("topic alter {topic}-missing --set retention.ms=1"));
    assert!(missing.code == 3 && missing.err.contains("UNKNOWN_TOPIC_OR_PARTITION"), "{}", missing.err);
    let nothing = ran(&format!("config get topic {topic} no.such.key"));
    assert!(nothing.code == 3 && nothing.err.contains("no configuration no.such.key"), "{}", nothing.err);
}

#[test]
fn brokers_are_configured() {
    let info = parsed("cluster info -o json");
    let id = info["brokers"][0]["id"].to_string();
    // Of no other test's interest, as they run side by side.
    let get = format!("config get broker {id} log.index.interval.bytes -o json");
    let until = |value: &Value, origin: &str| until(&get, value, origin);
    let before = parsed(&get)[0].clone();
    ok(&format!("config set broker {id} log.index.interval.bytes=16001"));
    until(&json!("16001"), "DYNAMIC_BROKER_CONFIG");
    ok("config set broker default log.index.interval.bytes=16002");
    let of_all = || parsed("config get broker default -o json").to_string();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !of_all().contains(r#""value":"16002""#) {
        assert!(Instant::now() < deadline, "what is set for all is shown");
    }
    until(&json!("16001"), "DYNAMIC_BROKER_CONFIG"); // One broker's own is stronger.
    let unset = parsed(&format!("config unset broker {id} log.index.interval.bytes -o json"));
    assert_eq!((&unset[0]["old"], &unset[0]["new"]), (&json!("16001"), &json!("16002")));
    until(&json!("16002"), "DYNAMIC_DEFAULT_BROKER_CONFIG");
    ok("config unset broker default log.index.interval.bytes");
    until(&before["value"], before["origin"].as_str().unwrap());

    let nobody = ran("config get broker 12345");
    assert!(nobody.code == 3 && nobody.err.contains("there is no broker 12345"), "{}", nobody.err);
    let read_only = ran(&format!("config set broker {id} process.roles=broker"));
    assert!(read_only.code == 1 && read_only.err.contains("INVALID_REQUEST"), "{}", read_only.err);
}

#[test]
fn groups_and_client_metrics_are_configured() {
    let group = format!("configured-{}", std::process::id());
    ok(&format!("config set group {group} consumer.session.timeout.ms=50000"));
    let get = format!("config get group {group} -o json"); // Only what is set.
    until(&get, &json!("50000"), "DYNAMIC_GROUP_CONFIG");
    ok(&format!("config unset group {group} consumer.session.timeout.ms"));

    let metrics = format!("metrics-{}", std::process::id());
    ok(&format!("config set client-metrics {metrics} interval.ms=60000"));
    let get = format!("config get client-metrics {metrics} interval.ms -o json");
    until(&get, &json!("60000"), "DYNAMIC_CLIENT_METRICS_CONFIG");
    ok(&format!("config unset client-metrics {metrics} interval.ms"));
}

#[test]
fn topics_grow_and_never_shrink() {
    let topic = topic("grow", "-p 2");
    let tried = ran(&format!("topic add-partitions {topic} -n 3 --dry-run -o json"));
    assert_eq!(tried.code, 0, "{}", tried.err);
    assert_eq!(serde_json::from_str::<Value>(&tried.out).unwrap(), json!([{"topic": topic, "old": 2, "new": 5}]));
    let count = || parsed(&format!("topic describe {topic} -o json"))[0]["partitions"].as_array().unwrap().len();
    assert_eq!(count(), 2);
    ok(&format!("topic add-partitions {topic} -n 3"));
    assert_eq!(count(), 5);
    assert_eq!(fed(&format!("produce {topic} -p 4"), "x\n").code, 0, "it leads at once");
    ok(&format!("topic add-partitions {topic} --total 6"));
    assert_eq!(count(), 6);
    let fewer = ran(&format!("topic add-partitions {topic} --total 3"));
    assert!(fewer.code == 1 && fewer.err.contains("(INVALID_PARTITIONS, 37)"), "{}", fewer.err);
    assert_eq!(ran(&format!("topic add-partitions {topic}-missing -n 1")).code, 3);
}

#[test]
fn what_is_trimmed_is_gone() {
    let topic = topic("trim", "-p 2");
    let input: String = (0..10)
        .map(|number| format!("{{\"value\":\"v{number}\",\"timestamp\":{}}}\n", 1_700_000_000_000_i64 + number * 1000))
        .collect();
    for partition in 0..2 {
        assert_eq!(fed(&format!("produce {topic} -p {partition} --format json"), input.clone()).code, 0);
    }
    let offsets = |partition: i32| ok(&format!("consume {topic} -p {partition} --exit --format %o,"));
    let tried = parsed(&format!("topic trim {topic} --to 4 --dry-run -o json"));
    let first = row(&tried, "partition", 0);
    assert_eq!((&first["start"], &first["new_start"], &first["goes"]), (&json!(0), &json!(4), &json!(4)));
    assert_eq!(offsets(0), "0,1,2,3,4,5,6,7,8,9,", "a dry run deletes nothing");
    ok(&format!("topic trim {topic} --to 4 -p 0"));
    assert_eq!((offsets(0).as_str(), offsets(1).as_str()), ("4,5,6,7,8,9,", "0,1,2,3,4,5,6,7,8,9,"));
    ok(&format!("topic trim {topic} --to @2023-11-14T22:13:27Z"));
    assert_eq!((offsets(0).as_str(), offsets(1).as_str()), ("7,8,9,", "7,8,9,"));
    ok(&format!("topic trim {topic} --to -1 -p 1"));
    assert_eq!(offsets(1), "9,");
    let beyond = ran(&format!("topic trim {topic} --to 11"));
    assert!(beyond.code == 3 && beyond.err.contains("has no offset 11"), "{}", beyond.err);
    ok(&format!("topic trim {topic} --to end --yes"));
    assert_eq!(offsets(0), "");
    let again = ran(&format!("topic trim {topic} --to end"));
    assert_eq!((again.code, again.err.as_str()), (0, "there is nothing to delete\n"));
}

#[test]
fn a_group_seeks_and_what_undoes_it_is_said() {
    let (topic, other) = (topic("seek", "-p 2"), topic("seek-other", "-p 1"));
    let group = format!("{topic}-g");
    feed(&topic, 0, 100);
    feed(&other, 0, 10);
    ok(&format!("consume {topic} --group {group} --exit"));
    let committed = || {
        let described = parsed(&format!("group describe {group} -o json"));
        let partitions = described[0]["partitions"].as_array().unwrap().clone();
        partitions
            .iter()
            .map(|at| {
                (format!("{}/{}", at["topic"].as_str().unwrap(), at["partition"]), at["committed"].as_i64().unwrap())
            })
            .collect::<Vec<_>>()
    };
    let before = committed();
    assert_eq!(before.iter().map(|(_, offset)| offset).sum::<i64>(), 100);

    let tried = parsed(&format!("group seek {group} --to -10 --dry-run -o json"));
    let first = row(&tried, "partition", 0);
    assert_eq!((&first["old"], &first["move"], &first["lag"]), (&json!(before[0].1), &json!(-10), &json!(10)));
    assert_eq!(committed(), before, "a dry run moves nothing");

    let sought = ran(&format!("group seek {group} --to start --topic {topic},{other}"));
    assert_eq!(sought.code, 0, "{}", sought.err);
    assert_eq!(committed().iter().map(|(_, offset)| *offset).collect::<Vec<_>>(), [0, 0, 0]);
    assert_eq!(ok(&format!("consume {topic} --group {group} --exit")).lines().count(), 100, "it reads all again");
    ok(&format!("group seek {group} --to start --topic {topic}"));

    // The command that it says, as a shell would run it.
    let said = sought.err.lines().last().unwrap().trim().to_owned();
    let (lines, command) = said.split_once(" | ottla ").unwrap();
    let lines = lines.strip_prefix("printf '").unwrap().strip_suffix('\'').unwrap().replace("\\n", "\n");
    let undone = fed(command, lines);
    assert_eq!(undone.code, 0, "{}", undone.err);
    assert_eq!(committed(), before, "also that the other topic had no offsets");

    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{topic}-undo"));
    ok(&format!("group seek {group} --to +5 --undo {}", file.display()));
    assert_eq!(committed().iter().map(|(_, offset)| *offset).collect::<Vec<_>>(), [5, 5]);
    ok(&format!("group seek {group} --from-file {}", file.display()));
    assert_eq!(committed(), before);
    let nothing = ran(&format!("group seek {group} --to end"));
    assert_eq!((nothing.code, nothing.err.as_str()), (0, "there is nothing to move\n"));

    let nobody = ran(&format!("group seek {group}-nobody --to start"));
    assert!(nobody.code == 3 && nobody.err.contains("--topic makes it"), "{}", nobody.err);
    ok(&format!("group seek {group}-new --to 3 --topic {other}"));
    let new = parsed(&format!("group describe {group}-new -o json"));
    assert_eq!((&new[0]["state"], &new[0]["partitions"][0]["committed"]), (&json!("Empty"), &json!(3)));
    let beyond = ran(&format!("group seek {group} --to 1000 --topic {other}"));
    assert!(beyond.code == 3 && beyond.err.contains("has no offset 1000"), "{}", beyond.err);
}

#[test]
fn a_group_in_use_is_neither_moved_nor_deleted() {
    let topic = topic("in-use", "-p 1");
    let group = format!("{topic}-g");
    feed(&topic, 0, 10);
    let member = Running::start(&format!("consume {topic} --group {group}"), "");
    member.wait_for("it reads", |out| out.lines().count() == 10);
    for command in [format!("group seek {group} --to start"), format!("group delete {group}")] {
        let refused = ran(&command);
        assert_eq!(refused.code, 1, "{command}: {}", refused.err);
        assert!(refused.err.contains("stop these first: ottla-cli/"), "{command}: {}", refused.err);
    }
    assert_eq!(member.interrupt().code, 0);
    let deadline = Instant::now() + Duration::from_secs(30);
    while ran(&format!("group delete {group}")).code != 0 {
        assert!(Instant::now() < deadline, "nobody is in it any more");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(ran(&format!("group describe {group}")).code, 3);
    let again = ran(&format!("group delete {group}"));
    assert!(again.code == 3 && again.err.contains("GROUP_ID_NOT_FOUND, 69"), "{}", again.err);
    ok(&format!("group delete {group} --if-exists"));
}

#[test]
fn the_cluster_says_who_it_is_and_what_it_can() {
    let info = parsed("cluster info -o json");
    let broker = &info["brokers"][0];
    assert!(broker["address"].as_str().unwrap().contains(':') && broker["state"] == "active", "{broker}");
    assert_eq!(info["controllers"]["voters"].as_array().unwrap().len(), 1, "{info}");
    assert!(info["controllers"]["high_watermark"].as_i64().unwrap() > 0, "{info}");
    assert!(row(&info["features"], "feature", "metadata.version")["level"].as_i64().unwrap() > 0);
    let fetch = row(&info["apis"], "api", "Fetch");
    assert_eq!((&fetch["key"], &fetch["min"]), (&json!(1), &json!(4)));
    let shown = ok("cluster info");
    assert!(shown.starts_with(&format!("cluster {}\n", info["cluster"].as_str().unwrap())), "{shown}");
    assert!(!shown.contains("OffsetForLeaderEpoch") && ok("cluster info --apis").contains("OffsetForLeaderEpoch"));
}

#[test]
fn a_shell_learns_the_names_that_are_there() {
    let topic = topic("tab", "-p 1");
    let group = format!("{topic}-g");
    ok(&format!("group seek {group} --to start --topic {topic}"));
    let live = |names: Names| {
        let runtime = Runtime::new(1).unwrap();
        runtime.block_on(async { completions::live(env::real::env(), bootstrap(), names).await })
    };
    assert!(live(Names::Topics).contains(&topic));
    assert!(!live(Names::Topics).contains(&"__consumer_offsets".to_owned()), "internal ones are left out");
    assert!(live(Names::Groups).contains(&group));
    for shell in ["bash", "zsh", "fish"] {
        let script = run_alone(&format!("completions {shell}"));
        assert!(script.contains("COMPLETE") && script.contains("ottla"), "{script}");
    }
}

/// Without `-b`: it speaks to no cluster.
fn run_alone(line: &str) -> String {
    let ran = Running::start_alone(line).end();
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.out
}

#[test]
fn a_bench_counts_what_it_writes_and_reads() {
    let topic = topic("bench", "-p 3");
    let written = ran(&format!("bench produce {topic} --num 20000 --size 100 --batch-bytes 4096 -o json"));
    assert_eq!((written.code, written.err.as_str()), (0, ""), "nothing moves where there is no terminal");
    let written = serde_json::from_str::<Value>(&written.out).unwrap()[0].clone();
    assert_eq!((&written["records"], &written["bytes"]), (&json!(20000), &json!(2_000_000)));
    let number = |report: &Value, name: &str| report[name].as_f64().unwrap_or_else(|| panic!("{name}: {report}"));
    assert!(number(&written, "records_per_s") > 0.0 && number(&written, "mib_per_s") > 0.0, "{written}");
    let times = ["p50_ms", "p95_ms", "p99_ms", "p99_9_ms", "max_ms"].map(|name| number(&written, name));
    assert!(times.is_sorted() && times[0] > 0.0, "{written}");

    let read = parsed(&format!("bench consume {topic} -o json"))[0].clone();
    assert_eq!((&read["records"], &read["bytes"]), (&json!(20000), &json!(2_000_000)));
    assert!(number(&read, "p50_ms") > 0.0, "{read}");
    assert_eq!(parsed(&format!("bench consume {topic} --num 777 -o json"))[0]["records"], 777);
    assert_eq!(parsed(&format!("bench consume {topic} --offset -10:end -o json"))[0]["records"], 30);

    let began = Instant::now();
    let paced = parsed(&format!("bench produce {topic} --num 200 --rate 400 --acks 1 -o json"))[0].clone();
    assert!(began.elapsed() >= Duration::from_millis(490), "{paced}");
    assert!(number(&paced, "records_per_s") < 420.0, "{paced}");
    let shown = ok(&format!("bench consume {topic}"));
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert_eq!(ran(&format!("bench consume {topic}-missing")).code, 3);
}
