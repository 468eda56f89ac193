//! From what somebody wrote to what a key means: types, units, rules, as Kafka's `ConfigDef` has them, plus human sizes
//! and durations. The answer is the value as Kafka would print it.
use std::fmt;

use super::key::{Key, Kind, Rule, Unit};

/// Why a value is wrong, and what to write instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wrong {
    pub rule: String,
    pub remedy: String,
}

/// What may stand behind a number, and how many of the smallest unit that is.
struct Suffixes {
    /// Name of the smallest unit.
    noun: &'static str,
    example: &'static str,
    units: &'static [(&'static str, u64)],
}

const SIZES: Suffixes = Suffixes {
    noun: "bytes",
    example: "1048576 or 1MiB",
    units: &[
        ("b", 1),
        ("kb", 1000),
        ("mb", 1_000_000),
        ("gb", 1_000_000_000),
        ("tb", 1_000_000_000_000),
        ("kib", 1 << 10),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("tib", 1 << 40),
    ],
};

/// In nanoseconds.
const DURATIONS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("min", 60 * 1_000_000_000),
    ("h", 3600 * 1_000_000_000),
    ("d", 24 * 3600 * 1_000_000_000),
    ("w", 7 * 24 * 3600 * 1_000_000_000),
];

impl Key {
    /// Checks a value and brings it into the form that Kafka prints.
    pub fn parse(&self, text: &str) -> Result<String, Wrong> {
        let text = text.trim();
        match self.kind {
            Kind::Boolean => boolean(text),
            Kind::Class | Kind::Password | Kind::String => self.text(text),
            Kind::Double => self.double(text),
            Kind::Int => self.integer(text, i64::from(i32::MIN), i64::from(i32::MAX)),
            Kind::List => self.list(text),
            Kind::Long => self.integer(text, i64::MIN, i64::MAX),
            Kind::Short => self.integer(text, i64::from(i16::MIN), i64::from(i16::MAX)),
        }
    }

    fn integer(&self, text: &str, least: i64, most: i64) -> Result<String, Wrong> {
        let unit = self.unit();
        let (noun, example) = match unit {
            Unit::Bytes => (SIZES.noun, SIZES.example),
            Unit::Count => ("", "10"),
            Unit::Hours => ("hours", "24 or 1d"),
            Unit::Milliseconds => ("milliseconds", "10000 or 10s"),
            Unit::Minutes => ("minutes", "60 or 1h"),
            Unit::Seconds => ("seconds", "60 or 1m"),
        };
        let of = if noun.is_empty() { String::new() } else { format!(" of {noun}") };
        let wrong = |rule: String| Wrong { rule, remedy: format!("write a number such as {example}") };
        let value = match text.parse::<i64>() {
            Ok(value) => Some(value),
            // Java's parseInt takes a leading plus and so does Rust's; neither takes anything else.
            Err(_) => with_suffix(text, unit),
        };
        let Some(value) = value else { return Err(wrong(format!("must be a whole number{of}"))) };
        let fits = match self.rule {
            Rule::AtLeast(least) => value >= least,
            Rule::Between(least, most) => (least..=most).contains(&value),
            Rule::LevelOrDefault(least, most) => value == -1 || (least..=most).contains(&value),
            _ => true,
        };
        if !(least..=most).contains(&value) {
            return Err(wrong(format!("must be a whole number{of} from {least} to {most}")));
        }
        if !fits {
            let rule = format!("must be a whole number{of}, {}", self.rule);
            return Err(Wrong { rule, remedy: self.nearest(value) });
        }
        Ok(value.to_string())
    }

    /// The remedy for a number outside its bounds.
    fn nearest(&self, value: i64) -> String {
        let bound = match self.rule {
            Rule::AtLeast(least) => least,
            Rule::Between(least, most) | Rule::LevelOrDefault(least, most) => value.clamp(least, most),
            _ => value,
        };
        format!("write {}={bound}", self.name)
    }

