//! Reads size-delimited frames from one socket. A lying length allocates nothing: the buffer grows with what has come, at
//! once only to what the connection's last frame was. Knows no request.
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use env::Clock;
use env::net::Receive;
use tokio::io::AsyncReadExt;

use crate::memory::{Charge, FREE_BYTES, FrameMemory};

/// The receiving half of a connection. `next` may be dropped and called again: nothing that came is lost.
pub struct FrameReader {
    receiver: Box<dyn Receive>,
    buffer: BytesMut,
    /// A length is believed up to this, which is what the last frame brought.
    believed_bytes: usize,
    charge: Option<Charge>,
    memory: Arc<FrameMemory>,
    clock: Arc<dyn Clock>,
    frame_bytes_max: usize,
}

/// One request as it came, without its length prefix, and its share of the memory budget.
#[derive(Default)]
pub struct Frame {
    pub bytes: Bytes,
    _charge: Option<Charge>,
}

/// Why no further frame comes.
#[derive(Debug)]
pub enum FrameError {
    /// The peer has closed the connection between two frames.
    Closed,
    /// The peer has closed the connection inside a frame.
    Truncated,
    /// Kafka's `InvalidReceiveException`: a negative length, or one above `socket.request.max.bytes`.
    Length(i32),
    /// Too slow, while others waited for memory.
    Evicted,
    Io(io::Error),
}

/// How much is read ahead of the first frame: small, since an idle connection keeps it.
const BUFFER_BYTES_MIN: usize = 2 * 1024;
const BELIEVED_BYTES_MAX: usize = 1024 * 1024;
const PREFIX_BYTES: usize = 4;

impl FrameReader {
    pub fn new(
        receiver: Box<dyn Receive>,
        memory: Arc<FrameMemory>,
        clock: Arc<dyn Clock>,
        frame_bytes_max: usize,
    ) -> Self {
        let (buffer, believed_bytes) = (BytesMut::new(), BUFFER_BYTES_MIN);
        Self { receiver, buffer, believed_bytes, charge: None, memory, clock, frame_bytes_max }
    }

    pub async fn next(&mut self) -> Result<Frame, FrameError> {
        loop {
            let wanted = match self.frame_bytes()? {
                Some(wanted) if self.buffer.len() >= wanted => return Ok(self.take(wanted)),
                Some(wanted) => wanted,
                None => BUFFER_BYTES_MIN,
            };
            self.make_room(wanted).await?;
            self.receive().await?;
        }
    }

    /// The length of the frame that begins the buffer, its prefix included; none before its prefix is whole.
    fn frame_bytes(&self) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let length = i32::from_be_bytes(*prefix);
        match usize::try_from(length) {
            Ok(bytes) if bytes <= self.frame_bytes_max => Ok(Some(PREFIX_BYTES + bytes)),
            _ => Err(FrameError::Length(length)),
        }
    }

    fn take(&mut self, bytes: usize) -> Frame {
        self.believed_bytes = bytes.clamp(BUFFER_BYTES_MIN, BELIEVED_BYTES_MAX);
        let mut frame = self.buffer.split_to(bytes).freeze();
        let charge = self.charge.take().map(|mut charge| {
            charge.received();
            charge
        });
        Frame { bytes: frame.split_off(PREFIX_BYTES), _charge: charge }
    }

    /// Room for more of a frame of `wanted` bytes: at most as much again as has come, or came last time.
    async fn make_room(&mut self, wanted: usize) -> Result<(), FrameError> {
        let have = self.buffer.len();
        if self.buffer.capacity() > have {
            return Ok(());
        }
        let more = (wanted - have).min(have.max(self.believed_bytes));
        if have + more > FREE_BYTES {
            let now = self.clock.now();
            let memory = &self.memory;
            let charge = self.charge.get_or_insert_with(|| memory.begin(now));
            charge.add(more, now).await.map_err(|_| FrameError::Evicted)?;
        }
        self.buffer.reserve(more);
        Ok(())
    }

    async fn receive(&mut self) -> Result<(), FrameError> {
        let evicted = async {
            match &self.charge {
                Some(charge) => charge.evicted().await,
                None => std::future::pending().await,
            }
        };
        let read = tokio::select! {
            biased;
            () = evicted => return Err(FrameError::Evicted),
            read = self.receiver.read_buf(&mut self.buffer) => read.map_err(FrameError::Io)?,
        };
        match (read, self.buffer.is_empty()) {
            (0, true) => Err(FrameError::Closed),
            (0, false) => Err(FrameError::Truncated),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
