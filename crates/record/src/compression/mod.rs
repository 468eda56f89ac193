//! The codecs of a batch's body: which there are, and how to get through them within bounds.
//! Writes what Kafka's clients read, reads what any Kafka client writes; knows nothing of records.

mod codec;
mod gzip;
mod lz4;
mod reader;
mod snappy;

use std::fmt;

pub use reader::BodyReader;

use crate::batch::BatchView;

/// The codec in the lowest three bits of a batch's attributes.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// Attributes that name no codec (5 to 7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnknownCompression {
    pub id: i8,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CompressionError {
    /// The codec cannot read it.
    Corrupt {
        compression: Compression,
        reason: String,
    },
    /// It would grow beyond the caller's bound: a bomb, or a batch beyond what this broker takes.
    TooLarge {
        size_bytes_max: usize,
    },
    Unknown(UnknownCompression),
}

/// Decompresses one body after the other into a buffer that it keeps.
#[derive(Default)]
pub struct Decompressor {
    buffer: Vec<u8>,
    codecs: codec::Decoders,
}

/// A buffer above this is given back before the next batch, so that one large batch does not stay for ever.
const RETAINED_BYTES_MAX: usize = 1 << 20;

impl Compression {
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    pub const fn id(self) -> i8 {
        self as i8
    }

    pub fn from_id(id: i8) -> Result<Compression, UnknownCompression> {
        usize::try_from(id).ok().and_then(|at| Compression::ALL.get(at).copied()).ok_or(UnknownCompression { id })
    }

    /// As configurations and tools write it.
    pub const fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    pub fn from_name(name: &str) -> Option<Compression> {
        Compression::ALL.into_iter().find(|compression| compression.name() == name)
    }

    /// The levels that `compression.<codec>.level` takes (KIP-390); `None` for codecs without levels.
    pub const fn levels(self) -> Option<std::ops::RangeInclusive<i32>> {
        match self {
            Compression::None | Compression::Snappy => None,
            Compression::Gzip => Some(1..=9),
            Compression::Lz4 => Some(1..=17),
            Compression::Zstd => Some(-131_072..=22),
        }
    }

    /// Appends `bytes`, compressed, to `out`. A level outside `levels` counts as the codec's default (gzip 6,
    /// zstd 3). lz4 has one speed here: its levels change how long the writer searches, not what it writes.
    pub fn compress(self, level: Option<i32>, bytes: &[u8], out: &mut Vec<u8>) {
        let level = level.filter(|level| self.levels().is_some_and(|levels| levels.contains(level)));
        codec::compress(self, level, bytes, out);
    }
}

impl Decompressor {
    pub fn new() -> Decompressor {
        Decompressor::default()
    }

    /// Of decompressed bytes; the codecs' own are not counted.
    pub fn held_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// The records of `batch`: borrowed from it where it is not compressed, else from this.
    pub fn body<'a>(&'a mut self, batch: &BatchView<'a>, size_bytes_max: usize) -> Result<&'a [u8], CompressionError> {
        match batch.compression().map_err(CompressionError::Unknown)? {
            Compression::None => Ok(batch.body()),
            compression => self.decompress(compression, batch.body(), size_bytes_max),
        }
    }

    /// Memory follows what was really produced, whatever lengths the input claims: at most twice that, a chunk,
    /// and the codec's window (zstd: as large as its frame asks, up to 128 MiB, of which only used pages count).
    pub fn decompress(
        &mut self,
        compression: Compression,
        bytes: &[u8],
        size_bytes_max: usize,
    ) -> Result<&[u8], CompressionError> {
        let mut reader = BodyReader::begin(self, compression, bytes, size_bytes_max, true)?;
        while !reader.is_all_there() {
            reader.more()?;
        }
        Ok(&self.buffer)
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").field("capacity", &self.buffer.capacity()).finish_non_exhaustive()
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for UnknownCompression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unknown compression type id: {}", self.id)
    }
}

impl std::error::Error for UnknownCompression {}

impl fmt::Display for CompressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompressionError::Corrupt { compression, reason } => {
                write!(f, "Failed to decompress {compression} records: {reason}")
            }
            CompressionError::TooLarge { size_bytes_max } => {
                write!(f, "Records would decompress to more than {size_bytes_max} bytes")
            }
            CompressionError::Unknown(unknown) => unknown.fmt(f),
        }
    }
}

impl std::error::Error for CompressionError {}

#[cfg(test)]
mod tests;
