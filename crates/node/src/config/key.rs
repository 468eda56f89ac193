//! What there is to know of one configuration key: Kafka's facts (name, type, default, rule, when it may change) and
//! ours (whether it has an effect here). Knows no value and no source.
use std::fmt;

/// A key that `server.properties` may hold.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    /// As it would be written. `None` is Kafka's null.
    pub default: Option<&'static str>,
    pub rule: Rule,
    pub importance: Importance,
    pub update_mode: UpdateMode,
    /// Kafka shows it to nobody who has not set it.
    pub internal: bool,
    pub effect: Effect,
    pub documentation: &'static str,
}

/// Kafka's types (`ConfigDef.Type`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Boolean,
    Class,
    Double,
    Int,
    List,
    Long,
    Password,
    Short,
    String,
}

/// Which values are right, beyond the type (`ConfigDef.Validator`).
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    Any,
    AtLeast(i64),
    /// Both ends included.
    Between(i64, i64),
    /// Both ends included, for doubles.
    FractionUpTo(f64),
    /// Each element is one of these; there may be none.
    Elements(&'static [&'static str]),
    /// Each element is one of these, and there is one.
    SomeElements(&'static [&'static str]),
    /// -1, or both ends included.
    LevelOrDefault(i64, i64),
    NotEmpty,
    OneOf(&'static [&'static str]),
    OneOfInAnyCase(&'static [&'static str]),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Importance {
    High,
    Medium,
    Low,
}

/// Whether Kafka lets a running broker change it, and for whom.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UpdateMode {
    ClusterWide,
    PerBroker,
    ReadOnly,
}

/// What setting the key does here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// What Kafka does.
    Served,
    /// Nothing, for this reason. Accepted, since nobody is harmed; named in a warning.
    WithoutEffect(&'static str),
    /// Any value but the default would promise what is not kept: the broker does not start, for this reason.
    Refused(&'static str),
}

/// Kafka follows these while it runs; here they are read at the start.
pub const READ_AT_START: [&str; 6] = [
    "listener.security.protocol.map",
    "listeners",
    "log.cleaner.backoff.ms",
    "log.cleaner.dedupe.buffer.size",
    "log.cleaner.io.max.bytes.per.second",
    "producer.id.expiration.ms",
];

/// What a number counts, and so which suffixes may follow it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    Bytes,
    Count,
    Hours,
    Milliseconds,
    Minutes,
    Seconds,
}

impl Key {
    /// Tools never show it.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// Read from the name, which Kafka keeps to. `group.max.size` counts members, `.buffer.size` bytes.
    pub fn unit(&self) -> Unit {
        let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| self.name.ends_with(suffix));
        match self.kind {
            Kind::Boolean | Kind::Class | Kind::List | Kind::Password | Kind::String => Unit::Count,
            _ if ends(&[".ms", ".millis"]) => Unit::Milliseconds,
            _ if self.name.contains(".bytes") || ends(&["buffer.size", "receive.size"]) => Unit::Bytes,
            _ if ends(&[".seconds", ".secs"]) => Unit::Seconds,
            _ if ends(&[".minutes"]) => Unit::Minutes,
            _ if ends(&[".hours"]) => Unit::Hours,
            _ => Unit::Count,
        }
    }

    pub(super) const fn cluster_wide(mut self) -> Key {
        self.update_mode = UpdateMode::ClusterWide;
        self
    }

    pub(super) const fn per_broker(mut self) -> Key {
        self.update_mode = UpdateMode::PerBroker;
        self
    }

    pub(super) const fn internal(mut self) -> Key {
        self.internal = true;
        self
    }

    pub(super) const fn rule(mut self, rule: Rule) -> Key {
        self.rule = rule;
        self
    }
}

