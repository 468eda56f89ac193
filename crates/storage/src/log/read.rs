//! Reading: a list of slices of the tail and of files, made under the lock and sent without it. Whole batches only.
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use env::File;
use record::{BatchHeader, Batches, HEADER_BYTES, Offset, TopicPartition};

use super::damage::is_damage;
use super::{Ends, Gate, Log, State};
use crate::leader_epochs::LeaderEpochs;
use crate::segment::{Access, Located, ReadRequest, Segment, SegmentError, Written, fault_of};

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

impl Slice {
    pub fn size_bytes(&self) -> usize {
        match self {
            Slice::Memory(bytes) => bytes.len(),
            Slice::File(slice) => slice.size_bytes,
        }
    }
}

/// Whole batches in a segment's file.
#[derive(Clone)]
pub struct FileSlice {
    pub file: Arc<dyn File>,
    pub position: u64,
    pub size_bytes: usize,
    log: Arc<Log>,
    segment: Arc<Segment>,
    /// What was asked for.
    from: Offset,
    /// How far the file reached when it was looked into.
    written: Written,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReadError {
    /// What is needed to find the place is not in memory: `LogDir::read_cold` brings it.
    Cold,
    /// These bytes are not what was written, and where they are damaged could not be found out.
    Corrupt {
        name: TopicPartition,
        position: u64,
        reason: String,
    },
    Deleted,
    /// What was written here is lost, until another replica has brought it.
    Faulty {
        name: TopicPartition,
        range: Range<Offset>,
    },
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
        let mut surveys = 0;
        let mut want = Want { from, bytes_max, up_to, minimum_one };
        // A segment is looked into without the lock: below `written` nothing of it changes.
        loop {
            let (segment, written, then) = {
                let state = self.state();
                self.check_range(&state, want.from)?;
                want.up_to = up_to.min(state.sound_end(want.from));
                let mut read = Read { slices: Vec::new(), size_bytes: 0, ends: state.ends() };
                if want.from >= want.up_to {
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
            let read = || self.read_segment(&segment, written, &want, access);
            let found = match (read(), access) {
                // Compaction or retention has taken the file from under the reader.
                (Err(_), _) if !self.state().holds(&segment) => continue,
                // What is damaged is marked now, and what is asked for may be in it.
                (Err(error), Access::Blocking)
                    if is_damage(&error) && surveys < SURVEYS_MAX && self.survey(&segment)? =>
                {
                    surveys += 1;
                    continue;
                }
                // Whoever may wait finds out where it is damaged.
                (Err(error), Access::Cached) if is_damage(&error) => InFile::Cold,
                (found, _) => found?,
            };
            match found {
                // One file a read, as in Kafka: what follows comes with the next fetch.
                InFile::Found(slice) => {
                    let ends = self.ends();
                    return Ok(Read { size_bytes: slice.size_bytes, slices: vec![Slice::File(slice)], ends });
                }
                InFile::NoRoom => return Ok(Read { slices: Vec::new(), size_bytes: 0, ends: self.ends() }),
                InFile::Cold => return Err(ReadError::Cold),
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
        segment: &Arc<Segment>,
        written: Written,
        want: &Want,
        access: Access,
    ) -> Result<InFile, SegmentError> {
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
                log: self.me.upgrade().expect("it is being called"),
                segment: segment.clone(),
                from: want.from,
                written,
            })),
            Located::End => Ok(InFile::Beyond),
            Located::NoRoom => Ok(InFile::NoRoom),
            Located::Cold => Ok(InFile::Cold),
        }
    }
}

/// The same read meets damage in no more segments than that, before it comes to something.
const SURVEYS_MAX: u32 = 3;

enum InFile {
    /// What is wanted lies behind what this file holds.
    Beyond,
    /// The disk must be asked.
    Cold,
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

impl Log {
    fn check_range(&self, state: &State, from: Offset) -> Result<(), ReadError> {
        let Ends { log_start, log_end, .. } = state.ends();
        match state.gate {
            Gate::Deleted => Err(ReadError::Deleted),
            _ if from < log_start || from > log_end => Err(ReadError::OutOfRange { log_start, log_end }),
            _ => match state.faulty_at(from) {
                Some(range) => Err(ReadError::Faulty { name: self.name().clone(), range: range.clone() }),
                None => Ok(()),
            },
        }
    }
}

/// How far apart a range is probed for being in the page cache.
const PROBE_BYTES: usize = 256 << 10;

impl FileSlice {
    fn positions(&self) -> Range<u32> {
        let position = self.position as u32;
        position..position + self.size_bytes as u32
    }

    /// Whether the file may be sent as it is: all of it is known to be what was written, and will be found in the page
    /// cache. A probe: of a range that has just begun to leave the cache it may say yes.
    pub fn may_be_sent(&self) -> bool {
        if !self.segment.proven().covers(&self.positions()) {
            return false;
        }
        let last = self.size_bytes.saturating_sub(1);
        let places = (0..last).step_by(PROBE_BYTES).chain([last]);
        let is_cached = places.into_iter().all(|place| {
            let mut byte = [0];
            matches!(self.file.read_cached_at(&mut byte, self.position + place as u64), Ok(Some(1)))
        });
        if !is_cached {
            self.segment.proven().forget(self.positions());
        }
        is_cached
    }

