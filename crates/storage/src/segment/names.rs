//! What the files of a segment are called: exactly as Kafka calls them, so that its tools find what they expect. What
//! compaction writes in a segment's place has its generation in the name: old and new are never taken for each other.

use record::Offset;

/// The files that share the name of a segment.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum FileKind {
    Log,
    OffsetIndex,
    ProducerSnapshot,
    TimeIndex,
    TransactionIndex,
}

/// As many as the greatest offset has.
const DIGITS: usize = 20;

impl FileKind {
    pub const ALL: [FileKind; 5] = [
        FileKind::Log,
        FileKind::OffsetIndex,
        FileKind::ProducerSnapshot,
        FileKind::TimeIndex,
        FileKind::TransactionIndex,
    ];

    pub const fn suffix(self) -> &'static str {
        match self {
            FileKind::Log => ".log",
            FileKind::OffsetIndex => ".index",
            FileKind::ProducerSnapshot => ".snapshot",
            FileKind::TimeIndex => ".timeindex",
            FileKind::TransactionIndex => ".txnindex",
        }
    }
}

/// `00000000000000000042.log`, or `00000000000000000042.3.log` after the third compaction.
pub fn file_name(base: Offset, generation: u32, kind: FileKind) -> String {
    let suffix = kind.suffix();
    if generation == 0 { format!("{:020}{suffix}", base.0) } else { format!("{:020}.{generation}{suffix}", base.0) }
}

/// The inverse of `file_name`; `None` for every other name.
pub fn parse_file_name(name: &str) -> Option<(Offset, u32, FileKind)> {
    let (digits, rest) = name.split_at_checked(DIGITS)?;
    // `parse` would take a sign.
    let all_digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    let base = digits.parse().ok().filter(|_| all_digits(digits))?;
    let find = |suffix: &str| FileKind::ALL.into_iter().find(|kind| kind.suffix() == suffix);
    if let Some(kind) = find(rest) {
        return Some((Offset(base), 0, kind));
    }
    let (generation, suffix) = rest.strip_prefix('.')?.split_at(rest.rfind('.')?.checked_sub(1)?);
    let canonical = all_digits(generation) && !generation.starts_with('0');
    Some((Offset(base), generation.parse().ok().filter(|_| canonical)?, find(suffix)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafka_s_and_come_back() {
        assert_eq!(file_name(Offset(42), 0, FileKind::Log), "00000000000000000042.log");
        assert_eq!(file_name(Offset(42), 3, FileKind::TimeIndex), "00000000000000000042.3.timeindex");
        for (kind, generation) in FileKind::ALL.into_iter().zip([0, 1, 10, u32::MAX, 2]) {
            let name = file_name(Offset(i64::MAX), generation, kind);
            assert_eq!(parse_file_name(&name), Some((Offset(i64::MAX), generation, kind)));
        }
    }

    #[test]
    fn other_names_are_nobody_s() {
        for name in [
            "",
            "42.log",
            "00000000000000000042.log.deleted",
            "+0000000000000000042.log",
            "99999999999999999999.log",
            "00000000000000000042.0.log",
            "00000000000000000042.+1.log",
            "00000000000000000042..log",
            "00000000000000000042.4294967296.log",
            "00000000000000000042.1.1.log",
            "00000000000000000042",
        ] {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
        assert_eq!(parse_file_name("ä0000000000000000042.log"), None);
    }
}
