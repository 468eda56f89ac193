//! Waits until what was appended is as safe as the producer has asked for. Looks again at each wake: a partition that
//! lost its leadership, or its disk, wakes its waiters too.
use std::sync::Arc;

use env::{Clock, Instant};
use record::Offset;
use smallvec::SmallVec;

use crate::partition::{Acks, AppendError, Partition};
use crate::watch::{Registration, Until, Waiting};

/// An append that waits, and at last what became of it.
pub struct Appended {
    pub partition: Arc<Partition>,
    pub end: Offset,
    pub outcome: Outcome,
}

#[derive(Debug)]
pub enum Outcome {
    Acknowledged,
    Failed(AppendError),
    /// Not yet; at the deadline, REQUEST_TIMED_OUT. The data stays.
    Waits,
}

/// Returns when no outcome is [`Outcome::Waits`] any more, or at the deadline.
pub async fn acknowledged(appended: &mut [Appended], acks: Acks, clock: &dyn Clock, deadline: Instant) {
    loop {
        look(appended, acks);
        let missing = appended.iter().filter(|one| matches!(one.outcome, Outcome::Waits)).count();
        if missing == 0 {
            return;
        }
        let waiting = Waiting::new(missing);
        let _registrations: SmallVec<[Registration; 1]> =
            appended.iter_mut().filter_map(|one| register(one, acks, &waiting)).collect();
        if !waiting.until(clock, deadline).await {
            return look(appended, acks);
        }
    }
}

fn look(appended: &mut [Appended], acks: Acks) {
    for one in appended.iter_mut().filter(|one| matches!(one.outcome, Outcome::Waits)) {
        one.outcome = match one.partition.is_acknowledged(acks, one.end) {
            Ok(true) => Outcome::Acknowledged,
            Ok(false) => Outcome::Waits,
            Err(error) => Outcome::Failed(error),
        };
    }
}

/// Registers, and only then looks once more: an advance in between would wake nobody.
fn register(one: &mut Appended, acks: Acks, waiting: &Arc<Waiting>) -> Option<Registration> {
    if !matches!(one.outcome, Outcome::Waits) {
        return None;
    }
    let until = match acks {
        Acks::All => Until::Committed(one.end),
        Acks::Leader | Acks::None => Until::Durable(one.end),
    };
    let registration = one.partition.register(until, waiting);
    if let Ok(false) = one.partition.is_acknowledged(acks, one.end) {
        return Some(registration);
    }
    registration.holds();
    None
}
