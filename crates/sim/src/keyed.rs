//! What the clients know of one partition of a compacted topic, record by record: compaction may take any record of which
//! a newer one of its key is there, and a tombstone once its time is over, and nothing else.
//!
//! A key belongs to one producer, which writes it in the order of the marks: the greatest mark is the newest.
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use env::Instant;
use record::{BatchView, Decompressor, Record, Records};
use rustc_hash::FxHashMap;

use crate::ledger::{MARK_PREFIX, UNASKED_PREFIX};

thread_local! {
    static DECOMPRESSOR: RefCell<Decompressor> = RefCell::default();
}

/// A record as it was sent.
#[derive(Clone, Debug)]
pub struct Keyed {
    pub mark: u64,
    pub key: u64,
    /// Of its value; none is a tombstone.
    pub value_bytes: Option<usize>,
}

#[derive(Clone, Debug)]
struct Sent {
    key: u64,
    value_bytes: Option<usize>,
    at: Instant,
    /// Once that is known. It never changes: the topic is a durable one.
    offset: Option<i64>,
}

#[derive(Clone, Debug, Default)]
pub struct KeyedPartition {
    /// By mark.
    sent: FxHashMap<u64, Sent>,
    /// By offset, its mark.
    known: BTreeMap<i64, u64>,
    keys: BTreeMap<u64, OfKey>,
}

#[derive(Clone, Debug, Default)]
struct OfKey {
    /// All that were sent, oldest first.
    marks: Vec<u64>,
    /// The newest of which the offset is known.
    known: Option<u64>,
}

/// What judges a partition besides its records.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    /// `delete.retention.ms`, for tombstones.
    pub delete_retention: Duration,
    /// `retention.ms` where old segments go, whatever is in them: `cleanup.policy=compact,delete`.
    pub retention: Option<Duration>,
    pub now: Instant,
    /// How far the wall clock of who removes it may have been ahead of that of who has given it its time.
    pub wall_ahead: Duration,
}

impl KeyedPartition {
    pub fn sent(&mut self, records: &[Keyed], at: Instant) {
        for Keyed { mark, key, value_bytes } in records {
            self.sent.insert(*mark, Sent { key: *key, value_bytes: *value_bytes, at, offset: None });
            self.keys.entry(*key).or_default().marks.push(*mark);
        }
    }

    /// A batch with these marks is at this offset.
    pub fn acknowledged(&mut self, marks: Range<u64>, offset: i64) -> Result<(), String> {
        marks.zip(offset..).try_for_each(|(mark, offset)| self.is_at(mark, offset))
    }

    /// All that a batch holds, as it was read; each with its mark. It may be anywhere yet.
    pub fn read(&self, batch: &BatchView<'_>) -> Result<Vec<(i64, u64)>, String> {
        DECOMPRESSOR.with_borrow_mut(|decompressor| self.read_with(decompressor, batch))
    }

    fn read_with(&self, decompressor: &mut Decompressor, batch: &BatchView<'_>) -> Result<Vec<(i64, u64)>, String> {
        let body = decompressor.body(batch, 64 << 20).map_err(|error| error.to_string())?;
        let mut found = Vec::new();
        for record in Records::new(batch, body).map_err(|error| format!("{error:?}"))? {
            let record = record.map_err(|error| format!("{error:?}"))?;
            let offset = record.offset.value();
            let mark = mark_of(&record).ok_or_else(|| format!("the record at {offset} has no mark"))?;
            let sent = self.sent.get(&mark).ok_or_else(|| format!("the record at {offset} was never sent here"))?;
            if record.key != Some(&sent.key.to_be_bytes()) || record.value.map(<[u8]>::len) != sent.value_bytes {
                return Err(format!("the record at {offset} is not what was sent"));
            }
            found.push((offset, mark));
        }
        Ok(found)
    }

    /// Learns where these records are.
    pub fn are_at(&mut self, found: &[(i64, u64)]) -> Result<(), String> {
        found.iter().try_for_each(|(offset, mark)| self.is_at(*mark, *offset))
    }

    /// They do not contradict what is known.
    pub fn may_be_at(&self, found: &[(i64, u64)]) -> Result<(), String> {
        for &(offset, mark) in found {
            let sent = &self.sent[&mark];
            match (sent.offset, self.known.get(&offset)) {
                (Some(before), _) if before != offset => {
                    return Err(format!("the record {mark} is at {offset}, and at {before} too"));
                }
                (_, Some(&other)) if other != mark => {
                    return Err(format!("an offset means two things: {offset} is {mark}, and {other}"));
                }
                _ => self.is_before_newest(sent.key, mark, offset)?,
            }
        }
        Ok(())
    }

