//! `ottla log verify`: every checksum, every index against its log, the lane against the segments, the metadata log.
use std::path::{Path, PathBuf};

use clap::Args;
use env::{Disk, Env};
use metadata::{Delta, Image};
use serde_json::{Value, json};
use storage::inspect::{self, Finding, LogReport, Remedy, Report};
use storage::{Durability, Facts, OpenError};

use super::{on_a_thread, strays};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::table::{Output, Table, counted};

#[derive(Args, Debug)]
pub struct Verify {
    /// Data directories (log.dirs) of a broker that does not run
    #[arg(required = true, value_name = "DIRECTORY")]
    directories: Vec<PathBuf>,
    /// How it is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Of one directory.
struct Verified {
    report: Report,
    /// `None` if the directory has none, or one that is damaged.
    metadata: Option<Metadata>,
}

/// What the metadata log says, from so many entries.
struct Metadata {
    entries: u64,
    image: Image,
}

pub async fn run(verify: Verify, env: Env, console: &mut Console) -> Result<(), Failure> {
    let disk = env.disk.clone();
    let directories = verify.directories.clone();
    let job = move |sender: &tokio::sync::mpsc::Sender<Result<Verified, Failure>>| {
        for directory in directories {
            let verified = verify_directory(&disk, &directory);
            if sender.blocking_send(verified).is_err() {
                return;
            }
        }
    };
    let mut all = Vec::new();
    let mut failures = crate::failure::Failures::default();
    on_a_thread(&env, console, job, |_, verified| {
        match verified {
            Ok(verified) => all.push(verified),
            Err(failure) => failures.add(failure),
        }
        Ok(())
    })
    .await?;
    find_strays(&mut all);
    match verify.output {
        Output::Json => console.print(&Value::Array(all.iter().map(to_json).collect()).to_string())?,
        Output::Table => {
            for verified in &all {
                print(verified, console)?;
            }
        }
    }
    console.end(failures)?;
    match all.iter().flat_map(|verified| &verified.report.findings).filter(|finding| finding.is_damage()).count() {
        0 => Ok(()),
        // Said already, line by line.
        _ => Err(Failure { exit: Exit::Unhealthy, silent: true, ..Failure::new("damage was found") }),
    }
}

fn verify_directory(disk: &std::sync::Arc<dyn Disk>, directory: &Path) -> Result<Verified, Failure> {
    if !is_data_directory(&**disk, directory) {
        let failure = Failure::not_found(format!("{} is no data directory", directory.display()));
        return Err(
            failure.remedy("give a directory of the broker's log.dirs, which has meta.properties and checkpoints")
        );
    }
    let held = inspect::hold(&**disk, directory).map_err(|error| failure(directory, &error))?;
    let mut report = inspect::verify(disk, directory, &held).map_err(|error| failure(directory, &error))?;
    let path = directory.join(quorum::DIRECTORY);
    let metadata = match disk.read_dir(&path) {
        Ok(_) => verify_metadata(&**disk, &path, &mut report.findings),
        Err(_) => None, // Only the first of several directories has one.
    };
    report.logs.sort_by(|one, other| (&one.name, one.log_id).cmp(&(&other.name, other.log_id)));
    Ok(Verified { report, metadata })
}

/// Or was one: what is left of it is damaged. One that cannot be read says why where it is read.
fn is_data_directory(disk: &dyn Disk, directory: &Path) -> bool {
    let Ok(entries) = disk.read_dir(directory) else { return true };
    entries.iter().any(|entry| inspect::is_own(&entry.name))
}

/// Of each broker whose metadata log is among what was looked at.
fn find_strays(all: &mut [Verified]) {
    let images: Vec<(Facts, Image)> =
        all.iter().filter_map(|one| Some((one.report.facts.clone()?, one.metadata.as_ref()?.image.clone()))).collect();
    for (facts, image) in images {
        let is_of_it = |found: &Facts| (&found.cluster_id, found.node_id) == (&facts.cluster_id, facts.node_id);
        let reports = all.iter_mut().map(|one| &mut one.report);
        let mut reports: Vec<_> = reports.filter(|report| report.facts.as_ref().is_some_and(is_of_it)).collect();
        strays::find(&image, &mut reports);
    }
}

fn verify_metadata(disk: &dyn Disk, path: &Path, findings: &mut Vec<Finding>) -> Option<Metadata> {
    let mut wrong = |path: &Path, reason: String, remedy| {
        findings.push(Finding { path: path.to_owned(), positions: None, log: None, offsets: None, reason, remedy });
    };
    let found = match quorum::inspect(disk, path) {
        Ok(found) => found,
        Err(quorum::OpenError::Damaged { path, what }) => {
            wrong(&path, what, Remedy::Refused);
            return None;
        }
        Err(error) => {
            wrong(path, error.to_string(), Remedy::Refused);
            return None;
        }
    };
    if found.is_torn {
        wrong(path, "a write that nothing says was ever durable: the log ends before it".into(), Remedy::Nothing);
    }
    let pieces = found.snapshot.iter().flat_map(|snapshot| &snapshot.pieces);
    let entries = found.entries.iter().filter_map(|entry| match &entry.payload {
        quorum::Payload::Records(records) => Some(records),
        quorum::Payload::TermStart => None,
    });
    let mut image = Image::default();
    for records in pieces.chain(entries) {
        for record in metadata::Records::decode(records) {
            match record {
                Ok(record) => image.apply(record, &mut Delta::default()),
                Err(error) => {
                    wrong(path, error.to_string(), Remedy::Refused);
                    return None;
                }
            }
        }
    }
    Some(Metadata { entries: found.entries.len() as u64, image })
}

pub(super) fn failure(path: &Path, error: &OpenError) -> Failure {
    match error {
        OpenError::Locked { directory } => Failure::new(format!("a broker runs on {directory}"))
            .remedy("stop it first; or look at a copy of the directory"),
        error if matches!(error, OpenError::Io { .. }) && !error.to_string().is_empty() => {
            let failure = Failure::new(error.to_string());
            match is_missing(error) {
                true => Failure { exit: Exit::NotFound, ..failure }
                    .remedy(format!("{} is to be a directory of log.dirs", path.display())),
                false => failure,
            }
        }
        error => Failure::new(error.to_string()),
    }
}

fn is_missing(error: &OpenError) -> bool {
    matches!(error, OpenError::Io { error, .. } if error.contains("No such file") || error.contains("not found"))
}

fn to_json(verified: &Verified) -> Value {
    let Verified { report, metadata } = verified;
    let logs = report.logs.iter().map(|log| {
        json!({
            "topic": &*log.name.topic, "partition": log.name.partition, "log": format!("{:x}", log.log_id),
            "durability": durability(log.durability), "start": log.log_start.0, "end": log.log_end.0,
            "segments": log.segments, "batches": log.batches, "bytes": log.size_bytes, "lane_bytes": log.lane_bytes,
        })
    });
    let facts = report.facts.as_ref();
    json!({
        "directory": report.directory.display().to_string(),
        "cluster": facts.map(|facts| facts.cluster_id.clone()),
        "node": facts.map(|facts| facts.node_id),
        "directory_id": facts.map(|facts| facts.directory_id.to_string()),
        "sound": !report.findings.iter().any(Finding::is_damage),
        "clean_stop": report.was_clean,
        "lane": {
            "files": report.lane.files, "groups": report.lane.groups, "records": report.lane.records,
            "bytes": report.lane.size_bytes,
        },
        "metadata_entries": metadata.as_ref().map(|metadata| metadata.entries),
        "logs": logs.collect::<Vec<_>>(),
        "findings": report.findings.iter().map(finding_json).collect::<Vec<_>>(),
    })
}

fn finding_json(finding: &Finding) -> Value {
    let name = finding.log.as_ref();
    let (positions, offsets) = (finding.positions.as_ref(), finding.offsets.as_ref());
    json!({
        "damage": finding.is_damage(),
        "file": finding.path.display().to_string(),
        "from_byte": positions.map(|range| range.start),
        "to_byte": positions.map(|range| range.end),
        "topic": name.map(|name| name.topic.to_string()),
        "partition": name.map(|name| name.partition),
        "from_offset": offsets.map(|range| range.start.0),
        "to_offset": offsets.map(|range| range.end.0),
        "reason": finding.reason,
        "remedy": finding.remedy.name(),
        "what_to_do": finding.remedy.to_string(),
    })
}

fn durability(durability: Durability) -> &'static str {
    match durability {
        Durability::Flush => "flush",
        Durability::Relaxed => "relaxed",
    }
}

