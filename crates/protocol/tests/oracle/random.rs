//! Random messages, by a seed. Values are such that every length crosses its boundaries now and then: empty, one,
//! more than a one-byte varint counts; null where the version allows it; known tags set or not, unknown ones between.

use bytes::Bytes;
use protocol::{Message, MessageKind, Records, TaggedField, Uuid};

/// SplitMix64: the same numbers everywhere and for ever.
pub struct Rng {
    state: u64,
    depth: u32,
    flexible: bool,
    pub with_unknown_tags: bool,
    /// Messages of as little as the version allows, but for the array with this number: it has `THIN_ELEMENTS`.
    pub thin: Option<usize>,
    arrays: usize,
}

const THIN_ELEMENTS: usize = 4000;

pub trait Random: Sized {
    fn random(rng: &mut Rng, version: i16) -> Self;
}

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self { state: seed, depth: 0, flexible: false, with_unknown_tags: true, thin: None, arrays: 0 }
    }

    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn nullable<T: Random>(&mut self, version: i16) -> Option<T> {
        if self.one_in(4) { None } else { Some(T::random(self, version)) }
    }

    fn unknown_tags(&mut self, known: &[u32]) -> Vec<TaggedField> {
        if !self.with_unknown_tags || !self.flexible || !self.one_in(6) {
            return Vec::new();
        }
        let mut tags: Vec<u32> = (0..1 + self.below(3)).map(|_| self.next() as u32 >> (1 + self.below(31))).collect();
        tags.retain(|tag| !known.contains(tag));
        tags.sort_unstable();
        tags.dedup();
        tags.into_iter().map(|tag| TaggedField { tag, value: Bytes::random(self, 0) }).collect()
    }

    fn length(&mut self) -> usize {
        match self.below(24) {
            _ if self.thin.is_some() => 0,
            0..6 => 0,
            6..23 => 1 + self.below(20),
            _ => 120 + self.below(200), // Around and above what one byte of varint counts.
        }
    }
}

/// A random message as bytes.
fn encoded<M: Message + Random>(rng: &mut Rng, version: i16) -> Vec<u8> {
    (rng.flexible, rng.arrays) = (M::is_flexible(version), 0);
    let message = M::random(rng, version);
    let mut out = Vec::new();
    message.encode(version, &mut out).unwrap_or_else(|error| panic!("{} v{version}: {error}: {message:?}", M::NAME));
    assert_eq!(M::decode(version, &out).as_ref(), Ok(&message), "{} v{version}: {out:02x?}", M::NAME);
    out
}

macro_rules! random_numbers {
    ($($type:ty)*) => { $(
        impl Random for $type {
            fn random(rng: &mut Rng, _version: i16) -> Self {
                match rng.below(8) {
                    0 => 0,
                    1 => <$type>::MIN,
                    2 => <$type>::MAX,
                    _ => (rng.next() >> rng.below(64)) as $type,
                }
            }
        }
    )* };
}

random_numbers! { i8 i16 u16 i32 u32 i64 }

impl Random for bool {
    fn random(rng: &mut Rng, _version: i16) -> Self {
        rng.one_in(2)
    }
}

impl Random for f64 {
    fn random(rng: &mut Rng, _version: i16) -> Self {
        rng.next() as u32 as f64 / 64.0 - 1e6
    }
}

impl Random for Uuid {
    fn random(rng: &mut Rng, _version: i16) -> Self {
        let half = |rng: &mut Rng| u128::from(rng.next());
        Self(if rng.one_in(4) { [0; 16] } else { (half(rng) << 64 | half(rng)).to_be_bytes() })
    }
}

impl Random for String {
    fn random(rng: &mut Rng, _version: i16) -> Self {
        const LETTERS: [char; 12] = ['a', 'b', 'Z', '0', '.', '_', '-', '"', '\\', 'é', '水', '𝄞'];
        (0..rng.length()).map(|_| LETTERS[rng.below(LETTERS.len())]).collect()
    }
}

impl Random for Bytes {
    fn random(rng: &mut Rng, _version: i16) -> Self {
        (0..rng.length()).map(|_| rng.next() as u8).collect()
    }
}

impl Random for Records {
    fn random(rng: &mut Rng, version: i16) -> Self {
        Self::Here(Bytes::random(rng, version))
    }
}

impl<T: Random> Random for Vec<T> {
    fn random(rng: &mut Rng, version: i16) -> Self {
        rng.depth += 1;
        // Large arrays only where few other arrays are around, so that a message stays small.
        let large = rng.depth == 1 && rng.one_in(12);
        rng.arrays += 1;
        let length = match rng.thin {
            Some(array) if array + 1 == rng.arrays => THIN_ELEMENTS,
            Some(_) => 0,
            None if large => 100 + rng.below(200),
            None => rng.below(4),
        };
        rng.depth += u32::from(large);
        let elements = (0..length).map(|_| T::random(rng, version)).collect();
        rng.depth -= 1 + u32::from(large);
        elements
    }
}

include!(concat!(env!("OUT_DIR"), "/oracle_random.rs"));
