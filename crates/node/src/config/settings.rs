//! What every key is set to, and by whom: the raw side of the configuration, which DescribeConfigs shows.
use std::collections::BTreeMap;

use super::key::{Key, Kind};
use super::keys;

/// Who set a value. Later ones win.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Source {
    Default,
    /// `ottla dev` differs from `ottla server`.
    Profile,
    File {
        line: usize,
    },
    Variable(String),
    Override,
}

/// One key with its value.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    pub key: &'static Key,
    /// As Kafka prints it; `None` is null. That of a sensitive key is not to be shown.
    pub value: Option<&'a str>,
    pub source: &'a Source,
}

/// The values of all keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    // Beside `keys::all()`. What nobody set is `None` and means the default.
    given: Vec<Option<(String, Source)>>,
    /// `listener.name.LISTENER.KEY`, by the whole name.
    of_listeners: BTreeMap<String, (String, Source)>,
    file: String,
}

impl Settings {
    /// `file` is how the file is called, if there is one.
    pub(super) fn defaults(file: &str) -> Settings {
        Settings { given: vec![None; keys::all().len()], of_listeners: BTreeMap::new(), file: file.to_owned() }
    }

    /// Sets a canonical value. The caller goes from the weakest source to the strongest.
    pub(super) fn set(&mut self, name: &str, value: String, source: Source) {
        let index = keys::position(name).unwrap_or_else(|| panic!("{name} is no key"));
        self.given[index] = Some((value, source));
    }

    /// The same for a key of one listener.
    pub(super) fn set_of_listener(&mut self, name: &str, value: String, source: Source) {
        self.of_listeners.insert(name.to_owned(), (value, source));
    }

    /// What is set for single listeners, by the whole name.
    pub fn of_listeners(&self) -> impl Iterator<Item = (&str, &str, &Source)> {
        self.of_listeners.iter().map(|(name, (value, source))| (name.as_str(), value.as_str(), source))
    }

    pub fn of_listener(&self, name: &str) -> Option<&str> {
        self.of_listeners.get(name).map(|(value, _)| value.as_str())
    }

    /// All keys by name, Kafka's internal ones too.
    pub fn iter(&self) -> impl Iterator<Item = Setting<'_>> {
        keys::all().iter().zip(&self.given).map(|(key, given)| setting(key, given))
    }

    pub fn find(&self, name: &str) -> Option<Setting<'_>> {
        let index = keys::position(name)?;
        Some(setting(keys::all()[index], &self.given[index]))
    }

    /// Where a value was written, for people.
    pub fn place(&self, source: &Source) -> String {
        match source {
            Source::Default => "default".to_owned(),
            Source::Profile => "default of ottla dev".to_owned(),
            Source::File { line } => format!("{}, line {line}", self.file),
            Source::Variable(name) => format!("variable {name}"),
            Source::Override => "--override".to_owned(),
        }
    }

    /// A key with its value and its place, as problems name it. Secrets stay out of it.
    pub(super) fn subject(&self, name: &str) -> String {
        let Setting { key, value, source } = self.setting(name);
        format!("{} ({})", written(key, value), self.place(source))
    }

    /// Whether somebody wrote it: a person, not a default or a profile.
    pub(super) fn is_written(&self, name: &str) -> bool {
        self.setting(name).source.is_written()
    }

    // What follows is for `Config`, which asks for keys that are in the tables, in their type: a test builds it.

    pub(super) fn setting(&self, name: &str) -> Setting<'_> {
        self.find(name).unwrap_or_else(|| panic!("{name} is no key"))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.setting(name).value
    }

    pub(super) fn boolean(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    pub(super) fn double(&self, name: &str) -> f64 {
        self.text(name).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{name} is no number"))
    }

    pub(super) fn number(&self, name: &str) -> i64 {
        self.optional_number(name).unwrap_or_else(|| panic!("{name} has no default"))
    }

    pub(super) fn optional_number(&self, name: &str) -> Option<i64> {
        let Setting { key, value, .. } = self.setting(name);
        assert!(matches!(key.kind, Kind::Int | Kind::Long | Kind::Short), "{name} is no number");
        value.map(|value| value.parse().expect("what was set is canonical"))
    }

    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        self.text(name).into_iter().flat_map(|text| text.split(',')).filter(|element| !element.is_empty()).collect()
    }
}

fn setting<'a>(key: &'static Key, given: &'a Option<(String, Source)>) -> Setting<'a> {
    match given {
        Some((value, source)) => Setting { key, value: Some(value), source },
        None => Setting { key, value: key.default, source: &Source::Default },
    }
}

impl Source {
    pub fn is_written(&self) -> bool {
        !matches!(self, Source::Default | Source::Profile)
    }
}

/// `key=value`, without secrets.
pub(super) fn written(key: &Key, value: Option<&str>) -> String {
    match value {
        Some(_) if key.is_sensitive() => format!("{}=***", key.name),
        Some(value) => format!("{}={value}", key.name),
        None => key.name.to_owned(),
    }
}
