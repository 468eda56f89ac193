//! gzip as Java's `GZIPInputStream` reads it: one member after the other, and what follows a member and does not begin like
//! another is not looked at. What was read of a member is given before its checksum is.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::codec::{PIECE_BYTES, Piece};
use super::{Compression, CompressionError};

const MAGIC: [u8; 2] = [0x1f, 0x8b];
const DEFLATED: u8 = 8;
/// Flags of a header. The three that are reserved say nothing to Java.
const HAS_CHECKSUM: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
/// A header and a trailer: fewer bytes behind a member are no member, whatever they are.
const MEMBER_BYTES_MIN: usize = 18;

/// A member that is read, and those behind it.
pub(super) struct Members<'a> {
    rest: &'a [u8],
    inflate: Decompress,
    checksum: Crc,
    /// Only its trailer is still to come.
    is_read: bool,
}

impl<'a> Members<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Members<'a>, CompressionError> {
        let rest = header(bytes)?;
        Ok(Members { rest, inflate: Decompress::new(false), checksum: Crc::new(), is_read: false })
    }

    /// Appends what comes next to `out`: about `PIECE_BYTES`, or nothing at the end of a member.
    pub(super) fn more(&mut self, out: &mut Vec<u8>) -> Result<Piece, CompressionError> {
        if self.is_read {
            return self.next_member();
        }
        out.reserve(PIECE_BYTES);
        let (written, read) = (out.len(), self.inflate.total_in());
        let status = self.inflate.decompress_vec(self.rest, out, FlushDecompress::None);
        self.is_read = status.map_err(|error| corrupt(&error.to_string()))? == Status::StreamEnd;
        let read_bytes = (self.inflate.total_in() - read) as usize;
        self.rest = &self.rest[read_bytes..];
        self.checksum.update(&out[written..]);
        if !self.is_read && read_bytes == 0 && out.len() == written {
            return Err(cut_off());
        }
        Ok(Piece { read_bytes, is_last: false })
    }

    fn next_member(&mut self) -> Result<Piece, CompressionError> {
        let (trailer, behind) = self.rest.split_first_chunk::<8>().ok_or_else(cut_off)?;
        let (checksum, length) = (self.checksum.sum(), self.checksum.amount());
        if u64::from_le_bytes(*trailer) != u64::from(length) << 32 | u64::from(checksum) {
            return Err(corrupt("the trailer is not that of its member"));
        }
        let left_before = self.rest.len();
        self.rest = behind;
        let next = if behind.len() > MEMBER_BYTES_MIN { header(behind).ok() } else { None };
        if let Some(next) = next {
            self.rest = next;
            self.inflate.reset(false);
            self.checksum.reset();
            self.is_read = false;
        }
        Ok(Piece { read_bytes: left_before - self.rest.len(), is_last: next.is_none() })
    }
}

/// What is behind the header that `bytes` begin with.
fn header(bytes: &[u8]) -> Result<&[u8], CompressionError> {
    let (fixed, mut rest) = bytes.split_first_chunk::<10>().ok_or_else(cut_off)?;
    let [magic @ .., method, flags, _, _, _, _, _, _] = fixed;
    if *magic != MAGIC || *method != DEFLATED {
        return Err(corrupt("it does not begin like gzip"));
    }
    if flags & HAS_EXTRA != 0 {
        let (length, after) = rest.split_first_chunk().ok_or_else(cut_off)?;
        rest = after.get(usize::from(u16::from_le_bytes(*length))..).ok_or_else(cut_off)?;
    }
    for text in [HAS_NAME, HAS_COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0).ok_or_else(cut_off)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & HAS_CHECKSUM != 0 {
        let mut checksum = Crc::new();
        checksum.update(&bytes[..bytes.len() - rest.len()]);
        let (stored, after) = rest.split_first_chunk().ok_or_else(cut_off)?;
        if u16::from_le_bytes(*stored) != checksum.sum() as u16 {
            return Err(corrupt("the header is not that of its checksum"));
        }
        rest = after;
    }
    Ok(rest)
}

fn cut_off() -> CompressionError {
    corrupt("it is cut off")
}

fn corrupt(reason: &str) -> CompressionError {
    CompressionError::Corrupt { compression: Compression::Gzip, reason: reason.to_owned() }
}
