//! The one source of chance in the simulator: a small generator whose whole state is its seed (SplitMix64).
//! It is no source of secrets.
use std::ops::Range;

#[derive(Clone, Debug)]
pub struct Chance {
    state: u64,
}

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A generator of its own, so that what one part of the world draws does not shift what another part draws.
    pub fn fork(&mut self) -> Chance {
        Chance::new(self.next_u64())
    }

    /// The range must not be empty.
    pub fn in_range(&mut self, range: Range<u64>) -> u64 {
        assert!(range.start < range.end, "nothing to choose from");
        let span = u128::from(range.end - range.start);
        range.start + ((u128::from(self.next_u64()) * span) >> 64) as u64
    }

    /// An index below `len`, which must not be 0.
    pub fn index(&mut self, len: usize) -> usize {
        self.in_range(0..len as u64) as usize
    }

    /// True with this probability.
    pub fn happens(&mut self, probability: f64) -> bool {
        // 53 bits: every such float is exact.
        ((self.next_u64() >> 11) as f64) < probability * (1u64 << 53) as f64
    }

    /// A span of time: of the usual kind, or, with this probability, of the rare one added.
    pub(crate) fn span(&mut self, usual: &Range<u64>, probability: f64, rare: &Range<u64>) -> u64 {
        let usual = self.in_range(usual.clone());
        if self.happens(probability) { usual + self.in_range(rare.clone()) } else { usual }
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.next_u64().to_le_bytes()[..part.len()]);
        }
    }
}

/// Spreads every bit of the input over the output.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
