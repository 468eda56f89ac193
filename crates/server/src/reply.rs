//! What goes to a socket: encoded frames, with record batches in between that stay where they are, in the memory of a
//! tail or in a segment file. Copies nothing.
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::Bytes;
use env::File;
use env::net::Send;
use tokio::io::AsyncWriteExt;

/// One response, whole: its length prefix included.
pub struct Reply {
    pieces: VecDeque<Piece>,
}

/// Bytes in memory, or a range of a file.
pub enum Piece {
    Memory(Bytes),
    File { file: Arc<dyn File>, at: u64, len: u64 },
}

/// How many pieces one system call takes.
const IO_SLICES_MAX: usize = 64;

impl Reply {
    pub fn from_bytes(frame: Vec<u8>) -> Self {
        Self { pieces: VecDeque::from([Piece::Memory(frame.into())]) }
    }

    /// A frame whose records are elsewhere: `records` fills its holes, in order, hole by hole.
    pub fn with_records(frame: protocol::Segments, records: Vec<Vec<Piece>>) -> Self {
        assert_eq!(frame.records_count(), records.len(), "one list of pieces for each hole");
        let mut records = records.into_iter();
        let mut pieces = VecDeque::new();
        for segment in frame.into_segments() {
            match segment {
                protocol::Segment::Bytes(bytes) => pieces.push_back(Piece::Memory(bytes)),
                protocol::Segment::Records { length } => {
                    let hole = records.next().expect("counted above");
                    let bytes: u64 = hole.iter().map(Piece::len).sum();
                    assert_eq!(bytes, length as u64, "the frame says how many bytes");
                    pieces.extend(hole);
                }
            }
        }
        Self { pieces }
    }

    /// Sends several replies, one after the other, in as few system calls as it takes.
    pub async fn send_all(replies: impl IntoIterator<Item = Reply>, sender: &mut dyn Send) -> io::Result<()> {
        let mut pieces: VecDeque<Piece> = replies.into_iter().flat_map(|reply| reply.pieces).collect();
        while let Some(piece) = pieces.front_mut() {
            match piece {
                Piece::Memory(_) => {
                    let written = write_memory(&pieces, sender).await?;
                    advance(&mut pieces, written);
                }
                Piece::File { file, at, len } => {
                    let sent = sender.send_file(&**file, *at, usize::try_from(*len).unwrap_or(usize::MAX)).await?;
                    if sent == 0 {
                        // The length is in the header already, so the stream cannot be mended.
                        return Err(io::Error::new(
                            io::ErrorKind::UnexpectedEof,
                            "a segment file is shorter than its index says",
                        ));
                    }
                    advance(&mut pieces, sent as u64);
                }
            }
        }
        sender.flush().await
    }
}

impl Piece {
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Writes some of the memory that `pieces` begin with.
async fn write_memory(pieces: &VecDeque<Piece>, sender: &mut dyn Send) -> io::Result<u64> {
    let slices: Vec<IoSlice<'_>> = pieces
        .iter()
        .map_while(|piece| match piece {
            Piece::Memory(bytes) => Some(IoSlice::new(bytes)),
            Piece::File { .. } => None,
        })
        .take(IO_SLICES_MAX)
        .collect();
    if slices.iter().all(|slice| slice.is_empty()) {
        return Ok(0);
    }
    match sender.write_vectored(&slices).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        written => Ok(written as u64),
    }
}

/// Drops the first `bytes` bytes, and pieces that are empty.
fn advance(pieces: &mut VecDeque<Piece>, mut bytes: u64) {
    while let Some(piece) = pieces.front_mut() {
        if bytes < piece.len() {
            match piece {
                Piece::Memory(memory) => *memory = memory.slice(bytes as usize..),
                Piece::File { at, len, .. } => {
                    *at += bytes;
                    *len -= bytes;
                }
            }
            return;
        }
        bytes -= piece.len();
        pieces.pop_front();
    }
}
