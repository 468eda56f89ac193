//! What the files of a segment are called: exactly as Kafka calls them, so that its tools find what they expect.

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

/// `00000000000000000042.log`
pub fn file_name(base: Offset, kind: FileKind) -> String {
    format!("{:020}{}", base.0, kind.suffix())
}

/// The inverse of `file_name`; `None` for every other name.
pub fn parse_file_name(name: &str) -> Option<(Offset, FileKind)> {
    let (digits, suffix) = name.split_at_checked(DIGITS)?;
    let kind = FileKind::ALL.into_iter().find(|kind| kind.suffix() == suffix)?;
    // `parse` would take a sign.
    let all_digits = digits.bytes().all(|digit| digit.is_ascii_digit());
    let base = digits.parse().ok().filter(|_| all_digits)?;
    Some((Offset(base), kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafka_s_and_come_back() {
        assert_eq!(file_name(Offset(42), FileKind::Log), "00000000000000000042.log");
        for kind in FileKind::ALL {
            let name = file_name(Offset(i64::MAX), kind);
            assert_eq!(parse_file_name(&name), Some((Offset(i64::MAX), kind)));
        }
    }

    #[test]
    fn other_names_are_nobody_s() {
        for name in
            ["", "42.log", "00000000000000000042.log.deleted", "+0000000000000000042.log", "99999999999999999999.log"]
        {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
        assert_eq!(parse_file_name("ä0000000000000000042.log"), None);
    }
}
