//! A directory as a stopped broker has left it: looked at, never changed. The same first half as a start (checkpoints, the
//! lane, the map of every log), and then what a start leaves for later: every byte that has a checksum, every index
//! against its segment, the lane against the segments.
mod dump;
mod finding;
mod indexes;
mod line;
mod logs;
mod names;
mod own;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use dump::{Decode, Depth, dump};
use env::disk::Lock;
use env::{Disk, OpenOptions};
pub use finding::{Finding, Remedy};
pub use line::{Line, Value};
pub use names::is_own;
use record::{TopicId, TopicPartition};

use crate::OpenError;
use crate::checkpoint::{self, Entry, Header};
use crate::journal::BLOCK;
use crate::journal::lane::{Slot, slot_path};
use crate::journal::walk::{Walked, Walker};
use crate::layout;
use crate::meta::{self, Facts};
use crate::recovery::found::{open_lane, read_checkpoint};
use crate::recovery::io_error;
use crate::recovery::map::{Maps, Source};
use crate::recovery::pieces::end_at_torn_piece;
use crate::settings::{Durability, Settings};

/// What was looked at, and what is wrong with it.
#[derive(Debug)]
pub struct Report {
    pub directory: PathBuf,
    /// `None` if `meta.properties` cannot be believed.
    pub facts: Option<Facts>,
    /// The last process has stopped in order.
    pub was_clean: bool,
    /// Somebody has asked that the next start deletes strays.
    pub drops_strays: bool,
    pub lane: LaneReport,
    pub logs: Vec<LogReport>,
    pub findings: Vec<Finding>,
}

#[derive(Debug, Default)]
pub struct LaneReport {
    pub files: usize,
    /// From where a start would begin.
    pub groups: usize,
    pub records: usize,
    pub size_bytes: u64,
}

#[derive(Debug)]
pub struct LogReport {
    pub name: TopicPartition,
    pub topic_id: TopicId,
    pub log_id: u64,
    pub directory: PathBuf,
    /// A move fills it from another log directory.
    pub is_copy: bool,
    pub durability: Durability,
    pub log_start: record::Offset,
    pub log_end: record::Offset,
    pub segments: usize,
    /// Of segments that were gone through, and of the lane.
    pub batches: u64,
    pub size_bytes: u64,
    /// In the lane only.
    pub lane_bytes: u64,
}

/// Keeps a broker from starting meanwhile.
pub struct Held {
    _lock: Option<Box<dyn Lock>>,
}

/// [`OpenError::Locked`] if a broker runs on it.
pub fn hold(disk: &dyn Disk, path: &Path) -> Result<Held, OpenError> {
    disk.read_dir(path).map_err(|error| io_error(path, &error))?;
    match disk.lock_existing(path, layout::LOCK) {
        Ok(lock) => Ok(Held { _lock: lock }),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(OpenError::Locked { directory: path.display().to_string() })
        }
        Err(error) => Err(io_error(&path.join(layout::LOCK), &error)),
    }
}

/// Goes through everything. Needs the directory held. An error is one of the disk's: damage is a finding.
pub fn verify(disk: &Arc<dyn Disk>, path: &Path, _held: &Held) -> Result<Report, OpenError> {
    let mut findings = Vec::new();
    let facts = match meta::read(&**disk, path, None) {
        Ok(Some(facts)) => Some(facts),
        Ok(None) => {
            let why = "the directory was never formatted, or the file is lost";
            findings.push(Finding::of(path.join(layout::META), why, Remedy::Refused));
            None
        }
        Err(error) => {
            findings.push(Finding::of(path.join(layout::META), error, Remedy::Refused));
            None
        }
    };
    let mut report = Report {
        directory: path.to_owned(),
        facts,
        was_clean: false,
        drops_strays: disk.open(&path.join(layout::DROP_STRAYS), OpenOptions::READ).is_ok(),
        lane: LaneReport::default(),
        logs: Vec::new(),
        findings,
    };
    if let Some((header, entries)) = newest_checkpoint(&**disk, path, &mut report.findings)? {
        let slots = open_lane(&**disk, path, OpenOptions::READ)?;
        let mut walker = Walker::new(&slots)?;
        let walked = walk(&**disk, path, &slots, &mut walker, &header, &mut report)?;
        let mut maps = Maps::new(entries, header.next_log_id);
        match maps.replay(walked.records.iter(), &walked.damage) {
            Ok(()) => logs::verify(disk, path, &mut maps, &walked, &mut walker, &mut report)?,
            Err(error) => report.findings.push(Finding::of(path.join(layout::LANE), error, Remedy::Refused)),
        }
        names::verify(&**disk, path, &maps, header.next_log_id, &mut report.findings)?;
        report.was_clean = header.is_clean && walked.damage.is_empty();
    }
    Ok(report)
}

