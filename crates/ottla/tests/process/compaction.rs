//! Compaction as a user has it: a topic by the broker's own defaults, written until segments are full, and read.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use protocol::Records;
use record::{BatchBuilder, Batches, Compression, Timestamp};

use crate::broker::{Broker, Home, PATIENCE, QUIET};
use crate::wire::{Wire, fetch, produce};

const KEYS: usize = 500;
const ROUNDS: usize = 12;
const COMPACTING: [&str; 6] = [
    "--override",
    "log.cleanup.policy=compact",
    "--override",
    "log.cleaner.backoff.ms=100",
    "--override",
    "log.segment.bytes=1048576",
];

/// One record of every key, 800 bytes each.
fn write_round(wire: &mut Wire, round: usize) {
    let mut batch = BatchBuilder::new(Compression::None);
    for key in 0..KEYS {
        let value = format!("{round:0800}");
        batch.append(Timestamp(1), Some(format!("key-{key}").as_bytes()), Some(value.as_bytes()));
    }
    let mut request = produce("");
    request.topic_data[0].partition_data[0].records = Some(Records::Here(batch.build().into()));
    assert_eq!(wire.ask(&request, 9).unwrap().responses[0].partition_responses[0].error_code, 0);
}

/// How many records there are, and the round of the newest of each key.
fn read(wire: &mut Wire) -> (usize, BTreeMap<String, usize>) {
    let end = (KEYS * ROUNDS) as i64;
    let (mut count, mut from, mut newest) = (0, 0, BTreeMap::new());
    while from < end {
        let response = wire.ask(&fetch(from, 0), 12).unwrap();
        let partition = &response.responses[0].partitions[0];
        assert_eq!(partition.error_code, 0);
        let Some(Records::Here(bytes)) = &partition.records else { panic!("records are never null") };
        assert!(!bytes.is_empty(), "nothing at {from}, below the end");
        for batch in Batches::new(bytes) {
            let batch = batch.unwrap();
            for record in record::Records::new(&batch, batch.body()).unwrap() {
                let record = record.unwrap();
                let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
                newest.insert(text(record.key), text(record.value).parse().unwrap());
                count += 1;
            }
            from = batch.next_offset().0;
        }
    }
    (count, newest)
}

#[test]
fn a_compacted_topic_keeps_the_newest_of_every_key_while_it_runs_and_after_a_kill() {
    let home = Home::new("compaction");
    let arguments = [QUIET, &COMPACTING].concat();
    let broker = Broker::start_with(&home, &arguments);
    let mut wire = Wire::connect(broker.address);
    wire.create_topic();
    (0..ROUNDS).for_each(|round| write_round(&mut wire, round));
    let deadline = Instant::now() + PATIENCE;
    let left = loop {
        let (count, newest) = read(&mut wire);
        assert_eq!(newest.len(), KEYS);
        assert!(newest.values().all(|round| *round == ROUNDS - 1), "{newest:?}");
        // Two rounds fill a segment, and the last one is not compacted.
        if count <= 5 * KEYS {
            break count;
        }
        assert!(Instant::now() < deadline, "{count} records are left");
        std::thread::sleep(Duration::from_millis(50));
    };
    broker.kill();
    let broker = Broker::start_with(&home, &arguments);
    let (count, newest) = read(&mut Wire::connect(broker.address));
    assert!(count <= left && newest.values().all(|round| *round == ROUNDS - 1), "{count}: {newest:?}");
}
