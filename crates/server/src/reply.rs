//! What goes to a socket: encoded frames, with record batches in between that stay where they are, in the memory of a
//! tail or in a segment file. Copies nothing.
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::Bytes;
use env::File;
use env::net::Send;
use smallvec::{SmallVec, smallvec};
use tokio::io::AsyncWriteExt;

/// One response, whole: its length prefix included.
pub struct Reply {
    /// A frame, or two halves of one with records in between.
    pieces: SmallVec<[Piece; 3]>,
}

/// Bytes in memory, or a range of a file.
pub enum Piece {
    /// An encoded response that nobody else holds.
    Frame(Vec<u8>),
    Memory(Bytes),
    File {
        file: Arc<dyn File>,
        at: u64,
        len: u64,
    },
}

/// The records of one partition. Mostly one piece.
pub type Pieces = SmallVec<[Piece; 1]>;

/// The replies that leave together. Lives as long as the connection, and keeps its memory.
#[derive(Default)]
pub struct Outgoing {
    pieces: VecDeque<Piece>,
    /// So much of the first piece has left.
    sent_bytes: u64,
}

/// How many pieces one system call takes.
const IO_SLICES_MAX: usize = 64;

impl Reply {
    pub fn from_bytes(frame: Vec<u8>) -> Self {
        Self { pieces: smallvec![Piece::Frame(frame)] }
    }

    /// A frame whose records are elsewhere: `records` fills its holes, in order, hole by hole.
    pub fn with_records(frame: protocol::Segments, mut records: impl Iterator<Item = Pieces>) -> Self {
        let mut pieces = SmallVec::new();
        for segment in frame.into_segments() {
            match segment {
                protocol::Segment::Bytes(bytes) => pieces.push(Piece::Memory(bytes)),
                protocol::Segment::Records { length } => {
                    let hole = records.next().expect("there are pieces for each hole");
                    let bytes: u64 = hole.iter().map(Piece::len).sum();
                    assert_eq!(bytes, length as u64, "the frame says how many bytes");
                    pieces.extend(hole);
                }
            }
        }
        assert!(records.next().is_none(), "there is a hole for each list of pieces");
        Self { pieces }
    }
}

impl Outgoing {
    pub fn push(&mut self, reply: Reply) {
        self.pieces.extend(reply.pieces);
    }

    /// Sends everything, in as few system calls as it takes.
    pub async fn send(&mut self, sender: &mut dyn Send) -> io::Result<()> {
        while let Some(piece) = self.pieces.front() {
            let sent_bytes = match piece {
                Piece::Frame(_) | Piece::Memory(_) => self.send_memory(sender).await?,
                Piece::File { file, at, len } => {
                    let left = usize::try_from(*len - self.sent_bytes).unwrap_or(usize::MAX);
                    let sent = sender.send_file(&**file, *at + self.sent_bytes, left).await?;
                    if sent == 0 && left > 0 {
                        // The length is in the header already, so the stream cannot be mended.
                        return Err(io::Error::new(
                            io::ErrorKind::UnexpectedEof,
                            "a segment file is shorter than its index says",
                        ));
                    }
                    sent as u64
                }
            };
            self.advance(sent_bytes);
        }
        self.pieces.shrink_to(IO_SLICES_MAX);
        sender.flush().await
    }

    /// Sends some of the memory that the pieces begin with.
    async fn send_memory(&self, sender: &mut dyn Send) -> io::Result<u64> {
        let mut slices = SmallVec::<[IoSlice<'_>; IO_SLICES_MAX]>::new();
        let mut skipped = self.sent_bytes as usize;
        for piece in self.pieces.iter().take(IO_SLICES_MAX) {
            let bytes: &[u8] = match piece {
                Piece::Frame(bytes) => bytes,
                Piece::Memory(bytes) => bytes,
                Piece::File { .. } => break,
            };
            slices.push(IoSlice::new(&bytes[std::mem::take(&mut skipped)..]));
        }
        if slices.iter().all(|slice| slice.is_empty()) {
            return Ok(0);
        }
        match sender.write_vectored(&slices).await? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            written => Ok(written as u64),
        }
    }

    /// Drops what has left, and pieces that are empty.
    fn advance(&mut self, bytes: u64) {
        self.sent_bytes += bytes;
        while let Some(piece) = self.pieces.front()
            && self.sent_bytes >= piece.len()
        {
            self.sent_bytes -= piece.len();
            self.pieces.pop_front();
        }
    }
}

impl Piece {
    pub fn len(&self) -> u64 {
        match self {
            Self::Frame(bytes) => bytes.len() as u64,
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
