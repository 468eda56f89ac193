//! What the controller is sent: questions, each with the way to answer it.
use env::Instant;
use metadata::Record;
use protocol::ErrorCode;

use crate::machine::Machine;

/// Sends an answer: the one decided on, or this error in its place.
pub type Reply = Box<dyn FnOnce(Option<ErrorCode>) + Send>;

/// Decides on the state, at a time. No reply: it has been answered already.
pub type Asked = Box<dyn FnOnce(&Machine, Instant) -> (Vec<Record>, Option<Reply>) + Send>;

pub enum Message {
    Ask(Asked),
    Close,
}
