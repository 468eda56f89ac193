//! What a single node's metadata log promises while it runs: order, one sync for many, bounds, full disks, and that
//! it does not grow for ever.

mod support;

use bytes::Bytes;
use env::Next;
use env::sim::Disk;
use env::sim::disk::{Call, Fault};
use quorum::{ENTRY_BYTES_MAX, LogId, MetadataLog, ProposeError, Unknown};
use support::{DIRECTORY, Node, outcome};

fn names(disk: &Disk) -> Vec<String> {
    use env::Disk as _;
    disk.read_dir(std::path::Path::new(DIRECTORY)).unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn entries_come_back_in_order_after_a_clean_stop_and_after_a_kill() {
    let mut disk = Disk::new(1);
    let mut expected = Vec::new();
    for start in 0..5u64 {
        let mut node = Node::open(&disk, start).unwrap();
        assert_eq!(node.texts(), expected);
        assert_eq!(node.log.role().term, start + 1, "every start is a term of its own");
        for number in 0..3 {
            expected.push(format!("{start}-{number}"));
            let mut proposal = node.propose(expected.last().unwrap());
            node.settle();
            assert_eq!(outcome(&mut proposal), Some(Ok(node.last)));
        }
        assert_eq!(node.texts(), expected);
        if start % 2 == 0 {
            let _at_rest = node.log.close();
            assert_eq!(node.settle(), Next::Stop);
            assert_eq!(node.log.propose(Bytes::new()).unwrap_err(), ProposeError::Closed);
        }
        disk = disk.kill();
    }
}

#[test]
fn nothing_is_committed_before_its_sync_and_many_share_one() {
    let disk = Disk::new(1);
    let mut node = Node::open(&disk, 1).unwrap();
    node.settle();
    let mut proposals: Vec<_> = (0..100).map(|number| node.propose(&number.to_string())).collect();
    disk.record_operations();
    node.step();
    assert!(proposals.iter_mut().all(|proposal| outcome(proposal).is_none()), "written is not synced");
    node.step();
    for (number, proposal) in (2..).zip(&mut proposals) {
        assert_eq!(outcome(proposal), Some(Ok(LogId { term: 1, index: number })));
    }
    let calls: Vec<Call> = disk.recorded_operations().into_iter().map(|operation| operation.call).collect();
    assert_eq!(calls, [Call::Write, Call::SyncData]);
}

#[test]
fn a_snapshot_is_written_although_there_is_always_another_entry_to_write() {
    let disk = Disk::new(1);
    let mut node = Node::open(&disk, 1).unwrap();
    for number in 0..2000 {
        if names(&disk).iter().any(|name| name.ends_with(".snapshot")) {
            return;
        }
        node.propose(&format!("{number} {}", "x".repeat(1000)));
        node.step();
        node.read();
        if node.log.wants_snapshot() {
            node.take_snapshot();
        }
    }
    panic!("the log only grows: {:?}", names(&disk));
}

#[test]
fn a_snapshot_replaces_the_log_below_it() {
    let disk = Disk::new(1);
    let mut node = Node::open(&disk, 1).unwrap();
    let mut snapshots = 0;
    for number in 0..500 {
        node.propose(&format!("{number} {}", "x".repeat(1000)));
        node.settle();
        if node.log.wants_snapshot() {
            node.take_snapshot();
            assert!(!node.log.wants_snapshot(), "one at a time");
            snapshots += 1;
        }
        let bytes: usize = names(&disk)
            .iter()
            .filter(|n| n.ends_with(".log"))
            .map(|n| disk.visible(format!("{DIRECTORY}/{n}")).unwrap().len())
            .sum();
        assert!(bytes < 128 * 1024, "the log has {bytes} bytes");
    }
    assert!(snapshots > 10, "{snapshots} snapshots");
    let (texts, last) = (node.texts(), node.last);
    assert_eq!(names(&disk).iter().filter(|name| name.ends_with(".snapshot")).count(), 1);
    let again = Node::open(&disk.kill(), 2).unwrap();
    assert_eq!((again.texts(), again.last), (texts, last));
}

#[test]
fn a_node_that_only_restarts_does_not_collect_files() {
    let mut disk = Disk::new(1);
    for start in 0..100 {
        let mut node = Node::open(&disk, start).unwrap();
        node.settle();
        if node.log.wants_snapshot() {
            node.take_snapshot();
            node.settle();
        }
        assert!(names(&disk).len() < 22, "{:?}", names(&disk));
        disk = disk.kill();
    }
}

#[test]
fn a_full_disk_makes_proposals_wait_and_loses_none() {
    let disk = Disk::new(1);
    let mut node = Node::open(&disk, 1).unwrap();
    node.settle();
    let mut early = node.propose("early");
    disk.inject(Fault::no_space(Call::Write).times(3));
    assert!(matches!(node.settle(), Next::At(_)));
    let mut late = node.propose("late");
    for _ in 0..2 {
        assert!(matches!(node.settle(), Next::At(_)));
        assert_eq!(outcome(&mut early), None);
    }
    node.settle();
    assert!(matches!(outcome(&mut early), Some(Ok(_))));
    assert!(matches!(outcome(&mut late), Some(Ok(_))));
    assert_eq!(Node::open(&disk.kill(), 2).unwrap().texts(), ["early", "late"]);
}

#[test]
fn a_full_disk_costs_a_snapshot_but_not_the_log() {
    for calls_before in 0..8 {
        let disk = Disk::new(1);
        let mut node = Node::open(&disk, 1).unwrap();
        for number in 0..5 {
            node.propose(&number.to_string());
            node.settle();
        }
        node.pass_ms(10);
        node.settle();
        node.take_snapshot();
        disk.inject(Fault::no_space(Call::Write).after(calls_before));
        node.settle();
        node.propose("behind");
        node.settle();
        node.take_snapshot();
        node.settle();
        let expected = ["0", "1", "2", "3", "4", "behind"];
        assert_eq!(node.texts(), expected, "{calls_before} calls before the disk was full");
        assert!(!names(&disk).iter().any(|name| name.ends_with(".tmp")));
        assert_eq!(Node::open(&disk.kill(), 2).unwrap().texts(), expected);
    }
}

#[test]
fn after_a_failed_sync_outcomes_are_unknown_and_nothing_more_is_taken() {
    let disk = Disk::new(1);
    let mut node = Node::open(&disk, 1).unwrap();
    node.settle();
    let mut proposal = node.propose("lost or not");
    disk.inject(Fault::input_output(Call::SyncData));
    assert_eq!(node.settle(), Next::Stop);
    assert_eq!(outcome(&mut proposal), Some(Err(Unknown)));
    assert_eq!(node.log.propose(Bytes::new()).unwrap_err(), ProposeError::Closed);
}

#[test]
fn what_waits_is_bounded_and_so_is_an_entry() {
    let disk = Disk::new(1);
    let mut node = Node::open(&disk, 1).unwrap();
    assert_eq!(node.log.propose(vec![0; ENTRY_BYTES_MAX + 1].into()).unwrap_err(), ProposeError::TooLarge);
    let big = Bytes::from(vec![0; ENTRY_BYTES_MAX]);
    let taken = (0..100).take_while(|_| node.log.propose(big.clone()).is_ok()).count();
    assert!((8..10).contains(&taken), "{taken} of 8 MiB were taken");
    assert_eq!(node.log.propose(Bytes::new()).unwrap_err(), ProposeError::Full);
    node.settle();
    assert_eq!(node.state.len(), taken);
    assert!(node.log.propose(big).is_ok(), "there is room again");
}

#[test]
fn a_group_without_a_successor_is_sealed_once() {
    let disk = Disk::new(1);
    let mut node = Node::open(&disk, 1).unwrap();
    node.settle();
    node.pass_ms(4);
    assert!(matches!(node.step(), Next::At(_)), "the seal waits its 5 ms");
    node.pass_ms(2);
    disk.record_operations();
    assert_eq!(node.settle(), Next::Idle);
    let calls: Vec<Call> = disk.recorded_operations().into_iter().map(|operation| operation.call).collect();
    assert_eq!(calls, [Call::Write, Call::SyncData], "one seal, and then rest");
}
