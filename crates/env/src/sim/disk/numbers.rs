//! A set of numbers that lie close together, as those of a file's pages and those of files do: one bit for each.
use std::collections::BTreeMap;
use std::ops::Range;

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Numbers {
    /// By the upper bits of a number; none of them is zero.
    words: BTreeMap<u64, u64>,
}

impl Numbers {
    /// Whether it was not there before.
    pub fn insert(&mut self, number: u64) -> bool {
        let word = self.words.entry(number / 64).or_default();
        let before = *word;
        *word |= 1 << (number % 64);
        *word != before
    }

    pub fn contains(&self, number: u64) -> bool {
        self.words.get(&(number / 64)).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    pub fn remove(&mut self, number: u64) {
        if let Some(word) = self.words.get_mut(&(number / 64)) {
            *word &= !(1 << (number % 64));
            if *word == 0 {
                self.words.remove(&(number / 64));
            }
        }
    }

    /// Only what is less stays.
    pub fn cut(&mut self, end: u64) {
        let rest = self.words.split_off(&(end / 64));
        if let Some(word) = rest.get(&(end / 64)).map(|word| word & ((1 << (end % 64)) - 1)).filter(|word| *word != 0) {
            self.words.insert(end / 64, word);
        }
    }

    pub fn clear(&mut self) {
        self.words.clear();
    }

    pub fn within(&self, range: Range<u64>) -> impl Iterator<Item = u64> {
        let words = self.words.range(range.start / 64..range.end.div_ceil(64).max(range.start / 64));
        let bits = |(base, word): (&u64, &u64)| {
            let (base, word) = (*base * 64, *word);
            (0..64).filter(move |bit| word & (1 << bit) != 0).map(move |bit| base + bit)
        };
        words.flat_map(bits).filter(move |number| range.contains(number))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sim::Chance;

    #[test]
    fn it_is_a_set() {
        let mut chance = Chance::new(1);
        let (mut numbers, mut truth) = (Numbers::default(), BTreeSet::new());
        for _ in 0..10_000 {
            let number = chance.in_range(0..300);
            match chance.index(40) {
                0..20 => assert_eq!(numbers.insert(number), truth.insert(number)),
                20..39 => {
                    numbers.remove(number);
                    truth.remove(&number);
                }
                _ => {
                    numbers.cut(number);
                    truth.split_off(&number);
                }
            }
            let (one, other) = (chance.in_range(0..310), chance.in_range(0..310));
            let range = one.min(other)..one.max(other);
            assert!(numbers.within(range.clone()).eq(truth.range(range).copied()));
            assert_eq!(numbers.contains(number), truth.contains(&number));
        }
        numbers.insert(u64::MAX);
        assert!(numbers.contains(u64::MAX) && numbers.within(0..u64::MAX).count() == truth.len());
        numbers.clear();
        assert_eq!(numbers, Numbers::default());
    }
}
