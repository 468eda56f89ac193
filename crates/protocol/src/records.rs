//! Record batches inside a message: bytes that this crate passes on unread, or only their length, when the bytes are
//! still in a file and shall go to the socket without passing through here.

use std::ops::Range;

use bytes::Bytes;

/// The value of a `records` field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    Here(Bytes),
    /// That many bytes, which the sender of the frame puts in itself. See [`Segments`].
    Elsewhere(usize),
}

/// An encoded frame with holes in it where records that are [`Records::Elsewhere`] belong, in the order of the fields.
#[derive(Debug, PartialEq, Eq)]
pub struct Segments {
    pub(crate) bytes: Vec<u8>,
    pub(crate) holes: Vec<Hole>,
}

/// `length` bytes are missing before the byte at `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub at: usize,
    pub length: usize,
}

/// One piece of a frame, in the order in which it goes to the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment<B> {
    Bytes(B),
    /// The next of the records that are elsewhere.
    Records {
        length: usize,
    },
}

impl Records {
    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        Self::Here(Bytes::copy_from_slice(bytes))
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Here(bytes) => bytes.len(),
            Self::Elsewhere(length) => *length,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for Records {
    fn default() -> Self {
        Self::Here(Bytes::new())
    }
}

impl<B: Into<Bytes>> From<B> for Records {
    fn from(bytes: B) -> Self {
        Self::Here(bytes.into())
    }
}

impl Segments {
    /// Length of the whole frame, its four bytes of length and the records included.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.holes.iter().map(|hole| hole.length).sum::<usize>()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many [`Segment::Records`] there are.
    pub fn records_count(&self) -> usize {
        self.holes.len()
    }

    /// All of the frame but the records; [`Segments::iter`] says where they belong.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn iter(&self) -> impl Iterator<Item = Segment<&[u8]>> {
        pieces(self.holes.iter().copied(), self.bytes.len()).map(|piece| match piece {
            Segment::Bytes(range) => Segment::Bytes(&self.bytes[range]),
            Segment::Records { length } => Segment::Records { length },
        })
    }

    /// The same with bytes that share one allocation and outlive this. Nothing is copied.
    pub fn into_segments(self) -> impl Iterator<Item = Segment<Bytes>> {
        let bytes = Bytes::from(self.bytes);
        pieces(self.holes.into_iter(), bytes.len()).map(move |piece| match piece {
            Segment::Bytes(range) => Segment::Bytes(bytes.slice(range)),
            Segment::Records { length } => Segment::Records { length },
        })
    }
}

/// Where in `length` bytes the pieces between the holes lie, and the holes; no piece is empty.
fn pieces(holes: impl Iterator<Item = Hole>, length: usize) -> impl Iterator<Item = Segment<Range<usize>>> {
    let mut start = 0;
    holes.map(Some).chain(std::iter::once(None)).flat_map(move |hole| {
        let end = hole.map_or(length, |hole| hole.at);
        let range = std::mem::replace(&mut start, end)..end;
        let bytes = (!range.is_empty()).then_some(Segment::Bytes(range));
        bytes.into_iter().chain(hole.map(|hole| Segment::Records { length: hole.length }))
    })
}
