//! Directories that earlier releases have written, after a clean stop and after a kill: this one opens them and finds
//! everything. What they hold was told by the release that wrote them, and is told again.
//!
//! `OTTLA_WRITE_PAST=<release>=<binary>` makes those of one more release with its binary (docs/format.md).
mod account;
mod archive;
mod life;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::broker::{Broker, Home, QUIET, Signal};
use crate::wire::Wire;
use life::{GROUPS, HOUR, Producer, YEAR_2100};

/// By the commit that they were made of.
const RELEASES: [&str; 1] = ["5e9f589"];
const TIMES: [i64; 3] = [YEAR_2100, YEAR_2100 + 3 * HOUR, YEAR_2100 + 9 * HOUR];
/// A small offsets topic, and groups without members that last.
const SMALL: [&str; 8] = [
    "--override",
    "offsets.topic.num.partitions=2",
    "--override",
    "offsets.retention.minutes=2147483647",
    "--override",
    "log.cleaner.backoff.ms=100",
    "--override",
    "node.id=1",
];

fn kept(release: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/releases").join(release).join(name)
}

fn account(wire: &mut Wire) -> String {
    account::of(wire, &GROUPS, &TIMES)
}

#[test]
fn directories_of_earlier_releases_open_and_hold_what_they_held() {
    if let Ok(wanted) = std::env::var("OTTLA_WRITE_PAST") {
        let (release, binary) = wanted.split_once('=').expect("<release>=<binary>");
        ["stopped", "killed"].into_iter().for_each(|end| write(release, Path::new(binary), end));
    }
    for release in RELEASES {
        for end in ["stopped", "killed"] {
            let home = Home::new("past");
            archive::unpack(&kept(release, &format!("{end}.tar.zst")), &home.data());
            let told = std::fs::read_to_string(kept(release, &format!("{end}.txt"))).unwrap();
            let broker = Broker::start_with(&home, &[QUIET, &SMALL].concat());
            assert_eq!(broker.err.wait_for("started; ").contains("nothing had"), end == "stopped");
            let mut wire = Wire::connect(broker.address);
            same(&account(&mut wire), &told, &format!("{release}, {end}"));
            goes_on(&mut wire, &told);
            let before = account(&mut wire);
            broker.stop(Signal::TERM);
            // And what this release has made of it, it opens too.
            let broker = Broker::start_with(&home, &[QUIET, &SMALL].concat());
            same(&account(&mut Wire::connect(broker.address)), &before, &format!("{release}, {end}, again"));
        }
    }
}

/// The producer's newest batch is known, and the next one too.
fn goes_on(wire: &mut Wire, told: &str) {
    let of = |name: &str| {
        let line = told.lines().find(|line| line.contains("ProducerState {")).expect("there is a producer");
        let behind = &line[line.find(&format!(" {name}: ")).expect("a field") + name.len() + 3..];
        behind[..behind.find(',').expect("more fields")].parse::<i64>().unwrap()
    };
    let (id, epoch) = (of("producer_id"), of("producer_epoch"));
    let last = of("last_sequence") as i32;
    let producer = Producer { id: record::ProducerId(id), epoch: record::ProducerEpoch(epoch as i16), next: last + 1 };
    let mut send = |sequence| life::produce(wire, "once", 0, &life::of_producer(&producer, sequence));
    assert_eq!(send(last), (0, i64::from(last)), "a duplicate has its offset");
    assert_eq!(send(last + 2).0, 45, "OUT_OF_ORDER_SEQUENCE_NUMBER");
    assert_eq!(send(last + 1), (0, i64::from(last) + 1));
}

fn same(found: &str, expected: &str, what: &str) {
    let mut lines = found.lines().zip(expected.lines()).enumerate();
    if let Some((line, (found, expected))) = lines.find(|(_, (found, expected))| found != expected) {
        panic!("{what}, line {}:\n  {found}\ninstead of\n  {expected}", line + 1);
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{what}");
}

fn write(release: &str, binary: &Path, end: &str) {
    let home = Home::new("written");
    let broker = start(binary, &home);
    let mut wire = Wire::connect(broker.address);
    let mut producer = life::live(&mut wire);
    wait_for_compaction(&home);
    broker.stop(Signal::TERM);

    let broker = start(binary, &home);
    let mut wire = Wire::connect(broker.address);
    life::end(&mut wire, &mut producer);
    let archive = kept(release, &format!("{end}.tar.zst"));
    std::fs::create_dir_all(archive.parent().unwrap()).unwrap();
    match end {
        "stopped" => drop(broker.stop(Signal::TERM)),
        // Before anything of that is in segments.
        _ => broker.kill(),
    }
    archive::pack(&home.data(), &archive);
    let broker = start(binary, &home);
    std::fs::write(kept(release, &format!("{end}.txt")), account(&mut Wire::connect(broker.address))).unwrap();
}

fn start(binary: &Path, home: &Home) -> Broker {
    let mut command = Command::new(binary);
    command.args(QUIET).args(SMALL).current_dir(home.path()).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Broker::spawn(command)
}

/// A segment of `compacted` has a generation in its name.
fn wait_for_compaction(home: &Home) {
    let is_compacted = || {
        let logs = std::fs::read_dir(home.data()).unwrap().map(|entry| entry.unwrap().path());
        let log = logs.into_iter().find(|path| path.to_string_lossy().contains("/compacted-0."));
        let names = std::fs::read_dir(log.expect("it was made")).unwrap();
        names.into_iter().any(|entry| entry.unwrap().file_name().to_string_lossy().matches('.').count() > 1)
    };
    life::wait_until(is_compacted);
}
