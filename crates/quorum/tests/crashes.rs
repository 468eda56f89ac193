//! Power loss at every call of a history, with every legal or many sampled subsets of what was not synced, and a second
//! one at every call of the recovery: acknowledged entries are there, in order, and nothing appears that was never
//! proposed. And the reverse: what was acknowledged and is damaged is never taken for torn.

mod support;

use env::sim::disk::Tearing;
use env::sim::{Chance, Disk};
use quorum::{MetadataLog, OpenError, Proposal};
use support::{DIRECTORY, Node, outcome};

/// What the clients of a history know.
#[derive(Default)]
struct Known {
    proposed: Vec<String>,
    acknowledged: usize,
}

/// Several starts' worth of proposals, groups of one and of many, entries over a block, snapshots, kills. Ends early if
/// the power fails.
fn history(disk: &Disk) -> Known {
    let mut known = Known::default();
    let mut disk = disk.clone();
    for start in 0..2 {
        let Ok(mut node) = Node::open(&disk, start) else { return known };
        let mut open: Vec<Proposal> = Vec::new();
        for round in 0..4 {
            for number in 0..=round % 3 {
                let text = format!("{start}.{round}.{number} {}", "x".repeat(if round == 2 { 5000 } else { 1 }));
                // A failed log takes no more.
                let Ok(proposal) = node.log.propose(text.clone().into()) else { return known };
                known.proposed.push(text);
                open.push(proposal);
            }
            if round == 1 {
                node.take_snapshot();
            }
            if round == 3 {
                node.pass_ms(6);
            }
            node.settle();
            while open.first_mut().is_some_and(|first| matches!(outcome(first), Some(Ok(_)))) {
                open.remove(0);
                known.acknowledged += 1;
            }
            if disk.is_off() {
                return known;
            }
        }
        drop(node);
        disk = disk.clone();
    }
    known
}

/// Opens what a crash has left and compares. Returns what was found.
fn check(disk: &Disk, known: &Known, what: &str) -> (Node, usize) {
    let node = Node::open(disk, 99).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = node.texts();
    assert!(found.len() >= known.acknowledged, "{what}: {} of {} acknowledged", found.len(), known.acknowledged);
    assert!(found.len() <= known.proposed.len() && found == known.proposed[..found.len()], "{what}: {found:?}");
    let count = found.len();
    (node, count)
}

#[test]
fn power_loss_at_every_call_loses_nothing_acknowledged() {
    let whole = Disk::new(1);
    let known = history(&whole);
    assert_eq!((known.proposed.len(), known.acknowledged), (14, 14));
    let calls = whole.operations();
    assert!(calls > 60, "{calls} calls");
    let (mut images, mut second_images) = (0, 0);
    let mut outcomes = std::collections::BTreeSet::new();
    for call in 0..calls {
        let disk = Disk::new(1);
        disk.crash_at(call);
        let known = history(&disk);
        assert!(disk.is_off());
        let mut chance = Chance::new(call);
        for (image, fates) in disk.crash_fates(Tearing::At512, 24, &mut chance).iter().enumerate() {
            let left = disk.restart_with(fates);
            images += 1;
            // The second crash, inside the recovery of the first: first count the recovery's calls on a copy.
            let rehearsal = left.fork();
            let before = rehearsal.operations();
            let (_, found) = check(&rehearsal, &known, &format!("call {call}, image {image}"));
            outcomes.insert((known.acknowledged, found));
            for second in before..rehearsal.operations() {
                if !(second + image as u64).is_multiple_of(3) {
                    continue;
                }
                let again = left.fork();
                again.crash_at(second);
                assert!(Node::open(&again, 98).is_err(), "the power failed");
                let third = again.power_loss(&mut chance);
                second_images += 1;
                let what = format!("call {call}, image {image}, second crash at {second}");
                let (mut node, found) = check(&third, &known, &what);
                // What an open log has published stays, whatever comes.
                node.propose("later");
                node.settle();
                let fourth = third.power_loss(&mut chance);
                let texts = Node::open(&fourth, 97).unwrap_or_else(|error| panic!("{what}: {error}")).texts();
                assert_eq!(texts.len(), found + 1, "{what}");
                assert_eq!(texts.last().unwrap(), "later", "{what}");
            }
        }
    }
    assert!(outcomes.iter().any(|(acknowledged, found)| found > acknowledged), "no unacknowledged entry ever survived");
    assert!(images > 500 && second_images > 500, "{images} images, {second_images} second ones");
}

