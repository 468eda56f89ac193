//! Reading: a list of slices of the tail and of files, made under the lock and sent without it. Whole batches only.
use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use env::File;
use record::{Batches, Offset, TopicPartition};

use super::{Ends, Gate, Log, State};
use crate::segment::{Access, Located, ReadRequest, Segment, SegmentError, Written};

/// What a read has found. Empty at the log's end, and where everything lies at or above the bound.
#[derive(Debug)]
pub struct Read {
    pub slices: Vec<Slice>,
    pub size_bytes: usize,
    pub ends: Ends,
}

#[derive(Clone, Debug)]
pub enum Slice {
    Memory(Bytes),
    File(FileSlice),
}

/// Whole batches in a segment's file.
#[derive(Clone)]
pub struct FileSlice {
    pub file: Arc<dyn File>,
    pub position: u64,
    pub size_bytes: usize,
    name: TopicPartition,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReadError {
    /// What is needed to find the place is not in memory: `LogDir::read_cold` brings it.
    Cold,
    /// These bytes are not what was written.
    Corrupt {
        name: TopicPartition,
        position: u64,
        reason: String,
    },
    Deleted,
    Io(String),
    Offline,
    OutOfRange {
        log_start: Offset,
        log_end: Offset,
    },
}

impl Log {
    /// Batches from the one that holds `from` on, up to `bytes_max`; the first one in any case if `minimum_one`. None
    /// that ends above `up_to`.
    pub fn read(&self, from: Offset, bytes_max: usize, up_to: Offset, minimum_one: bool) -> Result<Read, ReadError> {
        self.read_with(from, bytes_max, up_to, minimum_one, Access::Cached)
    }

    /// The same, wherever the disk has to be asked: not on a runtime thread.
    pub fn read_blocking(
        &self,
        from: Offset,
        bytes_max: usize,
        up_to: Offset,
        minimum_one: bool,
    ) -> Result<Read, ReadError> {
        self.read_with(from, bytes_max, up_to, minimum_one, Access::Blocking)
    }

    fn read_with(
        &self,
        from: Offset,
        bytes_max: usize,
        up_to: Offset,
        minimum_one: bool,
        access: Access,
    ) -> Result<Read, ReadError> {
        let mut want = Want { from, bytes_max, up_to, minimum_one };
        // A segment is looked into without the lock: below `written` nothing of it changes.
        loop {
            let (segment, written, then) = {
                let state = self.state();
                check_range(&state, want.from)?;
                let mut read = Read { slices: Vec::new(), size_bytes: 0, ends: state.ends() };
                if want.from >= up_to {
                    return Ok(read);
                }
                if want.from >= state.written.offset {
                    want.take_tail(&state, &mut read);
                    return Ok(read);
                }
                let index = state.segments.partition_point(|segment| segment.base_offset() <= want.from).max(1) - 1;
                let segment = state.segments[index].clone();
                let written = state.written_of(&segment);
                let next = state.segments.get(index + 1).map(|next| next.base_offset());
                (segment, written, next.unwrap_or(Offset(i64::MAX)).min(state.written.offset))
            };
            match self.read_segment(&segment, written, &want, access)? {
                // One file a read, as in Kafka: what follows comes with the next fetch.
                InFile::Found(slice) => {
                    let ends = self.ends();
                    return Ok(Read { size_bytes: slice.size_bytes, slices: vec![Slice::File(slice)], ends });
                }
                InFile::NoRoom => return Ok(Read { slices: Vec::new(), size_bytes: 0, ends: self.ends() }),
                InFile::Beyond => {}
            }
            if then <= want.from {
                return Err(ReadError::Io(format!("{}: offset {} is nowhere", self.name(), want.from)));
            }
            want.from = then;
        }
    }

