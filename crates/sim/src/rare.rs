//! Which rare states a run came through, of the engine and of what clients see. Those that no seed has ever reached are
//! rules that the simulation says nothing of.
use std::collections::BTreeMap;

use storage::{Rare, Reached};

/// What the clients and the faults come through, besides the engine's own.
pub const SCENES: [&str; 27] = [
    "answer: kafka storage error to a fetch",
    "answer: kafka storage error to a produce",
    "answer: offset out of range",
    "answer: out of order sequence number",
    "answer: out of order, to a batch that came again late",
    "answer: the offset of a batch that came again",
    "crash: killed inside the call",
    "crash: power lost inside the call",
    "crash: inside a start",
    "crash: inside a start, twice in a row",
    "crash: inside a start after a kill",
    "crash: while the disk was full",
    "directory: full",
    "directory: its calls failed",
    "directory: not found at a start",
    "directory: taken away",
    "image: without one of two checkpoints",
    "move: came to its end",
    "move: under way when something happened",
    "spoiled: a range is lost, and said so",
    "spoiled: nothing was lost",
    "spoiled: the start was refused",
    "start: a read failed, and a directory is offline",
    "start: a read failed, and it was refused",
    "start: a read failed, and it went well",
    "producer: began anew",
    "producer: sequence wrapped",
];

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Met(BTreeMap<String, u64>);

impl Default for Met {
    fn default() -> Self {
        let engine = may_be_met().map(engine_name);
        Self(SCENES.iter().map(|name| (*name).to_owned()).chain(engine).map(|name| (name, 0)).collect())
    }
}

impl Met {
    pub fn note(&mut self, scene: &str) {
        *self.0.get_mut(scene).unwrap_or_else(|| panic!("{scene} is not in SCENES")) += 1;
    }

    /// What one world's engine came through.
    pub fn note_engine(&mut self, reached: &Reached) {
        for rare in may_be_met() {
            *self.0.entry(engine_name(rare)).or_default() += reached.times(rare);
        }
    }

    /// Each with how often it was met.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, times)| (name.as_str(), *times))
    }
}

/// All but what would be a fault.
fn may_be_met() -> impl Iterator<Item = Rare> {
    Rare::ALL.into_iter().filter(|rare| *rare != Rare::DamageFound)
}

/// `GroupTorn` is "engine: group torn".
fn engine_name(rare: Rare) -> String {
    let mut name = "engine:".to_owned();
    for letter in format!("{rare:?}").chars() {
        if letter.is_uppercase() {
            name.push(' ');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_met_is_there_with_no_times() {
        let mut met = Met::default();
        met.note("producer: began anew");
        let times = |wanted: &str| met.iter().find(|(name, _)| *name == wanted).expect("it is there").1;
        assert_eq!((times("producer: began anew"), times("engine: group torn")), (1, 0));
        assert_eq!(met.iter().count(), SCENES.len() + Rare::ALL.len() - 1);
    }
}
