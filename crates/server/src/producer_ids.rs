//! Ids for idempotent producers, handed out one by one from blocks of the controller's, so that no two nodes ever give the
//! same (KIP-730). A block is gone with the process that held it.
use controller::{Handle, ProducerIdBlock};
use protocol::ErrorCode;
use record::ProducerId;
use tokio::sync::Mutex;

pub struct ProducerIds {
    controller: Handle,
    /// What is left of the block. Locked while the next one is asked for: who comes meanwhile waits for the same block.
    block: Mutex<Option<ProducerIdBlock>>,
}

impl ProducerIds {
    pub fn new(controller: Handle) -> Self {
        Self { controller, block: Mutex::default() }
    }

    pub async fn next(&self) -> Result<ProducerId, ErrorCode> {
        let mut block = self.block.lock().await;
        let left = match block.take() {
            Some(left) if left.count > 0 => left,
            _ => self.controller.allocate_producer_ids().await?,
        };
        let ProducerIdBlock { first, count } = left;
        *block = Some(ProducerIdBlock { first: ProducerId(first.0 + 1), count: count - 1 });
        Ok(first)
    }
}
