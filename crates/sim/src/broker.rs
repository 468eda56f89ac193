//! The broker under test: one node on one machine, started, killed and started again. All else about it is the node's own.
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use env::sim::Machine;
use node::config::Config;
use node::{Node, Resources, Tuning};
use storage::Settings;
use tokio::sync::Notify;

use crate::bugs::Bug;

pub const PORT: u16 = 9092;
/// The first log directory, which has the metadata log too,
pub const DATA: &str = "/data";
/// and the second, of worlds that have two.
pub const MORE: &str = "/more";
/// What the process may use, as far as the node knows.
const RESOURCES: Resources = Resources { memory_bytes: 256 << 20, open_files_max: 1 << 12 };

/// Read once: it takes longer than many a start.
static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let mut config = Config::for_tests(DATA, PORT);
    config.offsets.topic_partitions = 2;
    for listener in &mut config.listeners {
        listener.host = None;
    }
    config
});

/// How every process of the broker is started.
#[derive(Clone)]
pub struct Setup {
    pub settings: Settings,
    pub log_dirs: &'static [&'static str],
    pub bug: Option<Bug>,
    /// Reads fail: it may say no.
    pub may_be_refused: bool,
}

/// One process of the broker.
#[derive(Clone, Default)]
pub struct Process {
    stop: Arc<Notify>,
    stopped: Arc<Notify>,
    /// Whether it starts, once that is known.
    starts: Arc<Mutex<Option<bool>>>,
    is_known: Arc<Notify>,
}

/// Starts the broker on a machine that has just booted. It serves once it has recovered.
pub fn start(machine: &Machine, setup: &Setup) -> Process {
    let process = Process::default();
    let (env, machine, setup, ours) = (machine.env(), machine.clone(), setup.clone(), process.clone());
    env.clone().spawn.task(
        "node",
        Box::pin(async move {
            let mut config = CONFIG.clone();
            config.log_dirs = setup.log_dirs.iter().map(Into::into).collect();
            for advertised in &mut config.advertised {
                advertised.host = Some(machine.ip().to_string());
            }
            let node = match Node::start_tuned(env, &config, RESOURCES, setup.tuning()).await {
                Ok(node) => node,
                // Power failed while it was starting: the machine goes down as soon as this step ends.
                Err(_) if machine.disk().is_off() => return,
                Err(error) if setup.may_be_refused => {
                    tracing::debug!(%error, "the broker does not start, as it may");
                    ours.know(false);
                    return;
                }
                Err(error) => panic!("the broker does not start: {error}"),
            };
            ours.know(true);
            ours.stop.notified().await;
            node.stop().await;
            ours.stopped.notify_one();
        }),
    );
    process
}

impl Process {
    fn know(&self, starts: bool) {
        *self.starts.lock().unwrap_or_else(PoisonError::into_inner) = Some(starts);
        self.is_known.notify_one();
    }

    /// Whether it starts, once it has or has not.
    pub async fn starts(&self) -> bool {
        loop {
            let known = *self.starts.lock().unwrap_or_else(PoisonError::into_inner);
            match known {
                Some(starts) => return starts,
                None => self.is_known.notified().await,
            }
        }
    }

    /// A clean stop, to its end.
    pub async fn stop(&self) {
        self.stop.notify_one();
        self.stopped.notified().await;
    }
}

impl Setup {
    fn tuning(&self) -> Tuning {
        let mutant = self.bug.and_then(|bug| bug.mutant());
        Tuning {
            storage: Some(Settings { mutant, ..self.settings.clone() }),
            watermark_over_received: self.bug == Some(Bug::HighWatermarkOverReceived),
        }
    }
}
