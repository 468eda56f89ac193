//! Reads the directory of a metadata log back: the snapshot, the entries behind it, and where the log ends. Changes
//! nothing on disk. What never was acknowledged may be missing at the end; anything else that is missing is an error.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use env::{Disk, File, OpenOptions};

use super::format::{BLOCK, FileHeader, GROUP_BYTES_MAX, GROUP_HEADER_BYTES, GroupHeader, Invalid, Vote};
use super::snapshot;
use crate::metadata_log::{Entry, LogId, Snapshot};

pub const VOTE: &str = "vote";
pub const TEMPORARY: &str = ".tmp";
/// At once, where all of a file is looked at.
const READ_BYTES: u64 = 1 << 16;

/// Why the log cannot be opened. The text is what an operator reads.
#[derive(Debug)]
pub enum OpenError {
    /// Something acknowledged is missing or changed.
    Damaged {
        path: PathBuf,
        what: String,
    },
    Io {
        path: PathBuf,
        error: io::Error,
    },
    Newer {
        path: PathBuf,
        version: u16,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Damaged { path, what } => write!(
                f,
                "the cluster's metadata log is damaged: {}: {what}. Nothing was changed; restore the directory from a copy.",
                path.display()
            ),
            OpenError::Io { path, error } => write!(f, "cannot use the metadata log {}: {error}", path.display()),
            OpenError::Newer { path, version } => {
                write!(f, "{} has format {version}, of a newer Ottla than this one: start that one", path.display())
            }
        }
    }
}

impl std::error::Error for OpenError {}

/// What was found.
pub struct Recovered {
    pub vote: Option<Vote>,
    pub snapshot: Option<Snapshot>,
    /// Those behind the snapshot.
    pub entries: Vec<Entry>,
    /// In order; those that the snapshot has made superfluous are in `superfluous`.
    pub files: Vec<LogFile>,
    pub superfluous: Vec<PathBuf>,
    pub end: End,
}

/// Where the log ends, and with it the last file.
#[derive(Clone, Debug, Default)]
pub struct End {
    pub last: LogId,
    pub group: u64,
    pub chain: u32,
    /// In the last file: behind the last accepted group.
    pub position: u64,
    /// Place and bytes of the last group, of which nothing proves that its sync had returned. `None` if the last file has
    /// none.
    pub last_group: Option<(u64, Bytes)>,
    /// Something unacknowledged lies behind `position`.
    pub is_torn: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogFile {
    pub number: u64,
    pub last_index: u64,
    pub bytes: u64,
}

/// `0000000001.log`
pub fn file_name(number: u64) -> String {
    format!("{number:010}.log")
}

fn parse_file_name(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".log")?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

pub fn recover(disk: &dyn Disk, directory: &Path) -> Result<Recovered, OpenError> {
    let in_directory = |error| OpenError::Io { path: directory.to_owned(), error };
    let names: Vec<String> = disk.read_dir(directory).map_err(in_directory)?.into_iter().map(|e| e.name).collect();
    let vote = read_vote(disk, &directory.join(VOTE))?;
    let newest = names.iter().filter_map(|name| snapshot::parse_file_name(name)).max_by_key(|last| last.index);
    let snapshot = newest.map(|last| read_snapshot(disk, directory, last)).transpose()?;
    let mut superfluous: Vec<PathBuf> = names
        .iter()
        .filter(|name| {
            name.ends_with(TEMPORARY) || snapshot::parse_file_name(name).is_some_and(|last| Some(last) != newest)
        })
        .map(|name| directory.join(name))
        .collect();
    let base = snapshot.as_ref().map(|snapshot| snapshot.last).unwrap_or_default();

    let mut numbers: Vec<u64> = names.iter().filter_map(|name| parse_file_name(name)).collect();
    numbers.sort_unstable();
    let mut opened = Vec::new();
    for (place, &number) in numbers.iter().enumerate() {
        let is_last = place + 1 == numbers.len();
        opened.extend(OpenFile::open(disk, directory.join(file_name(number)), number, is_last)?);
    }
    // The snapshot holds all of the files before the last one that begins at or before its end.
    let from = opened.iter().rposition(|file| file.header.previous.index <= base.index);
    let Some(from) = from else {
        return match opened.first() {
            None if vote.is_none() && snapshot.is_none() => Ok(Recovered {
                vote,
                snapshot,
                entries: Vec::new(),
                files: Vec::new(),
                superfluous,
                end: End::default(),
            }),
            None => Err(damaged(directory, "the files of the log are missing".into())),
            Some(first) => Err(damaged(
                directory,
                format!("the entries {} to {} are missing", base.index + 1, first.header.previous.index),
            )),
        };
    };
    superfluous.extend(opened.drain(..from).map(|file| file.path));

    let mut walk = Walk::default();
    for (place, file) in opened.iter().enumerate() {
        walk.file(file, place == 0, opened.get(place + 1))?;
    }
    if vote.is_none() && (walk.end.last.index > 0 || snapshot.is_some()) {
        return Err(damaged(&directory.join(VOTE), "it is missing".into()));
    }
    if walk.end.last.index < base.index {
        let what = format!("it ends at entry {}, before the snapshot at {}", walk.end.last.index, base.index);
        return Err(damaged(directory, what));
    }
    let at_base = walk.entries.iter().find(|entry| entry.id.index == base.index).map(|entry| entry.id);
    if at_base
        .or_else(|| opened.first().map(|file| file.header.previous))
        .is_some_and(|id| id.index == base.index && id != base)
    {
        return Err(damaged(directory, format!("log and snapshot disagree about the term of entry {}", base.index)));
    }
    walk.entries.retain(|entry| entry.id.index > base.index);
    let mut last = base;
    for entry in &walk.entries {
        if entry.id.term < last.term {
            let LogId { term, index } = entry.id;
            return Err(damaged(
                directory,
                format!("entry {index} is of term {term}, behind one of term {}", last.term),
            ));
        }
        last = entry.id;
    }
    Ok(Recovered { vote, snapshot, entries: walk.entries, files: walk.files, superfluous, end: walk.end })
}

fn damaged(path: &Path, what: String) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), what }
}

