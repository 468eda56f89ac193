//! At which offset each leader of a partition began: Kafka's `LeaderEpochFileCache`, without a file.
//! Derived from the batches of the log and from elections; answers OffsetForLeaderEpoch and where two logs diverge.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use record::{LeaderEpoch, Offset};

/// The first offset that a leader of this epoch wrote, or could have written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EpochStart {
    pub epoch: LeaderEpoch,
    pub start: Offset,
}

/// All epochs that a log knows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LeaderEpochs {
    // Epochs and starts rise strictly, none is negative. They change seldom, and every read asks for them.
    entries: Arc<Vec<EpochStart>>,
}

/// Why bytes are not what `encode` wrote.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EpochsError {
    CutOff,
    NotRising { index: usize },
}

const ENTRY_BYTES: usize = 12;

impl LeaderEpochs {
    /// Takes note of an epoch that begins at `start`; returns whether anything changed. Entries that contradict it go:
    /// they are of leaders whose records were never committed. `None` of a batch without an epoch is no news.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        let known = self.latest().is_some_and(|latest| latest.epoch == epoch && latest.start <= start);
        if known || epoch.is_none() || start.is_none() {
            return false;
        }
        let entries = Arc::make_mut(&mut self.entries);
        while entries.pop_if(|last| last.epoch >= epoch || last.start >= start).is_some() {}
        entries.push(EpochStart { epoch, start });
        true
    }

    pub fn latest(&self) -> Option<EpochStart> {
        self.entries.last().copied()
    }

    pub fn earliest(&self) -> Option<EpochStart> {
        self.entries.first().copied()
    }

    pub fn iter(&self) -> impl Iterator<Item = EpochStart> + '_ {
        self.entries.iter().copied()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The greatest epoch that is not above `epoch`, and where it ends. `None` where Kafka answers (-1, -1): for an
    /// epoch beyond the latest, and for none. Below the earliest, `epoch` itself ends where the earliest begins: all
    /// it ever wrote is deleted.
    pub fn end_offset_for(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<(LeaderEpoch, Offset)> {
        if epoch == LeaderEpoch::NONE {
            return None;
        }
        let above = self.entries.partition_point(|entry| entry.epoch <= epoch);
        match (above.checked_sub(1).map(|at| self.entries[at]), self.entries.get(above)) {
            (Some(floor), None) if floor.epoch == epoch => Some((epoch, log_end)),
            (_, None) => None,
            (None, Some(next)) => Some((epoch, next.start)),
            (Some(floor), Some(next)) => Some((floor.epoch, next.start)),
        }
    }

    /// Whose leader wrote `offset`.
    pub fn epoch_for(&self, offset: Offset) -> Option<LeaderEpoch> {
        let above = self.entries.partition_point(|entry| entry.start <= offset);
        above.checked_sub(1).map(|at| self.entries[at].epoch)
    }

    /// Which epochs wrote these offsets, and from where on.
    pub fn within(&self, offsets: &Range<Offset>) -> LeaderEpochs {
        let mut within = self.clone();
        within.truncate_from_end(offsets.end);
        within.truncate_from_start(offsets.start);
        within
    }

    /// The greatest epoch below `epoch`.
    pub fn previous(&self, epoch: LeaderEpoch) -> Option<EpochStart> {
        let at = self.entries.partition_point(|entry| entry.epoch < epoch);
        at.checked_sub(1).map(|at| self.entries[at])
    }

    /// Forgets the epochs that begin at `end` or later. Returns whether there were any.
    pub fn truncate_from_end(&mut self, end: Offset) -> bool {
        let left = self.entries.partition_point(|entry| entry.start < end);
        let changed = left < self.entries.len();
        if changed {
            Arc::make_mut(&mut self.entries).truncate(left);
        }
        changed
    }

    /// Forgets the epochs that end at `start` or before; the one that reaches over it now begins there.
    pub fn truncate_from_start(&mut self, start: Offset) -> bool {
        let gone = self.entries.partition_point(|entry| entry.start <= start);
        let Some(last) = gone.checked_sub(1) else { return false };
        let changed = last > 0 || self.entries[last].start != start;
        if changed {
            let entries = Arc::make_mut(&mut self.entries);
            entries[last].start = start;
            entries.drain(..last);
        }
        changed
    }

    /// Appends a count of 4 bytes, then epoch (4) and start (8) of each, big-endian.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.entries.len() as u32).to_be_bytes());
        for entry in self.entries.iter() {
            out.extend_from_slice(&entry.epoch.0.to_be_bytes());
            out.extend_from_slice(&entry.start.0.to_be_bytes());
        }
    }

    /// Takes what `encode` wrote from the front of `bytes`. Allocates no more than there are bytes.
    pub fn decode(bytes: &mut &[u8]) -> Result<LeaderEpochs, EpochsError> {
        let (count, rest) = bytes.split_first_chunk().ok_or(EpochsError::CutOff)?;
        let size = (u32::from_be_bytes(*count) as usize).checked_mul(ENTRY_BYTES).ok_or(EpochsError::CutOff)?;
        let (fields, rest) = rest.split_at_checked(size).ok_or(EpochsError::CutOff)?;
        let mut entries: Vec<EpochStart> = Vec::with_capacity(size / ENTRY_BYTES);
        for (index, field) in fields.chunks_exact(ENTRY_BYTES).enumerate() {
            let (epoch, start) = field.split_at(4);
            let entry = EpochStart {
                epoch: LeaderEpoch(i32::from_be_bytes(epoch.try_into().expect("four bytes"))),
                start: Offset(i64::from_be_bytes(start.try_into().expect("eight bytes"))),
            };
            let rises = entries.last().is_none_or(|last| last.epoch < entry.epoch && last.start < entry.start);
            if !rises || entry.epoch.is_none() || entry.start.is_none() {
                return Err(EpochsError::NotRising { index });
            }
            entries.push(entry);
        }
        *bytes = rest;
        Ok(LeaderEpochs { entries: entries.into() })
    }
}

