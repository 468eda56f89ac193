//! The controller's task: decide → propose → committed → apply → publish → answer. It owns the state; nothing else
//! writes it.

use std::collections::VecDeque;
use std::sync::Arc;

use arc_swap::ArcSwap;
use env::{Env, Instant};
use metadata::{Delta, Image, Records, Update};
use protocol::ErrorCode;
use quorum::{Committed, Event, LogId, MetadataLog, Payload, Proposal, ProposeError, Unknown};
use tokio::sync::{Semaphore, mpsc};

use crate::allowance::Allowance;
use crate::handle::{Counts, Handle};
use crate::machine::{Machine, Options};
use crate::message::{Asked, Message, Reply};

/// Told of each new image, before any answer that rests on it leaves. The first time it learns everything there is.
pub type OnUpdate = Box<dyn FnMut(&Update) + Send>;

/// Proposals that may be on their way; while there are as many, nothing new is decided.
const PARKED_MAX: usize = 128;

/// Starts the controller of this node. It decides when the log has brought everything of earlier terms.
pub fn start(
    env: &Env,
    log: Arc<dyn MetadataLog>,
    committed: Committed,
    options: Options,
    on_update: OnUpdate,
) -> Handle {
    let (messages, inbox) = mpsc::channel(options.requests_max.max(1));
    let image = Arc::new(ArcSwap::from_pointee(Image::default()));
    let ended = Arc::new(Semaphore::new(0));
    let counts = Arc::new(Counts::default());
    let machine = Machine { image: Image::default(), options, rng: env.rng.clone() };
    let controller = Controller {
        env: env.clone(),
        log,
        committed,
        inbox,
        machine,
        current: Image::default(),
        delta: Delta::default(),
        is_leading: false,
        is_closing: false,
        parked: VecDeque::new(),
        published: image.clone(),
        on_update,
        counts: counts.clone(),
    };
    let end = ended.clone();
    env.spawn.task(
        "controller",
        Box::pin(async move {
            controller.run().await;
            end.close();
        }),
    );
    Handle { messages, image, clock: env.clock.clone(), ended, allowance: Allowance::default(), counts }
}

struct Controller {
    env: Env,
    log: Arc<dyn MetadataLog>,
    committed: Committed,
    inbox: mpsc::Receiver<Message>,
    machine: Machine,
    /// What is committed; what is published are clones of it.
    current: Image,
    /// What has changed since the last publication.
    delta: Delta,
    /// Everything of earlier terms is in `current`.
    is_leading: bool,
    is_closing: bool,
    /// In the order of the proposals.
    parked: VecDeque<Parked>,
    published: Arc<ArcSwap<Image>>,
    on_update: OnUpdate,
    counts: Arc<Counts>,
}

/// The answers that wait for one proposal.
struct Parked {
    proposed_at: Instant,
    outcome: Outcome,
    replies: Vec<Reply>,
}

enum Outcome {
    Awaited(Proposal),
    Committed(LogId),
}

impl Parked {
    /// Ready when it is known whether the proposal is committed.
    async fn settle(&mut self) -> Result<(), Unknown> {
        match &mut self.outcome {
            Outcome::Awaited(proposal) => {
                let id = proposal.await?;
                self.outcome = Outcome::Committed(id);
                Ok(())
            }
            // It waits for the image, which comes by the other branch of the loop.
            Outcome::Committed(_) => std::future::pending().await,
        }
    }
}

