//! How long requests take, by API and by the parts of their way: Kafka's `RequestMetrics`, as histograms. The memory of an
//! API comes with its first request. Knows no name: an API is its place in the table of what is served.
use std::sync::OnceLock;
use std::time::Duration;

use tally::{Distribution, Histogram, Level};

use crate::connection::Times;

pub struct RequestTimes {
    /// Requests that have come and may not begin yet.
    pub queued: Level,
    by_api: Box<[OnceLock<Box<ApiTimes>>]>,
}

/// The parts are recorded only where they are more than nothing: there are as many of each as in `total`.
#[derive(Default)]
struct ApiTimes {
    total: Histogram,
    parts: [Histogram; PARTS.len()],
}

/// The parts of a request's time, in the order in which they come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// Whole, and not begun: earlier requests of its connection come first, or its client is over a quota.
    RequestQueue,
    /// From its begin until it is done, or waits for the first time.
    Local,
    /// From then until its answer is there.
    Remote,
    /// The answer's way into the socket.
    ResponseSend,
}

pub const PARTS: [Part; 4] = [Part::RequestQueue, Part::Local, Part::Remote, Part::ResponseSend];

/// What is known of one API at one moment.
#[derive(Clone, Debug)]
pub struct ApiDistributions {
    pub total: Distribution,
    /// Beside [`PARTS`].
    pub parts: [Distribution; PARTS.len()],
}

/// Less is nothing, to a histogram.
const RECORDED_MIN: Duration = Duration::from_nanos(250);

impl RequestTimes {
    pub fn new(apis: usize) -> Self {
        Self { queued: Level::new(), by_api: (0..apis).map(|_| OnceLock::new()).collect() }
    }

    pub fn record(&self, api: usize, times: &Times) {
        let Some(of_api) = self.by_api.get(api) else { return };
        let of_api = of_api.get_or_init(Box::default);
        of_api.total.record(times.sent - times.received);
        for (part, histogram) in PARTS.into_iter().zip(&of_api.parts) {
            let took = part.took(times);
            if took >= RECORDED_MIN {
                histogram.record(took);
            }
        }
    }

    /// `None` for an API that nobody has asked for yet.
    pub fn read(&self, api: usize) -> Option<ApiDistributions> {
        let of_api = self.by_api.get(api)?.get()?;
        // The total last: no part may have more than it.
        let mut parts = of_api.parts.each_ref().map(Histogram::read);
        let total = of_api.total.read();
        for part in &mut parts {
            part.add_instant(total.count().saturating_sub(part.count()));
        }
        Some(ApiDistributions { total, parts })
    }
}

impl Part {
    fn took(self, times: &Times) -> Duration {
        match self {
            Part::RequestQueue => times.begun - times.received,
            Part::Local => times.waits - times.begun,
            Part::Remote => times.answered - times.waits,
            Part::ResponseSend => times.sent - times.answered,
        }
    }
}

#[cfg(test)]
mod tests {
    use env::Instant;

    use super::*;

    #[test]
    fn parts_are_as_many_as_the_whole_and_add_up_to_it() {
        let times = RequestTimes::new(2);
        assert!(times.read(1).is_none());
        let at = |millis: u64| Instant(millis * 1_000_000);
        times.record(1, &Times { received: at(10), begun: at(10), waits: at(12), answered: at(15), sent: at(16) });
        times.record(1, &Times { received: at(20), begun: at(21), waits: at(22), answered: at(22), sent: at(23) });
        let read = times.read(1).unwrap();
        assert_eq!(read.total.count(), 2);
        assert!(read.parts.iter().all(|part| part.count() == 2));
        let sums: Vec<u128> = read.parts.iter().map(|part| part.sum().as_millis()).collect();
        assert_eq!(sums, [1, 3, 3, 2]);
        assert_eq!(read.total.sum().as_millis(), 9);
        assert!(times.read(0).is_none() && times.read(7).is_none());
        times.record(7, &Times::default()); // No such API: nothing happens.
    }
}
