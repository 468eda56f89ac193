//! The log under a machine, as far as the machine sees it: records go in, an end offset comes out.

use record::Offset;

/// The partition that a machine writes to. Only that machine appends to it.
pub trait Log<R> {
    /// Appends `records`, which are never none, as one batch; a batch that would be too large may be split unless it is
    /// `atomic`. Returns the log's end behind them. An error means that nothing of them was written.
    fn append(&mut self, records: &[R], atomic: bool) -> Result<Offset, AppendError>;
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AppendError {
    /// Too few replicas are in sync. The machine lives on.
    NotEnoughReplicas,
    /// This broker leads the partition no longer: the machine is lost.
    NotLeader,
    /// The log cannot be written: the machine is lost.
    Storage,
    /// The batch exceeds what the topic takes. The machine lives on.
    TooLarge,
}
