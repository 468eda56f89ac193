//! `docs/configuration.md`, made from the tables, so that it cannot say anything else than they do.
use std::fmt::Write as _;

use super::key::{Effect, Key, READ_AT_START, Rule, Unit, UpdateMode};
use super::keys::AREAS;
use super::profile::DEVIATIONS;

const INTRODUCTION: &str = include_str!("page.md");

/// The whole page, as Markdown.
pub fn configuration_page() -> String {
    let mut page = INTRODUCTION.to_owned();
    let line = |page: &mut String, text: String| {
        page.push_str(&text);
        page.push('\n');
    };
    line(&mut page, "\n## Every difference from Kafka's defaults\n".to_owned());
    line(&mut page, "| key | Kafka | `ottla server` | `ottla dev` | why |\n|---|---|---|---|---|".to_owned());
    for deviation in DEVIATIONS {
        let server = deviation.server.map_or("as Kafka".to_owned(), code);
        let dev = deviation.dev.map_or_else(|| server.clone(), code);
        let kafka = deviation.kafka;
        line(&mut page, format!("| `{}` | {kafka} | {server} | {dev} | {} |", deviation.name, deviation.why));
    }
    line(&mut page, "\n## Every key\n".to_owned());
    line(&mut page, legend());
    for area in AREAS {
        line(&mut page, format!("\n### {}\n", area.heading));
        line(
            &mut page,
            "| key | type | default | may be | effect | what it is |\n|---|---|---|---|---|---|".to_owned(),
        );
        for key in area.keys {
            line(&mut page, row(key));
        }
    }
    page
}

fn legend() -> String {
    let count = |of: fn(&Effect) -> bool| AREAS.iter().flat_map(|area| area.keys).filter(|key| of(&key.effect)).count();
    let served = count(|effect| matches!(effect, Effect::Served));
    let without = count(|effect| matches!(effect, Effect::WithoutEffect(_)));
    let refused = count(|effect| matches!(effect, Effect::Refused(_)));
    format!(
        "Of {} keys {served} do what they do in Kafka, {without} are accepted without effect (named in one warning at \
         start), and {refused} are refused unless they have their default, since ignoring them would do harm. \
         `dynamic` keys are those that Kafka can change while it runs.",
        served + without + refused
    )
}

fn row(key: &Key) -> String {
    let mut row = format!("| `{}` | {} | ", key.name, key.kind);
    row.push_str(&key.default.map_or("null".to_owned(), code));
    let unit = match key.unit() {
        Unit::Bytes => "bytes",
        Unit::Count => "",
        Unit::Hours => "hours",
        Unit::Milliseconds => "ms",
        Unit::Minutes => "minutes",
        Unit::Seconds => "seconds",
    };
    let rule = match key.rule {
        Rule::Any => String::new(),
        rule => rule.to_string(),
    };
    let separator = if unit.is_empty() || rule.is_empty() { "" } else { ", " };
    let _ = write!(row, " | {unit}{separator}{rule} | ");
    row.push_str(&match key.effect {
        Effect::Served => "yes".to_owned(),
        Effect::WithoutEffect(why) => format!("none: {why}"),
        Effect::Refused(why) => format!("refused: {why}"),
    });
    let dynamic = match key.update_mode {
        UpdateMode::ReadOnly => "",
        _ if READ_AT_START.contains(&key.name) => " *dynamic in Kafka; here only at the start*",
        UpdateMode::PerBroker | UpdateMode::ClusterWide => " *dynamic*",
    };
    let _ = write!(row, " | {}{dynamic} |", key.documentation);
    row
}

fn code(text: &str) -> String {
    if text.is_empty() { "empty".to_owned() } else { format!("`{text}`") }
}
