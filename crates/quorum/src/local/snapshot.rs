//! A snapshot's file: a header, pieces with a checksum each, and an end that counts them, so that a file cut anywhere
//! is known as such. It is written under another name and renamed when it is durable; one that does not check is an
//! error, never "there is none".

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use env::{Disk, File, OpenOptions};

use super::format::{Fields, Invalid, VERSION};
use crate::metadata_log::{LogId, Snapshot};

const MAGIC: [u8; 8] = *b"OTTLASNP";
const HEADER_BYTES: usize = 30;
/// Length and checksum, before each piece.
const PIECE_HEADER_BYTES: usize = 8;
/// In the place of a length: the end.
const END: u32 = u32::MAX;
const END_BYTES: usize = 24;

/// `00000000000000000042-0000000007.snapshot`: index and term of its last entry.
pub fn file_name(last: LogId) -> String {
    format!("{:020}-{:010}.snapshot", last.index, last.term)
}

pub fn parse_file_name(name: &str) -> Option<LogId> {
    let (index, term) = name.strip_suffix(".snapshot")?.split_once('-')?;
    let last = LogId { term: term.parse().ok()?, index: index.parse().ok()? };
    (file_name(last) == name).then_some(last)
}

/// Writes one; each call makes one write.
pub struct Writer {
    file: Arc<dyn File>,
    at: u64,
    pieces: u32,
}

impl Writer {
    pub fn create(disk: &dyn Disk, path: &Path, last: LogId) -> io::Result<Writer> {
        let file = disk.open(path, OpenOptions::CREATE_NEW)?;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend(MAGIC);
        header.extend(VERSION.to_be_bytes());
        header.extend(last.term.to_be_bytes());
        header.extend(last.index.to_be_bytes());
        header.extend(crc32c::crc32c(&header).to_be_bytes());
        file.write_all_at(&[IoSlice::new(&header)], 0)?;
        Ok(Writer { file, at: HEADER_BYTES as u64, pieces: 0 })
    }

    pub fn piece(&mut self, bytes: &Bytes) -> io::Result<()> {
        let mut header = [0; PIECE_HEADER_BYTES];
        header[..4].copy_from_slice(&(bytes.len() as u32).to_be_bytes());
        header[4..].copy_from_slice(&crc32c::crc32c(bytes).to_be_bytes());
        self.file.write_all_at(&[IoSlice::new(&header), IoSlice::new(bytes)], self.at)?;
        self.at += (PIECE_HEADER_BYTES + bytes.len()) as u64;
        self.pieces += 1;
        Ok(())
    }

    pub fn end(&mut self) -> io::Result<()> {
        let mut end = Vec::with_capacity(END_BYTES);
        end.extend(END.to_be_bytes());
        end.extend(self.pieces.to_be_bytes());
        end.extend([0; 4]);
        end.extend(self.at.to_be_bytes());
        end.extend(crc32c::crc32c(&end).to_be_bytes());
        self.file.write_all_at(&[IoSlice::new(&end)], self.at)
    }

    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

pub enum ReadError {
    Damaged(&'static str),
    Io(io::Error),
    Newer(u16),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        ReadError::Io(error)
    }
}

impl From<Invalid> for ReadError {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Newer(version) => ReadError::Newer(version),
            Invalid::NotThis => ReadError::Damaged("its header does not check"),
        }
    }
}

pub fn read(disk: &dyn Disk, path: &Path, named: LogId) -> Result<Snapshot, ReadError> {
    let file = disk.open(path, OpenOptions::READ)?;
    let len = file.len()?;
    // No allocation is larger than what the file holds.
    let read = |at: u64, bytes: usize| -> Result<Bytes, ReadError> {
        if at.checked_add(bytes as u64).is_none_or(|end| end > len) {
            return Err(ReadError::Damaged("it is shorter than it says"));
        }
        let mut buffer = vec![0; bytes];
        match file.read_at(&mut buffer, at)? == bytes {
            true => Ok(buffer.into()),
            false => Err(ReadError::Damaged("it ends early")),
        }
    };
    let header = read(0, HEADER_BYTES)?;
    let mut fields = Fields::checked(&header, HEADER_BYTES, &MAGIC)?;
    fields.version()?;
    let last = LogId { term: fields.u64(), index: fields.u64() };
    if last != named {
        return Err(ReadError::Damaged("its name is not that of its content"));
    }
    let mut pieces = Vec::new();
    let mut at = HEADER_BYTES as u64;
    loop {
        let header = read(at, PIECE_HEADER_BYTES)?;
        let (length, crc) = (number(&header[..4]), number(&header[4..]));
        if length == END {
            let end = read(at, END_BYTES)?;
            let mut fields = Fields::checked(&end, END_BYTES, &END.to_be_bytes())?;
            let (count, _, position) = (fields.u32(), fields.u32(), fields.u64());
            let is_whole = count as usize == pieces.len() && position == at && len == at + END_BYTES as u64;
            return is_whole.then_some(Snapshot { last, pieces }).ok_or(ReadError::Damaged("its end does not fit it"));
        }
        let piece = read(at + PIECE_HEADER_BYTES as u64, length as usize)?;
        if crc32c::crc32c(&piece) != crc {
            return Err(ReadError::Damaged("the checksum of a piece is wrong"));
        }
        at += (PIECE_HEADER_BYTES + piece.len()) as u64;
        pieces.push(piece);
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("four bytes"))
}
