//! The lz4 frame as Kafka reads and writes it (`Lz4BlockInputStream`): independent blocks only, header and block
//! checksums verified, the content's checksum wanted and skipped, an end mark required, whatever follows it ignored.
//! Blocks go straight into the caller's buffer; the frame reader of the crate would hold two more per batch.

use std::io::Write;

use lz4_flex::block::{DecompressError, decompress_into};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

use super::codec::Piece;
use super::{Compression, CompressionError};

const MAGIC: u32 = 0x184d_2204;
const BLOCK_IS_RAW: u32 = 1 << 31;
/// lz4 spends at least a byte on 255 of output.
const GROWTH_MAX: usize = 255;
const GROWTH_MOSTLY: usize = 8;
const FEW_BYTES: usize = 2 << 10;

/// A frame, and what of its blocks was not read yet.
pub(super) struct Frame<'a> {
    rest: &'a [u8],
    block_bytes_max: usize,
    block_checksums: bool,
    content_checksum: bool,
}

pub(super) fn compress(bytes: &[u8], out: &mut Vec<u8>) {
    // Kafka's writer makes blocks of 64 KiB, and its reader takes independent ones only.
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, out);
    encoder.write_all(bytes).expect("a vector takes every write");
    encoder.finish().expect("a vector takes every write");
}

impl<'a> Frame<'a> {
    /// Appends the next block to `out`.
    pub(super) fn more(&mut self, out: &mut Vec<u8>) -> Result<Piece, CompressionError> {
        let left_before = self.rest.len();
        let header = take_u32(&mut self.rest)?;
        // A raw block of no byte ends the frame too.
        let is_last = header & !BLOCK_IS_RAW == 0;
        if !is_last {
            self.block(header, out)?;
        } else if self.content_checksum {
            take_u32(&mut self.rest)?;
        }
        Ok(Piece { read_bytes: left_before - self.rest.len(), is_last })
    }

    fn block(&mut self, header: u32, out: &mut Vec<u8>) -> Result<(), CompressionError> {
        let size = (header & !BLOCK_IS_RAW) as usize;
        if size > self.block_bytes_max {
            return Err(corrupt(&format!("Block size {size} exceeded max: {}", self.block_bytes_max)));
        }
        let block = take(&mut self.rest, size)?;
        if self.block_checksums && take_u32(&mut self.rest)? != xxh32(block) {
            return Err(corrupt("Block checksum mismatch"));
        }
        if header & BLOCK_IS_RAW != 0 {
            out.extend_from_slice(block);
            return Ok(());
        }
        // Zeroing room for the most that it may be would cost more than most blocks.
        let start = out.len();
        let room_max = self.block_bytes_max.min(size * GROWTH_MAX);
        let mut room = room_max.min(GROWTH_MOSTLY * size + FEW_BYTES);
        loop {
            out.resize(start + room, 0);
            match decompress_into(block, &mut out[start..]) {
                Ok(written) => {
                    out.truncate(start + written);
                    return Ok(());
                }
                Err(DecompressError::OutputTooSmall { .. }) if room < room_max => room = room_max,
                Err(error) => return Err(corrupt(&error.to_string())),
            }
        }
    }

    pub(super) fn new(mut bytes: &'a [u8]) -> Result<Frame<'a>, CompressionError> {
        let bytes = &mut bytes;
        if take_u32(bytes)? != MAGIC {
            return Err(corrupt("Stream unsupported (invalid magic bytes)"));
        }
        let descriptor = *bytes;
        let &[flags, sizes] = take(bytes, 2)? else { unreachable!("two bytes were taken") };
        if flags >> 6 != 1 {
            return Err(corrupt(&format!("Version {} is unsupported", flags >> 6)));
        }
        if flags & 0x03 != 0 || sizes & 0x8f != 0 {
            return Err(corrupt("Reserved bits must be 0"));
        }
        if flags & 0x20 == 0 {
            return Err(corrupt("Dependent block stream is unsupported"));
        }
        let size = sizes >> 4;
        if size < 4 {
            return Err(corrupt(&format!("Block size value must be between 4 and 7, not {size}")));
        }
        if flags & 0x08 != 0 {
            take(bytes, 8)?; // The content's size is a hint that needs no believing.
        }
        let checked = &descriptor[..descriptor.len() - bytes.len()];
        if take(bytes, 1)?[0] != (xxh32(checked) >> 8) as u8 {
            return Err(corrupt("Stream frame descriptor corrupted"));
        }
        Ok(Frame {
            rest: bytes,
            block_bytes_max: 1 << (2 * size + 8),
            block_checksums: flags & 0x10 != 0,
            content_checksum: flags & 0x04 != 0,
        })
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], CompressionError> {
    let (taken, rest) = bytes.split_at_checked(count).ok_or_else(|| corrupt("Stream ended prematurely"))?;
    *bytes = rest;
    Ok(taken)
}

fn take_u32(bytes: &mut &[u8]) -> Result<u32, CompressionError> {
    Ok(u32::from_le_bytes(take(bytes, 4)?.try_into().expect("four bytes were taken")))
}

fn corrupt(reason: &str) -> CompressionError {
    CompressionError::Corrupt { compression: Compression::Lz4, reason: reason.to_string() }
}

/// XXH32 with seed 0, the checksum of the frame format.
fn xxh32(bytes: &[u8]) -> u32 {
    const PRIMES: [u32; 5] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1];
    let [p1, p2, p3, p4, p5] = PRIMES;
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("words have four bytes"));

