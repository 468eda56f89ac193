//! What can go wrong with a segment's file: which one, where in it, and why.

use std::path::PathBuf;
use std::{fmt, io};

use env::disk::is_exhausted;
use record::{BatchError, CompressionError, LeaderEpoch, Offset, RecordError};

#[derive(Debug)]
pub struct SegmentError {
    pub path: PathBuf,
    /// Where in the file, if that is known.
    pub position: Option<u64>,
    pub fault: Fault,
}

#[derive(Debug)]
pub enum Fault {
    /// Not a batch, where one must begin.
    Batch(BatchError),
    Compression(CompressionError),
    Crc {
        stored: u32,
        computed: u32,
    },
    /// The leader of another epoch wrote what is here.
    Epoch {
        expected: LeaderEpoch,
        found: LeaderEpoch,
    },
    Io(io::Error),
    /// The batch does not follow on the one before it.
    Offsets {
        expected_min: Offset,
        base: Offset,
        last: Offset,
    },
    Records(RecordError),
}

impl SegmentError {
    /// Of the call to the disk; everything else is damage.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match &self.fault {
            Fault::Io(error) => Some(error.kind()),
            _ => None,
        }
    }

    /// The disk has no room, or the process no descriptor: later there may be.
    pub fn is_out_of_space(&self) -> bool {
        matches!(&self.fault, Fault::Io(error) if is_exhausted(error))
    }

    /// The bytes are not what was written, or the place is not where a batch begins.
    pub fn is_damage(&self) -> bool {
        !matches!(self.fault, Fault::Io(_))
    }
}

impl fmt::Display for SegmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(position) = self.position {
            write!(f, " at {position}")?;
        }
        write!(f, ": {}", self.fault)
    }
}

impl std::error::Error for SegmentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Batch(error) => error.fmt(f),
            Fault::Compression(error) => error.fmt(f),
            Fault::Crc { stored, computed } => write!(f, "checksum {computed:08x} instead of {stored:08x}"),
            Fault::Epoch { expected, found } => write!(f, "a batch of leader epoch {found} where {expected} wrote"),
            Fault::Io(error) => error.fmt(f),
            Fault::Offsets { expected_min, base, last } => {
                write!(f, "a batch of offsets {base} to {last} where {expected_min} or more comes next")
            }
            Fault::Records(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

impl From<BatchError> for Fault {
    fn from(error: BatchError) -> Fault {
        Fault::Batch(error)
    }
}

impl From<CompressionError> for Fault {
    fn from(error: CompressionError) -> Fault {
        Fault::Compression(error)
    }
}

impl From<RecordError> for Fault {
    fn from(error: RecordError) -> Fault {
        Fault::Records(error)
    }
}
