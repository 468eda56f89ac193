//! What is left of the lane where it is damaged: the records that are whole, and where it goes on. Records carry checksums
//! of their own, seeded with the run, so that each is believed for itself.
use ::record::{BatchHeader, Offset};

use super::BLOCK;
use super::group::{GroupHeader, Place, SECTOR};
use super::lane::LanePoint;
use super::record::{ALIGN, DATA_BYTES, HEAD_BYTES, Record};
use super::walk::{WalkError, WalkedBody, WalkedRecord, Walker};

/// The records of a damaged group, in their order.
pub(super) struct Salvaged {
    pub records: Vec<WalkedRecord>,
    /// Something is missing of which not even a guess is left.
    pub is_incomplete: bool,
    /// How many bytes of blocks it takes.
    pub blocks_bytes: u64,
}

impl Walker<'_> {
    /// The sound header with the least number above that of `end`: behind it in its file, at the beginning of another, or
    /// behind a beginning that is damaged. Numbers are never used twice but for one torn group, so there is none unless
    /// something between was durable.
    pub(super) fn resume_behind(&mut self, end: &LanePoint) -> Result<Option<(GroupHeader, u32)>, WalkError> {
        let mut found: Option<(GroupHeader, u32)> = None;
        let mut offer = |(header, crc): (GroupHeader, u32)| {
            if header.number > end.number && found.is_none_or(|(best, _)| header.number < best.number) {
                found = Some((header, crc));
            }
        };
        self.heads.iter().flatten().copied().for_each(&mut offer);
        for index in 0..self.slots.len() {
            let slot = self.slots[index].number;
            let from = match slot == end.place.slot {
                true => end.place.at,
                false if self.has_damaged_head(index)? => 0,
                false => continue,
            };
            let mut at = from + BLOCK as u64;
            while at + BLOCK as u64 <= self.slots[index].size_bytes {
                if let Some(header) = self.header_at(Place { slot, at })? {
                    offer(header);
                    if header.0.number > end.number {
                        break;
                    }
                }
                at += BLOCK as u64;
            }
        }
        Ok(found)
    }

    /// It begins with something, and that is no header.
    fn has_damaged_head(&mut self, index: usize) -> Result<bool, WalkError> {
        if self.heads[index].is_some() {
            return Ok(false);
        }
        let block = self.buffer.read(&self.slots[index], 0, BLOCK as u64)?;
        Ok(block.is_some_and(|block| block.iter().any(|byte| *byte != 0)))
    }

    /// Of a group whose header is sound.
    pub(super) fn salvage(&mut self, header: &GroupHeader) -> Result<Salvaged, WalkError> {
        let blocks_bytes = header.blocks_bytes();
        let lost = Salvaged { records: Vec::new(), is_incomplete: header.records > 0, blocks_bytes };
        let Some(slot) = self.slot(header.place.slot) else { return Ok(lost) };
        let Some(bytes) = self.buffer.read(slot, header.place.at, blocks_bytes)? else { return Ok(lost) };
        let content = &bytes[SECTOR..header.size_bytes as usize];
        Ok(Salvaged { blocks_bytes, ..records_of(content, header.number, header.run, header.place) })
    }

    /// Of a group whose header is damaged, and which ends where `next` begins, if that is in the same file.
    pub(super) fn salvage_headless(&mut self, end: &LanePoint, next: &GroupHeader) -> Result<Salvaged, WalkError> {
        let place = match next.place {
            Place { slot, at } if at > 0 && slot != end.place.slot => Place { slot, at: 0 },
            _ => end.place,
        };
        let is_bounded = place.slot == next.place.slot && next.place.at > place.at;
        let lost = Salvaged { records: Vec::new(), is_incomplete: true, blocks_bytes: 0 };
        let Some(slot) = self.slot(place.slot) else { return Ok(lost) };
        let limit = if is_bounded { next.place.at } else { slot.size_bytes };
        let Some(len) = limit.checked_sub(place.at).filter(|len| *len >= BLOCK as u64) else { return Ok(lost) };
        let Some(bytes) = self.buffer.read(slot, place.at, len)? else { return Ok(lost) };
        let (mut records, mut rest) = (Vec::new(), &bytes[SECTOR..]);
        while let Some((record, behind)) = Record::decode(rest, next.run) {
            let at = place.at + (len - rest.len() as u64);
            records.push(WalkedRecord::of(&record, end.number, Place { slot: place.slot, at }));
            rest = behind;
        }
        // Behind the last one there is nothing but the padding of its block.
        let used_bytes = len - rest.len() as u64;
        let padding = used_bytes.next_multiple_of(BLOCK as u64) - used_bytes;
        let is_padded = rest.iter().take(padding as usize).all(|byte| *byte == 0);
        let ends_here = !is_bounded || used_bytes.next_multiple_of(BLOCK as u64) == len;
        // Without a record it is a seal, or the first group of a run; a block of zeros is one that was never written.
        let has_begun = !records.is_empty() || bytes[..SECTOR].iter().any(|byte| *byte != 0);
        Ok(Salvaged {
            records,
            is_incomplete: !(is_padded && ends_here && has_begun),
            blocks_bytes: used_bytes.next_multiple_of(BLOCK as u64),
        })
    }
}

