//! A directory as the next start would find it; nothing in it is changed.
use std::path::Path;

use env::Disk;

use super::recover::{OpenError, recover};
use crate::metadata_log::{Entry, Snapshot};

/// What is committed, and in which files.
#[derive(Debug)]
pub struct Inspected {
    /// `None` in a directory that has never been a log.
    pub term: Option<u64>,
    pub snapshot: Option<Snapshot>,
    /// Those behind the snapshot.
    pub entries: Vec<Entry>,
    pub files: usize,
    /// The last group is not whole, and nothing says that it was ever durable.
    pub is_torn: bool,
}

pub fn inspect(disk: &dyn Disk, directory: &Path) -> Result<Inspected, OpenError> {
    let recovered = recover(disk, directory)?;
    Ok(Inspected {
        term: recovered.vote.map(|vote| vote.term),
        snapshot: recovered.snapshot,
        entries: recovered.entries,
        files: recovered.files.len(),
        is_torn: recovered.end.is_torn,
    })
}