    fn is_at(&mut self, mark: u64, offset: i64) -> Result<(), String> {
        let sent = self.sent.get_mut(&mark).ok_or_else(|| format!("the mark {mark} was never sent"))?;
        match sent.offset.replace(offset) {
            Some(before) if before == offset => return Ok(()),
            Some(before) => return Err(format!("the record {mark} is at {offset}, and at {before} too")),
            None => {}
        }
        if let Some(other) = self.known.insert(offset, mark) {
            return Err(format!("an offset means two things: {offset} is {mark}, and {other}"));
        }
        let key = sent.key;
        let of_key = self.keys.get_mut(&key).expect("its key was sent");
        of_key.known = of_key.known.max(Some(mark));
        self.is_before_newest(key, mark, offset)
    }

    /// The newest known record of its key is not before it.
    fn is_before_newest(&self, key: u64, mark: u64, offset: i64) -> Result<(), String> {
        let newer = self.keys[&key].known.filter(|known| *known > mark);
        match newer.and_then(|newer| self.sent[&newer].offset) {
            Some(newer) if newer <= offset => {
                Err(format!("the record {mark} at {offset} is behind a newer one at {newer}"))
            }
            _ => Ok(()),
        }
    }

    /// Nothing newer of its key was ever sent: it must be there, and durable if it was acknowledged.
    pub fn is_newest(&self, mark: u64) -> bool {
        self.sent.get(&mark).is_some_and(|sent| self.keys[&sent.key].marks.last() == Some(&mark))
    }

    pub fn known_end(&self) -> i64 {
        self.known.last_key_value().map_or(0, |(offset, _)| offset + 1)
    }

    pub fn next_known(&self, above: i64) -> Option<i64> {
        self.known.range(above + 1..).next().map(|(offset, _)| *offset)
    }

    /// Where the newest known record of each key is, but for tombstones.
    pub fn newest_values(&self) -> impl Iterator<Item = i64> {
        let newest = self.keys.values().filter_map(|of_key| self.sent.get(&of_key.known?));
        newest.filter(|sent| sent.value_bytes.is_some()).filter_map(|sent| sent.offset)
    }

    /// Judges a whole log: `found` is what it holds, in its order, as [`KeyedPartition::read`] has it.
    pub fn verify(&self, found: &[(i64, u64)], horizon: Horizon) -> Result<(), String> {
        if let Some(pair) = found.windows(2).find(|pair| pair[1].0 <= pair[0].0) {
            return Err(format!("a step back, from {} to {}", pair[0].0, pair[1].0));
        }
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        for (offset, mark) in found {
            let key = self.sent[mark].key;
            if let Some(before) = last.insert(key, *mark).filter(|before| before >= mark) {
                return Err(format!("key {key} has {mark} at {offset}, behind the newer {before}"));
            }
        }
        for (key, of_key) in &self.keys {
            let Some(known) = of_key.known else { continue };
            let sent = &self.sent[&known];
            let offset = sent.offset.expect("it is known");
            // A newer one without an answer may have come and gone, too.
            let marks = &of_key.marks[of_key.marks.partition_point(|mark| *mark < known)..];
            let and_newer = marks.iter().map(|mark| (mark, &self.sent[mark]));
            let mut and_newer = and_newer.filter(|(mark, sent)| **mark == known || sent.offset.is_none());
            let expired = |sent: &Sent| horizon.has_passed(sent.at, sent.value_bytes.is_none());
            let what = if sent.value_bytes.is_some() { "value" } else { "tombstone" };
            match last.get(key) {
                Some(last) if *last >= known => {} // One newer may have had no answer.
                None if and_newer.any(|(_, sent)| expired(sent)) => {}
                Some(last) => {
                    return Err(format!("key {key} ends with {last}, and the {what} {known} at {offset} is gone"));
                }
                None => return Err(format!("key {key} is gone, with the {what} {known} at {offset}")),
            }
        }
        Ok(())
    }
}

impl Horizon {
    fn has_passed(&self, at: Instant, is_tombstone: bool) -> bool {
        let limits = is_tombstone.then_some(self.delete_retention).into_iter().chain(self.retention);
        limits.min().is_some_and(|limit| at + limit <= self.now + self.wall_ahead)
    }
}

