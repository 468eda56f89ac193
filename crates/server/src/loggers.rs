//! At which level the rooms of this broker log, and how that is changed while it runs (KIP-412). A logger is a room; the
//! root stands for all that have no level of their own. Writes no log: whoever does is told the directives.
use std::collections::BTreeMap;
use std::str::FromStr;

use parking_lot::Mutex;

pub const ROOT: &str = "root";
/// The rooms that have something to say.
pub const ROOMS: [&str; 9] =
    ["admin", "controller", "coordinator", "node", "ottla", "quorum", "replication", "server", "storage"];

/// Kafka's `LogLevelConfig`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    Debug,
    Error,
    /// Nothing here is worse than an error: it is one more name for it.
    Fatal,
    Info,
    Trace,
    Warn,
}

impl Level {
    pub const ALL: [Level; 6] = [Level::Debug, Level::Error, Level::Fatal, Level::Info, Level::Trace, Level::Warn];

    pub fn name(self) -> &'static str {
        match self {
            Level::Debug => "DEBUG",
            Level::Error => "ERROR",
            Level::Fatal => "FATAL",
            Level::Info => "INFO",
            Level::Trace => "TRACE",
            Level::Warn => "WARN",
        }
    }

    fn directive(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Error | Level::Fatal => "error",
            Level::Info => "info",
            Level::Trace => "trace",
            Level::Warn => "warn",
        }
    }
}

/// In capitals, as in Kafka.
impl FromStr for Level {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Level::ALL.into_iter().find(|level| level.name() == text).ok_or(())
    }
}

pub struct Loggers(Mutex<State>);

struct State {
    root: Level,
    /// Of rooms that have one of their own.
    rooms: BTreeMap<&'static str, Level>,
    listener: Option<Box<Listener>>,
}

/// Told the directives: `info,storage=debug`.
type Listener = dyn Fn(&str) + Send;

impl Default for Loggers {
    fn default() -> Self {
        Self(Mutex::new(State { root: Level::Info, rooms: BTreeMap::new(), listener: None }))
    }
}

impl Loggers {
    /// From now on `listener` hears of every change. It begins with these directives; what is no level of a room is
    /// forgotten with the first change.
    pub fn connect(&self, directives: &str, listener: impl Fn(&str) + Send + 'static) {
        let mut state = self.0.lock();
        for directive in directives.split(',') {
            let (name, level) = directive.trim().split_once('=').unwrap_or((ROOT, directive.trim()));
            if let (Ok(level), true) = (level.to_ascii_uppercase().parse(), exists(name)) {
                state.set(name, Some(level));
            }
        }
        state.listener = Some(Box::new(listener));
    }

    /// By name, the root first.
    pub fn levels(&self) -> Vec<(&'static str, Level)> {
        let state = self.0.lock();
        let of_rooms = ROOMS.iter().map(|room| (*room, state.rooms.get(room).copied().unwrap_or(state.root)));
        [(ROOT, state.root)].into_iter().chain(of_rooms).collect()
    }

    /// All of these at once; no level: that of the root.
    pub fn alter(&self, changes: &[(&str, Option<Level>)]) {
        let mut state = self.0.lock();
        changes.iter().for_each(|(name, level)| state.set(name, *level));
        let directives = state.directives();
        tracing::info!(directives, "log levels changed");
        if let Some(listener) = &state.listener {
            listener(&directives);
        }
    }
}

impl State {
    fn set(&mut self, name: &str, level: Option<Level>) {
        let room = ROOMS.iter().find(|room| **room == name);
        match (room, level) {
            (Some(room), Some(level)) => drop(self.rooms.insert(room, level)),
            (Some(room), None) => drop(self.rooms.remove(room)),
            (None, Some(level)) if name == ROOT => self.root = level,
            (None, _) => {}
        }
    }

    fn directives(&self) -> String {
        let rooms = self.rooms.iter().map(|(room, level)| format!(",{room}={}", level.directive()));
        format!("{}{}", self.root.directive(), rooms.collect::<String>())
    }
}

pub fn exists(name: &str) -> bool {
    name == ROOT || ROOMS.contains(&name)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_room_logs_like_the_root_until_it_has_a_level_of_its_own() {
        let loggers = Loggers::default();
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let listener = heard.clone();
        loggers.connect("warn,storage=debug,hyper::x=trace", move |directives| {
            listener.lock().push(directives.to_owned());
        });
        let level = |name: &str| loggers.levels().into_iter().find(|(logger, _)| *logger == name).unwrap().1;
        assert_eq!((level(ROOT), level("server"), level("storage")), (Level::Warn, Level::Warn, Level::Debug));
        loggers.alter(&[(ROOT, Some(Level::Fatal)), ("server", Some(Level::Trace)), ("storage", None)]);
        assert_eq!((level("server"), level("storage"), level("quorum")), (Level::Trace, Level::Fatal, Level::Fatal));
        assert_eq!(*heard.lock(), ["error,server=trace"]);
    }

    #[test]
    fn levels_are_kafkas_and_in_capitals() {
        assert_eq!("WARN".parse(), Ok(Level::Warn));
        assert_eq!("warn".parse::<Level>(), Err(()));
    }
}
