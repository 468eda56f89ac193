//! Many conversations with a broker on one thread, so that the load costs the machine little beside what it measures: a
//! thread for each connection would have the broker pay for waking it. Knows frames, not what they say.
use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::{Buf, Bytes};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;

use crate::wire::{Error, TIMEOUT, dial};

/// One connection's side. It has ended once nothing is in flight and it has nothing more to say.
pub trait Conversation {
    /// The next request, its length included, unless answers are to come first.
    fn next_request(&mut self) -> Result<Option<Bytes>, Error>;

    /// The answer to the oldest request without one, without its length.
    fn answered(&mut self, frame: &[u8]) -> Result<(), Error>;
}

/// Holds all conversations until they have ended.
pub fn run<C: Conversation>(address: SocketAddr, conversations: &mut [C]) -> Result<(), Error> {
    let waiting = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut lines = Vec::with_capacity(conversations.len());
    for (number, conversation) in conversations.iter_mut().enumerate() {
        let stream = dial(address)?;
        stream.set_nonblocking(true)?;
        epoll::add(&waiting, &stream, EventData::new_u64(number as u64), EventFlags::IN)?;
        lines.push(Line { stream, conversation, unsent: VecDeque::new(), inbox: Inbox::new(), in_flight: 0 });
    }
    let mut open = 0;
    for (number, line) in lines.iter_mut().enumerate() {
        open += usize::from(line.speak(&waiting, number)?);
    }
    let mut events = Vec::with_capacity(lines.len());
    let timeout = TIMEOUT.try_into()?;
    while open > 0 {
        events.clear();
        epoll::wait(&waiting, rustix::buffer::spare_capacity(&mut events), Some(&timeout))?;
        if events.is_empty() {
            return Err(format!("no answer in {TIMEOUT:?}").into());
        }
        for event in &events {
            let (number, flags) = (event.data.u64() as usize, event.flags);
            let line = &mut lines[number];
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                line.listen()?;
            }
            if !line.speak(&waiting, number)? {
                epoll::delete(&waiting, &line.stream)?;
                open -= 1;
            }
        }
    }
    Ok(())
}

struct Line<'c, C> {
    stream: TcpStream,
    conversation: &'c mut C,
    unsent: VecDeque<Bytes>,
    inbox: Inbox,
    in_flight: usize,
}

impl<C: Conversation> Line<'_, C> {
    /// Sends what there is to send, as far as the socket takes it; false once the conversation has ended.
    fn speak(&mut self, waiting: &OwnedFd, number: usize) -> Result<bool, Error> {
        let was_stuck = !self.unsent.is_empty();
        while let Some(frame) = self.conversation.next_request()? {
            self.in_flight += 1;
            self.unsent.push_back(frame);
        }
        while !self.unsent.is_empty() {
            let slices: Vec<_> = self.unsent.iter().map(|frame| IoSlice::new(frame)).collect();
            match self.stream.write_vectored(&slices) {
                Ok(sent) => self.sent(sent),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let is_stuck = !self.unsent.is_empty();
        if is_stuck != was_stuck {
            let wanted = if is_stuck { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(waiting, &self.stream, EventData::new_u64(number as u64), wanted)?;
        }
        Ok(self.in_flight > 0)
    }

    fn sent(&mut self, mut bytes: usize) {
        while let Some(frame) = self.unsent.front_mut() {
            let taken = bytes.min(frame.len());
            frame.advance(taken);
            bytes -= taken;
            if !frame.is_empty() {
                break;
            }
            self.unsent.pop_front();
        }
    }

    fn listen(&mut self) -> Result<(), Error> {
        match self.stream.read(self.inbox.room()) {
            Ok(0) => return Err("the broker has closed the connection".into()),
            Ok(size) => self.inbox.filled += size,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let mut at = 0;
        while let Some(frame) = self.inbox.frame(at) {
            self.in_flight -= 1;
            self.conversation.answered(frame)?;
            at += LENGTH_BYTES + frame.len();
        }
        self.inbox.forget(at);
        Ok(())
    }
}

/// Bytes received and not yet understood.
struct Inbox {
    bytes: Vec<u8>,
    filled: usize,
}

const LENGTH_BYTES: usize = 4;
const INBOX_BYTES: usize = 64 << 10;

impl Inbox {
    fn new() -> Self {
        Self { bytes: vec![0; INBOX_BYTES], filled: 0 }
    }

    fn room(&mut self) -> &mut [u8] {
        if self.filled == self.bytes.len() {
            self.bytes.resize(2 * self.filled, 0);
        }
        &mut self.bytes[self.filled..]
    }

    /// The frame whose length is at this place, once it is whole.
    fn frame(&self, at: usize) -> Option<&[u8]> {
        let (length, rest) = self.bytes[at..self.filled].split_first_chunk()?;
        rest.get(..u32::from_be_bytes(*length) as usize)
    }

    fn forget(&mut self, bytes: usize) {
        self.bytes.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
    }
}