impl fmt::Display for EpochsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EpochsError::CutOff => f.write_str("leader epochs are cut off"),
            EpochsError::NotRising { index } => write!(f, "leader epoch {index} does not rise"),
        }
    }
}

impl std::error::Error for EpochsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for (epoch, start) in entries {
            epochs.assign(LeaderEpoch(*epoch), Offset(*start));
        }
        epochs
    }

    fn listed(epochs: &LeaderEpochs) -> Vec<(i32, i64)> {
        epochs.iter().map(|entry| (entry.epoch.0, entry.start.0)).collect()
    }

    fn end(epochs: &LeaderEpochs, epoch: i32) -> Option<(i32, i64)> {
        epochs.end_offset_for(LeaderEpoch(epoch), Offset(100)).map(|(epoch, end)| (epoch.0, end.0))
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins_and_the_latest_at_the_log_end() {
        let epochs = epochs(&[(2, 10), (5, 20), (6, 40)]);
        assert_eq!(end(&epochs, 6), Some((6, 100)));
        assert_eq!(end(&epochs, 5), Some((5, 40)));
        assert_eq!(end(&epochs, 4), Some((2, 20)));
        assert_eq!(end(&epochs, 2), Some((2, 20)));
        assert_eq!(end(&epochs, 1), Some((1, 10)));
        assert_eq!(end(&epochs, 7), None);
        assert_eq!(end(&epochs, -1), None);
        assert_eq!(end(&epochs, -2), Some((-2, 10)));
        assert_eq!(end(&LeaderEpochs::default(), 0), None);
    }

    #[test]
    fn a_new_epoch_removes_the_entries_that_it_contradicts() {
        let mut changing = epochs(&[(1, 0), (2, 10), (3, 20)]);
        assert!(!changing.assign(LeaderEpoch(3), Offset(25)));
        assert!(changing.assign(LeaderEpoch(3), Offset(15)));
        assert_eq!(listed(&changing), [(1, 0), (2, 10), (3, 15)]);
        // A leader that wrote nothing is forgotten when the next begins at the same place.
        assert!(changing.assign(LeaderEpoch(4), Offset(15)));
        assert_eq!(listed(&changing), [(1, 0), (2, 10), (4, 15)]);
        assert!(changing.assign(LeaderEpoch(2), Offset(30)));
        assert_eq!(listed(&changing), [(1, 0), (2, 30)]);
        assert!(!changing.assign(LeaderEpoch(-1), Offset(40)));
    }

    #[test]
    fn truncation_forgets_what_no_record_is_left_of() {
        let mut cut = epochs(&[(1, 0), (2, 10), (3, 20)]);
        assert!(cut.truncate_from_end(Offset(20)));
        assert!(!cut.truncate_from_end(Offset(11)));
        assert_eq!(listed(&cut), [(1, 0), (2, 10)]);

        let mut cut = epochs(&[(1, 0), (2, 10), (3, 20)]);
        assert!(cut.truncate_from_start(Offset(15)));
        assert_eq!(listed(&cut), [(2, 15), (3, 20)]);
        assert!(cut.truncate_from_start(Offset(20)));
        assert!(!cut.truncate_from_start(Offset(20)));
        assert_eq!(listed(&cut), [(3, 20)]);
        assert!(!cut.truncate_from_start(Offset(3)));
    }

    #[test]
    fn an_offset_belongs_to_the_last_epoch_that_began_at_it_or_before() {
        let epochs = epochs(&[(1, 5), (4, 10)]);
        let epoch_for = |offset| epochs.epoch_for(Offset(offset)).map(|epoch| epoch.0);
        assert_eq!([4, 5, 9, 10, 99].map(epoch_for), [None, Some(1), Some(1), Some(4), Some(4)]);
        assert_eq!(epochs.previous(LeaderEpoch(4)).map(|entry| entry.epoch), Some(LeaderEpoch(1)));
        assert_eq!(epochs.previous(LeaderEpoch(1)), None);
    }

    #[test]
    fn bytes_come_back_whole_or_as_an_error() {
        let written = epochs(&[(0, 0), (7, 1 << 40)]);
        let mut bytes = Vec::new();
        written.encode(&mut bytes);
        bytes.push(9);
        let mut rest = &bytes[..];
        assert_eq!(LeaderEpochs::decode(&mut rest), Ok(written));
        assert_eq!(rest, [9]);
        for cut in 0..bytes.len() - 1 {
            assert_eq!(LeaderEpochs::decode(&mut &bytes[..cut]), Err(EpochsError::CutOff));
        }
        bytes[7] = 7; // The first epoch is now as large as the second.
        assert_eq!(LeaderEpochs::decode(&mut &bytes[..]), Err(EpochsError::NotRising { index: 1 }));
        assert_eq!(LeaderEpochs::decode(&mut &[0xff; 64][..]), Err(EpochsError::CutOff));
    }
}
