//! The bytes of a metadata log file and of the vote: encoding and checked decoding. Opens no file.
//!
//! A log file is a header block, then groups, each on a fresh 4 KiB block. A group is what one write and one sync made
//! durable; it starts only after the sync of the one before it has returned. So a group that does not check is torn if
//! it is the last one, and damage if any later one exists. All numbers are big-endian, all checksums CRC-32C.

use bytes::Bytes;

use crate::metadata_log::{Entry, LogId, Payload};

pub const BLOCK: u64 = env::buffer::BLOCK as u64;
/// A file grows by zeros, in steps of this, before its groups need them.
pub const SPARE_BYTES: u64 = 4 * BLOCK;
pub const VERSION: u16 = 1;
/// What one group may hold; one entry always fits.
pub const GROUP_BYTES_MAX: usize = 2 * crate::ENTRY_BYTES_MAX;

const FILE_MAGIC: [u8; 8] = *b"OTTLALOG";
const GROUP_MAGIC: [u8; 4] = *b"OTGR";
const VOTE_MAGIC: [u8; 8] = *b"OTTLAVOT";
const FILE_HEADER_BYTES: usize = 60;
pub const GROUP_HEADER_BYTES: usize = 60;
const VOTE_BYTES: usize = 26;
const ENTRY_HEADER_BYTES: usize = 13;
/// No log comes this far: what says so is not ours, and numbers may be counted on from.
const NUMBER_MAX: u64 = 1 << 62;

/// The first block of a log file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FileHeader {
    /// Of the file: 1, 2, 3 ...
    pub number: u64,
    /// Random for each file. Only headers that carry it count, so that no value of a client's can pass for a group.
    pub run: u64,
    /// The last group and entry before this file.
    pub previous_group: u64,
    pub previous_chain: u32,
    pub previous: LogId,
    /// Behind its last group, torn or whole, the file always has a synced block of zeros: one that has none was cut. Files
    /// of the first builds do not say so.
    pub has_spare: bool,
}

/// What a group says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GroupHeader {
    pub run: u64,
    pub number: u64,
    /// The newest group whose sync had returned, as had those of all before it.
    pub durable: u64,
    pub first_index: u64,
    pub entries: u32,
    pub body_bytes: u32,
    body_crc: u32,
    /// The checksum of the header before this one.
    pub previous_chain: u32,
    /// The next file exists. Such a group takes no number of its own.
    pub is_last_of_file: bool,
    /// This header's own checksum.
    pub chain: u32,
}

/// Why bytes were not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Invalid {
    /// Written by a later Ottla.
    Newer(u16),
    NotThis,
}

impl FileHeader {
    /// A whole block.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BLOCK as usize);
        bytes.extend(FILE_MAGIC);
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend(u16::from(self.has_spare).to_be_bytes());
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(self.run.to_be_bytes());
        bytes.extend(self.previous_group.to_be_bytes());
        bytes.extend(self.previous_chain.to_be_bytes());
        bytes.extend(self.previous.term.to_be_bytes());
        bytes.extend(self.previous.index.to_be_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
        debug_assert_eq!(bytes.len(), FILE_HEADER_BYTES);
        bytes.resize(BLOCK as usize, 0);
        bytes
    }

    pub fn decode(block: &[u8]) -> Result<FileHeader, Invalid> {
        let mut reader = Fields::checked(block, FILE_HEADER_BYTES, &FILE_MAGIC)?;
        reader.version()?;
        let header = FileHeader {
            has_spare: reader.u16() & 1 != 0,
            number: reader.u64(),
            run: reader.u64(),
            previous_group: reader.u64(),
            previous_chain: reader.u32(),
            previous: LogId { term: reader.u64(), index: reader.u64() },
        };
        let numbers = [header.number, header.previous_group, header.previous.term, header.previous.index];
        if numbers.iter().all(|number| *number < NUMBER_MAX) { Ok(header) } else { Err(Invalid::NotThis) }
    }
}

/// Makes a group, header and body, padded to whole blocks. Returns its checksum, the chain to the next one.
pub struct GroupBuilder {
    bytes: Vec<u8>,
    entries: u32,
}

impl Default for GroupBuilder {
    fn default() -> Self {
        Self { bytes: vec![0; GROUP_HEADER_BYTES], entries: 0 }
    }
}