#[test]
fn damage_to_what_was_acknowledged_stops_the_start_and_changes_nothing() {
    let disk = Disk::new(1);
    history(&disk);
    let disk = disk.kill();
    let node = Node::open(&disk.fork(), 1).unwrap();
    let expected = node.texts();
    let log_names: Vec<String> = {
        use env::Disk as _;
        let entries = disk.read_dir(std::path::Path::new(DIRECTORY)).unwrap();
        entries.into_iter().map(|entry| format!("{DIRECTORY}/{}", entry.name)).collect()
    };
    assert!(log_names.len() >= 3, "{log_names:?}");
    let mut refused = 0;
    for name in &log_names {
        let len = disk.visible(name).unwrap().len() as u64;
        for at in (0..len).step_by(509) {
            let damaged = disk.fork();
            damaged.rot(name, at, 0x10);
            let operations = damaged.operations();
            match Node::open(&damaged, 1) {
                // Padding is nobody's.
                Ok(node) => assert_eq!(node.texts(), expected, "{name} at {at}"),
                Err(OpenError::Damaged { .. } | OpenError::Newer { .. }) => {
                    refused += 1;
                    let writes = damaged.operations() - operations;
                    // Making a directory that exists is the only call before reading.
                    assert!(writes <= 1, "{name} at {at}: {writes} changes");
                }
                Err(other) => panic!("{name} at {at}: {other}"),
            }
        }
    }
    assert!(refused > 20, "{refused} damages were refused");
}

#[test]
fn a_missing_file_stops_the_start() {
    use env::Disk as _;
    let disk = Disk::new(1);
    history(&disk);
    let disk = disk.kill();
    let directory = std::path::Path::new(DIRECTORY);
    for entry in disk.read_dir(directory).unwrap() {
        let damaged = disk.fork();
        damaged.remove_file(&directory.join(&entry.name)).unwrap();
        let opened = Node::open(&damaged, 1);
        assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{} is missing", entry.name);
    }
}

#[test]
fn a_file_that_was_cut_stops_the_start_or_has_lost_nothing() {
    use env::{Disk as _, OpenOptions};
    let whole = Disk::new(1);
    history(&whole);
    let disk = whole.kill();
    let mut node = Node::open(&disk, 3).unwrap();
    for entry in ["small", &"large ".repeat(900)] {
        node.propose(entry);
        node.settle();
    }
    let expected = node.texts();
    let killed = disk.fork();
    let _at_rest = node.log.close();
    node.settle();
    let stopped = disk.kill();
    for (disk, how) in [(killed, "killed"), (stopped, "stopped")] {
        let directory = std::path::Path::new(DIRECTORY);
        let (mut refused, mut whole) = (0, 0);
        for entry in disk.read_dir(directory).unwrap() {
            let path = directory.join(&entry.name);
            let len = disk.visible(&path).unwrap().len() as u64;
            let blocks = (0..len).step_by(4096).flat_map(|at| [at, at + 1, at + 60, at + 600, at + 4095]);
            for length in blocks.filter(|length| *length < len) {
                let damaged = disk.fork();
                damaged.open(&path, OpenOptions::WRITE).unwrap().set_len(length).unwrap();
                match Node::open(&damaged, 4) {
                    Err(OpenError::Damaged { .. }) => refused += 1,
                    Ok(node) => {
                        assert_eq!(node.texts(), expected, "{how}, {} cut to {length} of {len}", entry.name);
                        whole += 1;
                    }
                    Err(other) => panic!("{how}, {} cut to {length}: {other}", entry.name),
                }
            }
        }
        println!("{how}: {refused} cuts refused, {whole} harmless");
        assert!(refused > 20 && whole > 5, "{refused}, {whole}");
    }
}

