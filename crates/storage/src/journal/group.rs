//! The head of a group: one sector with a checksum of its own. It says which run of the process wrote the group, which
//! group came before, how much belongs to it, and which group was the newest known to be durable.
use std::fmt;

use super::BLOCK;

/// What a disk writes whole or not at all.
pub(crate) const SECTOR: usize = 512;
const MAGIC: &[u8; 8] = b"OTTLAGRP";
const VERSION: u16 = 1;
const CRC_AT: usize = SECTOR - 4;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum GroupKind {
    Data,
    /// The first of a run. Its `previous_crc` is that of the last group that recovery accepted, of whatever run.
    Opening,
    /// Says that the one before it is durable; has no records and needs no seal.
    Seal,
}

/// Where a group lies. It is in the header too, so that a group written elsewhere is not believed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Place {
    pub slot: u32,
    pub at: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct GroupHeader {
    pub kind: GroupKind,
    /// Drawn at each start. The checksums of the records are seeded with it.
    pub run: u64,
    /// Counts all groups of the directory, over all runs.
    pub number: u64,
    /// Header and records, without the padding to a block.
    pub size_bytes: u64,
    pub records: u32,
    /// Of the header before.
    pub previous_crc: u32,
    /// Every sync of this group, and of all before it, had returned when this header was made.
    pub durable_group: u64,
    pub place: Place,
    pub goes_on: GoesOn,
}

/// Where the next group is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum GoesOn {
    /// A build that did not say: behind this one, or at the beginning of any other file.
    #[default]
    Unsaid,
    Here,
    /// In this file, which was there: the last group of a file says so.
    In(u32),
}

impl fmt::Display for GoesOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GoesOn::Unsaid => f.write_str("unsaid"),
            GoesOn::Here => f.write_str("here"),
            GoesOn::In(slot) => write!(f, "lane-{slot:05}"),
        }
    }
}

impl GoesOn {
    fn encode(self) -> u32 {
        match self {
            GoesOn::Unsaid => 0,
            GoesOn::Here => 1,
            GoesOn::In(slot) => slot + 2,
        }
    }

    fn decode(code: u32) -> GoesOn {
        match code {
            0 => GoesOn::Unsaid,
            1 => GoesOn::Here,
            slot => GoesOn::In(slot - 2),
        }
    }
}

impl GroupHeader {
    /// Returns the header's checksum, which the next header names.
    pub fn encode(&self, sector: &mut [u8]) -> u32 {
        let sector = &mut sector[..SECTOR];
        sector.fill(0);
        sector[0..8].copy_from_slice(MAGIC);
        sector[8..10].copy_from_slice(&VERSION.to_be_bytes());
        sector[10] = self.kind as u8;
        sector[12..16].copy_from_slice(&self.records.to_be_bytes());
        sector[16..24].copy_from_slice(&self.run.to_be_bytes());
        sector[24..32].copy_from_slice(&self.number.to_be_bytes());
        sector[32..40].copy_from_slice(&self.size_bytes.to_be_bytes());
        sector[40..48].copy_from_slice(&self.durable_group.to_be_bytes());
        sector[48..56].copy_from_slice(&self.place.at.to_be_bytes());
        sector[56..60].copy_from_slice(&self.place.slot.to_be_bytes());
        sector[60..64].copy_from_slice(&self.previous_crc.to_be_bytes());
        sector[64..68].copy_from_slice(&self.goes_on.encode().to_be_bytes());
        let crc = crc32c::crc32c(&sector[..CRC_AT]);
        sector[CRC_AT..].copy_from_slice(&crc.to_be_bytes());
        crc
    }

    /// `None` if this is no header, or not a sound one. The second value is its checksum.
    pub fn decode(sector: &[u8]) -> Option<(GroupHeader, u32)> {
        let sector = sector.get(..SECTOR)?;
        if !sector.starts_with(MAGIC) || sector[8..10] != VERSION.to_be_bytes() {
            return None;
        }
        let crc = u32_at(sector, CRC_AT);
        if crc != crc32c::crc32c(&sector[..CRC_AT]) {
            return None;
        }
        let kind = match sector[10] {
            0 => GroupKind::Data,
            1 => GroupKind::Opening,
            2 => GroupKind::Seal,
            _ => return None,
        };
        let header = GroupHeader {
            kind,
            run: u64_at(sector, 16),
            number: u64_at(sector, 24),
            size_bytes: u64_at(sector, 32),
            records: u32_at(sector, 12),
            previous_crc: u32_at(sector, 60),
            durable_group: u64_at(sector, 40),
            place: Place { slot: u32_at(sector, 56), at: u64_at(sector, 48) },
            goes_on: GoesOn::decode(u32_at(sector, 64)),
        };
        (header.size_bytes >= SECTOR as u64).then_some((header, crc))
    }

    /// What it takes in its file.
    pub fn blocks_bytes(&self) -> u64 {
        self.size_bytes.next_multiple_of(BLOCK as u64)
    }

    pub fn end_at(&self) -> u64 {
        self.place.at.saturating_add(self.blocks_bytes())
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_as_it_was_and_no_changed_byte_goes_unnoticed() {
        let header = GroupHeader {
            kind: GroupKind::Opening,
            run: 0x0123_4567_89ab_cdef,
            number: 77,
            size_bytes: 4711,
            records: 3,
            previous_crc: 0xdead_beef,
            durable_group: 76,
            place: Place { slot: 5, at: 8192 },
            goes_on: GoesOn::In(9),
        };
        let mut sector = [0; SECTOR];
        let crc = header.encode(&mut sector);
        assert_eq!(GroupHeader::decode(&sector), Some((header, crc)));
        assert_eq!((header.blocks_bytes(), header.end_at()), (8192, 16384));
        for at in 0..SECTOR {
            sector[at] ^= 0x10;
            assert_eq!(GroupHeader::decode(&sector), None, "byte {at}");
            sector[at] ^= 0x10;
        }
        assert_eq!(GroupHeader::decode(&sector[..SECTOR - 1]), None);
    }
}