    let stripes = bytes.chunks_exact(16);
    let mut rest = stripes.remainder();
    let mut hash = if bytes.len() < 16 {
        p5
    } else {
        let mut lanes = [p1.wrapping_add(p2), p2, 0, 0u32.wrapping_sub(p1)];
        for stripe in stripes {
            for (lane, bytes) in lanes.iter_mut().zip(stripe.chunks_exact(4)) {
                *lane = lane.wrapping_add(word(bytes).wrapping_mul(p2)).rotate_left(13).wrapping_mul(p1);
            }
        }
        let [a, b, c, d] = lanes;
        (a.rotate_left(1).wrapping_add(b.rotate_left(7)))
            .wrapping_add(c.rotate_left(12))
            .wrapping_add(d.rotate_left(18))
    };
    hash = hash.wrapping_add(bytes.len() as u32);
    while let Some((bytes, after)) = rest.split_at_checked(4) {
        hash = hash.wrapping_add(word(bytes).wrapping_mul(p3)).rotate_left(17).wrapping_mul(p4);
        rest = after;
    }
    for byte in rest {
        hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(p5)).rotate_left(11).wrapping_mul(p1);
    }
    hash = (hash ^ hash >> 15).wrapping_mul(p2);
    hash = (hash ^ hash >> 13).wrapping_mul(p3);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_xxh32() {
        // Published vectors of xxHash with seed 0.
        assert_eq!(xxh32(b""), 0x02cc_5d05);
        assert_eq!(xxh32(b"abc"), 0x32d1_53ff);
        assert_eq!(xxh32(b"Nobody inspects the spammish repetition"), 0xe229_3b2f);
    }

    #[test]
    fn block_checksums_and_content_checksums_and_sizes_are_read_over() {
        let bytes = vec![b'x'; 200_000];
        let info = FrameInfo::new()
            .block_size(BlockSize::Max256KB)
            .block_mode(BlockMode::Independent)
            .block_checksums(true)
            .content_checksum(true)
            .content_size(Some(bytes.len() as u64));
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&bytes).unwrap();
        let mut frame = encoder.finish().unwrap();
        let mut out = Vec::new();
        let mut blocks = Frame::new(&frame).unwrap();
        while !blocks.more(&mut out).unwrap().is_last {}
        assert_eq!(out, bytes);

        // The last byte of the only block's checksum, before the end mark and the content's checksum.
        let at = frame.len() - 9;
        frame[at] ^= 1;
        let refused = Frame::new(&frame).unwrap().more(&mut Vec::new()).err();
        assert_eq!(refused, Some(corrupt("Block checksum mismatch")));
    }

    #[test]
    fn a_content_checksum_that_is_announced_has_to_be_there() {
        let info = FrameInfo::new().block_mode(BlockMode::Independent).content_checksum(true);
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(b"content").unwrap();
        let mut frame = encoder.finish().unwrap();
        frame.pop();
        let mut blocks = Frame::new(&frame).unwrap();
        assert!(!blocks.more(&mut Vec::new()).unwrap().is_last);
        assert_eq!(blocks.more(&mut Vec::new()).err(), Some(corrupt("Stream ended prematurely")));
    }

    #[test]
    fn a_raw_block_of_no_byte_is_an_end_mark() {
        let mut frame = Vec::new();
        compress(b"content", &mut frame);
        let blocks_at = 7;
        frame.splice(blocks_at..blocks_at, BLOCK_IS_RAW.to_le_bytes());
        let mut out = Vec::new();
        assert!(Frame::new(&frame).unwrap().more(&mut out).unwrap().is_last);
        assert!(out.is_empty());
    }
}
