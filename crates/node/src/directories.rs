//! Opens the directories of a node: whose each is, which of them serve, and where the metadata log is. Rules of Kafka's
//! `MetaPropertiesEnsemble` and `KafkaRaftServer`: a directory that cannot be read is offline and the node starts without
//! it, unless it is the last, or that of the metadata; one that belongs to somebody else refuses the start.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use env::Env;
use env::disk::Lock;
use protocol::Uuid;
use record::TopicId;
use storage::{ConfiguredDir, Identity, LogDir, LogDirs, MetaError, OpenError};

use crate::config::Config;
use crate::start_error::StartError;

pub(crate) struct Directories {
    pub logs: LogDirs,
    pub metadata: MetadataDir,
    pub cluster_id: String,
}

/// Where the metadata log is.
pub(crate) struct MetadataDir {
    path: PathBuf,
    /// Of a directory that is none of `log.dirs`: those have their own.
    _lock: Option<Box<dyn Lock>>,
}

impl MetadataDir {
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn log(&self) -> PathBuf {
        self.path.join(quorum::DIRECTORY)
    }
}

pub(crate) async fn open(
    env: &Env,
    config: &Config,
    mut settings: storage::Settings,
) -> Result<Directories, StartError> {
    let metadata = config.metadata_log_dir.as_ref().unwrap_or(&config.log_dirs[0]);
    let is_own = !config.log_dirs.contains(metadata);
    let cluster_id = match cluster_of(env, config, metadata)? {
        Some(known) => known,
        None => LogDir::new_cluster_id(env),
    };
    let identity = Identity { cluster_id: Some(cluster_id.clone()), node_id: config.node_id };
    let lock = match is_own {
        true => Some(storage::claim_without_logs(env, metadata, &identity).map_err(|error| refused(&error))?.1),
        false => None,
    };
    settings.memory_bytes_max /= config.log_dirs.len();
    let logs = open_all(env, config, metadata, &identity, &settings).await?;
    let metadata = MetadataDir { path: metadata.clone(), _lock: lock };
    if let Err(error) = check_metadata_place(env, &logs, &metadata) {
        close(&logs).await;
        return Err(error);
    }
    Ok(Directories { logs, metadata, cluster_id })
}

/// The cluster that the directories belong to, before any of them is formatted: all to one. `None` if all are new.
fn cluster_of(env: &Env, config: &Config, metadata: &PathBuf) -> Result<Option<String>, StartError> {
    let mut identity = Identity { cluster_id: config.cluster_id.clone(), node_id: config.node_id };
    let mut known: BTreeMap<TopicId, &Path> = BTreeMap::new();
    // That of the metadata first: without it nobody knows whose a new directory would be.
    let others = config.log_dirs.iter().filter(|path| *path != metadata);
    for path in std::iter::once(metadata).chain(others) {
        let facts = match LogDir::identify(env, path, &identity) {
            Ok(Some(facts)) => facts,
            Ok(None) => continue,
            Err(error) if path == metadata || is_of_somebody_else(&error) => return Err(refused(&error.into())),
            // Opening it will say so again.
            Err(_) => continue,
        };
        if let Some(other) = known.insert(facts.directory_id, path) {
            return Err(StartError(format!(
                "{} and {} have the same directory.id {}: one is a copy of the other; take it out of log.dirs",
                other.display(),
                path.display(),
                facts.directory_id
            )));
        }
        identity.cluster_id.get_or_insert(facts.cluster_id);
    }
    Ok(identity.cluster_id)
}

fn is_of_somebody_else(error: &MetaError) -> bool {
    matches!(error, MetaError::Foreign { .. } | MetaError::Format { .. })
}

async fn open_all(
    env: &Env,
    config: &Config,
    metadata: &Path,
    identity: &Identity,
    settings: &storage::Settings,
) -> Result<LogDirs, StartError> {
    let opening: Vec<_> = config
        .log_dirs
        .iter()
        .map(|path| (path, LogDir::open_beside(env, path.clone(), identity.clone(), settings.clone())))
        .collect();
    let (mut all, mut fatal, mut last) = (Vec::new(), None, None);
    for (path, ticket) in opening {
        let opened = ticket.await.map_err(|_| StartError("the process ends".to_owned()))?;
        if let Err(error) = &opened {
            let is_fatal = match error {
                OpenError::Locked { .. } => true,
                OpenError::Meta(error) => is_of_somebody_else(error),
                _ => path == metadata,
            };
            if is_fatal {
                fatal.get_or_insert(refused(error));
            } else if config.log_dirs.len() > 1 {
                tracing::error!(directory = %path.display(), %error, "the log directory is offline");
            }
            last = Some(refused(error));
        }
        all.push(ConfiguredDir::new(path.clone(), opened.ok()));
    }
    let logs = LogDirs::new(all);
    let error = fatal.or_else(|| if logs.online().next().is_none() { last } else { None });
    match error {
        Some(error) => {
            close(&logs).await;
            Err(error)
        }
        None => Ok(logs),
    }
}

/// An empty metadata log would take every log for one whose topic is gone: where there are logs, it must be there, and
/// nowhere else.
fn check_metadata_place(env: &Env, logs: &LogDirs, metadata: &MetadataDir) -> Result<(), StartError> {
    let is_there = |path: &Path| env.disk.read_dir(path).is_ok();
    for directory in logs.online().filter(|directory| directory.path() != metadata.path()) {
        let elsewhere = directory.path().join(quorum::DIRECTORY);
        if is_there(&elsewhere) {
            return Err(StartError(format!(
                "Found unexpected metadata location in data directory `{}` (the configured metadata directory is {}); name \
                 it first in log.dirs, or in metadata.log.dir",
                elsewhere.display(),
                metadata.path().display()
            )));
        }
    }
    if !is_there(&metadata.log()) && logs.online().any(|directory| directory.logs_count() > 0) {
        return Err(StartError(format!(
            "there are logs, and no metadata log in {}: without it nobody knows their topics; see metadata.log.dir",
            metadata.path().display()
        )));
    }
    Ok(())
}

/// In order, all of them: the next start has nothing to recover.
pub(crate) async fn close(logs: &LogDirs) {
    let closing: Vec<_> = logs.online().map(|directory| (directory, directory.close())).collect();
    for (directory, closed) in closing {
        if !matches!(closed.await, Ok(Ok(()))) {
            let path = directory.path().display();
            tracing::error!(directory = %path, "the log directory could not be sealed; the next start recovers it");
        }
    }
}

pub(crate) fn online_ids(logs: &LogDirs) -> Vec<Uuid> {
    logs.online().map(|directory| Uuid(directory.id().0)).collect()
}

fn refused(error: &OpenError) -> StartError {
    let remedy = match error {
        OpenError::Locked { .. } => "; stop that one, or give this one a directory of its own with log.dirs",
        OpenError::Meta(MetaError::Foreign { .. }) => "; start with the same, or with another log.dirs",
        OpenError::Io { .. } | OpenError::Meta(MetaError::Io { .. }) => "; see log.dirs",
        _ => "",
    };
    StartError(format!("{error}{remedy}"))
}