    fn read_segment(
        &self,
        segment: &Segment,
        written: Written,
        want: &Want,
        access: Access,
    ) -> Result<InFile, ReadError> {
        let request = ReadRequest {
            from: want.from,
            up_to: want.up_to,
            bytes_max: want.bytes_max.min(u32::MAX as usize) as u32,
            at_least_one: want.minimum_one,
            written,
        };
        match segment.read(&request, access)? {
            Located::At(range) => Ok(InFile::Found(FileSlice {
                file: range.file,
                position: u64::from(range.position),
                size_bytes: range.size_bytes as usize,
                name: self.name().clone(),
            })),
            Located::End => Ok(InFile::Beyond),
            Located::NoRoom => Ok(InFile::NoRoom),
            Located::Cold => Err(ReadError::Cold),
        }
    }
}

enum InFile {
    /// What is wanted lies behind what this file holds.
    Beyond,
    Found(FileSlice),
    NoRoom,
}

#[derive(Clone, Copy)]
struct Want {
    from: Offset,
    bytes_max: usize,
    up_to: Offset,
    minimum_one: bool,
}

impl Want {
    fn taken(&mut self, size_bytes: usize) {
        self.bytes_max = self.bytes_max.saturating_sub(size_bytes);
        self.minimum_one = false;
    }

    fn take_tail(&mut self, state: &State, read: &mut Read) {
        let Want { from, up_to, .. } = *self;
        for batch in state.tail.from(from).take_while(|batch| batch.next <= up_to) {
            if batch.bytes.len() > self.bytes_max && !self.minimum_one {
                break;
            }
            self.taken(batch.bytes.len());
            read.size_bytes += batch.bytes.len();
            read.slices.push(Slice::Memory(batch.bytes.clone()));
        }
    }
}

fn check_range(state: &State, from: Offset) -> Result<(), ReadError> {
    let Ends { log_start, log_end, .. } = state.ends();
    match state.gate {
        Gate::Deleted => Err(ReadError::Deleted),
        _ if from < log_start || from > log_end => Err(ReadError::OutOfRange { log_start, log_end }),
        _ => Ok(()),
    }
}

/// How far apart a range is probed for being in the page cache.
const PROBE_BYTES: usize = 256 << 10;

impl FileSlice {
    /// Whether sending it will find it in the page cache. A probe: of a range that is half cold it may say yes.
    pub fn is_cached(&self) -> bool {
        let last = self.size_bytes.saturating_sub(1);
        let places = (0..last).step_by(PROBE_BYTES).chain([last]);
        places.into_iter().all(|place| {
            let mut byte = [0];
            matches!(self.file.read_cached_at(&mut byte, self.position + place as u64), Ok(Some(1)))
        })
    }

    /// From the page cache, or `None`.
    pub fn read_cached(&self) -> io::Result<Option<Bytes>> {
        let mut bytes = vec![0; self.size_bytes];
        let read = self.file.read_cached_at(&mut bytes, self.position)?;
        Ok(read.filter(|read| *read == self.size_bytes).map(|_| bytes.into()))
    }

    /// From the disk, wherever that has it. Blocks.
    pub fn read(&self) -> io::Result<Bytes> {
        let mut bytes = vec![0; self.size_bytes];
        let read = self.file.read_at(&mut bytes, self.position)?;
        if read < self.size_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes.into())
    }

    /// As [`FileSlice::read`], and every batch is what was written.
    pub fn read_checked(&self) -> Result<Bytes, ReadError> {
        let bytes = self.read().map_err(|error| ReadError::Io(error.to_string()))?;
        let mut batches = Batches::new(&bytes);
        loop {
            let at = batches.position();
            let reason = match batches.next() {
                None => return Ok(bytes),
                Some(Ok(batch)) if batch.crc_is_valid() => continue,
                Some(Ok(batch)) => format!("checksum {:08x} instead of {:08x}", batch.computed_crc(), batch.crc()),
                Some(Err(error)) => error.to_string(),
            };
            return Err(ReadError::Corrupt { name: self.name.clone(), position: self.position + at as u64, reason });
        }
    }
}

impl fmt::Debug for FileSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = self.position..self.position + self.size_bytes as u64;
        write!(f, "FileSlice({}, {range:?})", self.name)
    }
}

impl From<SegmentError> for ReadError {
    fn from(error: SegmentError) -> Self {
        ReadError::Io(error.to_string())
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Cold => f.write_str("the place is not known without reading from the disk"),
            ReadError::Corrupt { name, position, reason } => {
                write!(f, "{name}: damaged batch at byte {position} of a segment: {reason}")
            }
            ReadError::Deleted => f.write_str("the log is deleted"),
            ReadError::Io(error) => write!(f, "cannot read a segment: {error}"),
            ReadError::Offline => f.write_str("the log directory is offline"),
            ReadError::OutOfRange { log_start, log_end } => {
                write!(f, "the log holds offsets from {log_start} to {log_end}")
            }
        }
    }
}

impl std::error::Error for ReadError {}