impl GroupBuilder {
    /// Whether another entry of this payload still fits.
    pub fn fits(&self, payload: &Payload) -> bool {
        self.entries == 0 || self.bytes.len() + ENTRY_HEADER_BYTES + payload_bytes(payload).len() <= GROUP_BYTES_MAX
    }

    pub fn push(&mut self, term: u64, payload: &Payload) {
        let bytes = payload_bytes(payload);
        self.bytes.extend(term.to_be_bytes());
        self.bytes.push(match payload {
            Payload::TermStart => 0,
            Payload::Records(_) => 1,
        });
        self.bytes.extend((bytes.len() as u32).to_be_bytes());
        self.bytes.extend_from_slice(bytes);
        self.entries += 1;
    }

    /// The header's own counts and checksums are filled in here; `place` brings the rest.
    pub fn finish(mut self, place: Place) -> (Vec<u8>, u32) {
        let body_crc = crc32c::crc32c(&self.bytes[GROUP_HEADER_BYTES..]);
        let body_bytes = (self.bytes.len() - GROUP_HEADER_BYTES) as u32;
        let mut header = Vec::with_capacity(GROUP_HEADER_BYTES);
        header.extend(GROUP_MAGIC);
        header.extend(VERSION.to_be_bytes());
        header.extend(u16::from(place.is_last_of_file).to_be_bytes());
        header.extend(place.run.to_be_bytes());
        header.extend(place.number.to_be_bytes());
        header.extend(place.durable.to_be_bytes());
        header.extend(place.first_index.to_be_bytes());
        header.extend(self.entries.to_be_bytes());
        header.extend(body_bytes.to_be_bytes());
        header.extend(body_crc.to_be_bytes());
        header.extend(place.previous_chain.to_be_bytes());
        let chain = crc32c::crc32c(&header);
        header.extend(chain.to_be_bytes());
        self.bytes[..GROUP_HEADER_BYTES].copy_from_slice(&header);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK as usize), 0);
        (self.bytes, chain)
    }
}

/// Where a group stands.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub run: u64,
    pub number: u64,
    pub durable: u64,
    pub first_index: u64,
    pub previous_chain: u32,
    pub is_last_of_file: bool,
}

fn payload_bytes(payload: &Payload) -> &[u8] {
    match payload {
        Payload::TermStart => &[],
        Payload::Records(records) => records,
    }
}

impl GroupHeader {
    pub fn decode(block: &[u8]) -> Result<GroupHeader, Invalid> {
        let mut reader = Fields::checked(block, GROUP_HEADER_BYTES, &GROUP_MAGIC)?;
        reader.version()?;
        Ok(GroupHeader {
            is_last_of_file: reader.u16() & 1 != 0,
            run: reader.u64(),
            number: reader.u64(),
            durable: reader.u64(),
            first_index: reader.u64(),
            entries: reader.u32(),
            body_bytes: reader.u32(),
            body_crc: reader.u32(),
            previous_chain: reader.u32(),
            chain: reader.u32(),
        })
    }

    /// On disk, padding included.
    pub fn total_bytes(&self) -> u64 {
        (GROUP_HEADER_BYTES as u64 + u64::from(self.body_bytes)).next_multiple_of(BLOCK)
    }

    /// `None` if the body is not the one this header was written with.
    pub fn entries(&self, body: &Bytes) -> Option<Vec<Entry>> {
        if body.len() != self.body_bytes as usize || crc32c::crc32c(body) != self.body_crc {
            return None;
        }
        let mut entries = Vec::new();
        let mut at = 0;
        for index in (self.first_index..).take(self.entries as usize) {
            let mut reader = Fields { bytes: body.get(at..at + ENTRY_HEADER_BYTES)? };
            let (term, kind, len) = (reader.u64(), reader.u8(), reader.u32() as usize);
            if term >= NUMBER_MAX {
                return None;
            }
            at += ENTRY_HEADER_BYTES;
            body.get(at..at.checked_add(len)?)?;
            let payload = match kind {
                0 => Payload::TermStart,
                1 => Payload::Records(body.slice(at..at + len)),
                _ => return None,
            };
            at += len;
            entries.push(Entry { id: LogId { term, index }, payload });
        }
        (at == body.len()).then_some(entries)
    }
}

/// Whom this node has voted for, and in which term.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Vote {
    pub term: u64,
    pub voted_for: i32,
}