#[test]
fn rot_in_the_sealed_last_group_is_damage() {
    let disk = Disk::new(1);
    let mut node = Node::open(&disk, 1).unwrap();
    node.propose("the only one");
    node.settle();
    node.pass_ms(6);
    node.settle();
    let disk = disk.kill();
    for at in [4096, 4096 + 70] {
        let damaged = disk.fork();
        damaged.rot(format!("{DIRECTORY}/0000000001.log"), at, 1);
        assert!(matches!(Node::open(&damaged, 2), Err(OpenError::Damaged { .. })), "at {at}");
    }
}

#[test]
fn what_a_start_has_read_from_the_page_cache_survives_the_next_power_loss() {
    let whole = Disk::new(1);
    history(&whole);
    let mut more_than_acknowledged = 0;
    for call in 0..whole.operations() {
        let disk = Disk::new(1);
        disk.crash_at(call);
        let known = history(&disk);
        // Not the power but the process: what was written is visible and not durable.
        let killed = disk.kill();
        for seed in 0..8 {
            let killed = killed.fork();
            let (node, found) = check(&killed, &known, &format!("killed in call {call}"));
            more_than_acknowledged += usize::from(found > known.acknowledged);
            // Published without another write of its own: the power fails before the worker's first step.
            drop(node);
            let left = killed.power_loss(&mut Chance::new(seed));
            let after = Node::open(&left, 96).unwrap_or_else(|error| panic!("call {call}: {error}")).texts();
            assert_eq!(after.len(), found, "call {call}, seed {seed}: published and gone");
        }
    }
    assert!(more_than_acknowledged > 0, "no start ever read an entry that was not acknowledged");
}

#[test]
fn power_loss_in_the_start_after_a_kill_loses_nothing_acknowledged() {
    let whole = Disk::new(1);
    history(&whole);
    let mut images = 0;
    for call in 0..whole.operations() {
        let disk = Disk::new(1);
        disk.crash_at(call);
        let known = history(&disk);
        // The page cache shows what was written and not synced, an empty group that seals the last among it.
        let killed = disk.kill();
        let rehearsal = killed.fork();
        let before = rehearsal.operations();
        check(&rehearsal, &known, &format!("killed in call {call}"));
        for second in before..rehearsal.operations() {
            for seed in 0..6 {
                let again = killed.fork();
                again.crash_at(second);
                assert!(Node::open(&again, 98).is_err(), "the power failed");
                let left = again.power_loss(&mut Chance::new(seed));
                check(&left, &known, &format!("killed in call {call}, power lost in call {second}, seed {seed}"));
                images += 1;
            }
        }
    }
    assert!(images > 2000, "{images} images");
}

#[test]
fn what_a_failed_sync_left_clean_in_the_page_cache_is_written_again_before_it_is_believed() {
    let disk = Disk::new(1);
    let mut node = Node::open(&disk, 1).unwrap();
    node.settle();
    let mut proposal = node.propose("not acknowledged");
    disk.inject(env::sim::disk::Fault::input_output(env::sim::disk::Call::SyncData));
    node.settle();
    assert!(matches!(outcome(&mut proposal), Some(Err(_))));
    let killed = disk.kill();
    assert_eq!(Node::open(&killed, 2).unwrap().texts(), ["not acknowledged"], "the kernel still shows it");
    for seed in 0..20 {
        let left = killed.fork().power_loss(&mut Chance::new(seed));
        assert_eq!(Node::open(&left, 3).unwrap().texts(), ["not acknowledged"], "published, so it stays");
    }
}
