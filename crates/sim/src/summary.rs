//! What a run did, and whether that is enough to have shown anything.
use std::time::Duration;

use crate::ledger::Counts;
use crate::observed::Observed;
use crate::rare::Met;
use crate::scenario::{Plan, SIMULATED_MIN};

/// What a run did. A run that did less than it must has shown nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    pub counts: Counts,
    pub observed: Observed,
    pub kills: u64,
    pub power_losses: u64,
    pub clean_stops: u64,
    pub sync_errors: u64,
    pub write_errors: u64,
    pub read_errors: u64,
    pub full_disks: u64,
    /// Of two, one failed or was full.
    pub directories_failed: u64,
    pub images_judged: u64,
    pub images_after_recycling: u64,
    pub topics_recreated: u64,
    /// Images with damage.
    pub spoiled: u64,
    pub simulated: Duration,
    pub met: Met,
}

impl Summary {
    /// What the run did too little of.
    pub fn shortcomings(&self, plan: &Plan) -> Vec<String> {
        let Summary { counts, observed, .. } = self;
        let floors = [
            ("acknowledged batches", counts.acknowledged + counts.acknowledged_relaxed, plan.acknowledged_min),
            ("durable batches", counts.acknowledged, plan.acknowledged_min / 10),
            ("relaxed batches", counts.acknowledged_relaxed, plan.acknowledged_min / 20),
            ("batches to compacted topics", counts.acknowledged_keyed, plan.acknowledged_min / 20),
            ("commits of offsets", counts.commits, 10),
            ("batches read", counts.read, plan.acknowledged_min / 10),
            ("kills", self.kills, 3),
            ("power losses", self.power_losses, 3),
            ("clean stops", self.clean_stops, 1),
            ("syncs that failed", self.sync_errors, 1),
            ("writes that failed", self.write_errors, 1),
            ("reads that failed", self.read_errors, 1),
            ("full disks", self.full_disks, 1),
            ("checkpoints", observed.checkpoints, 5),
            ("recycled lane files", observed.lane_files_recycled, 2),
            ("segments made", observed.segments_made, 20),
            ("segments removed", observed.segments_removed, 2),
            ("segments compacted", observed.segments_compacted, 5),
            ("topics deleted and made again", self.topics_recreated, 1),
            ("simulated seconds", self.simulated.as_secs(), SIMULATED_MIN.as_secs()),
        ];
        let short = floors.iter().filter(|(_, done, least)| done < least);
        short.map(|(what, done, least)| format!("{what}: {done}, fewer than {least}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Less = fn(&mut Summary);
    const PLAN: Plan = Plan { seed: 1, acknowledged_min: 20_000, bug: None };

    /// No more than what must be done.
    fn just_enough() -> Summary {
        Summary {
            counts: Counts {
                acknowledged: 19_000,
                acknowledged_relaxed: 1_000,
                acknowledged_keyed: 1_000,
                commits: 10,
                read: 2_000,
                ..Counts::default()
            },
            observed: Observed {
                checkpoints: 5,
                lane_files_recycled: 2,
                segments_made: 20,
                segments_removed: 2,
                segments_compacted: 5,
                ..Observed::default()
            },
            kills: 3,
            power_losses: 3,
            clean_stops: 1,
            sync_errors: 1,
            write_errors: 1,
            read_errors: 1,
            full_disks: 1,
            topics_recreated: 1,
            simulated: Duration::from_secs(60),
            ..Summary::default()
        }
    }

    #[test]
    fn a_run_that_does_just_enough_has_no_shortcomings() {
        assert_eq!(just_enough().shortcomings(&PLAN), Vec::<String>::new());
    }

    #[test]
    fn a_run_below_any_floor_has_that_shortcoming() {
        let lessen: [(&str, Less); 20] = [
            ("acknowledged batches: 19999, fewer than 20000", |run| run.counts.acknowledged -= 1),
            ("durable batches: 1999, fewer than 2000", |run| {
                (run.counts.acknowledged, run.counts.acknowledged_relaxed) = (1_999, 18_001);
            }),
            ("relaxed batches: 999, fewer than 1000", |run| {
                (run.counts.acknowledged, run.counts.acknowledged_relaxed) = (19_001, 999);
            }),
            ("batches to compacted topics: 999, fewer than 1000", |run| run.counts.acknowledged_keyed -= 1),
            ("commits of offsets: 9, fewer than 10", |run| run.counts.commits -= 1),
            ("batches read: 1999, fewer than 2000", |run| run.counts.read -= 1),
            ("kills: 2, fewer than 3", |run| run.kills -= 1),
            ("power losses: 2, fewer than 3", |run| run.power_losses -= 1),
            ("clean stops: 0, fewer than 1", |run| run.clean_stops -= 1),
            ("syncs that failed: 0, fewer than 1", |run| run.sync_errors -= 1),
            ("writes that failed: 0, fewer than 1", |run| run.write_errors -= 1),
            ("reads that failed: 0, fewer than 1", |run| run.read_errors -= 1),
            ("full disks: 0, fewer than 1", |run| run.full_disks -= 1),
            ("checkpoints: 4, fewer than 5", |run| run.observed.checkpoints -= 1),
            ("recycled lane files: 1, fewer than 2", |run| run.observed.lane_files_recycled -= 1),
            ("segments made: 19, fewer than 20", |run| run.observed.segments_made -= 1),
            ("segments removed: 1, fewer than 2", |run| run.observed.segments_removed -= 1),
            ("segments compacted: 4, fewer than 5", |run| run.observed.segments_compacted -= 1),
            ("topics deleted and made again: 0, fewer than 1", |run| run.topics_recreated -= 1),
            ("simulated seconds: 59, fewer than 60", |run| run.simulated -= Duration::from_millis(1)),
        ];
        for (complaint, less) in lessen {
            let mut summary = just_enough();
            less(&mut summary);
            assert_eq!(summary.shortcomings(&PLAN), [complaint]);
        }
    }
}
