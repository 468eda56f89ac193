//! One connection: frames in, replies out, in the order of the requests. Kafka mutes a connection while it serves a
//! request (`SocketServer`); here a Produce may run ahead of Produces that still wait for the disk, and nothing else may.
//! Knows no API: what a frame means is the [`Service`]'s.
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use env::{BoxFuture, Clock, Instant, net};
use tokio::sync::Semaphore;

use crate::frame::{Frame, FrameError, FrameReader};
use crate::memory::FrameMemory;
use crate::reply::{Outgoing, Reply};

/// What the frames of a connection mean.
pub trait Service: Send + Sync + 'static {
    /// Whether this request may begin while earlier ones like it still wait.
    fn may_run_ahead(&self, frame: &[u8]) -> bool;
    /// Begins a request. No other one of this connection begins before this one is answered or says that it is in place.
    fn begin(&self, frame: Frame, in_place: InPlace) -> BoxFuture<Answer>;
    /// What kind of request this is, for [`Service::served`].
    fn kind(&self, _frame: &[u8]) -> usize {
        0
    }
    /// A request has come and may not begin yet, or may now.
    fn is_held(&self, _is_held: bool) {}
    /// The answer has left.
    fn served(&self, _kind: usize, _times: &Times) {}
}

/// When a request came to which point of its way. What lies between them are Kafka's request times; an answer that waits
/// for earlier answers of its connection counts as waiting itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    pub received: Instant,
    pub begun: Instant,
    /// Done, or waiting for the first time: for a disk, for other members, for records to come.
    pub waits: Instant,
    pub answered: Instant,
    pub sent: Instant,
}

/// By this a request says that its effects are in place, in order, and that only its answer waits until they are safe.
/// The same for all requests of a connection: never more than one of them has begun and has not said so.
#[derive(Clone, Debug, Default)]
pub struct InPlace(Arc<AtomicBool>);

impl InPlace {
    /// Ends when it is this request's turn to be answered: most find then that there is nothing more to wait for.
    pub async fn say(&self) {
        let mut was_said = false;
        std::future::poll_fn(|_| {
            if std::mem::replace(&mut was_said, true) {
                return Poll::Ready(());
            }
            self.0.store(true, Ordering::Relaxed);
            Poll::Pending // Nobody has to wake it: the connection goes on with it in its turn.
        })
        .await;
    }

