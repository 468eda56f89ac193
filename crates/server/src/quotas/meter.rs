//! How long a request keeps a thread: the time in which its future is polled, not the one in which it waits.
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use env::{Clock, Instant};
use parking_lot::Mutex;

pub struct Meter {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    spent: Duration,
    polled_at: Option<Instant>,
}

impl Meter {
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, state: Mutex::default() })
    }

    /// Until now, this poll included.
    pub fn spent(&self) -> Duration {
        let state = self.state.lock();
        state.spent + state.polled_at.map_or(Duration::ZERO, |polled_at| self.clock.now().since(polled_at))
    }
}

/// A future whose polls a meter measures.
pub struct Metered<F> {
    pub future: F,
    pub meter: Arc<Meter>,
}

impl<F: Future + Unpin> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let begun_at = self.meter.clock.now();
        self.meter.state.lock().polled_at = Some(begun_at);
        let polled = Pin::new(&mut self.future).poll(context);
        let mut state = self.meter.state.lock();
        state.polled_at = None;
        state.spent += self.meter.clock.now().since(begun_at);
        drop(state);
        polled
    }
}
