//! Sockets, listeners, requests, and who this node is.
use super::reasons::{ENGINE, ONE_NODE, PROVIDERS_REFUSED, PURGATORY, THREADS};
use crate::config::key::Effect::Served;
use crate::config::key::Importance::{High, Low, Medium};
use crate::config::key::Rule::{AtLeast, NotEmpty};
use crate::config::key::{Key, int, list, long, string};

pub(super) const KEYS: &[Key] = &[
    list(
        "advertised.listeners",
        None,
        High,
        Served,
        "Where clients reach the listeners, if not where they are bound. Answered in Metadata.",
    )
    .rule(NotEmpty),
    int("background.threads", "10", High, THREADS, "Threads for background work.").rule(AtLeast(1)).cluster_wide(),
    int("broker.id", "-1", High, Served, "Old name of node.id. Both, if both are set, must agree."),
    string(
        "broker.rack",
        None,
        Medium,
        Served,
        "The rack, zone or room of this broker, for spreading replicas and for answers to clients.",
    ),
    list("config.providers", Some(""), Low, PROVIDERS_REFUSED, "Java classes that replace ${provider:key} in values.")
        .cluster_wide(),
    long(
        "connections.max.idle.ms",
        "600000",
        Medium,
        Served,
        "A connection without a request for this long is closed.",
    ),
    int(
        "fetch.max.bytes",
        "57671680",
        Medium,
        Served,
        "Most bytes in the answer to one fetch, whatever the client asks for.",
    )
    .rule(AtLeast(1024)),
    int(
        "fetch.purgatory.purge.interval.requests",
        "1000",
        Medium,
        PURGATORY,
        "After how many requests Kafka purges waiting fetches.",
    ),
    string("inter.broker.listener.name", None, Medium, ONE_NODE, "The listener that brokers use among themselves."),
    string(
        "listener.security.protocol.map",
        Some("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"),
        Low,
        Served,
        "Which protocol each listener name speaks.",
    )
    .per_broker(),
    list(
        "listeners",
        Some("PLAINTEXT://:9092"),
        High,
        Served,
        "Where the broker listens: NAME://host:port, separated by commas. Without a host: on all interfaces.",
    )
    .rule(NotEmpty)
    .per_broker(),
    int("max.connection.creation.rate", "2147483647", Medium, Served, "Most new connections in a second.")
        .rule(AtLeast(0))
        .cluster_wide(),
    int("max.connections", "2147483647", Medium, Served, "Most connections at a time.").rule(AtLeast(0)).cluster_wide(),
    int("max.connections.per.ip", "2147483647", Medium, Served, "Most connections from one address.")
        .rule(AtLeast(0))
        .cluster_wide(),
    string(
        "max.connections.per.ip.overrides",
        Some(""),
        Medium,
        Served,
        "As max.connections.per.ip for some addresses: `host:number`, separated by commas.",
    )
    .cluster_wide(),
    int(
        "max.incremental.fetch.session.cache.slots",
        "1000",
        Medium,
        Served,
        "Most incremental fetch sessions at a time.",
    )
    .rule(AtLeast(0)),
    int(
        "max.request.partition.size.limit",
        "2000",
        Medium,
        Served,
        "Most partitions in one answer to DescribeTopicPartitions.",
    )
    .rule(AtLeast(1)),
    int("node.id", "1", High, Served, "The number of this node in its cluster.").rule(AtLeast(0)),
    int("num.io.threads", "8", High, THREADS, "Threads that handle requests.").rule(AtLeast(1)).cluster_wide(),
    int("num.network.threads", "3", High, THREADS, "Threads that read and write sockets.")
        .rule(AtLeast(1))
        .cluster_wide(),
    int(
        "producer.purgatory.purge.interval.requests",
        "1000",
        Medium,
        PURGATORY,
        "After how many requests Kafka purges waiting produces.",
    ),
    long(
        "queued.max.request.bytes",
        "-1",
        Medium,
        Served,
        "Most bytes of requests in memory; -1 leaves it to ottla.memory.bytes.",
    ),
    int("queued.max.requests", "500", High, ENGINE, "Most requests that wait for a thread.").rule(AtLeast(1)),
    int(
        "request.timeout.ms",
        "30000",
        High,
        ONE_NODE,
        "How long a request that the broker sends or forwards may take.",
    ),
    long(
        "socket.connection.setup.timeout.max.ms",
        "30000",
        Medium,
        ONE_NODE,
        "Longest time that connecting to another node may take.",
    ),
    long(
        "socket.connection.setup.timeout.ms",
        "10000",
        Medium,
        ONE_NODE,
        "Time that connecting to another node may take at first.",
    ),
    int("socket.listen.backlog.size", "50", Medium, Served, "Connections that wait to be accepted.").rule(AtLeast(1)),
    int(
        "socket.receive.buffer.bytes",
        "102400",
        High,
        Served,
        "Receive buffer of client sockets; -1 leaves it to the system, which is also done where nobody writes it.",
    ),
    int("socket.request.max.bytes", "104857600", High, Served, "Largest request; a larger one closes its connection.")
        .rule(AtLeast(1)),
    int(
        "socket.send.buffer.bytes",
        "102400",
        High,
        Served,
        "Send buffer of client sockets; -1 leaves it to the system, which is also done where nobody writes it.",
    ),
];
