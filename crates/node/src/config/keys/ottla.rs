//! The keys that Kafka does not have.
use crate::config::key::Effect::Served;
use crate::config::key::Importance::{High, Low, Medium};
use crate::config::key::Rule::{AtLeast, Elements, OneOf};
use crate::config::key::{Key, int, list, long, string};
use crate::metrics::{DETAILS, VOCABULARIES};

pub(super) const KEYS: &[Key] = &[
    string(
        "log.durability",
        Some("flush"),
        High,
        Served,
        "When acks=all is answered: `flush` once it is on stable storage, `relaxed` once it is written, before the sync \
         that follows at once. A topic can differ by its own configuration `durability`.",
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
    string(
        "ottla.metrics.detail",
        Some("auto"),
        Low,
        Served,
        "How far /metrics goes into detail: `cluster` sums only, `topic` topics and groups, `partition` each partition, \
         too, `auto` all of them, each as long as there are no more than ottla.metrics.shown.max. A scrape can ask for \
         another by `?detail=`.",
    )
    .rule(OneOf(DETAILS)),
    list(
        "ottla.metrics.dialects",
        Some("kafka-exporter,kafka-lag-exporter,strimzi"),
        Low,
        Served,
        "Whose names /metrics has besides Ottla's own. A scrape can ask for others by `?dialect=`.",
    )
    .rule(Elements(VOCABULARIES)),
    int(
        "ottla.metrics.shown.max",
        "2000",
        Low,
        Served,
        "With `ottla.metrics.detail=auto`: if there are more topics than these, or more groups, or partitions, or \
         partitions that groups have committed offsets of, they are not shown one by one.",
    )
    .rule(AtLeast(0)),
];
