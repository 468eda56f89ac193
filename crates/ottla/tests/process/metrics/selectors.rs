//! The metrics that a query of PromQL asks for, and whether a series is one of them. No more of PromQL than dashboards
//! use; what it does not know makes a test fail.
use super::exposition::{Sample, Scraped};

#[derive(Debug)]
pub struct Selector {
    pub name: String,
    matchers: Vec<Matcher>,
}

#[derive(Debug)]
struct Matcher {
    label: String,
    operator: String,
    value: String,
}

/// Labels that Prometheus or Kubernetes gives to a target, and not the broker.
const OF_TARGETS: &[&str] = &[
    "container",
    "env",
    "instance",
    "job",
    "kubernetes_pod_name",
    "namespace",
    "pod",
    "strimzi_io_cluster",
    "strimzi_io_name",
];
const PREFIXES: &[&str] = &["kafka_", "ottla_", "process_"];

/// Of a query.
pub fn selectors(query: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let (bytes, mut at) = (query.as_bytes(), 0);
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'') => at += 2 + query[at + 1..].bytes().position(|byte| byte == quote).expect(query),
            byte if is_letter(byte) => {
                let end = at + bytes[at..].iter().position(|byte| !is_letter(*byte)).unwrap_or(bytes.len() - at);
                let name = &query[at..end];
                if PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                    let matchers = query[end..].strip_prefix('{').map(|rest| rest.split_once('}').expect(query).0);
                    let matchers = matchers.map(matchers_of).unwrap_or_default();
                    found.push(Selector { name: name.to_owned(), matchers });
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    assert!(!found.is_empty(), "no metric in {query}");
    found
}

fn matchers_of(text: &str) -> Vec<Matcher> {
    let matchers = text.split(',').filter(|matcher| !matcher.trim().is_empty());
    matchers
        .map(|matcher| {
            let label_bytes = matcher.find(['=', '!']).expect(matcher);
            let (label, rest) = matcher.split_at(label_bytes);
            let value_at = rest.find(['"', '\'']).expect(matcher);
            let (operator, value) = rest.split_at(value_at);
            Matcher {
                label: label.trim().to_owned(),
                operator: operator.trim().to_owned(),
                value: value.trim().trim_matches(['"', '\'']).to_owned(),
            }
        })
        .filter(|matcher| !OF_TARGETS.contains(&&*matcher.label))
        .collect()
}

/// The labels that a query groups by.
pub fn groupings(query: &str) -> Vec<String> {
    let mut labels = Vec::new();
    for (at, _) in query.match_indices("by") {
        let is_word = query[..at].ends_with([' ', ')']) && query[at + 2..].trim_start().starts_with('(');
        if is_word {
            let inside = query[at + 2..].trim_start()[1..].split_once(')').expect(query).0;
            labels.extend(inside.split(',').map(|label| label.trim().to_owned()));
        }
    }
    labels.retain(|label| !OF_TARGETS.contains(&&**label));
    labels
}

impl Selector {
    pub fn series<'s>(&self, scraped: &'s Scraped) -> Vec<&'s Sample> {
        scraped
            .samples()
            .filter(|sample| sample.name == self.name && self.matchers.iter().all(|m| m.accepts(sample)))
            .collect()
    }
}

impl Matcher {
    fn accepts(&self, sample: &Sample) -> bool {
        let found = sample.labels.get(&self.label).map_or("", |value| &**value);
        // A variable of Grafana is whatever is there; a label that is not there cannot be chosen.
        let holds = self.value.contains('$') && !found.is_empty()
            || match &*self.operator {
                "=" | "!=" => found == self.value,
                "=~" | "!~" if [".*", ".+"].contains(&&*self.value) => self.value == ".*" || !found.is_empty(),
                "=~" | "!~" => {
                    assert!(!self.value.contains(['*', '+', '[', '(']), "a regular expression: {self:?}");
                    self.value.split('|').any(|value| value == found)
                }
                operator => panic!("an operator {operator}"),
            };
        holds != self.operator.starts_with('!')
    }
}
