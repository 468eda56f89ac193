//! Why a command failed, for people and for scripts: what happened, what to do about it, and an exit code.
use std::fmt;
use std::io;

use client::CallError;
use protocol::ErrorCode;

/// Exit codes. Documented, so scripts may rely on them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    /// The command line is wrong; clap uses the same.
    Usage = 2,
    NotFound = 3,
    NotAuthorized = 4,
    /// Nobody answers, or not in time.
    Unreachable = 5,
    /// What was looked at is not sound.
    Unhealthy = 10,
    Interrupted = 130,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    pub what: String,
    pub remedy: Option<String>,
    pub exit: Exit,
    /// Whoever read our output is gone: nothing to say.
    pub silent: bool,
}

impl Failure {
    pub fn new(what: impl Into<String>) -> Failure {
        Failure { what: what.into(), remedy: None, exit: Exit::Failed, silent: false }
    }

    pub fn usage(what: impl Into<String>) -> Failure {
        Failure { exit: Exit::Usage, ..Failure::new(what) }
    }

    pub fn not_found(what: impl Into<String>) -> Failure {
        Failure { exit: Exit::NotFound, ..Failure::new(what) }
    }

    pub fn interrupted() -> Failure {
        Failure { exit: Exit::Interrupted, ..Failure::new("interrupted") }
    }

    pub fn remedy(mut self, remedy: impl Into<String>) -> Failure {
        self.remedy = Some(remedy.into());
        self
    }

    /// An error code in an answer. `message` is what the broker adds to it, if it does.
    pub fn of_code(subject: &str, code: i16, message: Option<&str>) -> Failure {
        let error = ErrorCode::from_code(code);
        let name = error.map_or_else(|| format!("error {code}"), |error| format!("{error}, {code}"));
        let message = message.filter(|message| !message.is_empty());
        let what = match message.or_else(|| error.and_then(meaning)) {
            Some(message) => format!("{subject}: {message} ({name})"),
            None => format!("{subject}: {name}"),
        };
        let mut failure = Failure::new(what);
        (failure.exit, failure.remedy) = match error {
            Some(ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId) => {
                (Exit::NotFound, Some("`ottla topic list` shows what is there".to_owned()))
            }
            Some(ErrorCode::GroupIdNotFound) => {
                (Exit::NotFound, Some("`ottla group list` shows what is there".to_owned()))
            }
            Some(
                ErrorCode::TopicAuthorizationFailed
                | ErrorCode::GroupAuthorizationFailed
                | ErrorCode::ClusterAuthorizationFailed,
            ) => (Exit::NotAuthorized, None),
            Some(ErrorCode::RequestTimedOut) => (Exit::Unreachable, None),
            Some(ErrorCode::InvalidReplicationFactor) => {
                (Exit::Failed, Some("one replica needs one broker: -r 1 fits everywhere".to_owned()))
            }
            Some(ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge) => {
                (Exit::Failed, Some("the topic's max.message.bytes is the limit".to_owned()))
            }
            Some(ErrorCode::CoordinatorNotAvailable) => (
                Exit::Unreachable,
                Some("with one broker, groups need offsets.topic.replication.factor=1 on the broker".to_owned()),
            ),
            _ => (Exit::Failed, None),
        };
        failure
    }
}

/// What an error says that comes without a message, where its name alone leaves people guessing.
fn meaning(error: ErrorCode) -> Option<&'static str> {
    Some(match error {
        ErrorCode::CorruptMessage => "what is on the broker's disk there is damaged",
        ErrorCode::GroupIdNotFound => "there is no such group",
        ErrorCode::InvalidTopicException => "no topic can have this name",
        ErrorCode::KafkaStorageError => "the broker cannot use its disk",
        ErrorCode::LeaderNotAvailable => "nobody leads it at present",
        ErrorCode::MessageTooLarge => "this is larger than the topic takes",
        ErrorCode::NonEmptyGroup => "the group has members",
        ErrorCode::OffsetOutOfRange => "there is no such offset",
        ErrorCode::TopicAuthorizationFailed
        | ErrorCode::GroupAuthorizationFailed
        | ErrorCode::ClusterAuthorizationFailed => "this is not allowed",
        ErrorCode::UnknownTopicId | ErrorCode::UnknownTopicOrPartition => "there is no such topic or partition",
        _ => return None,
    })
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        let mut failure = Failure::new(error.to_string());
        match error {
            CallError::Closed { .. } | CallError::NoSuchBroker { .. } | CallError::Timeout { .. } => {
                failure.exit = Exit::Unreachable;
            }
            CallError::Connect { .. } => {
                failure.exit = Exit::Unreachable;
                failure.remedy =
                    Some("is a broker running there? -b host:port names another; `ottla` starts one".to_owned());
            }
            CallError::Decode { .. } | CallError::Encode { .. } => {}
            CallError::Unsupported { .. } => {
                failure.remedy = Some("the broker is too old or too new for this command".to_owned());
            }
        }
        failure
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        // `ottla consume | head` has what it wants.
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure { exit: Exit::Done, silent: true, ..Failure::new("nobody reads on") };
        }
        Failure::new(format!("cannot write: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ottla: {}", self.what)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n  {remedy}"),
            None => Ok(()),
        }
    }
}

/// Several things may fail for several reasons; the first decides about the exit code, all are said.
#[derive(Default)]
pub struct Failures {
    all: Vec<Failure>,
}

impl Failures {
    pub fn add(&mut self, failure: Failure) {
        self.all.push(failure);
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }
}

impl IntoIterator for Failures {
    type Item = Failure;
    type IntoIter = std::vec::IntoIter<Failure>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.into_iter()
    }
}
