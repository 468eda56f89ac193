//! What a node does when one of its log directories fails while it runs: tells the controller, so that nobody leads from
//! there any more; and what it cannot survive. Rules of Kafka's `LogDirFailureHandler` and `LogManager`.
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use controller::{ASSIGNMENTS_MAX, Handle};
use env::Env;
use protocol::Uuid;
use record::BrokerId;
use replication::{Partition, Replicas};
use storage::LogDir;
use tokio::sync::Semaphore;

use crate::directories::online_ids;

/// Told once, and remembered.
#[derive(Clone)]
pub(crate) struct Failure {
    reason: Arc<OnceLock<String>>,
    /// Closed when there is a reason.
    untold: Arc<Semaphore>,
}

impl Default for Failure {
    fn default() -> Self {
        Self { reason: Arc::default(), untold: Arc::new(Semaphore::new(0)) }
    }
}

impl Failure {
    fn tell(&self, reason: String) {
        if self.reason.set(reason).is_ok() {
            self.untold.close();
        }
    }

    pub async fn told(&self) -> String {
        let closed = self.untold.acquire().await;
        assert!(closed.is_err(), "nobody adds permits to this semaphore");
        self.reason.get().cloned().expect("it is set before the semaphore is closed")
    }
}

#[derive(Clone)]
pub(crate) struct Watch {
    pub env: Env,
    pub controller: Handle,
    pub node_id: BrokerId,
    pub replicas: Arc<Replicas>,
    /// The directory of the metadata log.
    pub metadata: PathBuf,
    /// `log.dir.failure.timeout.ms`
    pub report_max: Duration,
    pub failure: Failure,
}

/// After the controller did not take what it was told.
const PAUSE: Duration = Duration::from_millis(500);

impl Watch {
    /// From now on, for as long as the node lives.
    pub fn start(self) {
        let env = self.env.clone();
        for directory in self.replicas.directories().opened() {
            let (watch, directory) = (self.clone(), directory.clone());
            env.spawn.task("log directory", Box::pin(async move { watch.follow(directory).await }));
        }
        let watch = self.clone();
        env.spawn.task("moves", Box::pin(async move { watch.carry_moves().await }));
        let watch = self.clone();
        env.spawn.task("assignments", Box::pin(async move { watch.tell_assignments().await }));
        env.spawn.task(
            "metadata",
            Box::pin(async move {
                self.controller.ended().await;
                self.failure.tell("the metadata log has ended".to_owned());
            }),
        );
    }

    async fn follow(&self, directory: LogDir) {
        loop {
            let mut failed = std::pin::pin!(directory.failure().notified());
            failed.as_mut().enable();
            if directory.is_offline() {
                break;
            }
            failed.await;
        }
        let path = directory.path();
        if path == self.metadata {
            return self.failure.tell(format!("the log directory {} of the metadata log has failed", path.display()));
        }
        if self.replicas.directories().online().next().is_none() {
            return self.failure.tell("every log directory has failed".to_owned());
        }
        let deadline = self.env.clock.now() + self.report_max;
        let reported = tokio::select! {
            biased;
            reported = self.controller.directories_failed(self.node_id, online_ids(self.replicas.directories())) => {
                reported.is_ok()
            }
            () = self.env.clock.sleep_until(deadline) => false,
        };
        match reported {
            true => tracing::warn!(directory = %path.display(), "the log directory is offline; the others go on"),
            false => self.failure.tell(format!("the failure of {} could not be reported", path.display())),
        }
    }

    async fn tell_assignments(&self) {
        let placement = self.replicas.placement();
        loop {
            let assignments = placement.next_assignments(ASSIGNMENTS_MAX).await;
            if self.controller.assign_directories(self.node_id, assignments.clone()).await.is_err() {
                placement.tell_again(assignments);
                self.env.clock.sleep_until(self.env.clock.now() + PAUSE).await;
            }
        }
    }

    /// Replicas on their way to another directory, one after the other.
    async fn carry_moves(&self) {
        loop {
            let partition = self.replicas.moves().next().await;
            // What was told first must not come after what is told then.
            while !self.is_where_the_metadata_says(&partition) {
                self.env.clock.sleep_until(self.env.clock.now() + PAUSE / 10).await;
            }
            let Some(directory) = partition.copy(&*self.env.clock).await else { continue };
            let assignment = ((partition.topic_id(), partition.name().partition), directory);
            // Once it may have been taken there is no way back: it is told until it was.
            while self.controller.assign_directories(self.node_id, vec![assignment]).await.is_err() {
                self.env.clock.sleep_until(self.env.clock.now() + PAUSE).await;
            }
            // It has been taken over already, unless its topic is gone.
            partition.abandon_move();
        }
    }

    /// Or gone from the metadata.
    fn is_where_the_metadata_says(&self, partition: &Partition) -> bool {
        let image = self.controller.image();
        let topic = image.topics.by_id(partition.topic_id());
        let known = topic.and_then(|topic| topic.partitions.find(partition.name().partition));
        let here = Uuid(partition.directory().id().0);
        known.is_none_or(|known| known.directory_of(self.node_id) == Some(here))
    }
}
