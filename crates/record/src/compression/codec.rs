//! One function each way for every codec, over the crates that implement them.

use std::cell::RefCell;
use std::io::Cursor;

use flate2::{Compress, FlushCompress, Status};
use zstd::bulk::Compressor;
use zstd::compress_bound;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::{Compression, CompressionError, gzip, lz4, snappy};

/// How much gzip and zstd give at once. The blocks of lz4 and snappy are as large as their writer made them.
pub(super) const PIECE_BYTES: usize = 64 << 10;

/// `zstd`'s own limit for a decoder that was not told otherwise, and so Kafka's.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// What a decoder may keep from one body to the next.
#[derive(Default)]
pub(super) struct Decoders {
    snappy: snap::raw::Decoder,
    zstd: Option<Decoder<'static>>,
}

/// Where the codec stands in one body.
pub(super) enum Source<'a> {
    None(&'a [u8]),
    Gzip(Box<gzip::Members<'a>>),
    Snappy(snappy::Stream<'a>),
    Lz4(lz4::Frame<'a>),
    Zstd { bytes: &'a [u8], read: usize },
}

/// What one piece was.
pub(super) struct Piece {
    /// Of the compressed bytes.
    pub read_bytes: usize,
    pub is_last: bool,
}

impl Decoders {
    pub(super) fn begin<'a>(
        &mut self,
        compression: Compression,
        bytes: &'a [u8],
    ) -> Result<Source<'a>, CompressionError> {
        Ok(match compression {
            Compression::None => Source::None(bytes),
            Compression::Gzip => Source::Gzip(Box::new(gzip::Members::new(bytes)?)),
            Compression::Snappy => Source::Snappy(snappy::Stream::new(bytes)?),
            Compression::Lz4 => Source::Lz4(lz4::Frame::new(bytes)?),
            Compression::Zstd => {
                self.begin_zstd().map_err(|error| corrupt(Compression::Zstd, error))?;
                Source::Zstd { bytes, read: 0 }
            }
        })
    }

    /// Appends the next piece to `out`: a block, or about `PIECE_BYTES`; it may be empty. `left_bytes_max` is what
    /// the caller would still take: a block that claims more is not even begun.
    pub(super) fn more(
        &mut self,
        source: &mut Source<'_>,
        left_bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<Piece, CompressionError> {
        match source {
            Source::None(bytes) => {
                out.extend_from_slice(bytes);
                Ok(Piece { read_bytes: std::mem::take(bytes).len(), is_last: true })
            }
            Source::Gzip(members) => members.more(out),
            Source::Snappy(stream) => stream.more(&mut self.snappy, left_bytes_max, out),
            Source::Lz4(frame) => frame.more(out),
            Source::Zstd { bytes, read } => self.zstd(bytes, read, out),
        }
    }

    fn begin_zstd(&mut self) -> std::io::Result<()> {
        let decoder = match &mut self.zstd {
            Some(decoder) => decoder,
            none => {
                let mut decoder = Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
                none.insert(decoder)
            }
        };
        decoder.reinit()
    }

    fn zstd(&mut self, bytes: &[u8], read: &mut usize, out: &mut Vec<u8>) -> Result<Piece, CompressionError> {
        if bytes.is_empty() {
            return Ok(Piece { read_bytes: 0, is_last: true }); // As zstd-jni: an end, and no frame that is cut off.
        }
        let decoder = self.zstd.as_mut().expect("the body was begun");
        out.reserve(PIECE_BYTES);
        let written = out.len();
        let mut input = InBuffer::around(&bytes[*read..]);
        // The buffer appends to the vector's spare capacity and sets its length.
        let mut output = OutBuffer::around_pos(out, written);
        let more = decoder.run(&mut input, &mut output).map_err(|error| corrupt(Compression::Zstd, error))?;
        let read_bytes = input.pos();
        *read += read_bytes;
        let is_last = more == 0 && *read == bytes.len();
        if !is_last && read_bytes == 0 && out.len() == written {
            // It wants bytes that are not there.
            let reason = "the frame is cut off".to_string();
            return Err(CompressionError::Corrupt { compression: Compression::Zstd, reason });
        }
        Ok(Piece { read_bytes, is_last })
    }
}

pub(super) fn compress(compression: Compression, level: Option<i32>, bytes: &[u8], out: &mut Vec<u8>) {
    match compression {
        Compression::None => out.extend_from_slice(bytes),
        Compression::Gzip => deflate(flate2::Compression::new(level.unwrap_or(6) as u32), bytes, out),
        Compression::Snappy => snappy::compress(bytes, out),
        Compression::Lz4 => lz4::compress(bytes, out),
        Compression::Zstd => zstd(level.unwrap_or(3), bytes, out),
    }
}

thread_local! {
    // The last compressors of this thread, with their levels: making one costs as much as compressing some kilobytes.
    static DEFLATE: RefCell<Option<(flate2::Compression, Compress)>> = const { RefCell::new(None) };
    static ZSTD: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
}

/// zstd's tables are as large as what is compressed: those for more than this are not kept.
const ZSTD_KEPT_BYTES_MAX: usize = 64 << 10;

/// One frame. It says how large its content is, so that a reader makes room for no more.
fn zstd(level: i32, bytes: &[u8], out: &mut Vec<u8>) {
    let new = || Compressor::new(level).expect("the level is in zstd's range");
    let compress = |compressor: &mut Compressor<'_>| {
        out.reserve_exact(compress_bound(bytes.len()));
        let at = out.len() as u64;
        let mut end = Cursor::new(out);
        end.set_position(at);
        compressor.compress_to_buffer(bytes, &mut end).expect("room was made for the worst");
    };
    if bytes.len() > ZSTD_KEPT_BYTES_MAX {
        return compress(&mut new());
    }
    ZSTD.with_borrow_mut(|kept| {
        let (_, compressor) = match kept {
            Some(kept) if kept.0 == level => kept,
            other => other.insert((level, new())),
        };
        compress(compressor);
    });
}

/// The widest that there is, and Java's.
const WINDOW_BITS: u8 = 15;

/// One gzip member.
fn deflate(level: flate2::Compression, bytes: &[u8], out: &mut Vec<u8>) {
    DEFLATE.with_borrow_mut(|kept| {
        let (_, deflate) = match kept {
            Some(kept) if kept.0 == level => {
                kept.1.reset();
                kept
            }
            other => other.insert((level, Compress::new_gzip(level, WINDOW_BITS))),
        };
        let mut rest = bytes;
        loop {
            out.reserve(rest.len() / 2 + 256);
            let before = deflate.total_in();
            let status = deflate.compress_vec(rest, out, FlushCompress::Finish).expect("room was made");
            rest = &rest[(deflate.total_in() - before) as usize..];
            if status == Status::StreamEnd {
                break;
            }
        }
    });
}

fn corrupt(compression: Compression, error: std::io::Error) -> CompressionError {
    CompressionError::Corrupt { compression, reason: error.to_string() }
}
