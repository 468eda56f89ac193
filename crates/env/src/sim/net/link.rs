//! One connection: two streams of bytes, each with its time in flight, its bound and its end. A killed process's sockets
//! are closed by its kernel; those of a machine without power fall silent.
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::disk::File;
use crate::net::Connection;
use crate::sim::core::{Core, Event, lock};
use crate::sim::machine::Boot;

/// What one call of `poll_send_file` moves.
const COPY_BYTES: usize = 64 * 1024;

/// Who connected, and who accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    Connecting = 0,
    Accepting = 1,
}

impl Side {
    pub fn other(self) -> Side {
        match self {
            Side::Connecting => Side::Accepting,
            Side::Accepting => Side::Connecting,
        }
    }
}

pub struct Link {
    pub number: u64,
    ends: [(Arc<Boot>, SocketAddr); 2],
    state: Mutex<[End; 2]>,
}

/// One side: what it sends, and what it still has of its socket.
#[derive(Default)]
struct End {
    /// Sent and not yet read by the other side; the first `arrived` of them can be read.
    sent: VecDeque<u8>,
    sent_max: usize,
    arrived: usize,
    /// When how many of the others arrive.
    in_flight: VecDeque<(u64, usize)>,
    arrives_last: u64,
    delivering: bool,
    /// No more will be sent; the other side knows once all has arrived.
    ended: bool,
    end_arrived: bool,
    waiting_to_write: Option<Waker>,
    waiting_to_read: Option<Waker>,
    halves_dropped: u8,
    closed: bool,
    /// It has learned that the connection is broken.
    broken: bool,
}

impl Link {
    pub fn new(number: u64, ends: [(&Arc<Boot>, SocketAddr); 2], bytes_max: [usize; 2]) -> Arc<Self> {
        let state = bytes_max.map(|sent_max| End { sent_max, ..End::default() });
        let ends = ends.map(|(boot, address)| (boot.clone(), address));
        Arc::new(Self { number, ends, state: Mutex::new(state) })
    }

    /// The connection as either side has it.
    pub fn halves(link: Arc<Self>) -> [Connection; 2] {
        [Side::Connecting, Side::Accepting].map(|side| Connection {
            receiver: Box::new(Half { link: link.clone(), side, sends: false }),
            sender: Box::new(Half { link: link.clone(), side, sends: true }),
            peer: link.ends[side.other() as usize].1,
            local: link.ends[side as usize].1,
        })
    }

    pub fn core(&self) -> &Arc<Core> {
        self.ends[0].0.core()
    }

    pub fn machines(&self) -> [usize; 2] {
        [self.ends[0].0.machine.id, self.ends[1].0.machine.id]
    }

    fn boot(&self, side: Side) -> &Arc<Boot> {
        &self.ends[side as usize].0
    }

    /// What `side` has sent arrives, as far as it is time for it.
    pub fn deliver(self: &Arc<Self>, side: Side) {
        let core = self.core();
        if core.network.holds(self.machines(), || Event::Deliver(self.clone(), side)) {
            return;
        }
        let to = self.boot(side.other());
        let mut ends = lock(&self.state);
        let receiver_closed = ends[side.other() as usize].closed;
        let end = &mut ends[side as usize];
        if to.has_lost_power() {
            end.delivering = false; // It falls on deaf ears.
            return;
        }
        let mut wake = [None, None];
        while let Some((_, bytes)) = end.in_flight.front().copied().filter(|(at, _)| *at <= core.now()) {
            end.in_flight.pop_front();
            end.arrived += bytes;
            if receiver_closed && !end.broken {
                core.schedule(core.network.arrival(core), Event::Reset(self.clone(), side));
            }
        }
        if receiver_closed {
            end.sent.drain(..end.arrived);
            end.arrived = 0;
            wake[0] = end.waiting_to_write.take();
        }
        end.end_arrived |= end.ended && end.in_flight.is_empty() && end.arrives_last <= core.now();
        end.delivering = !end.in_flight.is_empty() || end.ended && !end.end_arrived;
        if end.delivering {
            let at = end.in_flight.front().map_or(end.arrives_last, |(at, _)| *at);
            core.schedule(at, Event::Deliver(self.clone(), side));
        }
        wake[1] = ends[side.other() as usize].waiting_to_read.take();
        drop(ends);
        wake.into_iter().flatten().for_each(Waker::wake);
    }

    /// `side` learns that the connection is broken. What it has not read yet is gone, as with TCP.
    pub fn reset_arrived(self: &Arc<Self>, side: Side) {
        if self.core().network.holds(self.machines(), || Event::Reset(self.clone(), side)) {
            return;
        }
        let mut ends = lock(&self.state);
        let own = &mut ends[side as usize];
        own.broken = true;
        let waiting = [own.waiting_to_write.take(), own.waiting_to_read.take()];
        let other = &mut ends[side.other() as usize];
        other.sent.clear();
        other.arrived = 0;
        other.in_flight.clear();
        let other_waiting = other.waiting_to_write.take();
        drop(ends);
        waiting.into_iter().flatten().chain(other_waiting).for_each(Waker::wake);
    }

