//! Logs that the next start will not serve, since the metadata log does not have them as replicas: `replication::strays`
//! decides there, and this says it before. What it cannot know (the replica's directory was not looked at), it leaves out.
use std::collections::BTreeSet;

use metadata::{Image, Unplaced};
use record::{BrokerId, TopicId};
use storage::inspect::{Finding, LogReport, Remedy, Report};

enum Fate {
    Deleted(&'static str),
    Kept(&'static str),
}

/// Adds what there is to say of each directory's logs. `reports` are of one broker's directories.
pub fn find(image: &Image, reports: &mut [&mut Report]) {
    let removed: BTreeSet<TopicId> = image.removed.iter().collect();
    let found: Vec<Vec<Finding>> = reports
        .iter()
        .map(|report| {
            let of = |log: &LogReport| Some(finding(report, log, fate(image, &removed, reports, report, log)?));
            report.logs.iter().filter_map(of).collect()
        })
        .collect();
    for (report, found) in reports.iter_mut().zip(found) {
        report.findings.extend(found);
    }
}

/// `None`: it is a replica, or may be one, or will be one.
fn fate(
    image: &Image,
    removed: &BTreeSet<TopicId>,
    reports: &[&mut Report],
    report: &Report,
    log: &LogReport,
) -> Option<Fate> {
    let facts = report.facts.as_ref()?;
    let assigned = match image.place_of(log.topic_id, log.name.partition, BrokerId(facts.node_id)) {
        Ok(assigned) => TopicId(assigned.0),
        Err(Unplaced::Topic) if removed.contains(&log.topic_id) => return Some(Fate::Deleted("its topic is gone")),
        Err(unplaced) => return Some(Fate::Kept(unplaced.reason())),
    };
    if log.is_copy {
        return None;
    }
    if newest(report, log).log_id != log.log_id {
        return Some(Fate::Kept("the partition was made anew without it"));
    }
    let is_assigned = |report: &&&mut Report| report.facts.as_ref().is_some_and(|facts| facts.directory_id == assigned);
    let other = reports.iter().find(is_assigned).filter(|_| assigned != facts.directory_id)?;
    let replica = other.logs.iter().find(|replica| is_same(replica, log))?;
    Some(match newest(other, replica).log_end >= log.log_end {
        true => Fate::Deleted("its replica is in another log directory"),
        false => Fate::Kept("its replica is in another log directory, and ends before this one does"),
    })
}

fn is_same(log: &LogReport, other: &LogReport) -> bool {
    (log.topic_id, log.name.partition) == (other.topic_id, other.name.partition)
}

/// The log of a partition that a start finds by its name.
fn newest<'a>(report: &'a Report, log: &'a LogReport) -> &'a LogReport {
    report.logs.iter().filter(|other| is_same(other, log)).max_by_key(|other| other.log_id).unwrap_or(log)
}

fn finding(report: &Report, log: &LogReport, fate: Fate) -> Finding {
    let (reason, remedy) = match fate {
        Fate::Deleted(why) => (format!("the next start deletes it: {why}"), Remedy::Nothing),
        Fate::Kept(why) if report.drops_strays => {
            (format!("the next start deletes it, as drop-strays asks: {why}"), Remedy::Nothing)
        }
        Fate::Kept(why) => (why.to_owned(), Remedy::Stray),
    };
    Finding {
        path: log.directory.clone(),
        positions: None,
        log: Some(log.name.clone()),
        offsets: Some(log.log_start..log.log_end),
        reason,
        remedy,
    }
}
