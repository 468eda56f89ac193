//! A body that comes through its codec piece by piece, so that what is held is a piece and not the body. Knows what was
//! taken and what comes next; what the bytes mean, and where a record ends, is the taker's.

use super::codec::Source;
use super::{Compression, CompressionError, Decompressor, RETAINED_BYTES_MAX};
use crate::batch::BatchView;

pub struct BodyReader<'a> {
    decompressor: &'a mut Decompressor,
    source: Source<'a>,
    /// What is taken stays too.
    keeps_all: bool,
    is_all_there: bool,
    // taken_bytes <= the buffer's length, or the body's if it is not compressed
    taken_bytes: usize,
    left_bytes_max: usize,
    size_bytes_max: usize,
}

impl<'a> BodyReader<'a> {
    /// The body of `batch`, refused where it grows beyond `size_bytes_max`. Bytes that are not compressed are not
    /// copied.
    pub fn new(
        decompressor: &'a mut Decompressor,
        batch: &BatchView<'a>,
        size_bytes_max: usize,
        keeps_all: bool,
    ) -> Result<BodyReader<'a>, CompressionError> {
        let compression = batch.compression().map_err(CompressionError::Unknown)?;
        let mut reader = BodyReader::begin(decompressor, compression, batch.body(), size_bytes_max, keeps_all)?;
        reader.is_all_there = compression == Compression::None;
        Ok(reader)
    }

    pub(super) fn begin(
        decompressor: &'a mut Decompressor,
        compression: Compression,
        bytes: &'a [u8],
        size_bytes_max: usize,
        keeps_all: bool,
    ) -> Result<BodyReader<'a>, CompressionError> {
        decompressor.buffer.clear();
        decompressor.buffer.shrink_to(RETAINED_BYTES_MAX);
        let source = decompressor.codecs.begin(compression, bytes)?;
        let (left_bytes_max, taken_bytes, is_all_there) = (size_bytes_max, 0, false);
        Ok(BodyReader { decompressor, source, keeps_all, is_all_there, taken_bytes, left_bytes_max, size_bytes_max })
    }

    /// What is there and not taken.
    pub fn window(&self) -> &[u8] {
        &self.kept()[self.taken_bytes..]
    }

    /// What is there: all that ever was, if this keeps all.
    pub fn kept(&self) -> &[u8] {
        match &self.source {
            Source::None(bytes) if !bytes.is_empty() => bytes,
            _ => &self.decompressor.buffer,
        }
    }

    /// Nothing comes behind the window.
    pub fn is_all_there(&self) -> bool {
        self.is_all_there
    }

    /// Takes from the front of the window.
    pub fn take(&mut self, size_bytes: usize) {
        assert!(size_bytes <= self.window().len(), "more is taken than is there");
        self.taken_bytes += size_bytes;
    }

    /// Lets the next piece in; it may be empty. Answers what that was worth in work: bytes read or written,
    /// whichever is more. An error is final.
    pub fn more(&mut self) -> Result<usize, CompressionError> {
        let Decompressor { buffer, codecs } = &mut *self.decompressor;
        if !self.keeps_all {
            buffer.drain(..self.taken_bytes);
            self.taken_bytes = 0;
        }
        let before = buffer.len();
        let too_large = CompressionError::TooLarge { size_bytes_max: self.size_bytes_max };
        let piece = match codecs.more(&mut self.source, self.left_bytes_max, buffer) {
            Err(CompressionError::TooLarge { .. }) => return Err(too_large),
            piece => piece?,
        };
        let written_bytes = buffer.len() - before;
        self.left_bytes_max = self.left_bytes_max.checked_sub(written_bytes).ok_or(too_large)?;
        self.is_all_there = piece.is_last;
        Ok(piece.read_bytes.max(written_bytes))
    }

    /// Gives up. What is in the decompressor is of no use.
    pub fn into_decompressor(self) -> &'a mut Decompressor {
        self.decompressor
    }
}
