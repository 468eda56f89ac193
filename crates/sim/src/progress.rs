//! What many seeds have done, added up: which have failed, the least, the most and the sum of each count, and in how many
//! each rare state was met. It is kept in a small file of text, so that a long run goes on where it was stopped.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use env::sim::Report;

use crate::summary::Summary;

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// Those that have run.
    pub seeds: Range<u64>,
    pub failed: BTreeSet<u64>,
    counts: BTreeMap<String, Spread>,
    rare: BTreeMap<String, Rare>,
}

/// Of one count, over seeds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Spread {
    least: u64,
    most: u64,
    sum: u64,
}

/// Of one state: how many seeds have met it, and how often in all.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Rare {
    seeds: u64,
    times: u64,
}

impl Progress {
    pub fn from(first: u64) -> Self {
        Self { seeds: first..first, ..Self::default() }
    }

    /// How many have passed.
    pub fn passed(&self) -> u64 {
        self.seeds.end - self.seeds.start - self.failed.len() as u64
    }

    /// A seed has passed.
    pub fn add(&mut self, summary: &Summary, report: &Report) {
        for (name, value) in counts(summary, report) {
            let spread = Spread { least: value, most: value, sum: 0 };
            let spread = self.counts.entry(name.to_owned()).or_insert(spread);
            spread.least = spread.least.min(value);
            spread.most = spread.most.max(value);
            spread.sum += value;
        }
        for (name, times) in summary.met.iter() {
            let rare = self.rare.entry(name.to_owned()).or_default();
            rare.seeds += u64::from(times > 0);
            rare.times += times;
        }
    }

    /// A table of the counts, one of what is rare, the rarest first, and what was never reached.
    pub fn print(&self) {
        if self.passed() == 0 {
            return;
        }
        println!("{:>28} {:>10} {:>10} {:>12}", "per seed", "least", "most", "in all");
        for (name, _) in counts(&Summary::default(), &Report::default()) {
            if let Some(Spread { least, most, sum }) = self.counts.get(name) {
                println!("{name:>28} {least:>10} {most:>10} {sum:>12}");
            }
        }
        let (mut reached, never): (Vec<_>, Vec<_>) = self.rare.iter().partition(|(_, rare)| rare.seeds > 0);
        reached.sort_by_key(|(name, rare)| (rare.seeds, *name));
        println!("{:>45} {:>8} {:>12}", "rare states", "seeds", "in all");
        for (name, Rare { seeds, times }) in reached {
            println!("{name:>45} {seeds:>8} {times:>12}");
        }
        let never: Vec<&str> = never.into_iter().map(|(name, _)| name.as_str()).collect();
        println!("never reached: {}", if never.is_empty() { "none".to_owned() } else { never.join("; ") });
    }
}

fn counts(summary: &Summary, report: &Report) -> [(&'static str, u64); 26] {
    let Summary { counts, observed, .. } = summary;
    [
        ("acknowledged, durable", counts.acknowledged),
        ("acknowledged, relaxed", counts.acknowledged_relaxed),
        ("acknowledged, compacted", counts.acknowledged_keyed),
        ("offsets committed", counts.commits),
        ("lost as relaxed allows", counts.lost_relaxed),
        ("batches read", counts.read),
        ("batches judged at the end", counts.verified),
        ("kills", summary.kills),
        ("power losses", summary.power_losses),
        ("clean stops", summary.clean_stops),
        ("syncs that failed", summary.sync_errors),
        ("writes that failed", summary.write_errors),
        ("reads that failed", summary.read_errors),
        ("full disks", summary.full_disks),
        ("log directories that failed", summary.directories_failed),
        ("images judged", summary.images_judged),
        ("damaged images judged", summary.spoiled),
        ("checkpoints", observed.checkpoints),
        ("lane files recycled", observed.lane_files_recycled),
        ("segments made", observed.segments_made),
        ("segments removed", observed.segments_removed),
        ("segments compacted", observed.segments_compacted),
        ("topics deleted and re-made", summary.topics_recreated),
        ("syncs", observed.syncs),
        ("events", report.events),
        ("simulated ms", report.now.0 / 1_000_000),
    ]
}

/// One line for the seeds, one for each that failed, one for each count and each rare state; its name comes last.
impl fmt::Display for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "seeds {} {}", self.seeds.start, self.seeds.end)?;
        for seed in &self.failed {
            writeln!(formatter, "failed {seed}")?;
        }
        for (name, Spread { least, most, sum }) in &self.counts {
            writeln!(formatter, "count {least} {most} {sum} {name}")?;
        }
        for (name, Rare { seeds, times }) in &self.rare {
            writeln!(formatter, "rare {seeds} {times} {name}")?;
        }
        Ok(())
    }
}

impl FromStr for Progress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut progress = Self::default();
        for line in text.lines() {
            progress.take(line).ok_or_else(|| format!("not a line of a progress: {line:?}"))?;
        }
        Ok(progress)
    }
}

impl Progress {
    fn take(&mut self, line: &str) -> Option<()> {
        let (kind, rest) = line.split_once(' ')?;
        let mut rest = rest;
        let mut number = || {
            let (number, after) = rest.split_once(' ').unwrap_or((rest, ""));
            rest = after;
            number.parse::<u64>().ok()
        };
        match kind {
            "seeds" => self.seeds = number()?..number()?,
            "failed" => drop(self.failed.insert(number()?)),
            "count" => {
                let spread = Spread { least: number()?, most: number()?, sum: number()? };
                self.counts.insert(rest.to_owned(), spread);
            }
            "rare" => {
                let rare = Rare { seeds: number()?, times: number()? };
                self.rare.insert(rest.to_owned(), rare);
            }
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Progress {
        let mut progress = Progress::from(201);
        for (kills, events) in [(3, 10), (5, 4)] {
            let mut summary = Summary { kills, ..Summary::default() };
            summary.met.note("producer: began anew");
            progress.add(&summary, &Report { events, ..Report::default() });
        }
        progress.seeds.end = 204;
        progress.failed.insert(203);
        progress
    }

    #[test]
    fn what_was_written_is_read_again() {
        let progress = some();
        assert_eq!(progress.to_string().parse(), Ok(progress.clone()));
        assert_eq!((progress.passed(), progress.counts["kills"]), (2, Spread { least: 3, most: 5, sum: 8 }));
        assert_eq!(progress.rare["producer: began anew"], Rare { seeds: 2, times: 2 });
        assert_eq!(progress.rare["engine: group torn"], Rare { seeds: 0, times: 0 });
    }

    #[test]
    fn what_is_no_progress_is_refused() {
        for line in ["seeds 1", "failed", "count 1 2 x name", "rare x", "other 1", ""] {
            let text = format!("seeds 1 2\n{line}\n");
            assert_eq!(text.parse::<Progress>(), Err(format!("not a line of a progress: {line:?}")));
        }
    }
}