    fn poll_read(&self, side: Side, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut ends = lock(&self.state);
        if ends[side as usize].broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let from = &mut ends[side.other() as usize];
        let wanted = from.arrived.min(buffer.remaining());
        if wanted > 0 {
            let bytes = self.partial(wanted);
            let (first, second) = from.sent.as_slices();
            let from_first = bytes.min(first.len());
            buffer.put_slice(&first[..from_first]);
            buffer.put_slice(&second[..bytes - from_first]);
            from.sent.drain(..bytes);
            from.arrived -= bytes;
            let waiting = from.waiting_to_write.take();
            drop(ends);
            waiting.into_iter().for_each(Waker::wake);
            return Poll::Ready(Ok(()));
        }
        if from.end_arrived || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        set(&mut ends[side as usize].waiting_to_read, context);
        Poll::Pending
    }

    fn poll_write(
        self: &Arc<Self>,
        side: Side,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.boot(side).can_act() {
            return Poll::Pending; // A dead process's last step sends nothing.
        }
        let mut ends = lock(&self.state);
        let end = &mut ends[side as usize];
        if end.broken || end.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let wanted = parts.iter().map(|part| part.len()).sum::<usize>();
        let room = end.sent_max.saturating_sub(end.sent.len());
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        if room == 0 {
            set(&mut end.waiting_to_write, context);
            return Poll::Pending;
        }
        let bytes = self.partial(wanted.min(room));
        let mut left = bytes;
        for part in parts {
            let taken = left.min(part.len());
            end.sent.extend(&part[..taken]);
            left -= taken;
        }
        end.arrives_last = end.arrives_last.max(self.core().network.arrival(self.core()));
        end.in_flight.push_back((end.arrives_last, bytes));
        self.expect(end, side);
        Poll::Ready(Ok(bytes))
    }

    fn end_sending(self: &Arc<Self>, side: Side) {
        let mut ends = lock(&self.state);
        let end = &mut ends[side as usize];
        if !end.ended && !self.boot(side).has_lost_power() {
            end.ended = true;
            end.arrives_last = end.arrives_last.max(self.core().network.arrival(self.core()));
            self.expect(end, side);
        }
    }

    /// Sees to it that an event looks at what is in flight.
    fn expect(self: &Arc<Self>, end: &mut End, side: Side) {
        if !end.delivering {
            end.delivering = true;
            self.core().schedule(end.arrives_last, Event::Deliver(self.clone(), side));
        }
    }

    fn half_dropped(self: &Arc<Self>, side: Side) {
        let mut ends = lock(&self.state);
        let end = &mut ends[side as usize];
        end.halves_dropped += 1;
        let both = end.halves_dropped == 2;
        drop(ends);
        if both {
            self.close(side);
        }
    }

    /// This process is gone, whoever still holds a half of its connections.
    pub fn process_ended(self: &Arc<Self>, boot: &Arc<Boot>) {
        for side in [Side::Connecting, Side::Accepting] {
            if Arc::ptr_eq(self.boot(side), boot) {
                self.end_sending(side);
                self.close(side);
            }
        }
    }

    /// Nobody has this side any more: the kernel closes the socket. What it holds unread breaks the connection.
    fn close(self: &Arc<Self>, side: Side) {
        let mut ends = lock(&self.state);
        if std::mem::replace(&mut ends[side as usize].closed, true) {
            return;
        }
        let other = &mut ends[side.other() as usize];
        let (unread, other_closed) = (other.arrived > 0, other.closed);
        other.sent.drain(..other.arrived);
        other.arrived = 0;
        let waiting = other.waiting_to_write.take();
        drop(ends);
        if self.boot(side).has_lost_power() {
            self.boot(side).machine.cut(self.clone(), side);
        } else if unread && !other_closed {
            self.core().schedule(self.core().network.arrival(self.core()), Event::Reset(self.clone(), side.other()));
        }
        waiting.into_iter().for_each(Waker::wake);
    }

    fn partial(&self, bytes: usize) -> usize {
        let mut chance = lock(&self.core().network.chance);
        match chance.happens(self.core().settings.partial_probability) {
            true => 1 + chance.index(bytes),
            false => bytes,
        }
    }
}

fn set(waiting: &mut Option<Waker>, context: &Context<'_>) {
    match waiting {
        Some(waker) => waker.clone_from(context.waker()),
        None => *waiting = Some(context.waker().clone()),
    }
}

struct Half {
    link: Arc<Link>,
    side: Side,
    sends: bool,
}

impl AsyncRead for Half {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.link.poll_read(self.side, context, buffer)
    }
}

impl AsyncWrite for Half {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.link.poll_write(self.side, context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.link.poll_write(self.side, context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.end_sending(self.side);
        Poll::Ready(Ok(()))
    }
}

impl crate::net::Send for Half {
    fn poll_send_file(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        file: &dyn File,
        at: u64,
        len: usize,
    ) -> Poll<io::Result<usize>> {
        let mut bytes = vec![0; len.min(COPY_BYTES)];
        let read = file.read_at(&mut bytes, at)?;
        self.link.poll_write(self.side, context, &[IoSlice::new(&bytes[..read])])
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        if self.sends {
            self.link.end_sending(self.side);
        }
        self.link.half_dropped(self.side);
    }
}
