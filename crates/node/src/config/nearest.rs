//! The known name that somebody probably meant: the one with the fewest typing mistakes.

/// The name nearest to `text`, if it is near: at most a third of its letters differ.
pub(super) fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_ascii_lowercase();
    let close = |name: &&str| (text.len().min(name.len()) / 3).max(1);
    names
        .map(|name| (distance(text.as_bytes(), name.to_ascii_lowercase().as_bytes()), name))
        .filter(|(distance, name)| *distance <= close(name))
        .min()
        .map(|(_, name)| name)
}

/// Letters to put in, take out, exchange, or swap with their neighbour (optimal string alignment).
fn distance(from: &[u8], to: &[u8]) -> usize {
    let mut before = vec![0; to.len() + 1];
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let exchanged = above[column] + usize::from(letter != other);
            let mut least = exchanged.min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *letter == to[column - 1] && from[row - 1] == *other {
                least = least.min(before[column - 1] + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_counted() {
        for (from, to, mistakes) in [("", "abc", 3), ("abc", "abc", 0), ("acb", "abc", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(from.as_bytes(), to.as_bytes()), mistakes, "{from} {to}");
        }
    }

    #[test]
    fn the_nearest_name_is_near_or_none() {
        let names = ["num.partitions", "log.dirs", "log.dir"];
        assert_eq!(nearest("num.partition", names.into_iter()), Some("num.partitions"));
        assert_eq!(nearest("log.dris", names.into_iter()), Some("log.dirs"));
        assert_eq!(nearest("something.else", names.into_iter()), None);
    }
}
