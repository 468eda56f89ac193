//! Tagged fields (KIP-482): optional fields behind a struct, each with its tag and size, so that readers step over
//! those of a newer schema. Knows how they lie in the frame, not what any of them means.

use bytes::Bytes;

use crate::Reader;

/// A tagged field that the schema does not know, kept so that it survives decoding and encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedField {
    pub tag: u32,
    pub value: Bytes,
}

/// The unknown ones among the tagged fields of a struct, borrowed from the frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnknownTags<'a> {
    // The whole section if an unknown tag was seen in it, with the known ones among them.
    section: &'a [u8],
    count: u32,
}

/// The tagged fields of one struct while a [`Reader`] walks through them.
#[derive(Debug, Default)]
pub struct TagSection<'a> {
    section: &'a [u8],
    count: usize,
    left: usize,
    rest_after_value: usize,
    inside_value: bool,
    unknown: bool,
}

impl UnknownTags<'_> {
    /// Those whose tag is not in `known`.
    pub fn to_fields(self, known: &[u32]) -> Vec<TaggedField> {
        let mut reader = Reader::new(self.section, 0, true);
        let mut fields = Vec::new();
        for _ in 0..self.count {
            let tag = reader.unsigned_varint();
            let size = reader.unsigned_varint() as usize;
            let value = reader.slice(size);
            if !known.contains(&tag) {
                fields.push(TaggedField { tag, value: Bytes::copy_from_slice(value) });
            }
        }
        fields
    }
}

impl<'a> TagSection<'a> {
    pub(crate) fn new(section: &'a [u8], count: usize) -> Self {
        Self { section, count, left: count, ..Self::default() }
    }

    pub(crate) fn advance(&mut self) -> bool {
        let more = self.left > 0;
        self.left = self.left.saturating_sub(1);
        more
    }

    pub(crate) fn enter_value(&mut self, rest_after_value: usize) {
        self.rest_after_value = rest_after_value;
        self.inside_value = true;
    }

    pub(crate) fn is_inside_value(&self) -> bool {
        self.inside_value
    }

    pub(crate) fn rest_after_value(&self) -> usize {
        self.rest_after_value
    }

    pub(crate) fn saw_unknown(&mut self) {
        self.unknown = true;
    }

    pub fn unknown(&self) -> UnknownTags<'a> {
        if !self.unknown {
            return UnknownTags::default();
        }
        UnknownTags { section: self.section, count: self.count as u32 }
    }
}