    fn was_said(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// What a request comes to.
pub type Answer = Result<Handled, Close>;

/// The connection ends, for this reason, as Kafka's does for what it cannot read or answer. Earlier answers leave first.
#[derive(Debug)]
pub struct Close(pub String);

pub enum Handled {
    Reply(Reply),
    /// A Produce with acks=0.
    Silent,
    /// The client is over a quota: after the answer, if there is one, nothing is read from it for a while.
    Throttled {
        reply: Option<Reply>,
        silence: Duration,
    },
}

/// How a connection is served.
#[derive(Clone)]
pub struct Limits {
    /// `socket.request.max.bytes`
    pub frame_bytes_max: usize,
    /// `connections.max.idle.ms`
    pub idle_max: Duration,
    pub memory: Arc<FrameMemory>,
    pub clock: Arc<dyn Clock>,
    /// Closed when the server shuts down: no further request is read.
    pub closing: Arc<Semaphore>,
}

/// How many requests of one connection may wait at a time.
pub const PENDING_MAX: usize = 16;

/// Serves a connection until either side ends it; says why.
pub async fn serve(connection: net::Connection, service: &dyn Service, limits: Limits) -> Ended {
    let net::Connection { receiver, mut sender, .. } = connection;
    let reader = FrameReader::new(receiver, limits.memory.clone(), limits.clock.clone(), limits.frame_bytes_max);
    let mut requests = Requests {
        service,
        reader,
        closing: limits.closing.clone(),
        held: None,
        begun: None,
        in_place: InPlace::default(),
        pending: VecDeque::new(),
        clock: limits.clock.clone(),
        silence: None,
    };
    let mut idle = Idle::new(&limits);
    let mut answers = Answers::default();
    loop {
        let answered = tokio::select! {
            biased;
            answered = requests.next(&mut answers) => answered,
            () = idle.passed(&limits) => return Ended::Idle,
        };
        if let Err(ended) = answered {
            return ended;
        }
        let answered_at = idle.active(&limits);
        let sent = tokio::select! {
            biased;
            sent = answers.outgoing.send(&mut *sender) => sent,
            () = idle.passed(&limits) => return Ended::Idle,
        };
        if let Err(error) = sent {
            return Ended::Send(error);
        }
        if let Some(reason) = answers.end {
            return Ended::Refused(reason);
        }
        requests.fall_silent(std::mem::take(&mut answers.silence));
        let sent_at = idle.active(&limits);
        for (kind, times) in answers.served.drain(..) {
            service.served(kind, &Times { answered: answered_at, sent: sent_at, ..times });
        }
    }
}

/// Why a connection ended.
#[derive(Debug)]
pub enum Ended {
    Closing,
    Idle,
    Receive(FrameError),
    Refused(String),
    Send(std::io::Error),
}

/// What leaves together: the replies up to the first request that ends the connection, and its reason.
#[derive(Default)]
struct Answers {
    outgoing: Outgoing,
    silence: Duration,
    end: Option<String>,
    /// What kind of requests these are the answers to, and how far they have come.
    served: Vec<(usize, Times)>,
}

impl Answers {
    fn add(&mut self, answer: Answer) {
        match answer {
            Ok(Handled::Reply(reply)) => self.outgoing.push(reply),
            Ok(Handled::Silent) => {}
            Ok(Handled::Throttled { reply, silence }) => {
                reply.into_iter().for_each(|reply| self.outgoing.push(reply));
                self.silence = self.silence.max(silence);
            }
            Err(Close(reason)) => self.end = Some(reason),
        }
    }
}

/// The requests of one connection that have come and have not been answered, oldest first:
/// `pending`, then `begun`, then `held`.
struct Requests<'s> {
    service: &'s dyn Service,
    reader: FrameReader,
    closing: Arc<Semaphore>,
    /// Read, but it may not begin yet.
    held: Option<Held<'s>>,
    begun: Option<Begun>,
    in_place: InPlace,
    pending: VecDeque<Begun>,
    clock: Arc<dyn Clock>,
    /// Over a quota: until then nothing is begun and nothing is read, as in Kafka, which mutes the channel.
    silence: Option<Silence>,
}

struct Silence {
    until: Instant,
    over: BoxFuture<()>,
}

struct Held<'s> {
    frame: Frame,
    received: Instant,
    /// It could not begin when it came.
    queued: Option<Queued<'s>>,
}

/// The service knows of a request that may not begin yet, until this is dropped.
struct Queued<'s>(&'s dyn Service);

impl<'s> Queued<'s> {
    fn new(service: &'s dyn Service) -> Self {
        service.is_held(true);
        Self(service)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.is_held(false);
    }
}

/// A request that has begun. Of those that wait for their answer only those that may run ahead are ever more than one.
struct Begun {
    ahead: bool,
    kind: usize,
    times: Times,
    has_run: bool,
    state: State,
}

enum State {
    Runs(BoxFuture<Answer>),
    /// Taken by whoever polls it.
    Answered(Option<Answer>),
}

impl State {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Answer> {
        match self {
            Self::Runs(request) => request.as_mut().poll(context),
            Self::Answered(answer) => Poll::Ready(answer.take().expect("polled once")),
        }
    }
}

