//! Bugs planted in the broker on purpose. Each must be found by some seeds; one that is not shows a blind spot of ours.
use storage::Mutant;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bug {
    Storage(Mutant),
    HighWatermarkOverReceived,
}

pub const ALL: [Bug; 26] = [
    Bug::Storage(Mutant::AcknowledgeBeforeSync),
    Bug::Storage(Mutant::AcknowledgePastGroup),
    Bug::Storage(Mutant::AcknowledgeRelaxedBeforeWrite),
    Bug::Storage(Mutant::AnswerDuplicateEarly),
    Bug::Storage(Mutant::CheckpointBeforeDirectorySync),
    Bug::Storage(Mutant::CheckpointBeforeSegmentSync),
    Bug::Storage(Mutant::CutAcknowledgedGroup),
    Bug::Storage(Mutant::DirectWithoutSync),
    Bug::Storage(Mutant::ForgetProducersInRecovery),
    Bug::Storage(Mutant::ForgetTombstonesEarly),
    Bug::Storage(Mutant::HeaderAheadOfSync),
    Bug::Storage(Mutant::IgnoreCreateInReplay),
    Bug::Storage(Mutant::IgnoreDeleteInReplay),
    Bug::Storage(Mutant::IgnoreReplaceInReplay),
    Bug::Storage(Mutant::IgnoreTruncateInReplay),
    Bug::Storage(Mutant::NoDirectorySyncOnDirectPath),
    Bug::Storage(Mutant::PublishUnsyncedAfterRecovery),
    Bug::Storage(Mutant::RecycleAfterOneCheckpoint),
    Bug::Storage(Mutant::RecycleBeforeCheckpoint),
    Bug::Storage(Mutant::RemoveReplacedEarly),
    Bug::Storage(Mutant::ReplaceBeforeDirectorySync),
    Bug::Storage(Mutant::ReplayDiscardedGroup),
    Bug::Storage(Mutant::RetrySyncAfterError),
    Bug::Storage(Mutant::SwitchWithoutSync),
    Bug::Storage(Mutant::UseSnapshotBeyondEnd),
    Bug::HighWatermarkOverReceived,
];

impl Bug {
    pub fn name(self) -> String {
        match self {
            Bug::Storage(mutant) => format!("{mutant:?}"),
            Bug::HighWatermarkOverReceived => "HighWatermarkOverReceived".to_owned(),
        }
    }

    /// Why no run of one broker can meet it; then the enumeration of the engine does.
    pub fn out_of_reach(self) -> Option<&'static str> {
        match self {
            Bug::Storage(Mutant::IgnoreTruncateInReplay) => Some("only followers truncate"),
            Bug::Storage(Mutant::UseSnapshotBeyondEnd) => Some("only a truncation leaves a snapshot beyond the end"),
            _ => None,
        }
    }

    pub fn by_name(name: &str) -> Option<Bug> {
        ALL.into_iter().find(|bug| bug.name() == name)
    }

    pub fn mutant(self) -> Option<Mutant> {
        match self {
            Bug::Storage(mutant) => Some(mutant),
            Bug::HighWatermarkOverReceived => None,
        }
    }
}
