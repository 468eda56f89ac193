//! TCP through tokio, which polls epoll and nothing else. Sockets are non-blocking, close on exec, and send at once
//! (TCP_NODELAY): a response is one write, and nothing follows that it could wait for.
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncWrite, Interest};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

use super::calls;
use crate::BoxFuture;
use crate::disk::File;
use crate::net::{Connection, Listening};

/// What one call of a copying [`crate::net::Send::poll_send_file`] moves.
const COPY_BYTES: usize = 64 * 1024;

#[derive(Clone, Debug)]
pub struct Net {
    tokio: Handle,
}

impl Net {
    pub fn new(tokio: Handle) -> Self {
        Self { tokio }
    }
}

impl crate::Net for Net {
    fn listen(&self, address: SocketAddr, wanted: Listening) -> io::Result<Box<dyn crate::Listener>> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
        // A restarted broker binds although connections of the last one linger in TIME_WAIT.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // `[::]` means every address, IPv4 too, as in Java; `[::1]` leaves 127.0.0.1 to another listener.
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.bind(&address.into())?;
        // Before it listens: what it accepts inherits them, and a window is agreed on with the first packet.
        wanted.receive_buffer_bytes.map_or(Ok(()), |bytes| socket.set_recv_buffer_size(bytes))?;
        wanted.send_buffer_bytes.map_or(Ok(()), |bytes| socket.set_send_buffer_size(bytes))?;
        socket.listen(i32::try_from(wanted.backlog).unwrap_or(i32::MAX))?;
        let _entered = self.tokio.enter();
        let listener = TcpListener::from_std(socket.into())?;
        let local = listener.local_addr()?;
        Ok(Box::new(Listener { listener, local }))
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<io::Result<Connection>> {
        Box::pin(async move { connection(TcpStream::connect(address).await?) })
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        let host = host.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((host.as_str(), port)).await?.collect()) })
    }
}

struct Listener {
    listener: TcpListener,
    local: SocketAddr,
}

impl crate::Listener for Listener {
    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Connection>> {
        loop {
            let accepted = match ready!(self.listener.poll_accept(context)) {
                Ok((stream, _)) => connection(stream),
                Err(error) => Err(error),
            };
            match accepted {
                // The peer was gone before we looked: no matter of the listener.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::NotConnected) => {}
                other => return Poll::Ready(other),
            }
        }
    }

    fn local_address(&self) -> SocketAddr {
        self.local
    }
}

fn connection(stream: TcpStream) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let (peer, local) = (canonical(stream.peer_addr()?), canonical(stream.local_addr()?));
    let (receiver, sender) = stream.into_split();
    Ok(Connection { receiver: Box::new(receiver), sender: Box::new(Sender { half: sender }), peer, local })
}

/// An IPv4 peer of a `[::]` listener shows as ::ffff:a.b.c.d; ACLs and logs want a.b.c.d.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

struct Sender {
    half: OwnedWriteHalf,
}

impl AsyncWrite for Sender {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.half).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.half).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.half).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.half).poll_shutdown(context)
    }
}

impl crate::net::Send for Sender {
    fn poll_send_file(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        file: &dyn File,
        at: u64,
        len: usize,
    ) -> Poll<io::Result<usize>> {
        let stream: &TcpStream = self.half.as_ref();
        loop {
            ready!(stream.poll_write_ready(context))?;
            match stream.try_io(Interest::WRITABLE, || send_file(stream, file, at, len)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {} // Not ready any more: wait again.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return Poll::Ready(other),
            }
        }
    }
}

fn send_file(stream: &TcpStream, file: &dyn File, at: u64, len: usize) -> io::Result<usize> {
    if let Some(descriptor) = calls::descriptor(file) {
        match rustix::fs::sendfile(stream, descriptor, Some(&mut { at }), len) {
            // A file system that cannot splice.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            other => return Ok(other?),
        }
    }
    let mut bytes = vec![0; len.min(COPY_BYTES)];
    let read = file.read_at(&mut bytes, at)?;
    Ok(rustix::net::send(stream, &bytes[..read], rustix::net::SendFlags::NOSIGNAL)?)
}
