//! The keys that Kafka does not have.
use crate::config::key::Effect::Served;
use crate::config::key::Importance::{High, Low, Medium};
use crate::config::key::Rule::{AtLeast, OneOf};
use crate::config::key::{Key, long, string};

pub(super) const KEYS: &[Key] = &[
    string(
        "log.durability",
        Some("flush"),
        High,
        Served,
        "When acks=all is answered: `flush` once it is on stable storage, `relaxed` once it is in the page cache, as in \
         Kafka. A topic can differ by its own configuration `durability`.",
    )
    .rule(OneOf(&["flush", "relaxed"])),
    string(
        "ottla.cluster.id",
        None,
        Low,
        Served,
        "The id of a new cluster, where Kafka's `format` takes one. Without it, one is made and kept. The variable \
         CLUSTER_ID of Kafka's images is the same.",
    ),
    string(
        "ottla.http.listener",
        Some("127.0.0.1:9644"),
        Medium,
        Served,
        "Where /metrics, /health/live and /health/ready are served: host:port. Empty: nowhere.",
    ),
    long(
        "ottla.memory.bytes",
        "-1",
        Medium,
        Served,
        "Memory for requests and for data that is not yet in its segment; -1 takes a quarter of the machine's, at most \
         1 GiB.",
    )
    .rule(AtLeast(-1)),
];
