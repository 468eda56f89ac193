//! Blocks of producer ids (`ProducerIdControlManager`). A block that was given is never given again, so that two
//! producers never share an id; what a broker does not use of it is lost.

use metadata::Record;
use record::ProducerId;

use crate::machine::{Decision, Machine};

/// `ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`
const BLOCK_IDS: i64 = 1000;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProducerIdBlock {
    pub first: ProducerId,
    pub count: i64,
}

pub fn allocate(machine: &Machine) -> Decision<ProducerIdBlock> {
    let first = machine.image.next_producer_id;
    let next = first.value().checked_add(BLOCK_IDS).expect("nobody asks 9,000,000,000,000,000 times");
    Decision {
        records: vec![Record::NextProducerId(ProducerId(next))],
        answer: ProducerIdBlock { first, count: BLOCK_IDS },
    }
}
