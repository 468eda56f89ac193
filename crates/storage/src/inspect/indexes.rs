//! Index files against their segment: each entry must say the truth about the batch that it names.
use env::File;
use record::Timestamp;

use super::logs::Inspected;
use super::{Finding, Remedy};
use crate::OpenError;
use crate::segment::{self, BatchPlace, Damage, FileKind, Segment, Written};

/// Goes through the segment's batches once, beside the entries of both indexes. Returns how many batches are sound.
pub(super) fn verify(
    log: &Inspected<'_>,
    segment: &Segment,
    file: &dyn File,
    written: Written,
    damage: &[Damage],
    findings: &mut Vec<Finding>,
) -> Result<u64, OpenError> {
    let read = |kind| {
        let path = segment.path(kind);
        let bytes = log.read(&path)?;
        Ok::<_, OpenError>((path, bytes.unwrap_or_default()))
    };
    let (offsets_path, offsets) = read(FileKind::OffsetIndex)?;
    let (times_path, times) = read(FileKind::TimeIndex)?;
    let offsets = segment::entries_of_offsets(segment.base_offset(), &offsets);
    let times = segment::entries_of_times(segment.base_offset(), &times);
    let mut wrong_offset = None;
    let mut wrong_time = None;
    let mut batches = 0;
    let (mut next_offset, mut next_time) = (0, 0);
    let mut greatest = Timestamp::NONE;
    segment.each_batch(file, written, damage, &mut |place: &BatchPlace, _| {
        batches += 1;
        greatest = greatest.max(place.max_timestamp);
        while let Some((offset, position)) = offsets.get(next_offset).filter(|(_, at)| *at <= place.position) {
            if (*offset, *position) != (place.last_offset, place.position) {
                wrong_offset.get_or_insert(next_offset);
            }
            next_offset += 1;
        }
        while let Some((timestamp, offset)) = times.get(next_time).filter(|(_, offset)| *offset <= place.last_offset) {
            if (*timestamp, *offset) != (greatest, place.last_offset) {
                wrong_time.get_or_insert(next_time);
            }
            next_time += 1;
        }
    });
    // Around damage nothing can be said.
    if damage.is_empty() {
        let name = &log.map().name;
        let range = segment.base_offset()..written.offset;
        let mut wrong = |path, index: Option<usize>, size: usize| {
            let Some(index) = index else { return };
            let at = (index * size) as u64;
            let why = format!("entry {index} is not true of the log");
            let finding = Finding::of(path, why, Remedy::MadeAnew).at(at..at + size as u64);
            findings.push(finding.in_log(name, range.clone()));
        };
        wrong(offsets_path, wrong_offset.or(out_of_order(&offsets)), 8);
        wrong(times_path, wrong_time.or(out_of_order(&times)), 12);
    }
    Ok(batches)
}

/// The first that does not follow on the one before it.
fn out_of_order<A: PartialOrd, B: PartialOrd>(entries: &[(A, B)]) -> Option<usize> {
    let index = entries.windows(2).position(|pair| pair[1].0 <= pair[0].0 || pair[1].1 <= pair[0].1)?;
    Some(index + 1)
}