/// It ends the value, or is the header of a tombstone.
fn mark_of(record: &Record<'_>) -> Option<u64> {
    let header = || record.headers.iter().next().and_then(|(_, value)| value);
    let (rest, number) = record.value.or_else(header)?.split_last_chunk()?;
    (rest.ends_with(&MARK_PREFIX) || rest.ends_with(&UNASKED_PREFIX)).then(|| u64::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HORIZON: Horizon = Horizon {
        delete_retention: Duration::from_secs(1),
        retention: None,
        now: Instant(0),
        wall_ahead: Duration::from_millis(100),
    };

    fn partition(records: &[(u64, u64, Option<usize>)]) -> KeyedPartition {
        let mut partition = KeyedPartition::default();
        let records: Vec<Keyed> =
            records.iter().map(|&(mark, key, value_bytes)| Keyed { mark, key, value_bytes }).collect();
        partition.sent(&records, Instant(0));
        partition
    }

    #[test]
    fn the_newest_known_record_of_each_key_must_be_there() {
        let mut partition = partition(&[(1, 7, Some(9)), (2, 7, Some(9)), (3, 8, Some(9))]);
        partition.acknowledged(1..3, 0).unwrap();
        assert_eq!(partition.verify(&[(0, 1), (1, 2)], HORIZON), Ok(()));
        assert_eq!(partition.verify(&[(1, 2)], HORIZON), Ok(()), "the older one may go");
        assert_eq!(
            partition.verify(&[(0, 1)], HORIZON),
            Err("key 7 ends with 1, and the value 2 at 1 is gone".to_owned())
        );
        assert_eq!(partition.verify(&[], HORIZON), Err("key 7 is gone, with the value 2 at 1".to_owned()));
        assert_eq!(partition.verify(&[(1, 2), (0, 1)], HORIZON), Err("a step back, from 1 to 0".to_owned()));
    }

    #[test]
    fn a_tombstone_may_go_once_its_time_is_over_and_then_nothing_older_comes_back() {
        let mut partition = partition(&[(1, 7, Some(9)), (2, 7, None)]);
        partition.acknowledged(1..3, 0).unwrap();
        assert_eq!(partition.verify(&[], HORIZON), Err("key 7 is gone, with the tombstone 2 at 1".to_owned()));
        let later = Horizon { now: Instant(900_000_000), ..HORIZON };
        assert_eq!(partition.verify(&[], later), Ok(()));
        assert_eq!(
            partition.verify(&[(0, 1)], later),
            Err("key 7 ends with 1, and the tombstone 2 at 1 is gone".to_owned())
        );
    }

    #[test]
    fn with_retention_a_value_may_go_once_its_time_is_over_but_not_behind_an_older_one() {
        let mut partition = partition(&[(1, 7, Some(9)), (2, 7, Some(9))]);
        partition.acknowledged(1..3, 0).unwrap();
        let early = Horizon { retention: Some(Duration::from_millis(500)), ..HORIZON };
        assert_eq!(partition.verify(&[], early), Err("key 7 is gone, with the value 2 at 1".to_owned()));
        let later = Horizon { now: Instant(400_000_000), ..early };
        assert_eq!(partition.verify(&[], later), Ok(()));
        assert_eq!(
            partition.verify(&[(0, 1)], later),
            Err("key 7 ends with 1, and the value 2 at 1 is gone".to_owned())
        );
    }

    #[test]
    fn a_tombstone_without_an_answer_takes_what_is_older_with_it() {
        let mut partition = partition(&[(1, 7, Some(9)), (2, 7, None), (3, 8, None)]);
        partition.acknowledged(1..2, 0).unwrap();
        assert_eq!(partition.verify(&[], HORIZON), Err("key 7 is gone, with the value 1 at 0".to_owned()));
        let later = Horizon { now: Instant(900_000_000), ..HORIZON };
        assert_eq!(partition.verify(&[], later), Ok(()));
    }

    #[test]
    fn an_offset_means_one_thing_and_a_key_is_in_order() {
        let mut partition = partition(&[(1, 7, Some(9)), (2, 7, Some(9)), (3, 7, Some(9))]);
        assert_eq!(partition.acknowledged(2..3, 5), Ok(()));
        assert_eq!(partition.acknowledged(2..3, 5), Ok(()));
        let mut other = partition.clone();
        assert_eq!(other.acknowledged(2..3, 6), Err("the record 2 is at 6, and at 5 too".to_owned()));
        let mut other = partition.clone();
        assert_eq!(other.acknowledged(3..4, 5), Err("an offset means two things: 5 is 3, and 2".to_owned()));
        let why = "the record 1 at 8 is behind a newer one at 5";
        assert_eq!(partition.acknowledged(1..2, 8), Err(why.to_owned()));
    }
}
