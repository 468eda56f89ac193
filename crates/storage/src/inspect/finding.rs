//! One thing that is not as it was written: where, why, and what becomes of it.
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use record::{Offset, TopicPartition};

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    pub path: PathBuf,
    /// Bytes of the file.
    pub positions: Option<Range<u64>>,
    pub log: Option<TopicPartition>,
    pub offsets: Option<Range<Offset>>,
    pub reason: String,
    pub remedy: Remedy,
}

/// What to do about it, or what the next start does.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Remedy {
    /// Not damage: something to know.
    Nothing,
    /// Not damage: a log that the metadata does not know.
    Stray,
    /// Derived from something that is there.
    MadeAnew,
    /// The rest is served, this is not.
    Start,
    /// The log takes no more until somebody goes on without what it may have lost.
    AcceptLoss,
    /// The broker does not start.
    Refused,
}

impl Finding {
    pub(super) fn of(path: PathBuf, reason: impl fmt::Display, remedy: Remedy) -> Finding {
        Finding { path, positions: None, log: None, offsets: None, reason: reason.to_string(), remedy }
    }

    pub(super) fn at(self, positions: Range<u64>) -> Finding {
        Finding { positions: Some(positions), ..self }
    }

    pub(super) fn in_log(self, log: &TopicPartition, offsets: Range<Offset>) -> Finding {
        Finding { log: Some(log.clone()), offsets: Some(offsets), ..self }
    }

    pub fn is_damage(&self) -> bool {
        !matches!(self.remedy, Remedy::Nothing | Remedy::Stray)
    }
}

impl Remedy {
    /// A word for programs.
    pub fn name(self) -> &'static str {
        match self {
            Remedy::Nothing => "nothing",
            Remedy::Stray => "stray",
            Remedy::MadeAnew => "made-anew",
            Remedy::Start => "start",
            Remedy::AcceptLoss => "accept-loss",
            Remedy::Refused => "refused",
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Remedy::Nothing => "nothing to do",
            Remedy::Stray => {
                "it is kept and not served. With the metadata that knows it, it is served again; to delete it, make a \
                 file named drop-strays in the directory and start the broker"
            }
            Remedy::MadeAnew => "nothing is lost: the broker makes it anew",
            Remedy::Start => {
                "start the broker: it serves everything else, and answers CORRUPT_MESSAGE for what is lost; \
                 or bring the file back from a copy"
            }
            Remedy::AcceptLoss => {
                "bring the file back from a copy; or, to go on without what may be lost, make a file named \
                 accept-loss in the directory and start the broker"
            }
            Remedy::Refused => "the broker does not start on it: bring the file back from a copy",
        })
    }
}
