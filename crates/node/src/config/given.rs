//! What somebody wrote, from the file, the variables and the command line: which key each of it means, and whether
//! there is such a key. Knows nothing of listeners and of what values mean together.
use super::keys::{self, Foreign};
use super::nearest::nearest;
use super::problem::Problem;
use super::properties;
use super::settings::{Settings, Source, written};
use super::{Sources, profile::Profile};

/// Variables of Kafka's images that are no keys (`docker/resources/common-scripts`, `KafkaDockerWrapper`).
const NOT_KEYS: &[&str] = &[
    "KAFKA_BOOTSTRAP_SERVERS",
    "KAFKA_CLUSTER_ID",
    "KAFKA_DEBUG",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_HEAP_OPTS",
    "KAFKA_HOME",
    "KAFKA_JMX_HOSTNAME",
    "KAFKA_JMX_OPTS",
    "KAFKA_JMX_PORT",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_OPTS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    "KAFKA_USER",
    "KAFKA_VERSION",
];

/// Values in the order of their sources, the weakest first, and what there is to say about them.
#[derive(Default)]
pub(super) struct Given {
    pub problems: Vec<Problem>,
    pub notes: Vec<String>,
    without_effect: Vec<(&'static str, &'static str)>,
}

impl Given {
    /// Puts all sources, one over the other, into `settings`.
    pub fn gather(sources: &Sources<'_>, settings: &mut Settings) -> Given {
        let mut given = Given::default();
        if sources.profile == Profile::Dev {
            for (name, value) in sources.profile.values() {
                settings.set(name, value.to_owned(), Source::Profile);
            }
        }
        given.file(sources, settings);
        given.variables(sources, settings);
        given.overrides(sources, settings);
        given.note_keys_without_effect(settings);
        given
    }

    fn file(&mut self, sources: &Sources<'_>, settings: &mut Settings) {
        let Some((file, bytes)) = sources.file else { return };
        let place = |settings: &Settings, line| settings.place(&Source::File { line });
        let entries = match properties::parse(bytes) {
            Ok(entries) => entries,
            Err(properties::BadEscape { line }) => {
                self.problems.push(Problem {
                    subject: place(settings, line),
                    rule: "has a \\u that four hexadecimal digits do not follow, or ends in a backslash".to_owned(),
                    remedy: "write \\\\ for a backslash".to_owned(),
                });
                return;
            }
        };
        for (index, entry) in entries.iter().enumerate() {
            if let Some(earlier) = entries[..index].iter().find(|earlier| earlier.name == entry.name) {
                let (name, place, earlier) = (&entry.name, place(settings, entry.line), earlier.line);
                self.notes
                    .push(format!("{place}: {name} was set in line {earlier} of {file} already; the last counts"));
            }
            self.take(&entry.name, &entry.value, Source::File { line: entry.line }, sources, settings);
        }
    }

    fn variables(&mut self, sources: &Sources<'_>, settings: &mut Settings) {
        for (variable, value) in sources.variables {
            let name = match variable.as_str() {
                "CLUSTER_ID" => "ottla.cluster.id".to_owned(),
                _ if is_no_key(variable) => continue,
                _ => match variable.strip_prefix("KAFKA_CFG_").or_else(|| variable.strip_prefix("KAFKA_")) {
                    Some(rest) => key_of_variable(rest),
                    None => continue,
                },
            };
            self.take(&name, value, Source::Variable(variable.clone()), sources, settings);
        }
    }

    fn overrides(&mut self, sources: &Sources<'_>, settings: &mut Settings) {
        for written in sources.overrides {
            match written.split_once('=') {
                Some((name, value)) => self.take(name.trim(), value, Source::Override, sources, settings),
                None => self.problems.push(Problem {
                    subject: format!("--override {written}"),
                    rule: "must be a key and a value".to_owned(),
                    remedy: format!("write --override {written}=VALUE"),
                }),
            }
        }
    }

