//! Quotas, metrics and telemetry.
use super::reasons::{JVM_CLASS_REFUSED, METRICS, QUOTAS};
use crate::config::key::Effect::Served;
use crate::config::key::Importance::Low;
use crate::config::key::Rule::AtLeast;
use crate::config::key::{Key, class, int, list, long, string};

pub(super) const KEYS: &[Key] = &[
    int(
        "alter.log.dirs.replication.quota.window.num",
        "11",
        Low,
        QUOTAS,
        "Samples that the quota of moves between log directories remembers.",
    )
    .rule(AtLeast(1)),
    int("alter.log.dirs.replication.quota.window.size.seconds", "1", Low, QUOTAS, "Length of one such sample.")
        .rule(AtLeast(1)),
    class("client.quota.callback.class", None, Low, JVM_CLASS_REFUSED, "A Java class that decides quotas."),
    int("kafka.metrics.polling.interval.secs", "10", Low, METRICS, "How often Java reporters of metrics are called.")
        .rule(AtLeast(1)),
    list("kafka.metrics.reporters", Some(""), Low, METRICS, "Java classes that report metrics."),
    list(
        "metric.reporters",
        Some("org.apache.kafka.common.metrics.JmxReporter"),
        Low,
        METRICS,
        "Java classes that report metrics.",
    )
    .cluster_wide(),
    int("metrics.num.samples", "2", Low, METRICS, "Samples of which a metric is computed.").rule(AtLeast(1)),
    string("metrics.recording.level", Some("INFO"), Low, METRICS, "How detailed metrics are."),
    long("metrics.sample.window.ms", "30000", Low, METRICS, "Length of one sample.").rule(AtLeast(1)),
    int("quota.window.num", "11", Low, Served, "Samples that a client quota remembers.").rule(AtLeast(1)),
    int("quota.window.size.seconds", "1", Low, Served, "Length of one such sample.").rule(AtLeast(1)),
    int("telemetry.max.bytes", "1048576", Low, Served, "Most bytes that a client may push as telemetry.")
        .rule(AtLeast(1)),
];