    fn double(&self, text: &str) -> Result<String, Wrong> {
        let sized = || (self.unit() == Unit::Bytes).then(|| with_suffix(text, Unit::Bytes)).flatten();
        let value = text.parse().ok().or_else(|| sized().map(|value| value as f64));
        let rule = match self.rule {
            Rule::Any => "must be a number".to_owned(),
            rule => format!("must be a number {rule}"),
        };
        let value = value.filter(|value: &f64| match self.rule {
            Rule::FractionUpTo(most) => (0.0..=most).contains(value),
            _ => value.is_finite(),
        });
        let wrong = Wrong { rule, remedy: format!("write a number such as {}", self.default.unwrap_or("0.5")) };
        value.map(java_double).ok_or(wrong)
    }

    /// Kafka takes an element that stands twice for one (KIP-1161).
    fn list(&self, text: &str) -> Result<String, Wrong> {
        let wrong = |rule: String, remedy: String| Err(Wrong { rule, remedy });
        if text.is_empty() {
            return match self.rule {
                Rule::NotEmpty => wrong("must not be empty".to_owned(), "write a value, or take it out".to_owned()),
                Rule::SomeElements(names) => wrong(format!("must be {}", self.rule), choose(text, names)),
                _ => Ok(String::new()),
            };
        }
        let mut elements: Vec<&str> = Vec::new();
        for element in text.split(',').map(str::trim) {
            if element.is_empty() {
                let rule = "must be a list without empty elements".to_owned();
                return wrong(rule, "take the superfluous comma out".to_owned());
            }
            if let Rule::Elements(names) | Rule::SomeElements(names) = self.rule
                && !names.contains(&element)
            {
                return wrong(format!("must be {}, and {element} is none of them", self.rule), choose(element, names));
            }
            if !elements.contains(&element) {
                elements.push(element);
            }
        }
        Ok(elements.join(","))
    }

    fn text(&self, text: &str) -> Result<String, Wrong> {
        match self.rule {
            Rule::NotEmpty if text.is_empty() => Err(Wrong {
                rule: "must not be empty".to_owned(),
                remedy: "write a value, or take the line out".to_owned(),
            }),
            Rule::OneOf(names) if !names.contains(&text) => {
                Err(Wrong { rule: format!("must be {}", self.rule), remedy: choose(text, names) })
            }
            Rule::OneOfInAnyCase(names) if !names.iter().any(|name| name.eq_ignore_ascii_case(text)) => {
                Err(Wrong { rule: format!("must be {}", self.rule), remedy: choose(text, names) })
            }
            _ => Ok(text.to_owned()),
        }
    }
}

fn boolean(text: &str) -> Result<String, Wrong> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Ok("true".to_owned()),
        _ if text.eq_ignore_ascii_case("false") => Ok("false".to_owned()),
        _ => Err(Wrong { rule: "must be true or false".to_owned(), remedy: "write true or false".to_owned() }),
    }
}

fn choose(text: &str, names: &[&str]) -> String {
    match super::nearest::nearest(text, names.iter().copied()) {
        Some(name) => format!("did you mean {name}?"),
        None => format!("write {}", names.join(" or ")),
    }
}