impl Controller {
    async fn run(mut self) {
        loop {
            if self.is_closing && self.parked.is_empty() {
                let at_rest = self.log.close();
                let _ = at_rest.await; // A log that is gone is at rest.
                return;
            }
            let may_ask = self.is_leading && !self.is_closing && self.parked.len() < PARKED_MAX;
            let front = async {
                match self.parked.front_mut() {
                    Some(parked) => parked.settle().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! { biased;
                event = self.committed.next() => match event.map(|event| self.take(event)) {
                    Some(Ok(())) => {}
                    Some(Err(error)) => return tracing::error!(%error, "the metadata cannot be followed any further"),
                    None => return tracing::error!("the metadata log has ended: this node can serve no longer"),
                },
                outcome = front => match outcome {
                    Ok(()) => self.answer_committed(),
                    // The log has lost it or will never tell. What was decided after it may rest on it.
                    Err(Unknown) => self.lost(),
                },
                message = self.inbox.recv(), if may_ask => match message {
                    Some(Message::Ask(asked)) => self.decide(asked),
                    Some(Message::Close) | None => self.is_closing = true,
                },
            }
        }
    }

    // What is committed.

    /// Takes this event and all others that are there, then publishes once.
    fn take(&mut self, event: Event) -> Result<(), metadata::DecodeError> {
        let mut next = Some(event);
        while let Some(event) = next {
            self.apply(event)?;
            next = self.committed.next_now();
        }
        if self.is_leading {
            self.publish();
            self.answer_committed();
            self.snapshot_if_wanted();
        }
        Ok(())
    }

    fn apply(&mut self, event: Event) -> Result<(), metadata::DecodeError> {
        match event {
            Event::Snapshot(snapshot) => {
                self.current = Image::default();
                for piece in &snapshot.pieces {
                    apply_records(&mut self.current, piece, &mut Delta::default())?;
                }
                self.current.position = snapshot.last;
            }
            Event::Entry(entry) => {
                match entry.payload {
                    Payload::Records(bytes) => apply_records(&mut self.current, &bytes, &mut self.delta)?,
                    Payload::TermStart => self.term_started(entry.id),
                }
                self.current.position = entry.id;
            }
        }
        Ok(())
    }

    fn term_started(&mut self, id: LogId) {
        let role = self.log.role();
        self.is_leading = role.is_me && role.term == id.term;
        if self.is_leading {
            self.machine.image = self.current.clone();
            self.delta = Delta::of_all(&self.current);
        }
    }

    fn publish(&mut self) {
        let image = Arc::new(self.current.clone());
        let update = Update { delta: std::mem::take(&mut self.delta), position: image.position, image: image.clone() };
        // First who acts on it: an answer that a topic exists should find its partitions served.
        (self.on_update)(&update);
        self.published.store(image);
    }

    fn answer_committed(&mut self) {
        while let Some(parked) = self.parked.pop_front_if(
            |parked| matches!(parked.outcome, Outcome::Committed(id) if id.index <= self.current.position.index),
        ) {
            self.counts.commits.record(self.env.clock.now() - parked.proposed_at);
            parked.replies.into_iter().for_each(|reply| reply(None));
        }
    }

    fn snapshot_if_wanted(&self) {
        if self.log.wants_snapshot() {
            self.log.take_snapshot(self.current.position, Box::new(metadata::pieces(self.current.clone())));
        }
    }

    // What is asked.

    fn decide(&mut self, asked: Asked) {
        let (records, reply) = asked(&self.machine, self.env.clock.now());
        let Some(reply) = reply else { return };
        if records.is_empty() {
            match self.parked.back_mut() {
                Some(last) => last.replies.push(reply),
                None => reply(None),
            }
            return;
        }
        match self.log.propose(Records::of(&records)) {
            Ok(proposal) => {
                self.counts.records.add(records.len() as u64);
                self.machine.apply(records);
                let proposed_at = self.env.clock.now();
                let outcome = Outcome::Awaited(proposal);
                self.parked.push_back(Parked { proposed_at, outcome, replies: vec![reply] });
            }
            // Nothing was appended: the state stays, and so does what others have been promised.
            Err(error) => reply(Some(match error {
                ProposeError::Closed | ProposeError::NotLeader => ErrorCode::NotController,
                ProposeError::Full => ErrorCode::RequestTimedOut,
                ProposeError::TooLarge => ErrorCode::PolicyViolation,
            })),
        }
    }

    /// Forgets what was only proposed; every answer that may rest on it becomes an error.
    fn lost(&mut self) {
        for parked in self.parked.drain(..) {
            parked.replies.into_iter().for_each(|reply| reply(Some(ErrorCode::NotController)));
        }
        self.is_leading = false;
        self.machine.image = self.current.clone();
    }
}

fn apply_records(image: &mut Image, bytes: &[u8], delta: &mut Delta) -> Result<(), metadata::DecodeError> {
    for record in Records::decode(bytes) {
        image.apply(record?, delta);
    }
    Ok(())
}