fn print(verified: &Verified, console: &mut Console) -> Result<(), Failure> {
    let Verified { report, metadata } = verified;
    let whose = match &report.facts {
        Some(facts) => format!("node {} of cluster {}", facts.node_id, facts.cluster_id),
        None => "nobody knows whose".to_owned(),
    };
    let stop = if report.was_clean { "stopped in order" } else { "not stopped in order" };
    console.print(&format!("{}: {whose}, {stop}", report.directory.display()))?;
    let lane = &report.lane;
    let entries = metadata.as_ref().map(|metadata| format!("; metadata log: {} entries", metadata.entries));
    let entries = entries.unwrap_or_default();
    console.print(&format!(
        "lane: {} files, {} groups, {} records, {} bytes{entries}",
        lane.files, lane.groups, lane.records, lane.size_bytes
    ))?;
    let mut table = Table::new(&["TOPIC", "PARTITION", "START", "END", "SEGMENTS", "BATCHES", "BYTES", "LANE_BYTES"]);
    let is_empty = |log: &&LogReport| log.segments == 0 && log.batches == 0 && log.log_end.0 == 0;
    for log in report.logs.iter().filter(|log| !is_empty(log)) {
        table.row(vec![
            json!(&*log.name.topic),
            json!(log.name.partition),
            json!(log.log_start.0),
            json!(log.log_end.0),
            json!(log.segments),
            json!(log.batches),
            json!(log.size_bytes),
            json!(log.lane_bytes),
        ]);
    }
    table.print(Output::Table, console)?;
    match report.logs.iter().filter(is_empty).count() {
        0 => {}
        count => console.print(&format!("never written to: {}", counted(count as u64, "log")))?,
    }
    let damage = report.findings.iter().filter(|finding| finding.is_damage()).count();
    let strays = report.findings.iter().filter(|finding| finding.remedy == Remedy::Stray).count();
    for finding in &report.findings {
        for line in lines(finding) {
            console.print(&line)?;
        }
    }
    let strays = if strays == 0 { String::new() } else { format!("; strays: {strays}") };
    console.print(&match damage {
        0 => format!("no damage{strays}"),
        1 => format!("1 place is damaged{strays}"),
        more => format!("{more} places are damaged{strays}"),
    })
}

fn lines(finding: &Finding) -> [String; 2] {
    let kind = match finding.remedy {
        Remedy::Nothing => "NOTE",
        Remedy::Stray => "STRAY",
        _ => "DAMAGE",
    };
    let at = finding.positions.as_ref().map_or(String::new(), |range| format!(" bytes {}..{}", range.start, range.end));
    let log = match (&finding.log, &finding.offsets) {
        (Some(name), Some(range)) if range.end.0 == i64::MAX => format!(" ({name} from offset {} on)", range.start),
        (Some(name), Some(range)) => format!(" ({name} offsets {}..{})", range.start, range.end),
        _ => String::new(),
    };
    let first = format!("{kind} {}{at}{log}: {}", finding.path.display(), finding.reason);
    [first, format!("  {}", finding.remedy)]
}