    /// From the page cache, and every batch is what was written; or `None`.
    pub fn read_cached(&self) -> io::Result<Option<Bytes>> {
        let mut bytes = vec![0; self.size_bytes + self.next_header_bytes()];
        let read = self.file.read_cached_at(&mut bytes, self.position)?;
        if read != Some(bytes.len()) || self.check(&bytes, &self.log.epochs()).is_err() {
            return Ok(None);
        }
        bytes.truncate(self.size_bytes);
        Ok(Some(bytes.into()))
    }

    /// From the disk, wherever that has it, and every batch is what was written. Blocks. If a part is damaged the batches
    /// before it, if there are any; the error is for whoever comes for the next.
    pub fn read_checked(&self) -> Result<Bytes, ReadError> {
        let epochs = self.log.epochs();
        self.segment.proven().forget(self.positions());
        let mut bytes = vec![0; self.size_bytes + self.next_header_bytes()];
        let read = self.file.read_at(&mut bytes, self.position).map_err(|error| ReadError::Io(error.to_string()))?;
        bytes.truncate(read);
        let Err((sound_bytes, reason)) = self.check(&bytes, &epochs) else {
            self.segment.proven().add(self.positions());
            bytes.truncate(self.size_bytes);
            return Ok(bytes.into());
        };
        self.log.survey(&self.segment)?;
        let positions = self.positions();
        let damage = self.segment.damage();
        let hit = damage
            .iter()
            .find(|damage| damage.positions.end > positions.start && damage.positions.start < positions.end);
        let sound_bytes = match hit {
            Some(damage) => damage.positions.start.saturating_sub(positions.start) as usize,
            // What follows is damaged, or nothing is.
            None if self.check_batches(&bytes, &epochs).is_ok() => self.size_bytes,
            None => sound_bytes,
        };
        if sound_bytes == 0 {
            return Err(match hit {
                Some(damage) if damage.offsets.contains(&self.from) => {
                    ReadError::Faulty { name: self.log.name().clone(), range: damage.offsets.clone() }
                }
                // The batch only looked as if it held what was asked for.
                Some(_) => ReadError::Cold,
                None => ReadError::Corrupt { name: self.log.name().clone(), position: self.position, reason },
            });
        }
        bytes.truncate(sound_bytes);
        Ok(bytes.into())
    }

    /// The batch behind the range tells whether the last one's offsets are its own.
    fn next_header_bytes(&self) -> usize {
        let left = u64::from(self.written.position).saturating_sub(self.position + self.size_bytes as u64);
        HEADER_BYTES.min(left as usize)
    }

    /// The batches, and the one behind them. An error says how many bytes are sound, and what the next ones are.
    fn check(&self, bytes: &[u8], epochs: &LeaderEpochs) -> Result<(), (usize, String)> {
        let (last, expected) = self.check_batches(bytes, epochs)?;
        if self.next_header_bytes() == 0 {
            return Ok(());
        }
        match BatchHeader::parse(&bytes[self.size_bytes..]) {
            Ok(next) if next.base_offset() >= expected => Ok(()),
            Ok(next) => Err((last, format!("offset {} comes behind {}", next.base_offset(), expected - 1))),
            Err(error) => Err((last, error.to_string())),
        }
    }

    /// The batches for themselves. Where the last one begins, and the offset behind it.
    fn check_batches(&self, bytes: &[u8], epochs: &LeaderEpochs) -> Result<(usize, Offset), (usize, String)> {
        let range = &bytes[..self.size_bytes.min(bytes.len())];
        let mut batches = Batches::new(range);
        let mut last = 0;
        let mut expected = self.segment.base_offset();
        loop {
            let at = batches.position();
            match batches.next() {
                None if at < self.size_bytes => return Err((at, "the file ends early".to_owned())),
                None => return Ok((last, expected)),
                Some(Err(error)) => return Err((at, error.to_string())),
                Some(Ok(batch)) => {
                    if let Some(fault) = fault_of(&batch, expected, self.written.offset, epochs) {
                        return Err((at, fault.to_string()));
                    }
                    (last, expected) = (at, batch.next_offset());
                }
            }
        }
    }
}

impl fmt::Debug for FileSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = self.position..self.position + self.size_bytes as u64;
        write!(f, "FileSlice({}, {range:?})", self.log.name())
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
            ReadError::Faulty { name, range } => {
                write!(f, "{name}: offsets {} to {} are damaged", range.start, range.end)
            }
            ReadError::Io(error) => write!(f, "cannot read a segment: {error}"),
            ReadError::Offline => f.write_str("the log directory is offline"),
            ReadError::OutOfRange { log_start, log_end } => {
                write!(f, "the log holds offsets from {log_start} to {log_end}")
            }
        }
    }
}

impl std::error::Error for ReadError {}
