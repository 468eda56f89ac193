//! What there is to know of a metric before it has a value: its names, its type, its labels, what it means. The tables are
//! in `families`; the documentation is made of them.
pub use admin::text::Kind;

pub struct Family {
    /// As its samples have it, a counter's `_total` included.
    pub name: &'static str,
    /// How Confluent's rules for the same bean of Kafka call it, where they differ.
    pub confluent: Option<&'static str>,
    pub dialect: Dialect,
    pub kind: Kind,
    pub unit: Option<&'static str>,
    /// Without `quantile` and `le`, which come with the type.
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

/// Whose names they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// Of danielqsj/kafka_exporter.
    KafkaExporter,
    /// Of seglo/kafka-lag-exporter.
    KafkaLagExporter,
    /// Our own, and what every process has.
    Ottla,
    /// Of Kafka's beans, by the rules of Strimzi and of the JMX exporter's examples.
    Strimzi,
}

type Text = &'static str;
type Labels = &'static [&'static str];

const fn family(dialect: Dialect, kind: Kind, name: Text, labels: Labels, help: Text) -> Family {
    Family { name, confluent: None, dialect, kind, unit: None, labels, help }
}

pub const fn strimzi(kind: Kind, name: Text, labels: Labels, help: Text) -> Family {
    family(Dialect::Strimzi, kind, name, labels, help)
}

pub const fn exporter(name: Text, labels: Labels, help: Text) -> Family {
    family(Dialect::KafkaExporter, Kind::Gauge, name, labels, help)
}

pub const fn lag_exporter(name: Text, labels: Labels, help: Text) -> Family {
    family(Dialect::KafkaLagExporter, Kind::Gauge, name, labels, help)
}

pub const fn own(kind: Kind, name: Text, labels: Labels, help: Text) -> Family {
    family(Dialect::Ottla, kind, name, labels, help)
}

impl Family {
    pub const fn or(mut self, confluent: Text) -> Family {
        self.confluent = Some(confluent);
        self
    }

    /// The name ends with it, before `_total`.
    pub const fn in_unit(mut self, unit: Text) -> Family {
        self.unit = Some(unit);
        self
    }
}