impl Vote {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(VOTE_BYTES);
        bytes.extend(VOTE_MAGIC);
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend(self.term.to_be_bytes());
        bytes.extend(self.voted_for.to_be_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Vote, Invalid> {
        let mut reader = Fields::checked(bytes, VOTE_BYTES, &VOTE_MAGIC)?;
        reader.version()?;
        let vote = Vote { term: reader.u64(), voted_for: reader.u32() as i32 };
        if vote.term < NUMBER_MAX { Ok(vote) } else { Err(Invalid::NotThis) }
    }
}

/// Reads numbers from bytes whose length was checked before.
pub struct Fields<'a> {
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    /// What follows the magic, if that is right and so is the checksum in the last four of `len` bytes.
    pub fn checked(bytes: &'a [u8], len: usize, magic: &[u8]) -> Result<Fields<'a>, Invalid> {
        let whole = bytes.get(..len).ok_or(Invalid::NotThis)?;
        let (covered, crc) = whole.split_at(len - 4);
        if !covered.starts_with(magic) || crc32c::crc32c(covered).to_be_bytes() != crc {
            return Err(Invalid::NotThis);
        }
        Ok(Fields { bytes: &whole[magic.len()..] })
    }

    pub fn version(&mut self) -> Result<(), Invalid> {
        match self.u16() {
            VERSION => Ok(()),
            newer => Err(Invalid::Newer(newer)),
        }
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (first, rest) = self.bytes.split_first_chunk().expect("the length was checked for all fields");
        self.bytes = rest;
        *first
    }

    pub fn u8(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { run: 7, number: 3, durable: 2, first_index: 10, previous_chain: 99, is_last_of_file: false }
    }

    #[test]
    fn a_group_comes_back_as_it_was_built() {
        let mut builder = GroupBuilder::default();
        let payloads = [Payload::TermStart, Payload::Records(Bytes::from_static(b"abc"))];
        payloads.iter().for_each(|payload| builder.push(4, payload));
        let (bytes, chain) = builder.finish(place());
        assert_eq!(bytes.len() as u64, BLOCK);
        let header = GroupHeader::decode(&bytes).unwrap();
        assert_eq!((header.run, header.number, header.durable, header.chain), (7, 3, 2, chain));
        let body = Bytes::from(bytes).slice(GROUP_HEADER_BYTES..GROUP_HEADER_BYTES + header.body_bytes as usize);
        let entries = header.entries(&body).unwrap();
        assert_eq!(entries[0], Entry { id: LogId { term: 4, index: 10 }, payload: payloads[0].clone() });
        assert_eq!(entries[1], Entry { id: LogId { term: 4, index: 11 }, payload: payloads[1].clone() });
    }

    #[test]
    fn no_single_flipped_bit_goes_unseen() {
        let mut builder = GroupBuilder::default();
        builder.push(4, &Payload::Records(Bytes::from_static(b"abc")));
        let (bytes, _) = builder.finish(place());
        let used = GROUP_HEADER_BYTES + ENTRY_HEADER_BYTES + 3;
        for bit in 0..used * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let seen = GroupHeader::decode(&bytes).is_err_and(|error| error == Invalid::NotThis)
                || GroupHeader::decode(&bytes).is_ok_and(|header| {
                    header.entries(&Bytes::copy_from_slice(&bytes[GROUP_HEADER_BYTES..used])).is_none()
                });
            assert!(seen, "bit {bit}");
        }
    }

    #[test]
    fn file_header_and_vote_come_back_and_refuse_what_is_newer() {
        let header = FileHeader {
            number: 1,
            run: 2,
            previous_group: 3,
            previous_chain: 4,
            previous: LogId { term: 5, index: 6 },
            has_spare: true,
        };
        assert_eq!(FileHeader::decode(&header.encode()), Ok(header));
        let vote = Vote { term: 9, voted_for: -1 };
        let mut bytes = vote.encode();
        assert_eq!(Vote::decode(&bytes), Ok(vote));
        bytes[9] = 2;
        assert_eq!(Vote::decode(&bytes), Err(Invalid::NotThis), "the checksum covers the version");
        let crc = crc32c::crc32c(&bytes[..VOTE_BYTES - 4]).to_be_bytes();
        bytes[VOTE_BYTES - 4..].copy_from_slice(&crc);
        assert_eq!(Vote::decode(&bytes), Err(Invalid::Newer(2)));
    }
}
