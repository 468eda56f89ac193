//! Sockets. Reading and writing are tokio's traits, which know no runtime; a writer can also send a range of a file.
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::BoxFuture;
use crate::disk::File;

pub trait Net: std::marker::Send + Sync {
    /// Binds and listens at once, so that a port in use is an error here. Port 0 takes a free one.
    fn listen(&self, address: SocketAddr, wanted: Listening) -> io::Result<Box<dyn Listener>>;
    fn connect(&self, address: SocketAddr) -> BoxFuture<io::Result<Connection>>;
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>>;
}

/// How a socket listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listening {
    /// Connections that wait to be accepted; at least one.
    pub backlog: u32,
    /// Of the connections that come through it; without, the system sizes them as it goes.
    pub receive_buffer_bytes: Option<usize>,
    pub send_buffer_bytes: Option<usize>,
}

impl Listening {
    pub fn with_backlog(backlog: u32) -> Self {
        Self { backlog, ..Self::default() }
    }
}

pub trait Listener: std::marker::Send + Unpin {
    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Connection>>;
    fn local_address(&self) -> SocketAddr;
}

impl dyn Listener + '_ {
    pub async fn accept(&mut self) -> io::Result<Connection> {
        std::future::poll_fn(|context| self.poll_accept(context)).await
    }
}

/// A connected socket, in halves that can be used at the same time.
pub struct Connection {
    pub receiver: Box<dyn Receive>,
    pub sender: Box<dyn Send>,
    pub peer: SocketAddr,
    pub local: SocketAddr,
}

/// The half that reads. The connection closes when both halves are dropped.
pub trait Receive: AsyncRead + std::marker::Send + Unpin {}
impl<T: AsyncRead + std::marker::Send + Unpin> Receive for T {}

/// The half that writes. Dropping it ends the stream for the peer.
pub trait Send: AsyncWrite + std::marker::Send + Unpin {
    /// Sends up to `len` bytes of `file` from `at` on, without a copy where the system can. 0 means that the file ended.
    fn poll_send_file(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        file: &dyn File,
        at: u64,
        len: usize,
    ) -> Poll<io::Result<usize>>;
}

impl dyn Send + '_ {
    pub async fn send_file(&mut self, file: &dyn File, at: u64, len: usize) -> io::Result<usize> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_send_file(context, file, at, len)).await
    }
}