impl Kind {
    /// The number that DescribeConfigs gives a type (`DescribeConfigsResponse.ConfigType`).
    pub fn code(self) -> i8 {
        match self {
            Kind::Boolean => 1,
            Kind::String => 2,
            Kind::Int => 3,
            Kind::Short => 4,
            Kind::Long => 5,
            Kind::Double => 6,
            Kind::List => 7,
            Kind::Class => 8,
            Kind::Password => 9,
        }
    }
}

/// The name of a type in the documentation.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Boolean => "boolean",
            Kind::Class => "class",
            Kind::Double => "double",
            Kind::Int => "int",
            Kind::List => "list",
            Kind::Long => "long",
            Kind::Password => "password",
            Kind::Short => "short",
            Kind::String => "string",
        })
    }
}

/// Ends the sentence "must be ...".
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Any => f.write_str("anything"),
            Rule::AtLeast(least) => write!(f, "at least {least}"),
            Rule::Between(least, most) => write!(f, "from {least} to {most}"),
            Rule::FractionUpTo(most) => write!(f, "from 0 to {most}"),
            Rule::Elements(names) | Rule::SomeElements(names) => write!(f, "any of {}", names.join(", ")),
            Rule::LevelOrDefault(least, most) => write!(f, "-1, or from {least} to {most}"),
            Rule::NotEmpty => f.write_str("not empty"),
            Rule::OneOf(names) | Rule::OneOfInAnyCase(names) => write!(f, "one of {}", names.join(", ")),
        }
    }
}

const fn key(
    kind: Kind,
    name: &'static str,
    default: Option<&'static str>,
    importance: Importance,
    effect: Effect,
    documentation: &'static str,
) -> Key {
    let (rule, update_mode) = (Rule::Any, UpdateMode::ReadOnly);
    Key { name, kind, default, rule, importance, update_mode, internal: false, effect, documentation }
}

type Text = &'static str;

// The tables of `keys` are read by people: one word for the type, then the facts in one order.
pub(super) const fn boolean(name: Text, default: Text, importance: Importance, effect: Effect, text: Text) -> Key {
    key(Kind::Boolean, name, Some(default), importance, effect, text)
}

pub(super) const fn class(
    name: Text,
    default: Option<Text>,
    importance: Importance,
    effect: Effect,
    text: Text,
) -> Key {
    key(Kind::Class, name, default, importance, effect, text)
}

pub(super) const fn double(name: Text, default: Text, importance: Importance, effect: Effect, text: Text) -> Key {
    key(Kind::Double, name, Some(default), importance, effect, text)
}

pub(super) const fn int(name: Text, default: Text, importance: Importance, effect: Effect, text: Text) -> Key {
    key(Kind::Int, name, Some(default), importance, effect, text)
}

pub(super) const fn list(name: Text, default: Option<Text>, importance: Importance, effect: Effect, text: Text) -> Key {
    key(Kind::List, name, default, importance, effect, text)
}

pub(super) const fn long(name: Text, default: Text, importance: Importance, effect: Effect, text: Text) -> Key {
    key(Kind::Long, name, Some(default), importance, effect, text)
}

pub(super) const fn optional_int(name: Text, importance: Importance, effect: Effect, text: Text) -> Key {
    key(Kind::Int, name, None, importance, effect, text)
}

pub(super) const fn optional_long(name: Text, importance: Importance, effect: Effect, text: Text) -> Key {
    key(Kind::Long, name, None, importance, effect, text)
}

pub(super) const fn password(name: Text, importance: Importance, effect: Effect, text: Text) -> Key {
    key(Kind::Password, name, None, importance, effect, text)
}

pub(super) const fn short(name: Text, default: Text, importance: Importance, effect: Effect, text: Text) -> Key {
    key(Kind::Short, name, Some(default), importance, effect, text)
}

pub(super) const fn string(
    name: Text,
    default: Option<Text>,
    importance: Importance,
    effect: Effect,
    text: Text,
) -> Key {
    key(Kind::String, name, default, importance, effect, text)
}
