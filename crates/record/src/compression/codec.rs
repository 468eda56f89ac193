//! One function each way for every codec, over the crates that implement them.

use std::io::{Read, Write};

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::{Compression, CompressionError, lz4, snappy};

/// The least that the output grows by while its size is unknown.
pub(super) const CHUNK_BYTES: usize = 64 << 10;

/// `zstd`'s own limit for a decoder that was not told otherwise, and so Kafka's.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// What a decoder may keep from one body to the next.
#[derive(Default)]
pub(super) struct Decoders {
    snappy: snap::raw::Decoder,
    zstd: Option<Decoder<'static>>,
}

impl Decoders {
    pub(super) fn decompress(
        &mut self,
        compression: Compression,
        bytes: &[u8],
        size_bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        match compression {
            Compression::None if bytes.len() > size_bytes_max => Err(CompressionError::TooLarge { size_bytes_max }),
            Compression::None => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            Compression::Gzip => gzip(bytes, size_bytes_max, out),
            Compression::Snappy => snappy::decompress(&mut self.snappy, bytes, size_bytes_max, out),
            Compression::Lz4 => lz4::decompress(bytes, size_bytes_max, out),
            Compression::Zstd => self.zstd(bytes, size_bytes_max, out),
        }
    }

    fn zstd(&mut self, bytes: &[u8], size_bytes_max: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
        let corrupt = |error: std::io::Error| corrupt(Compression::Zstd, error);
        let decoder = match &mut self.zstd {
            Some(decoder) => decoder,
            none => {
                let mut decoder = Decoder::new().map_err(corrupt)?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX)).map_err(corrupt)?;
                none.insert(decoder)
            }
        };
        decoder.reinit().map_err(corrupt)?;
        let mut input = InBuffer::around(bytes);
        loop {
            out.reserve(CHUNK_BYTES);
            let (read, written) = (input.pos(), out.len());
            // The buffer appends to the vector's spare capacity and sets its length.
            let mut output = OutBuffer::around_pos(out, written);
            let more = decoder.run(&mut input, &mut output).map_err(corrupt)?;
            if out.len() > size_bytes_max {
                return Err(CompressionError::TooLarge { size_bytes_max });
            }
            let all_read = input.pos() == bytes.len();
            if more == 0 && all_read {
                return Ok(());
            }
            if input.pos() == read && out.len() == written {
                // It wants bytes that are not there.
                let reason = "the frame is cut off".to_string();
                return Err(CompressionError::Corrupt { compression: Compression::Zstd, reason });
            }
        }
    }
}

pub(super) fn compress(compression: Compression, level: Option<i32>, bytes: &[u8], out: &mut Vec<u8>) {
    const INFALLIBLE: &str = "a vector takes every write";
    match compression {
        Compression::None => out.extend_from_slice(bytes),
        Compression::Gzip => {
            let level = flate2::Compression::new(level.unwrap_or(6) as u32);
            let mut encoder = GzEncoder::new(out, level);
            encoder.write_all(bytes).expect(INFALLIBLE);
            encoder.finish().expect(INFALLIBLE);
        }
        Compression::Snappy => snappy::compress(bytes, out),
        Compression::Lz4 => lz4::compress(bytes, out),
        Compression::Zstd => {
            let mut encoder =
                zstd::stream::write::Encoder::new(out, level.unwrap_or(3)).expect("the level is in zstd's range");
            encoder.write_all(bytes).expect(INFALLIBLE);
            encoder.finish().expect(INFALLIBLE);
        }
    }
}

/// One member after the other, as Java's `GZIPInputStream` reads them: what follows a member and does not begin like
/// another is not looked at.
fn gzip(bytes: &[u8], size_bytes_max: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    // One byte more than allowed is enough to know.
    let limit = size_bytes_max.saturating_add(1);
    let mut member = GzDecoder::new(bytes);
    loop {
        let left = (limit - out.len()) as u64;
        member.by_ref().take(left).read_to_end(out).map_err(|error| corrupt(Compression::Gzip, error))?;
        if out.len() > size_bytes_max {
            return Err(CompressionError::TooLarge { size_bytes_max });
        }
        member = GzDecoder::new(member.into_inner());
        if member.header().is_none() {
            return Ok(());
        }
    }
}

fn corrupt(compression: Compression, error: std::io::Error) -> CompressionError {
    CompressionError::Corrupt { compression, reason: error.to_string() }
}