    fn take(&mut self, name: &str, text: &str, source: Source, sources: &Sources<'_>, settings: &mut Settings) {
        let place = settings.place(&source);
        let of_listener = keys::served_of_listener(name);
        let Some(key) = keys::key(name).or(of_listener) else {
            return self.unknown(name, text, &place, sources.strict);
        };
        match key.parse(text) {
            Ok(value) if of_listener.is_some() => settings.set_of_listener(name, value, source),
            Ok(value) => settings.set(key.name, value, source),
            Err(wrong) => self.problems.push(Problem {
                subject: match of_listener {
                    Some(_) => format!("{name}={text} ({place})"),
                    None => format!("{} ({place})", written(key, Some(text))),
                },
                rule: wrong.rule,
                remedy: match key.default {
                    Some(default) if !default.is_empty() => {
                        let remedy = wrong.remedy.trim_end_matches(", or take it out");
                        format!("{remedy}, or take it out: the default is {default}")
                    }
                    _ => wrong.remedy,
                },
            }),
        }
    }

    fn unknown(&mut self, name: &str, text: &str, place: &str, strict: bool) {
        match keys::foreign(name) {
            Some(Foreign::Removed(why)) => {
                self.notes.push(format!("{place}: {name} is no key of Kafka 4 any more: {why}"));
            }
            Some(Foreign::Prefixed(why)) => self.notes.push(format!("{place}: {name} has no effect: {why}")),
            Some(Foreign::Refused(why)) => self.problems.push(Problem {
                subject: format!("{name}={text} ({place})"),
                rule: format!("cannot be kept: {why}"),
                remedy: "take it out if everybody who reaches a listener may do everything".to_owned(),
            }),
            None => {
                let near = nearest(name, keys::all().iter().map(|key| key.name));
                let meant = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
                if strict {
                    self.problems.push(Problem {
                        subject: format!("{name} ({place})"),
                        rule: "is no key of Kafka 4.4 or of Ottla, and --strict allows no others".to_owned(),
                        remedy: near.map_or("take it out".to_owned(), |near| format!("did you mean {near}?")),
                    });
                } else {
                    self.notes
                        .push(format!("{place}: {name} is no key of Kafka 4.4 or of Ottla and is ignored{meant}"));
                }
            }
        }
    }

    /// One warning for all of them, by reason; refused ones become problems.
    fn note_keys_without_effect(&mut self, settings: &Settings) {
        use super::key::Effect::{Refused, Served, WithoutEffect};
        for setting in settings.iter().filter(|setting| setting.source.is_written()) {
            match setting.key.effect {
                Served => {}
                WithoutEffect(why) => self.without_effect.push((why, setting.key.name)),
                Refused(_) if setting.value == setting.key.default => {}
                Refused(why) => self.problems.push(Problem {
                    subject: settings.subject(setting.key.name),
                    rule: format!("cannot be kept: {why}"),
                    remedy: "take it out".to_owned(),
                }),
            }
        }
        self.without_effect.sort();
        let reasons = self.without_effect.chunk_by(|(left, _), (right, _)| left == right).map(|group| {
            let names: Vec<&str> = group.iter().map(|(_, name)| *name).collect();
            format!("{} ({})", names.join(", "), group[0].0)
        });
        let reasons: Vec<String> = reasons.collect();
        if !reasons.is_empty() {
            self.notes.push(format!("keys of Kafka's without effect in Ottla: {}", reasons.join("; ")));
        }
    }
}

/// Kafka's images turn `_` into `.`, `__` into `_`, `___` into `-`.
fn key_of_variable(rest: &str) -> String {
    let mut name = String::new();
    let mut letters = rest.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '_' {
            name.extend(letter.to_lowercase());
            continue;
        }
        let mut count = 1;
        while count < 3 && letters.next_if_eq(&'_').is_some() {
            count += 1;
        }
        name.push(match count {
            1 => '.',
            2 => '_',
            _ => '-',
        });
    }
    name
}

/// What Kubernetes sets for a service named kafka (`KAFKA_PORT=tcp://...`) must not stop a broker, nor be warned of.
fn is_no_key(variable: &str) -> bool {
    let of_service = ["KAFKA_PORT", "KAFKA_SERVICE_"].iter().any(|prefix| variable.starts_with(prefix));
    of_service || variable.starts_with("KAFKA_LOG4J_") || NOT_KEYS.contains(&variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscores_of_variables_become_dots_underscores_and_dashes() {
        for (variable, name) in [
            ("LOG_DIRS", "log.dirs"),
            ("A__B", "a_b"),
            ("A___B", "a-b"),
            ("A____B", "a-.b"),
            ("NUM_PARTITIONS", "num.partitions"),
        ] {
            assert_eq!(key_of_variable(variable), name);
        }
    }
}
