//! The clock of one boot of a machine. Its monotonic time starts anywhere; its wall time jumps when it is told to.
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::core::{Core, Event, Key};
use super::machine::Boot;
use crate::{BoxFuture, Instant};

pub struct Clock {
    pub boot: Arc<Boot>,
}

impl crate::Clock for Clock {
    fn now(&self) -> Instant {
        self.boot.now()
    }

    fn wall_ms(&self) -> i64 {
        self.boot.machine.wall_ms()
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<()> {
        Box::pin(Sleep::until(self.boot.core(), self.boot.world_time(at)))
    }
}

/// Ready at a time of the world; never, if there is none.
pub struct Sleep {
    core: Arc<Core>,
    at: Option<u64>,
    waiting: Option<(Key, Waker)>,
}

impl Sleep {
    pub fn until(core: &Arc<Core>, at: Option<u64>) -> Self {
        Self { core: core.clone(), at, waiting: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        if self.core.now() >= at {
            return Poll::Ready(());
        }
        if !self.waiting.as_ref().is_some_and(|(_, waker)| waker.will_wake(context.waker())) {
            if let Some((key, _)) = self.waiting.take() {
                self.core.cancel(key);
            }
            let key = self.core.schedule(at, Event::Wake(context.waker().clone()));
            self.waiting = Some((key, context.waker().clone()));
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some((key, _)) = self.waiting.take() {
            self.core.cancel(key);
        }
    }
}