fn read_vote(disk: &dyn Disk, path: &Path) -> Result<Option<Vote>, OpenError> {
    let bytes = match env::disk::read_file(disk, path, BLOCK) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::Io { path: path.to_owned(), error }),
    };
    match Vote::decode(&bytes) {
        Ok(vote) => Ok(Some(vote)),
        Err(Invalid::Newer(version)) => Err(OpenError::Newer { path: path.to_owned(), version }),
        Err(Invalid::NotThis) => Err(damaged(path, "its checksum is wrong".into())),
    }
}

fn read_snapshot(disk: &dyn Disk, directory: &Path, last: LogId) -> Result<Snapshot, OpenError> {
    let path = directory.join(snapshot::file_name(last));
    snapshot::read(disk, &path, last).map_err(|error| match error {
        snapshot::ReadError::Damaged(what) => damaged(&path, what.into()),
        snapshot::ReadError::Io(error) => OpenError::Io { path, error },
        snapshot::ReadError::Newer(version) => OpenError::Newer { path, version },
    })
}

/// A log file with a good header.
struct OpenFile {
    path: PathBuf,
    file: Arc<dyn File>,
    bytes: u64,
    header: FileHeader,
}

impl OpenFile {
    /// `None` for a last file whose making was interrupted: its header is durable before anything follows it.
    fn open(disk: &dyn Disk, path: PathBuf, number: u64, is_last: bool) -> Result<Option<OpenFile>, OpenError> {
        let io_error = |error| OpenError::Io { path: path.clone(), error };
        let file = disk.open(&path, OpenOptions::READ).map_err(io_error)?;
        let bytes = file.len().map_err(io_error)?;
        let mut block = vec![0; BLOCK as usize];
        let read = file.read_at(&mut block, 0).map_err(io_error)?;
        match FileHeader::decode(&block[..read]) {
            Ok(header) if header.number == number => Ok(Some(OpenFile { path, file, bytes, header })),
            Ok(header) => Err(damaged(&path, format!("its header is that of file {}", header.number))),
            Err(Invalid::Newer(version)) => Err(OpenError::Newer { path, version }),
            Err(Invalid::NotThis) => {
                let blank = OpenFile { path, file, bytes, header: FileHeader::default() };
                match is_last && blank.is_zero_from(BLOCK)? {
                    true => Ok(None),
                    false => Err(damaged(&blank.path, "its header does not check".into())),
                }
            }
        }
    }

    /// Nothing was ever written from here on.
    fn is_zero_from(&self, mut at: u64) -> Result<bool, OpenError> {
        while at < self.bytes {
            let bytes = self.read(at, READ_BYTES)?;
            if bytes.is_empty() || bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += bytes.len() as u64;
        }
        Ok(true)
    }

    fn read(&self, at: u64, bytes: u64) -> Result<Bytes, OpenError> {
        let mut buffer = vec![0; bytes.min(self.bytes.saturating_sub(at)) as usize];
        let read = self.file.read_at(&mut buffer, at);
        // An error of a read never ends the log: what cannot be read now may have been acknowledged.
        let read = read.map_err(|error| OpenError::Io { path: self.path.clone(), error })?;
        buffer.truncate(read);
        Ok(buffer.into())
    }

