//! `ottla log verify`: every checksum, every index against its log, the lane against the segments, the metadata log.
use std::path::{Path, PathBuf};

use clap::Args;
use env::{Disk, Env};
use serde_json::{Value, json};
use storage::inspect::{self, Finding, Remedy, Report};
use storage::{Durability, OpenError};

use super::on_a_thread;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::table::{Output, Table};

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
    /// What the metadata log holds; `None` if the directory has none.
    metadata_entries: Option<u64>,
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
    let held = inspect::hold(&**disk, directory).map_err(|error| failure(directory, &error))?;
    let mut report = inspect::verify(disk, directory, &held).map_err(|error| failure(directory, &error))?;
    let path = directory.join(quorum::DIRECTORY);
    let metadata_entries = match disk.read_dir(&path) {
        Ok(_) => verify_metadata(&**disk, &path, &mut report.findings),
        Err(_) => None, // Only the first of several directories has one.
    };
    Ok(Verified { report, metadata_entries })
}

fn verify_metadata(disk: &dyn Disk, path: &Path, findings: &mut Vec<Finding>) -> Option<u64> {
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
    for records in pieces.chain(entries) {
        if let Some(Err(error)) = metadata::Records::decode(records).find(Result::is_err) {
            wrong(path, error.to_string(), Remedy::Refused);
        }
    }
    Some(found.entries.len() as u64)
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
    let Verified { report, metadata_entries } = verified;
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
        "metadata_entries": metadata_entries,
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
    let Verified { report, metadata_entries } = verified;
    let whose = match &report.facts {
        Some(facts) => format!("node {} of cluster {}", facts.node_id, facts.cluster_id),
        None => "nobody knows whose".to_owned(),
    };
    let stop = if report.was_clean { "stopped in order" } else { "not stopped in order" };
    console.print(&format!("{}: {whose}, {stop}", report.directory.display()))?;
    let lane = &report.lane;
    let metadata = metadata_entries.map_or(String::new(), |entries| format!("; metadata log: {entries} entries"));
    console.print(&format!(
        "lane: {} files, {} groups, {} records, {} bytes{metadata}",
        lane.files, lane.groups, lane.records, lane.size_bytes
    ))?;
    let mut table = Table::new(&["TOPIC", "PARTITION", "START", "END", "SEGMENTS", "BATCHES", "BYTES", "LANE-BYTES"]);
    for log in &report.logs {
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
    let damage = report.findings.iter().filter(|finding| finding.is_damage()).count();
    for finding in &report.findings {
        for line in lines(finding) {
            console.print(&line)?;
        }
    }
    console.print(&match damage {
        0 => "no damage".to_owned(),
        1 => "1 place is damaged".to_owned(),
        more => format!("{more} places are damaged"),
    })
}

fn lines(finding: &Finding) -> [String; 2] {
    let kind = if finding.is_damage() { "DAMAGE" } else { "NOTE" };
    let at = finding.positions.as_ref().map_or(String::new(), |range| format!(" bytes {}..{}", range.start, range.end));
    let log = match (&finding.log, &finding.offsets) {
        (Some(name), Some(range)) if range.end.0 == i64::MAX => format!(" ({name} from offset {} on)", range.start),
        (Some(name), Some(range)) => format!(" ({name} offsets {}..{})", range.start, range.end),
        _ => String::new(),
    };
    let first = format!("{kind} {}{at}{log}: {}", finding.path.display(), finding.reason);
    [first, format!("  {}", finding.remedy)]
}
