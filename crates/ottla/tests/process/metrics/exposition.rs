//! Reads the text formats of Prometheus and is stricter than Prometheus: what OpenMetrics says must, must.
use std::collections::{BTreeMap, BTreeSet};

pub type Labels = BTreeMap<String, String>;

#[derive(Debug)]
pub struct Scraped {
    pub families: BTreeMap<String, Family>,
}

#[derive(Debug)]
pub struct Family {
    pub kind: String,
    pub samples: Vec<Sample>,
}

#[derive(Clone, Debug)]
pub struct Sample {
    pub name: String,
    pub labels: Labels,
    pub value: f64,
}

impl Scraped {
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.families.values().flat_map(|family| &family.samples)
    }

    /// Of the one series with just these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: Labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.samples().find(|sample| sample.name == name && sample.labels == labels).map(|sample| sample.value)
    }
}

pub fn read(text: &str, is_openmetrics: bool) -> Scraped {
    let text = match is_openmetrics {
        true => text.strip_suffix("# EOF\n").expect("OpenMetrics ends with EOF"),
        false => text,
    };
    assert!(text.ends_with('\n') && !text.contains("# EOF"));
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let mut series = BTreeSet::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(comment) = line.strip_prefix("# ") {
            // HELP, then TYPE, then UNIT of the same family, all once and before its samples.
            let (name, help) = comment.strip_prefix("HELP ").and_then(|rest| rest.split_once(' ')).expect(line);
            assert!(!help.is_empty() && !help.ends_with('.'), "{line}");
            let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")).expect("TYPE follows HELP");
            let kind = kind.strip_prefix(name).expect("of the same family").trim();
            assert!(["counter", "gauge", "histogram", "summary", "unknown"].contains(&kind), "{name}: {kind}");
            if let Some(unit) = lines.next_if(|line| line.starts_with("# UNIT ")) {
                let unit = unit.rsplit(' ').next().unwrap();
                assert!(is_openmetrics && name.ends_with(&format!("_{unit}")), "{name}: {unit}");
            }
            current = name.to_owned();
            let family = Family { kind: kind.to_owned(), samples: vec![] };
            assert!(families.insert(current.clone(), family).is_none(), "{name} is there twice");
            continue;
        }
        let sample = sample(line);
        let family = families.get_mut(&current).unwrap_or_else(|| panic!("no family of {line}"));
        let suffix = sample.name.strip_prefix(&*current).unwrap_or_else(|| panic!("{line} is no {current}"));
        let suffixes: &[&str] = match (&*family.kind, is_openmetrics) {
            ("counter", true) => &["_total"],
            ("histogram", _) => &["_bucket", "_count", "_sum"],
            ("summary", _) => &["", "_count", "_sum"],
            _ => &[""],
        };
        assert!(suffixes.contains(&suffix), "{line} in a {}", family.kind);
        assert!(series.insert((sample.name.clone(), sample.labels.clone())), "twice: {line}");
        family.samples.push(sample);
    }
    for (name, family) in &families {
        assert!(!family.samples.is_empty(), "{name} has no samples");
        if family.kind == "histogram" {
            check_histogram(name, family);
        }
        if family.kind == "counter" {
            assert!(family.samples.iter().all(|sample| sample.value >= 0.0), "{name}");
        }
    }
    Scraped { families }
}

fn sample(line: &str) -> Sample {
    let (head, value) = line.rsplit_once(' ').expect(line);
    let value = if value == "+Inf" { f64::INFINITY } else { value.parse().expect(line) };
    let (name, labels) = head.split_once('{').unwrap_or((head, "}"));
    let is_name = |name: &str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    assert!(!name.is_empty() && is_name(name), "{line}");
    let mut rest = labels.strip_suffix('}').expect(line);
    let mut read = Labels::new();
    while !rest.is_empty() {
        let (label, behind) = rest.split_once("=\"").expect(line);
        assert!(is_name(label), "{line}");
        let (value, behind) = quoted(behind);
        assert!(read.insert(label.to_owned(), value).is_none(), "a label twice: {line}");
        rest = behind.strip_prefix(',').unwrap_or(behind);
    }
    Sample { name: name.to_owned(), labels: read, value }
}

/// Up to the closing quote, and what is behind it.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[index + 1..]),
            '\\' => match letters.next().map(|(_, letter)| letter) {
                Some('n') => value.push('\n'),
                Some(letter @ ('\\' | '"')) => value.push(letter),
                other => panic!("an escape of {other:?} in {text}"),
            },
            letter => value.push(letter),
        }
    }
    panic!("no end of {text}");
}

/// Buckets grow, and the last one has all.
fn check_histogram(name: &str, family: &Family) {
    let mut of_each: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    let mut counts: BTreeMap<Labels, f64> = BTreeMap::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        if let Some(bound) = labels.remove("le") {
            assert!(sample.name.ends_with("_bucket"));
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
            of_each.entry(labels).or_default().push((bound, sample.value));
        } else if sample.name.ends_with("_count") {
            counts.insert(labels, sample.value);
        }
    }
    assert_eq!(of_each.len(), counts.len(), "{name}");
    for (labels, buckets) in of_each {
        assert!(buckets.is_sorted_by(|one, other| one.0 < other.0 && one.1 <= other.1), "{name} {labels:?}");
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, counts[&labels])), "{name} {labels:?}");
    }
}