    /// A group of this file at this place, whatever its number.
    fn header_at(&self, at: u64) -> Result<Option<GroupHeader>, OpenError> {
        match GroupHeader::decode(&self.read(at, GROUP_HEADER_BYTES as u64)?) {
            Ok(header) if header.run == self.header.run => Ok(Some(header)),
            Ok(_) | Err(Invalid::NotThis) => Ok(None),
            Err(Invalid::Newer(version)) => Err(OpenError::Newer { path: self.path.clone(), version }),
        }
    }

    /// Whether a group later than `group` begins at or after `at`: then the sync of `group` had returned.
    fn has_later_group(&self, at: u64, group: u64) -> Result<bool, OpenError> {
        for at in (at..self.bytes).step_by(BLOCK as usize) {
            if self.header_at(at)?.is_some_and(|header| header.number > group || header.durable >= group) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Follows the chain of groups through the files.
#[derive(Default)]
struct Walk {
    entries: Vec<Entry>,
    files: Vec<LogFile>,
    end: End,
}

impl Walk {
    fn file(&mut self, file: &OpenFile, is_first: bool, next: Option<&OpenFile>) -> Result<(), OpenError> {
        if is_first {
            self.end.last = file.header.previous;
            self.end.group = file.header.previous_group;
            self.end.chain = file.header.previous_chain;
        }
        self.groups(file, next.is_some())?;
        if let Some(next) = next {
            let named = (next.header.previous_group, next.header.previous_chain, next.header.previous);
            if named != (self.end.group, self.end.chain, self.end.last) || next.header.number != file.header.number + 1
            {
                let what =
                    format!("it ends at entry {}, {} goes on elsewhere", self.end.last.index, next.path.display());
                return Err(damaged(&file.path, what));
            }
        }
        let (number, last_index) = (file.header.number, self.end.last.index);
        self.files.push(LogFile { number, last_index, bytes: self.end.position });
        Ok(())
    }

    /// Takes the groups of one file. Where they end, either the file has nothing more or this was never acknowledged.
    fn groups(&mut self, file: &OpenFile, has_next: bool) -> Result<(), OpenError> {
        self.end.position = BLOCK;
        self.end.is_torn = false;
        self.end.last_group = None;
        while self.end.position < file.bytes {
            let at = self.end.position;
            let Some((header, bytes, entries)) = self.next_group(file, at)? else {
                // With a next file there is nothing to find out: its header names the last group of this one.
                if !has_next && file.has_later_group(at, self.end.group + 1)? {
                    let what = format!("the group at byte {at} does not check, though later ones do");
                    return Err(damaged(&file.path, what));
                }
                self.end.is_torn = !file.is_zero_from(at)?;
                break;
            };
            if header.is_last_of_file {
                if !has_next {
                    return Err(damaged(&file.path, "the file after it is missing".into()));
                }
                return Ok(());
            }
            self.end.group = header.number;
            self.end.chain = header.chain;
            self.end.position = at + header.total_bytes();
            self.end.last_group = Some((at, bytes));
            if let Some(last) = entries.last() {
                self.end.last = last.id;
            }
            self.entries.extend(entries);
        }
        if has_next { Ok(()) } else { self.check_length(file) }
    }

    /// Of the last file: what ends it too early was acknowledged, or it could not be seen.
    fn check_length(&self, file: &OpenFile) -> Result<(), OpenError> {
        if !file.header.has_spare {
            return Ok(());
        }
        let at = self.end.position;
        let torn_bytes = file.header_at(at)?.map_or(0, |header| header.total_bytes());
        if file.bytes >= at.saturating_add(torn_bytes).saturating_add(BLOCK) {
            return Ok(());
        }
        Err(damaged(
            &file.path,
            format!("it has {} bytes and was longer: acknowledged entries may be cut off", file.bytes),
        ))
    }

    fn next_group(&self, file: &OpenFile, at: u64) -> Result<Option<(GroupHeader, Bytes, Vec<Entry>)>, OpenError> {
        let Some(header) = file.header_at(at)? else { return Ok(None) };
        let fits = header.previous_chain == self.end.chain
            && header.number == self.end.group + 1
            && header.first_index == self.end.last.index + 1
            && header.body_bytes as usize <= GROUP_BYTES_MAX;
        if !fits {
            return Ok(None);
        }
        let bytes = file.read(at, header.total_bytes())?;
        let body = GROUP_HEADER_BYTES..GROUP_HEADER_BYTES + header.body_bytes as usize;
        if bytes.len() < body.end {
            return Ok(None);
        }
        let entries = header.entries(&bytes.slice(body));
        Ok(entries.map(|entries| (header, bytes, entries)))
    }
}
