//! Where Ottla differs from Kafka's defaults: always, and as `ottla dev`. The table is the whole truth of it; the
//! documentation prints it, and `ottla dev` is made of it.

/// How the broker is meant to be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Profile {
    /// `ottla dev`: one node on this machine, for whoever writes a program.
    Dev,
    /// `ottla server`: Kafka's defaults.
    Server,
}

/// One difference.
#[derive(Clone, Copy, Debug)]
pub struct Deviation {
    pub name: &'static str,
    pub kafka: &'static str,
    /// `None`: as Kafka.
    pub server: Option<&'static str>,
    /// `None`: as `server`.
    pub dev: Option<&'static str>,
    pub why: &'static str,
}

const fn always(name: &'static str, kafka: &'static str, server: &'static str, why: &'static str) -> Deviation {
    Deviation { name, kafka, server: Some(server), dev: None, why }
}

const fn dev(name: &'static str, kafka: &'static str, dev: &'static str, why: &'static str) -> Deviation {
    Deviation { name, kafka, server: None, dev: Some(dev), why }
}

pub const DEVIATIONS: &[Deviation] = &[
    always("controller.listener.names", "required", "", "controllers need no listener of their own"),
    always("log.durability", "as relaxed", "flush", "an acknowledged record survives a loss of power"),
    always("node.id", "required", "1", "one node needs no number from you"),
    always("process.roles", "required", "broker,controller", "every node is both"),
    dev("group.initial.rebalance.delay.ms", "3000", "0", "a consumer that you start reads at once"),
    dev("listeners", "PLAINTEXT://:9092", "PLAINTEXT://localhost:9092", "nobody else on the network reaches it"),
    dev("log.dirs", "null (log.dir: /tmp/kafka-logs)", "./ottla-data", "the data is where you started it"),
    dev("offsets.topic.replication.factor", "3", "1", "there is one node"),
    dev("share.coordinator.state.topic.min.isr", "2", "1", "there is one node"),
    dev("share.coordinator.state.topic.replication.factor", "3", "1", "there is one node"),
    dev("transaction.state.log.min.isr", "2", "1", "there is one node"),
    dev("transaction.state.log.replication.factor", "3", "1", "there is one node"),
];

impl Profile {
    /// What this profile sets beneath everything that somebody writes.
    pub(super) fn values(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let is_dev = self == Profile::Dev;
        DEVIATIONS.iter().filter(move |_| is_dev).filter_map(|deviation| Some((deviation.name, deviation.dev?)))
    }
}
