//! The two ends of a socket as tasks: one writes the frames that are queued, one reads answers and gives each to the
//! request that waits longest, which is the one it answers: Kafka answers in order.
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use env::net::{Receive, Send};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// What is read at a time into a frame, so that a length alone allocates nothing.
const READ_BYTES: usize = 64 * 1024;

/// What both tasks and all handles of a connection share.
pub(crate) struct Shared {
    queue: Mutex<Queue>,
    /// A permit per request that may be in flight.
    pub in_flight: Arc<Semaphore>,
    /// Closed when the connection is.
    stop: Semaphore,
}

struct Queue {
    /// `None` once closed.
    frames: Option<mpsc::UnboundedSender<Outgoing>>, // Bounded by the permits of `in_flight`.
    waiting: VecDeque<Waiting>,
    next_correlation_id: i32,
    closed: Option<String>,
}

/// A frame to be written. One that is not answered says when it is written, so that it can be waited for.
pub(crate) struct Outgoing {
    frame: Vec<u8>,
    written: Option<oneshot::Sender<()>>,
    _permit: Option<OwnedSemaphorePermit>,
}

struct Waiting {
    correlation_id: i32,
    answer: oneshot::Sender<Bytes>,
    _permit: OwnedSemaphorePermit,
}

impl Shared {
    pub fn new(in_flight_max: usize) -> (Arc<Shared>, mpsc::UnboundedReceiver<Outgoing>) {
        let (frames, receiver) = mpsc::unbounded_channel();
        let queue = Queue { frames: Some(frames), waiting: VecDeque::new(), next_correlation_id: 0, closed: None };
        let in_flight = Arc::new(Semaphore::new(in_flight_max.max(1)));
        (Arc::new(Shared { queue: Mutex::new(queue), in_flight, stop: Semaphore::new(0) }), receiver)
    }

    /// Queues a frame, giving it its correlation id. The receiver gets the answer, without its length.
    pub fn ask(&self, mut frame: Vec<u8>, permit: OwnedSemaphorePermit) -> Result<oneshot::Receiver<Bytes>, String> {
        let (answer, receiver) = oneshot::channel();
        let mut queue = self.queue.lock();
        let correlation_id = queue.number(&mut frame);
        queue.push(Outgoing { frame, written: None, _permit: None })?;
        queue.waiting.push_back(Waiting { correlation_id, answer, _permit: permit });
        Ok(receiver)
    }

    /// Queues a frame that is not answered (acks=0). The receiver hears when it is written.
    pub fn tell(&self, mut frame: Vec<u8>, permit: OwnedSemaphorePermit) -> Result<oneshot::Receiver<()>, String> {
        let (written, receiver) = oneshot::channel();
        let mut queue = self.queue.lock();
        queue.number(&mut frame);
        queue.push(Outgoing { frame, written: Some(written), _permit: Some(permit) })?;
        Ok(receiver)
    }

    pub fn close(&self, reason: impl Into<String>) {
        let mut queue = self.queue.lock();
        if queue.closed.is_none() {
            queue.closed = Some(reason.into());
            queue.frames = None;
            queue.waiting.clear(); // Their receivers see it.
            self.in_flight.close();
            self.stop.close();
        }
    }

    /// Why it is closed, if it is.
    pub fn closed(&self) -> Option<String> {
        self.queue.lock().closed.clone()
    }

    async fn stopped(&self) {
        let never = self.stop.acquire().await;
        assert!(never.is_err(), "nobody adds permits to this semaphore");
    }

    fn answer(&self, frame: Bytes) -> Result<(), String> {
        let mut queue = self.queue.lock();
        let id = frame.first_chunk().map(|id| i32::from_be_bytes(*id)).ok_or("an answer of less than four bytes")?;
        let Some(waiting) = queue.waiting.pop_front() else { return Err("an answer that nobody asked for".to_owned()) };
        if waiting.correlation_id != id {
            return Err(format!("an answer to request {id}, and {} is next", waiting.correlation_id));
        }
        let _ = waiting.answer.send(frame); // Who asked may be gone.
        Ok(())
    }
}

/// Where a request has its correlation id: behind length, key and version.
const CORRELATION_ID: std::ops::Range<usize> = 8..12;

impl Queue {
    fn number(&mut self, frame: &mut [u8]) -> i32 {
        let id = self.next_correlation_id;
        self.next_correlation_id = id.wrapping_add(1) & i32::MAX;
        frame[CORRELATION_ID].copy_from_slice(&id.to_be_bytes());
        id
    }

    fn push(&mut self, outgoing: Outgoing) -> Result<(), String> {
        let closed = || self.closed.clone().unwrap_or_else(|| "closed".to_owned());
        let frames = self.frames.as_ref().ok_or_else(closed)?;
        frames.send(outgoing).map_err(|_| "the task that writes is gone".to_owned())
    }
}

pub(crate) async fn write(
    shared: Arc<Shared>,
    mut sender: Box<dyn Send>,
    mut frames: mpsc::UnboundedReceiver<Outgoing>,
) {
    let work = async {
        while let Some(Outgoing { frame, written, _permit }) = frames.recv().await {
            sender.write_all(&frame).await?;
            if frames.is_empty() || written.is_some() {
                sender.flush().await?;
            }
            if let Some(written) = written {
                let _ = written.send(()); // Who told it may be gone.
            }
        }
        Ok::<(), io::Error>(())
    };
    tokio::select! {
        biased;
        () = shared.stopped() => {}
        result = work => match result {
            Ok(()) => shared.close("closed by us"),
            Err(error) => shared.close(error.to_string()),
        }
    }
}

pub(crate) async fn read(shared: Arc<Shared>, mut receiver: Box<dyn Receive>, response_bytes_max: usize) {
    let work = async {
        loop {
            let frame = match frame(&mut receiver, response_bytes_max).await {
                Ok(Some(frame)) => frame,
                Ok(None) => return "closed by the broker".to_owned(),
                Err(error) => return error.to_string(),
            };
            if let Err(reason) = shared.answer(frame) {
                return reason;
            }
        }
    };
    tokio::select! {
        biased;
        () = shared.stopped() => {}
        reason = work => shared.close(reason),
    }
}

/// The next frame without its length; `None` at an orderly end.
async fn frame(receiver: &mut Box<dyn Receive>, bytes_max: usize) -> io::Result<Option<Bytes>> {
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let mut length = [0; 4];
    if receiver.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    receiver.read_exact(&mut length[1..]).await?;
    if let Some(other) = other_protocol(length) {
        return Err(invalid(format!("it speaks {other} there, not Kafka's protocol")));
    }
    let length = i32::from_be_bytes(length);
    let length = usize::try_from(length).map_err(|_| invalid(format!("an answer of {length} bytes")))?;
    if length > bytes_max {
        return Err(invalid(format!("an answer of {length} bytes, and at most {bytes_max} are taken")));
    }
    let mut frame = Vec::new();
    while frame.len() < length {
        let more = (length - frame.len()).min(READ_BYTES.max(frame.len()));
        let start = frame.len();
        frame.resize(start + more, 0);
        receiver.read_exact(&mut frame[start..]).await?;
    }
    Ok(Some(frame.into()))
}

/// The usual mistakes: a port of HTTP, and one that wants TLS (which answers with an alert).
fn other_protocol(first: [u8; 4]) -> Option<&'static str> {
    match first {
        [b'H', b'T', b'T', b'P'] => Some("HTTP"),
        [0x15, 3, 0..=4, _] => Some("TLS"),
        _ => None,
    }
}
