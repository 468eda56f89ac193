//! What is counted by who uses it, within a bound on how many are counted.
use std::hash::Hash;

use rustc_hash::FxHashMap;

/// So many are counted one by one; when there are more at a time, the others together may use what one may.
pub const COUNTED_MAX: usize = 65_536;

/// That of `key`, or of `others` while there are too many.
pub fn entry<K: Eq + Hash, T>(
    counted: &mut FxHashMap<K, T>,
    mut key: K,
    others: K,
    mut is_forgotten: impl FnMut(&mut T) -> bool,
    make: impl FnOnce() -> T,
) -> &mut T {
    if counted.len() >= COUNTED_MAX && !counted.contains_key(&key) {
        counted.retain(|_, used| !is_forgotten(used));
        if counted.len() >= COUNTED_MAX {
            key = others;
        }
    }
    counted.entry(key).or_insert_with(make)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_beyond_the_bound_are_counted_together() {
        let mut counted: FxHashMap<usize, u32> = FxHashMap::default();
        for number in 1..=COUNTED_MAX + 10 {
            *entry(&mut counted, number, 0, |_| false, || 0) += 1;
        }
        assert_eq!((counted.len(), counted[&0]), (COUNTED_MAX + 1, 10));
        *entry(&mut counted, COUNTED_MAX + 11, 0, |_| true, || 0) += 1;
        assert_eq!(counted.len(), 1);
    }
}
