//! States that have a rule of their own and are rarely come through. A simulation that has never been in one has shown
//! nothing of its rule: builds with `mutants` count them, all others do not know them.
#[cfg(feature = "mutants")]
use std::sync::Arc;
#[cfg(feature = "mutants")]
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Rare {
    CheckpointTorn,
    /// Of what was acknowledged. Never, where nothing rots.
    DamageFound,
    /// A log was deleted while a checkpoint waited for its end.
    DeletionDuringCheckpoint,
    DeletedLogInLane,
    /// After a recovery, only a direct piece is between S and the end of the files.
    DirectPieceAboveSynced,
    DirectPieceMadeDurable,
    DirectWriteFailed,
    DiskFull,
    /// The record of a log start was durable, and files that no sync had covered went.
    DropOfUnsynced,
    DuplicateInFlight,
    GroupMadeDurable,
    GroupTorn,
    LaneFull,
    LaneFileForOpening,
    MemoryFull,
    OrphanOfDeleted,
    OrphanSetAside,
    ReadOfOffline,
    RecoveryBeyondMemory,
    RetentionOfAll,
    TornDirectPiece,
    WentOffline,
}

#[cfg(feature = "mutants")]
impl Rare {
    pub const ALL: [Rare; 22] = [
        Rare::CheckpointTorn,
        Rare::DamageFound,
        Rare::DeletionDuringCheckpoint,
        Rare::DeletedLogInLane,
        Rare::DirectPieceAboveSynced,
        Rare::DirectPieceMadeDurable,
        Rare::DirectWriteFailed,
        Rare::DiskFull,
        Rare::DropOfUnsynced,
        Rare::DuplicateInFlight,
        Rare::GroupMadeDurable,
        Rare::GroupTorn,
        Rare::LaneFull,
        Rare::LaneFileForOpening,
        Rare::MemoryFull,
        Rare::OrphanOfDeleted,
        Rare::OrphanSetAside,
        Rare::ReadOfOffline,
        Rare::RecoveryBeyondMemory,
        Rare::RetentionOfAll,
        Rare::TornDirectPiece,
        Rare::WentOffline,
    ];
}

/// How often each was reached, by all directories that share this.
#[cfg(feature = "mutants")]
#[derive(Clone, Debug, Default)]
pub struct Reached(Arc<[AtomicU64; Rare::ALL.len()]>);

#[cfg(feature = "mutants")]
impl Reached {
    pub(crate) fn note(&self, rare: Rare) {
        self.0[rare as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn times(&self, rare: Rare) -> u64 {
        self.0[rare as usize].load(Ordering::Relaxed)
    }
}