impl Requests<'_> {
    /// Adds the next answers in order: at least one. May be dropped and called again.
    async fn next(&mut self, answers: &mut Answers) -> Result<(), Ended> {
        loop {
            self.begin_held();
            let may_read = self.held.is_none() && self.begun.is_none() && self.pending.len() < PENDING_MAX;
            let may_read = may_read && self.pending.iter().all(|pending| pending.ahead);
            let may_read = may_read && self.silence.is_none();
            let is_idle = self.begun.is_none() && self.pending.is_empty() && (may_read || self.silence.is_some());
            // What comes after the server has begun to close is not begun: what was begun is answered, and that is all.
            let may_read = may_read && !self.closing.is_closed();
            tokio::select! {
                biased;
                begun = answered_or_in_place(&mut self.begun, &self.in_place, &*self.clock), if self.begun.is_some() => {
                    self.pending.push_back(begun);
                }
                frame = self.reader.next(), if may_read => match frame {
                    Ok(frame) => {
                        self.held = Some(Held { frame, received: self.clock.now(), queued: None });
                    }
                    // What was asked before the peer closed its half is still answered, as in Kafka's processor.
                    Err(_) if !self.pending.is_empty() => {
                        ready(&mut self.pending, answers).await;
                        return Ok(());
                    }
                    Err(error) => return Err(Ended::Receive(error)),
                },
                // Behind the reading: what came together is begun together, and the oldest is looked at once for all.
                () = ready(&mut self.pending, answers), if !self.pending.is_empty() => return Ok(()),
                () = over(&mut self.silence), if self.silence.is_some() => self.silence = None,
                _ = self.closing.acquire(), if is_idle => return Err(Ended::Closing),
            }
        }
    }

    /// Of several silences the one that ends last counts.
    fn fall_silent(&mut self, silence: Duration) {
        if silence.is_zero() {
            return;
        }
        let until = self.clock.now() + silence;
        if self.silence.as_ref().is_none_or(|present| present.until < until) {
            self.silence = Some(Silence { until, over: self.clock.sleep_until(until) });
        }
    }

    fn begin_held(&mut self) {
        let Some(held) = &mut self.held else { return };
        if self.silence.is_some() {
            held.queued.get_or_insert_with(|| Queued::new(self.service));
            return;
        }
        let ahead = self.service.may_run_ahead(&held.frame.bytes);
        let alone = self.begun.is_none() && self.pending.is_empty();
        let after_its_like = self.begun.is_none() && ahead && self.pending.iter().all(|pending| pending.ahead);
        if alone || after_its_like {
            let Held { frame, received, queued } = self.held.take().expect("looked at above");
            let begun = queued.map_or(received, |_| self.clock.now());
            let times = Times { received, begun, ..Times::default() };
            let kind = self.service.kind(&frame.bytes);
            let state = State::Runs(self.service.begin(frame, self.in_place.clone()));
            self.begun = Some(Begun { ahead, kind, times, has_run: false, state });
        } else {
            held.queued.get_or_insert_with(|| Queued::new(self.service));
        }
    }
}

/// Waits for the oldest pending request, and takes those right behind it that are ready too.
async fn ready(pending: &mut VecDeque<Begun>, answers: &mut Answers) {
    let mut has_any = false;
    std::future::poll_fn(|context| {
        while let Some(oldest) = pending.front_mut()
            && answers.end.is_none()
            && let Poll::Ready(answer) = oldest.state.poll(context)
        {
            answers.add(answer);
            answers.served.push((oldest.kind, oldest.times));
            pending.pop_front();
            has_any = true;
        }
        if has_any { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

async fn over(silence: &mut Option<Silence>) {
    silence.as_mut().expect("asked only if there is one").over.as_mut().await;
}

/// Takes the request when it need not be run any further before the next one.
async fn answered_or_in_place(begun: &mut Option<Begun>, in_place: &InPlace, clock: &dyn Clock) -> Begun {
    std::future::poll_fn(|context| {
        let Begun { times, has_run, state, .. } = begun.as_mut().expect("asked only if there is one");
        let polled = state.poll(context);
        if !std::mem::replace(has_run, true) {
            times.waits = clock.now();
        }
        let is_in_place = in_place.was_said();
        match polled {
            Poll::Ready(answer) => *state = State::Answered(Some(answer)),
            Poll::Pending if is_in_place => {}
            Poll::Pending => return Poll::Pending,
        }
        Poll::Ready(())
    })
    .await;
    begun.take().expect("asked only if there is one")
}

/// One timer for the whole life of a connection: it looks, when it fires, whether anything has happened since.
struct Idle {
    deadline: Instant,
    sleep: BoxFuture<()>,
}

impl Idle {
    fn new(limits: &Limits) -> Self {
        let deadline = limits.clock.now() + limits.idle_max;
        Self { deadline, sleep: limits.clock.sleep_until(deadline) }
    }

    /// Something has happened. Returns when: now.
    fn active(&mut self, limits: &Limits) -> Instant {
        let now = limits.clock.now();
        self.deadline = now + limits.idle_max;
        now
    }

    async fn passed(&mut self, limits: &Limits) {
        std::future::poll_fn(|context| self.poll_passed(limits, context)).await;
    }

    fn poll_passed(&mut self, limits: &Limits, context: &mut Context<'_>) -> Poll<()> {
        while Pin::new(&mut self.sleep).poll(context).is_ready() {
            if limits.clock.now() >= self.deadline {
                return Poll::Ready(());
            }
            self.sleep = limits.clock.sleep_until(self.deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
