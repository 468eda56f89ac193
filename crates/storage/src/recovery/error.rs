//! Why a directory is not opened, in words that name the place.
use std::fmt;
use std::path::Path;

use super::map::MapError;
use crate::journal::walk::WalkError;
use crate::meta::MetaError;

/// Why a directory is not opened. Nothing in it was changed for the worse.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OpenError {
    /// Neither checkpoint can be believed, and without one nobody knows what was acknowledged.
    Checkpoints {
        directory: String,
        reasons: [String; 2],
    },
    Io {
        path: String,
        error: String,
    },
    /// The lane does not hold what was acknowledged, or contradicts itself.
    Lane {
        directory: String,
        error: String,
    },
    /// Another process has it.
    Locked {
        directory: String,
    },
    Meta(MetaError),
    Segment(String),
}

pub(crate) fn io_error(path: &Path, error: &std::io::Error) -> OpenError {
    OpenError::Io { path: path.display().to_string(), error: error.to_string() }
}

pub(super) fn lane_error(path: &Path, error: &MapError) -> OpenError {
    OpenError::Lane { directory: path.display().to_string(), error: error.to_string() }
}

impl From<WalkError> for OpenError {
    fn from(error: WalkError) -> Self {
        OpenError::Lane { directory: String::new(), error: error.to_string() }
    }
}

impl From<MetaError> for OpenError {
    fn from(error: MetaError) -> Self {
        OpenError::Meta(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Checkpoints { directory, reasons: [first, second] } => {
                write!(f, "{directory}: neither checkpoint can be believed ({first}; {second})")
            }
            OpenError::Io { path, error } => write!(f, "{path}: {error}"),
            OpenError::Lane { directory, error } => write!(f, "{directory}: {error}"),
            OpenError::Locked { directory } => write!(f, "{directory} is used by another process"),
            OpenError::Meta(error) => error.fmt(f),
            OpenError::Segment(error) => f.write_str(error),
        }
    }
}

impl std::error::Error for OpenError {}
