//! Gathers one group in memory that O_DIRECT accepts: a sector for the header, then records one behind the other.
//! The buffer is kept from group to group; only a batch larger than all before makes it grow.
use ::record::Offset;
use bytes::Bytes;
use env::AlignedBuffer;

use super::group::{GroupHeader, SECTOR};
use super::record::{self, ALIGN, Body, DATA_BYTES, HEAD_BYTES};
use super::{BLOCK, Place};

pub(crate) struct GroupBuilder {
    buffer: AlignedBuffer,
    len: usize,
    /// From here on the buffer is zero: a small group behind a small one has little to pad.
    used: usize,
    records: u32,
    run: u64,
    body: Vec<u8>,
}

impl GroupBuilder {
    pub fn new(run: u64, capacity: usize) -> Self {
        let buffer = AlignedBuffer::new(capacity.max(BLOCK));
        Self { buffer, len: SECTOR, used: SECTOR, records: 0, run, body: Vec::new() }
    }

    pub fn clear(&mut self) {
        self.used = self.used.max(self.len);
        self.len = SECTOR;
        self.records = 0;
    }

    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// With the header, without the padding.
    pub fn size_bytes(&self) -> usize {
        self.len
    }

    pub fn records(&self) -> u32 {
        self.records
    }

    /// What a data record of so many bytes will add at most.
    pub fn data_record_bytes(batches: usize) -> usize {
        (HEAD_BYTES + DATA_BYTES + batches).next_multiple_of(ALIGN)
    }

    pub fn push(&mut self, log_id: u64, previous_end: Offset, body: &Body<'_>) {
        assert!(!matches!(body, Body::Data { .. }), "batches come by `push_data`");
        self.push_parts(log_id, previous_end, body, std::iter::empty(), 0);
    }

    /// `head` is a data record's without its batches; they are `parts`, `size_bytes` together.
    pub fn push_data<'a>(
        &mut self,
        log_id: u64,
        previous_end: Offset,
        head: &Body<'_>,
        parts: impl Iterator<Item = &'a Bytes>,
        size_bytes: usize,
    ) {
        self.push_parts(log_id, previous_end, head, parts, size_bytes);
    }

    fn push_parts<'a>(
        &mut self,
        log_id: u64,
        previous_end: Offset,
        body: &Body<'_>,
        parts: impl Iterator<Item = &'a Bytes>,
        parts_bytes: usize,
    ) {
        self.body.clear();
        body.encode(&mut self.body);
        let size = HEAD_BYTES + self.body.len() + parts_bytes;
        let start = self.len;
        self.reserve(start + size.next_multiple_of(ALIGN));
        let mut at = start + HEAD_BYTES;
        self.buffer[at..at + self.body.len()].copy_from_slice(&self.body);
        at += self.body.len();
        for part in parts {
            self.buffer[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        assert_eq!(at, start + size, "the parts are as long as was said");
        record::finish(&mut self.buffer[start..at], self.run, body.kind(), log_id, previous_end);
        self.len = size.next_multiple_of(ALIGN) + start;
        self.buffer[at..self.len].fill(0);
        self.records += 1;
    }

    /// Fills in the header and pads to whole blocks. Returns the bytes to write and the header's checksum.
    pub fn finish(&mut self, header: GroupHeader) -> (&[u8], u32) {
        assert_eq!((header.size_bytes, header.records, header.run), (self.len as u64, self.records, self.run));
        let padded = self.len.next_multiple_of(BLOCK);
        self.reserve(padded);
        self.buffer[self.len..self.used.clamp(self.len, padded)].fill(0);
        if self.used <= padded {
            self.used = self.len;
        }
        let crc = header.encode(&mut self.buffer[..SECTOR]);
        (&self.buffer[..padded], crc)
    }

    fn reserve(&mut self, len: usize) {
        let needed = len.next_multiple_of(BLOCK);
        if needed > self.buffer.len() {
            let mut larger = AlignedBuffer::new(needed.next_power_of_two());
            larger[..self.len].copy_from_slice(&self.buffer[..self.len]);
            self.buffer = larger;
        }
    }

    pub fn header(&self, template: GroupHeader, place: Place) -> GroupHeader {
        GroupHeader { size_bytes: self.len as u64, records: self.records, place, run: self.run, ..template }
    }
}
