//! Plain facts about a segment and the batches in it, as they go from the appender to the files and into a checkpoint.

use record::{BatchHeader, BatchView, Offset, Timestamp};

/// Where a batch lies, and what indexes and retention need of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BatchPlace {
    pub base_offset: Offset,
    pub last_offset: Offset,
    pub max_timestamp: Timestamp,
    pub position: u32,
    pub size_bytes: u32,
}

/// All that must be known of a segment without opening its files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Summary {
    pub base_offset: Offset,
    /// How often compaction has written it anew: part of its files' names.
    pub generation: u32,
    /// After the last batch; the base of an empty segment.
    pub end_offset: Offset,
    pub size_bytes: u32,
    pub created: Timestamp,
    /// The greatest timestamp of the first batch: time-based rolling goes by it. NONE if there is none.
    pub first_timestamp: Timestamp,
    /// NONE if no record has a timestamp.
    pub max_timestamp: Timestamp,
    /// The last offset of the first batch that has it.
    pub max_timestamp_offset: Offset,
}

/// How far the file reaches without a hole: a boundary of batches. What lies beyond it is in the tail, or is written
/// while something before it is not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Written {
    pub position: u32,
    pub offset: Offset,
}

impl BatchPlace {
    pub fn of(batch: &BatchView<'_>, position: u32) -> BatchPlace {
        BatchPlace::of_header(&BatchHeader::of(batch), position)
    }

    pub fn of_header(header: &BatchHeader, position: u32) -> BatchPlace {
        BatchPlace {
            base_offset: header.base_offset(),
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp(),
            position,
            // A length field has 31 bits, and a segment's positions too.
            size_bytes: header.size_bytes() as u32,
        }
    }

    pub fn end(&self) -> Written {
        Written { position: self.position + self.size_bytes, offset: self.last_offset.next() }
    }
}

impl Summary {
    pub fn empty(base_offset: Offset, created: Timestamp) -> Summary {
        Summary {
            base_offset,
            generation: 0,
            end_offset: base_offset,
            size_bytes: 0,
            created,
            first_timestamp: Timestamp::NONE,
            max_timestamp: Timestamp::NONE,
            max_timestamp_offset: Offset::NONE,
        }
    }

    /// Takes note of the batch that follows.
    pub fn add(&mut self, place: &BatchPlace) {
        assert_eq!(place.position, self.size_bytes, "a batch goes where the one before it ended");
        if self.size_bytes == 0 {
            self.first_timestamp = place.max_timestamp;
        }
        if place.max_timestamp > self.max_timestamp {
            (self.max_timestamp, self.max_timestamp_offset) = (place.max_timestamp, place.last_offset);
        }
        let end = place.end();
        (self.size_bytes, self.end_offset) = (end.position, end.offset);
    }

    /// All of it.
    pub fn end(&self) -> Written {
        Written { position: self.size_bytes, offset: self.end_offset }
    }

    /// What retention goes by. Kafka takes the time of the file's last change where no record has a timestamp; the
    /// time of its making is what we know without asking the disk.
    pub fn largest_timestamp(&self) -> Timestamp {
        if self.max_timestamp.is_none() { self.created } else { self.max_timestamp }
    }
}
