//! Why a key has no effect here, or is refused. One sentence for each, so that it reads the same everywhere.
//! Whoever makes a feature work changes the keys that name its reason to `Served`, and takes the reason out.
use crate::config::key::Effect;
use crate::config::key::Effect::{Refused, WithoutEffect};

pub(super) const ACCESS_NOTE: Effect = WithoutEffect("there is no authorizer to wait for");
pub(super) const ACCESS_REFUSED: Effect =
    Refused("access control is not served yet, and without it everybody could do what you meant to forbid");
pub(super) const CLEANER: Effect =
    WithoutEffect("one thread compacts the logs of each directory, and sizes its reads itself");
pub(super) const CONSUMER_GROUPS: Effect =
    WithoutEffect("the group protocol `consumer` is not served yet; groups of the protocol `classic` are");
pub(super) const ENGINE: Effect = WithoutEffect("Ottla's log engine does without it");
pub(super) const GROUP_TYPES: Effect = WithoutEffect("only the group protocol `classic` is served yet");
pub(super) const INTERNAL: Effect = WithoutEffect("Ottla's controller has no such log");
pub(super) const JVM: Effect = WithoutEffect("it configures a JVM");
pub(super) const JVM_CLASS_REFUSED: Effect = Refused("it names a Java class, and Ottla has no JVM to load it");
pub(super) const METRICS: Effect = WithoutEffect("it is for Java's metrics; Ottla's are at /metrics");
pub(super) const ONE_NODE: Effect = WithoutEffect("it matters once there is more than one broker");
pub(super) const PROVIDERS_REFUSED: Effect =
    Refused("providers are Java classes; give the value itself, or a KAFKA_ variable");
pub(super) const PURGATORY: Effect = WithoutEffect("what waits in Ottla needs no purging");
pub(super) const QUORUM: Effect = WithoutEffect("Ottla's controller and its log of metadata work in their own way");
pub(super) const QUOTAS: Effect = WithoutEffect("nothing moves between brokers or directories yet");
pub(super) const SASL: Effect = WithoutEffect("no SASL listener is served yet");
pub(super) const SHARE_GROUPS: Effect = WithoutEffect("share groups are not served yet");
pub(super) const STREAMS_GROUPS: Effect = WithoutEffect("streams groups are not served yet");
pub(super) const TESTING: Effect = WithoutEffect("it is for Kafka's own tests");
pub(super) const THREADS: Effect = WithoutEffect("Ottla sizes its own threads");
pub(super) const TIERED: Effect = WithoutEffect("tiered storage is not served yet");
pub(super) const TIERED_REFUSED: Effect = Refused("tiered storage is not served yet");
pub(super) const TLS: Effect = WithoutEffect("no TLS listener is served yet");
pub(super) const TLS_BETWEEN_REFUSED: Effect = Refused("only PLAINTEXT is served yet");
pub(super) const TOKENS: Effect = WithoutEffect("delegation tokens are not served yet");
pub(super) const TRANSACTIONS: Effect = WithoutEffect("transactions are not served yet");
