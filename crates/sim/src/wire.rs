//! A client's connection to a broker, in the simplest form that can pipeline: requests go out, answers come back in their
//! order. Knows no request.
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use env::{Connection, Env};
use protocol::{Message, Request, decode_response_header, encode_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Larger answers than any request of ours allows are a bug of the broker.
const FRAME_BYTES_MAX: usize = 64 << 20;
/// A broker that is silent for so long is given up: it may have lost its power.
const PATIENCE: Duration = Duration::from_secs(3);

pub struct Wire {
    env: Env,
    connection: Connection,
    next_correlation: i32,
    /// What each answer to come belongs to.
    expected: VecDeque<i32>,
}

/// The connection is of no use any more.
#[derive(Debug)]
pub enum WireError {
    Io(io::Error),
    Silent,
}

impl fmt::Display for WireError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Io(error) => error.fmt(formatter),
            WireError::Silent => write!(formatter, "no answer in {PATIENCE:?}"),
        }
    }
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        WireError::Io(error)
    }
}

impl Wire {
    pub async fn connect(env: &Env, address: SocketAddr) -> Result<Self, WireError> {
        let connection = patiently(env, env.net.connect(address)).await??;
        Ok(Self { env: env.clone(), connection, next_correlation: 0, expected: VecDeque::new() })
    }

    /// Requests without an answer yet.
    pub fn in_flight(&self) -> usize {
        self.expected.len()
    }

    pub async fn send<R: Request>(&mut self, request: &R, version: i16) -> Result<(), WireError> {
        let correlation = self.next_correlation;
        self.next_correlation += 1;
        let frame = encode_request(request, version, correlation, Some("sim")).expect("a request of this version");
        patiently(&self.env, self.connection.sender.write_all(&frame)).await??;
        self.expected.push_back(correlation);
        Ok(())
    }

    /// The answer to the oldest request without one, which was an `R` of this version.
    pub async fn receive<R: Request>(&mut self, version: i16) -> Result<R::Response, WireError> {
        let body = self.receive_body::<R>(version).await?;
        Ok(R::Response::decode(version, &body).unwrap_or_else(|error| panic!("an answer to {:?}: {error:?}", R::KEY)))
    }

    /// The same as it came.
    pub async fn receive_body<R: Request>(&mut self, version: i16) -> Result<Bytes, WireError> {
        let expected = self.expected.pop_front().expect("a request is in flight");
        let frame: Bytes = patiently(&self.env, read_frame(&mut self.connection)).await??.into();
        let (correlation, body) = decode_response_header(R::KEY, version, &frame).expect("a response header");
        assert_eq!(correlation, expected, "answers come in the order of their requests");
        Ok(frame.slice_ref(body))
    }

    pub async fn call<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, WireError> {
        self.send(request, version).await?;
        self.receive::<R>(version).await
    }
}

async fn read_frame(connection: &mut Connection) -> io::Result<Vec<u8>> {
    let length = connection.receiver.read_u32().await? as usize;
    assert!(length <= FRAME_BYTES_MAX, "an answer of {length} bytes");
    let mut frame = Vec::with_capacity(length);
    (&mut connection.receiver).take(length as u64).read_to_end(&mut frame).await?;
    if frame.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(frame) }
}

async fn patiently<T>(env: &Env, future: impl Future<Output = T>) -> Result<T, WireError> {
    let ends = env.clock.now() + PATIENCE;
    let mut future = pin!(future);
    let mut limit = None; // Most need none.
    poll_fn(|context| {
        if let Poll::Ready(value) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(value));
        }
        let limit = limit.get_or_insert_with(|| env.clock.sleep_until(ends));
        limit.as_mut().poll(context).map(|()| Err(WireError::Silent))
    })
    .await
}
