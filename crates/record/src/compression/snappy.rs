//! Snappy as Kafka has it: blocks in the framing of xerial's snappy-java, which is not the framing of the
//! snappy project. Some clients (librdkafka) write one bare block instead; both are read, the framing is written.

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::codec::Piece;
use super::{Compression, CompressionError};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Magic, version, and the oldest version that reads it. Kafka believes neither, nor do we.
const HEADER_BYTES: usize = 16;
/// What snappy-java puts into a block.
const BLOCK_BYTES: usize = 32 << 10;
/// A three-byte copy yields 64 bytes: no snappy block grows more.
const GROWTH_MAX: usize = 22;

pub(super) fn compress(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&1i32.to_be_bytes());
    out.extend_from_slice(&1i32.to_be_bytes());
    let mut encoder = Encoder::new();
    for block in bytes.chunks(BLOCK_BYTES) {
        let length_at = out.len();
        let block_at = length_at + 4;
        out.resize(block_at + max_compress_len(block.len()), 0);
        let length = encoder.compress(block, &mut out[block_at..]).expect("the room is what the encoder asks for");
        out[length_at..block_at].copy_from_slice(&(length as i32).to_be_bytes());
        out.truncate(block_at + length);
    }
}

/// Blocks that were not read yet.
pub(super) struct Stream<'a> {
    rest: &'a [u8],
    is_framed: bool,
}

impl<'a> Stream<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Stream<'a>, CompressionError> {
        let is_framed = bytes.starts_with(&MAGIC);
        Ok(Stream { rest: if is_framed { header(bytes)? } else { bytes }, is_framed })
    }

    /// Appends the next block to `out`.
    pub(super) fn more(
        &mut self,
        decoder: &mut Decoder,
        left_bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<Piece, CompressionError> {
        let left_before = self.rest.len();
        if !self.is_framed {
            block(decoder, std::mem::take(&mut self.rest), left_bytes_max, out)?;
        } else if self.rest.starts_with(&MAGIC) {
            // Streams may follow one another, each with its header.
            self.rest = header(self.rest)?;
        } else if let Some((length, after)) = self.rest.split_first_chunk() {
            let length =
                usize::try_from(i32::from_be_bytes(*length)).map_err(|_| corrupt("a negative block length"))?;
            let (compressed, after) = after.split_at_checked(length).ok_or_else(cut_off)?;
            block(decoder, compressed, left_bytes_max, out)?;
            self.rest = after;
        } else {
            // Fewer bytes than a length has are passed over, as snappy-java does.
            self.rest = &[];
        }
        Ok(Piece { read_bytes: left_before - self.rest.len(), is_last: self.rest.is_empty() })
    }
}

fn header(bytes: &[u8]) -> Result<&[u8], CompressionError> {
    bytes.get(HEADER_BYTES..).ok_or_else(cut_off)
}

fn block(
    decoder: &mut Decoder,
    bytes: &[u8],
    left_bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let claimed = decompress_len(bytes).map_err(|error| corrupt(&error.to_string()))?;
    if claimed > bytes.len().saturating_mul(GROWTH_MAX) {
        return Err(corrupt("a length that the block cannot have"));
    }
    if claimed > left_bytes_max {
        return Err(CompressionError::TooLarge { size_bytes_max: left_bytes_max });
    }
    let at = out.len();
    out.resize(at + claimed, 0);
    let written = decoder.decompress(bytes, &mut out[at..]).map_err(|error| corrupt(&error.to_string()))?;
    out.truncate(at + written);
    Ok(())
}

fn cut_off() -> CompressionError {
    corrupt("the stream is cut off")
}

fn corrupt(reason: &str) -> CompressionError {
    CompressionError::Corrupt { compression: Compression::Snappy, reason: reason.to_string() }
}
