//! The one shape of the coordinators: *decide* (reads state, yields records and answers) -> *append* to the log -> *apply*
//! -> hold each answer until the high watermark passes what it saw. Knows no group, no transaction, no clock, no task and
//! no log format: the caller brings the machine, the log and the time, and sends the answers that come back.

mod log;
mod now;
mod runner;
mod step;
mod timers;

pub use log::{AppendError, Log};
pub use now::Now;
pub use runner::{Full, Limits, Runner};
pub use step::{Answer, Answers, Failure, Machine, Step};
pub use timers::Timers;
