//! Which shapes the tests have shown to a codec: each nullable field null and not, each array and string empty and
//! filled, each tagged field set and not. What there is to be shown comes from the schema, so that nothing is forgotten.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use bytes::Bytes;
use protocol::{Message, MessageKind, Records, TaggedField, Uuid};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    Empty,
    Filled,
    /// More than a varint of one byte counts.
    Long,
    Null,
    TagDefault,
    TagSet,
    UnknownTags,
}

/// A field (or, for unknown tags, a struct) and its shape.
pub type FieldShape = (&'static str, Shape);

pub struct Expected {
    pub shape: FieldShape,
    pub versions: RangeInclusive<i16>,
}

#[derive(Default)]
pub struct Seen(HashSet<FieldShape>);

impl Seen {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What the version can show and has not.
    pub fn missing(&self, kind: MessageKind, version: i16) -> Vec<FieldShape> {
        let expected = expected(kind).iter().filter(|expected| expected.versions.contains(&version));
        expected.map(|expected| expected.shape).filter(|shape| !self.0.contains(shape)).collect()
    }

    fn see(&mut self, field: &'static str, shape: Shape) {
        self.0.insert((field, shape));
    }

    fn length(&mut self, field: &'static str, length: usize) {
        self.see(field, if length == 0 { Shape::Empty } else { Shape::Filled });
        if length >= 128 {
            self.see(field, Shape::Long);
        }
    }

    fn tag(&mut self, field: &'static str, is_set: bool) {
        self.see(field, if is_set { Shape::TagSet } else { Shape::TagDefault });
    }

    fn unknown_tags(&mut self, part: &'static str, tags: &[TaggedField]) {
        if !tags.is_empty() {
            self.see(part, Shape::UnknownTags);
        }
    }
}

fn walk_through<M: Message + Walk>(version: i16, bytes: &[u8], seen: &mut Seen) {
    M::decode(version, bytes).unwrap_or_else(|error| panic!("{} v{version}: {error}", M::NAME)).walk(seen);
}

/// Structs look at their fields; all else has none.
trait Walk {
    fn walk(&self, _seen: &mut Seen) {}
}

trait HasShape {
    fn shape(&self, field: &'static str, seen: &mut Seen);
}

impl<T: Walk> HasShape for T {
    fn shape(&self, _field: &'static str, seen: &mut Seen) {
        self.walk(seen);
    }
}

macro_rules! without_fields {
    ($($type:ty)*) => { $( impl Walk for $type {} )* };
}

without_fields! { bool i8 i16 u16 i32 u32 i64 f64 Uuid }

impl<T: HasShape> HasShape for Option<T> {
    fn shape(&self, field: &'static str, seen: &mut Seen) {
        match self {
            Some(value) => value.shape(field, seen),
            None => seen.see(field, Shape::Null),
        }
    }
}

impl<T: HasShape> HasShape for Vec<T> {
    fn shape(&self, field: &'static str, seen: &mut Seen) {
        seen.length(field, self.len());
        self.iter().for_each(|element| element.shape("", seen));
    }
}

macro_rules! with_length {
    ($($type:ty)*) => { $(
        impl HasShape for $type {
            fn shape(&self, field: &'static str, seen: &mut Seen) {
                seen.length(field, self.len());
            }
        }
    )* };
}

with_length! { String Bytes Records }

include!(concat!(env!("OUT_DIR"), "/oracle_shapes.rs"));