/// The sound ones, and in the place of each that is not what it says of itself.
fn records_of(content: &[u8], group: u64, run: u64, place: Place) -> Salvaged {
    let mut salvaged = Salvaged { records: Vec::new(), is_incomplete: false, blocks_bytes: 0 };
    let mut rest = content;
    while !rest.is_empty() {
        let at = place.at + (SECTOR + content.len() - rest.len()) as u64;
        if let Some((record, behind)) = Record::decode(rest, run) {
            salvaged.records.push(WalkedRecord::of(&record, group, Place { slot: place.slot, at }));
            rest = behind;
            continue;
        }
        // The next sound one, or the end: most probably where this one says.
        let said = said_size(rest).filter(|size| *size == rest.len() || Record::decode(&rest[*size..], run).is_some());
        let steps = || (ALIGN..rest.len()).step_by(ALIGN);
        let size = said.or_else(|| steps().find(|at| Record::decode(&rest[*at..], run).is_some()));
        let size = size.unwrap_or(rest.len());
        let place = Place { slot: place.slot, at };
        match mended(&rest[..size], run, group, place).or_else(|| lost_record(&rest[..size], group)) {
            Some(record) => salvaged.records.push(record),
            None => salvaged.is_incomplete = true,
        }
        rest = &rest[size..];
    }
    salvaged
}

/// If no more than one bit of its head is wrong: the checksum tells which. Else it might pass for one of another log that
/// happens to end where it begins, and its own log would end early without a word.
fn mended(bytes: &[u8], run: u64, group: u64, place: Place) -> Option<WalkedRecord> {
    let mut bytes = bytes.to_vec();
    for bit in 0..HEAD_BYTES.min(bytes.len()) * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Some((record, rest)) = Record::decode(&bytes, run)
            && rest.is_empty()
        {
            return Some(WalkedRecord::of(&record, group, place));
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    None
}

fn said_size(bytes: &[u8]) -> Option<usize> {
    let size = u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?) as usize;
    let size = size.checked_next_multiple_of(ALIGN)?;
    (HEAD_BYTES..=bytes.len()).contains(&size).then_some(size)
}

/// What a record that does not check says of itself. Whether that is so, only the log that it names can tell.
fn lost_record(bytes: &[u8], group: u64) -> Option<WalkedRecord> {
    let u64_at = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let end = u64_at(HEAD_BYTES).map(|end| Offset(end as i64)).filter(|_| matches!(bytes[8], 2 | 3));
    let confirmed_end = end.filter(|end| bytes[8] == 2 && batches_end(&bytes[HEAD_BYTES + DATA_BYTES..]) == Some(*end));
    let body = WalkedBody::Lost { kind: *bytes.get(8)?, confirmed_end };
    Some(WalkedRecord { group, log_id: u64_at(16)?, previous_end: Offset(u64_at(24)? as i64), body })
}

/// Where the batches say that they end, if they fill the record.
fn batches_end(mut bytes: &[u8]) -> Option<Offset> {
    let mut end = None;
    while bytes.len() >= ALIGN {
        let header = BatchHeader::parse(bytes).ok()?;
        end = Some(header.next_offset());
        bytes = bytes.get(header.size_bytes()..)?;
    }
    end
}