/// A number with a suffix, in the unit of the key. `None` if it is none, or does not come out whole.
fn with_suffix(text: &str, unit: Unit) -> Option<i64> {
    let (units, base): (&[(&str, u64)], u64) = match unit {
        Unit::Count => return None,
        Unit::Bytes => (SIZES.units, 1),
        Unit::Hours => (DURATIONS, 3600 * 1_000_000_000),
        Unit::Milliseconds => (DURATIONS, 1_000_000),
        Unit::Minutes => (DURATIONS, 60 * 1_000_000_000),
        Unit::Seconds => (DURATIONS, 1_000_000_000),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, suffix) = (&text[..end], text[end..].trim_start().to_ascii_lowercase());
    let factor = units.iter().find(|(name, _)| *name == suffix)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 9 || number.ends_with('.') {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scaled = digits.checked_mul(u128::from(factor))?;
    let divisor = 10u128.pow(fraction.len() as u32) * u128::from(base);
    if scaled % divisor != 0 {
        return None;
    }
    i64::try_from(scaled / divisor).ok()
}

/// As Java's `Double.toString` prints it.
fn java_double(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        let text = format!("{value:E}");
        let (mantissa, exponent) = text.split_once('E').expect("the format asks for an exponent");
        let point = if mantissa.contains('.') { "" } else { ".0" };
        return format!("{mantissa}{point}E{exponent}");
    }
    let text = value.to_string();
    if text.contains('.') { text } else { format!("{text}.0") }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.rule, self.remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::{all, key};

    fn parse(name: &str, text: &str) -> Result<String, String> {
        key(name).unwrap().parse(text).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn sizes_and_durations_take_units_where_a_number_is_expected() {
        let right = [
            ("log.segment.bytes", "1GiB", "1073741824"),
            ("log.segment.bytes", "1.5 gib", "1610612736"),
            ("log.segment.bytes", "2MB", "2000000"),
            ("log.segment.bytes", " 1048576 ", "1048576"),
            ("log.retention.ms", "7d", "604800000"),
            ("log.retention.ms", "-1", "-1"),
            ("log.retention.hours", "1w", "168"),
            ("offsets.retention.minutes", "2h", "120"),
            ("leader.imbalance.check.interval.seconds", "5m", "300"),
            ("log.cleaner.io.max.bytes.per.second", "1MiB", "1048576.0"),
            ("offsets.load.buffer.size", "5MiB", "5242880"),
        ];
        for (name, text, value) in right {
            assert_eq!(parse(name, text), Ok(value.to_owned()), "{name}={text}");
        }
        let wrong = [
            ("log.segment.bytes", "1G"),      // Of which kind?
            ("log.segment.bytes", "1.3B"),    // Not whole.
            ("log.segment.bytes", "3GiB"),    // An int in Kafka.
            ("log.segment.bytes", "1023KiB"), // Below the least.
            ("log.retention.hours", "90m"),
            ("log.retention.ms", "10 parsecs"),
            ("group.max.size", "1KiB"), // Counts members.
            ("log.retention.ms", "1e3"),
            ("log.retention.ms", ""),
            ("log.retention.ms", "9999999999999999999999999999999999999999999d"),
            ("log.retention.ms", ".d"),
            ("log.retention.ms", "1.d"),
        ];
        for (name, text) in wrong {
            assert!(parse(name, text).is_err(), "{name}={text}");
        }
    }

    #[test]
    fn a_wrong_value_says_rule_and_remedy() {
        let wrong = |name, text| parse(name, text).unwrap_err();
        assert_eq!(
            wrong("log.segment.bytes", "10"),
            "must be a whole number of bytes, at least 1048576; write log.segment.bytes=1048576"
        );
        assert_eq!(
            wrong("log.retention.ms", "soon"),
            "must be a whole number of milliseconds; write a number such as 10000 or 10s"
        );
        assert_eq!(wrong("auto.create.topics.enable", "yes"), "must be true or false; write true or false");
        assert_eq!(
            wrong("compression.type", "ztsd"),
            "must be one of uncompressed, zstd, lz4, snappy, gzip, producer; did you mean zstd?"
        );
        assert_eq!(
            wrong("log.cleanup.policy", "remove"),
            "must be any of compact, delete, and remove is none of them; write compact or delete"
        );
        assert_eq!(
            wrong("compression.gzip.level", "0"),
            "must be a whole number, -1, or from 1 to 9; write compression.gzip.level=1"
        );
    }

    #[test]
    fn lists_are_trimmed_and_name_nothing_twice() {
        assert_eq!(parse("log.dirs", " /a , /b,/a").unwrap(), "/a,/b");
        assert!(parse("log.dirs", "/a,").is_err());
        assert!(parse("log.dirs", "").is_err());
        assert_eq!(parse("log.cleanup.policy", "").unwrap(), "");
    }

    #[test]
    fn every_default_is_a_right_value_and_its_own_canonical_form() {
        for key in all() {
            if let Some(default) = key.default {
                assert_eq!(key.parse(default).as_deref(), Ok(default), "{}", key.name);
            }
        }
    }
}
