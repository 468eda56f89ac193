//! `docs/monitoring.md`, made from the tables, so that it cannot say anything else than they do.
use super::families::SECTIONS;
use super::family::{Dialect, Family, Kind};

const INTRODUCTION: &str = include_str!("page.md");

/// The whole page, as Markdown.
pub fn monitoring_page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in SECTIONS {
        page.push_str(&format!("\n### {}\n\n", section.heading));
        page.push_str("| name | dialect | type | unit | labels | what it is |\n|---|---|---|---|---|---|\n");
        section.families.iter().for_each(|family| page.push_str(&row(family)));
    }
    page
}

fn row(family: &Family) -> String {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Summary => "summary",
    };
    let dialect = match family.dialect {
        Dialect::KafkaExporter => "kafka-exporter",
        Dialect::KafkaLagExporter => "kafka-lag-exporter",
        Dialect::Ottla => "",
        Dialect::Strimzi => "strimzi, confluent",
    };
    let confluent = family.confluent.map(|name| format!("; confluent: `{name}`")).unwrap_or_default();
    let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
    format!(
        "| `{}`{confluent} | {dialect} | {kind} | {} | {} | {} |\n",
        family.name,
        family.unit.unwrap_or(""),
        labels.join(", "),
        family.help
    )
}