fn newest_checkpoint(
    disk: &dyn Disk,
    path: &Path,
    findings: &mut Vec<Finding>,
) -> Result<Option<(Header, Vec<Entry>)>, OpenError> {
    let mut newest: Option<(Header, Vec<Entry>)> = None;
    let mut wrong = Vec::new();
    for name in layout::CHECKPOINTS {
        let path = path.join(name);
        let found = match read_checkpoint(disk, &path, OpenOptions::READ) {
            Ok((_, bytes)) => checkpoint::decode(&bytes).map_err(|error| error.to_string()),
            Err(error) if error.kind() == ErrorKind::NotFound => Err("the file is lost".to_owned()),
            Err(error) => return Err(io_error(&path, &error)),
        };
        match found {
            Ok(found) if newest.as_ref().is_none_or(|newest| newest.0.sequence < found.0.sequence) => {
                newest = Some(found);
            }
            Ok(_) => {}
            Err(error) => wrong.push((path, error)),
        }
    }
    // One that a crash has torn looks the same.
    let remedy = if newest.is_some() { Remedy::MadeAnew } else { Remedy::Refused };
    findings.extend(wrong.into_iter().map(|(path, error)| Finding::of(path, error, remedy)));
    Ok(newest)
}

fn walk(
    disk: &dyn Disk,
    path: &Path,
    slots: &[Slot],
    walker: &mut Walker<'_>,
    header: &Header,
    report: &mut Report,
) -> Result<Walked, OpenError> {
    let mut walked = walker.walk(header.lane_start, header.durable_group, false)?;
    let lane = path.join(layout::LANE);
    for damage in &walked.damage {
        let (path, at) = (slot_path(&lane, damage.place.slot), damage.place.at);
        let why = match damage.is_unattributed {
            true => {
                format!("group {} was durable and is not whole; of some of it nobody knows whose it was", damage.group)
            }
            false => format!("group {} was durable and is not whole", damage.group),
        };
        report.findings.push(Finding::of(path, why, Remedy::Start).at(at..at + BLOCK as u64));
    }
    let file_bytes = header.lane_file_bytes;
    for slot in slots.iter().filter(|slot| slot.size_bytes < file_bytes / BLOCK as u64 * BLOCK as u64) {
        let why = format!("the file was cut: {} bytes instead of {file_bytes}", slot.size_bytes);
        report.findings.push(Finding::of(slot_path(&lane, slot.number), why, Remedy::Start));
    }
    if walker.may_be_cut(&walked, file_bytes, Settings::default().group_bytes_max as u64) {
        let why = "the lane ends where a file was cut: the newest groups may be lost";
        report.findings.push(Finding::of(slot_path(&lane, walked.end.place.slot), why, Remedy::AcceptLoss));
    }
    let end = walked.end;
    let discarded = end_at_torn_piece(disk, path, &mut walked)?;
    if walked.is_torn || !discarded.is_empty() {
        let why = "a write that nothing says was ever durable: the lane ends before it";
        let path = slot_path(&lane, walked.end.place.slot);
        report.findings.push(Finding::of(path, why, Remedy::Nothing).at(walked.end.place.at..end.place.at + 1));
    }
    report.lane = LaneReport {
        files: slots.len(),
        groups: walked.groups.len(),
        records: walked.records.len(),
        size_bytes: walked.groups.iter().map(|group| group.size_bytes).sum(),
    };
    Ok(walked)
}

/// Of the pieces of a log that a start takes from the lane.
fn is_in_lane(source: &Source) -> bool {
    matches!(source, Source::Lane(_))
}
