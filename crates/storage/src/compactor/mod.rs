//! The thread that compacts: looks for the filthiest log, lets a run write new segments beside the old ones, makes their
//! names durable, has the lane told, and goes on with the next group only when the old ones are replaced. What a step does is
//! at most one write or sync. Touches no file but those that it makes; the old ones go by the flusher's hand.
mod look;
mod sweep;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use env::{Instant, Next, Worker};
use record::Offset;
use tokio::sync::oneshot::error::TryRecvError;

use crate::compaction::{CompactionError, Finished, Progress, Run};
use crate::log::Log;
use crate::registry::Registry;
use crate::segment::Segment;
use crate::settings::Mutant;
use crate::shared::{Shared, Ticket, count};

pub(crate) struct Compactor {
    shared: Arc<Shared>,
    registry: Arc<Registry>,
    stage: Stage,
    /// When to look again for something to do.
    look_at: Instant,
    /// Logs whose directories have been looked through for what a crash has left.
    swept: BTreeSet<u64>,
    /// Logs that cannot be compacted as they are: not tried again before the next start, as in Kafka.
    given_up: BTreeSet<u64>,
    /// How often, one look after the other, something was due that no checkpoint had covered.
    held_looks: u32,
}

enum Stage {
    Idle,
    Sweep { orphans: Vec<PathBuf> },
    Run { log: Arc<Log>, run: Box<Run> },
    SyncNames { log: Arc<Log>, run: Box<Run>, finished: Finished },
    Replacing { log: Arc<Log>, run: Box<Run>, ticket: Ticket<()> },
    Discard { segment: Arc<Segment> },
}

impl Compactor {
    pub fn new(shared: Arc<Shared>, registry: Arc<Registry>) -> Self {
        let look_at = shared.env.clock.now() + shared.settings.compaction.backoff;
        Self {
            shared,
            registry,
            stage: Stage::Idle,
            look_at,
            swept: BTreeSet::new(),
            given_up: BTreeSet::new(),
            held_looks: 0,
        }
    }

    fn advance(&mut self) -> Next {
        let stops = !self.shared.takes_appends();
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle | Stage::Sweep { .. } if stops => {
                self.shared.set_compactor_stopped();
                Next::Stop
            }
            Stage::Run { run, .. } if stops => self.discard(run.unfinished().cloned()),
            Stage::SyncNames { finished, .. } if stops => self.discard(Some(finished.target)),
            Stage::Idle => self.idle(),
            Stage::Sweep { orphans } => self.sweep_one(orphans),
            Stage::Run { log, run } => self.run(log, run),
            Stage::SyncNames { log, run, finished } => self.sync_names(log, run, finished),
            Stage::Replacing { log, run, mut ticket } => match ticket.try_recv() {
                Err(TryRecvError::Empty) => {
                    self.stage = Stage::Replacing { log, run, ticket };
                    Next::Idle
                }
                Ok(()) => {
                    self.stage = Stage::Run { log, run };
                    Next::Again
                }
                // The log is gone, and all of its files with it.
                Err(TryRecvError::Closed) => Next::Again,
            },
            Stage::Discard { segment } => {
                if let Err(error) = segment.remove_files() {
                    tracing::warn!("what a compaction has left cannot be removed: {error}");
                }
                Next::Again
            }
        }
    }

    fn run(&mut self, log: Arc<Log>, mut run: Box<Run>) -> Next {
        let progress = run.step();
        let io_bytes = run.take_io_bytes();
        match progress {
            Ok(Progress::More) => self.stage = Stage::Run { log, run },
            Ok(Progress::Segment(finished)) => self.stage = Stage::SyncNames { log, run, finished },
            Ok(Progress::Done) => {
                count(&self.shared.counters.compactions, 1);
                self.look_at = self.now();
            }
            Err(error) => return self.fail(&log, &run, &error),
        }
        self.after(io_bytes)
    }

    /// The names of the new files; then the lane is told.
    fn sync_names(&mut self, log: Arc<Log>, run: Box<Run>, finished: Finished) -> Next {
        if !self.shared.settings.has(Mutant::ReplaceBeforeDirectorySync)
            && let Err(error) = self.shared.env.disk.sync_dir(&log.directory())
        {
            self.shared.go_offline("a sync of a directory failed", &error);
            return Next::Stop;
        }
        let Finished { sources, target, compacted_end } = finished;
        let bytes = |segment: &Arc<Segment>| u64::from(segment.summary().size_bytes);
        let compacted_end = compacted_end.unwrap_or(Offset::ZERO);
        match log.begin_replace(&sources, target.clone(), compacted_end) {
            Some(ticket) => {
                count(&self.shared.counters.compacted_bytes_before, sources.iter().map(bytes).sum());
                count(&self.shared.counters.compacted_bytes_after, bytes(&target));
                self.stage = Stage::Replacing { log, run, ticket };
                Next::Again
            }
            // Retention was faster, or the log is being cut or switched: another time.
            None => self.discard(Some(target)),
        }
    }

    fn discard(&mut self, segment: Option<Arc<Segment>>) -> Next {
        if let Some(segment) = segment {
            self.stage = Stage::Discard { segment };
        }
        self.look_at = self.now() + self.shared.settings.compaction.backoff;
        Next::Again
    }

    fn fail(&mut self, log: &Arc<Log>, run: &Run, error: &CompactionError) -> Next {
        match error {
            CompactionError::Segment(error) if error.is_out_of_space() => {
                tracing::warn!(log = %log.name(), "no space for a compaction");
            }
            // The flusher has removed an old segment that nobody had open: it was below a new log start.
            CompactionError::Segment(error) if error.io_kind() == Some(std::io::ErrorKind::NotFound) => {}
            CompactionError::Segment(error) if !error.is_damage() => {
                self.shared.go_offline("a compaction failed", error);
                return Next::Stop;
            }
            error => {
                tracing::error!(log = %log.name(), "the log cannot be compacted: {error}");
                self.given_up.insert(log.log_id());
            }
        }
        self.discard(run.unfinished().cloned())
    }

    /// Not faster than is allowed.
    fn after(&self, io_bytes: u64) -> Next {
        let seconds = io_bytes as f64 / self.shared.settings.compaction.bytes_per_second_max;
        let pause = Duration::try_from_secs_f64(seconds).unwrap_or(PAUSE_MAX).min(PAUSE_MAX);
        if pause < PAUSE_MIN { Next::Again } else { Next::At(self.now() + pause) }
    }

    fn now(&self) -> Instant {
        self.shared.env.clock.now()
    }
}

const PAUSE_MIN: Duration = Duration::from_micros(50);
const PAUSE_MAX: Duration = Duration::from_secs(60);

impl Worker for Compactor {
    fn step(&mut self) -> Next {
        if self.shared.is_offline() {
            return Next::Stop;
        }
        self.advance()
    }
}
