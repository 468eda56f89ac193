//! What a running node tells over HTTP: whether it lives, and its numbers, which are `metrics`'.
use std::net::SocketAddr;
use std::sync::Arc;

use admin::{Health, Status, Writing};
use env::{Env, Listening};
use storage::LogDir;

use crate::config::Config;
use crate::metrics::{Metrics, Source};
use crate::start_error::StartError;

/// Binds the HTTP listener, where one is wanted, and serves it from now on.
pub(crate) async fn serve(env: &Env, config: &Config, source: Source) -> Result<Option<SocketAddr>, StartError> {
    let Some(wanted) = &config.http else { return Ok(None) };
    let failed = |error: std::io::Error| {
        let place = format!("{}:{}", wanted.host, wanted.port);
        StartError(format!("cannot listen on {place} for HTTP: {error}; see ottla.http.listener (empty: no HTTP)"))
    };
    let addresses = env.net.resolve(&wanted.host, wanted.port).await.map_err(failed)?;
    let address = addresses.first().ok_or_else(|| StartError(format!("{} has no address", wanted.host)))?;
    let listener = env.net.listen(*address, Listening::with_backlog(64)).map_err(failed)?;
    let local = listener.local_address();
    let metrics = Arc::new(Metrics::new(source, config.metrics.clone()));
    env.spawn.task("recent metrics", Box::pin(Metrics::keep_recent(Arc::downgrade(&metrics), env.clone())));
    let status = Arc::new(NodeStatus { metrics });
    let clock = env.clock.clone();
    let serving = async move {
        if let Err(error) = admin::serve(listener, clock, status).await {
            tracing::error!(%error, "HTTP has stopped");
        }
    };
    env.spawn.task("http", Box::pin(serving));
    Ok(Some(local))
}

struct NodeStatus {
    metrics: Arc<Metrics>,
}

impl Status for NodeStatus {
    fn health(&self) -> Health {
        let source = self.metrics.source();
        let directories = source.broker.replicas.directories();
        let has_none = directories.online().next().is_none();
        let is_full = directories.online().any(LogDir::refuses_produce);
        let not_ready = match (has_none, source.closing.is_closed(), is_full) {
            (true, _, _) => Some("every log directory is offline".to_owned()),
            (_, true, _) => Some("the broker is stopping".to_owned()),
            (_, _, true) => Some("the disk is full".to_owned()),
            _ => None,
        };
        let offline = match directories.offline_count() {
            0 => None,
            1 => Some("a log directory is offline; the log tells which".to_owned()),
            count => Some(format!("{count} log directories are offline; the log tells which")),
        };
        let faulty = match directories.online().map(LogDir::faulty_ranges).sum() {
            0 => None,
            1 => Some("a range of records is damaged; the log tells which".to_owned()),
            count => Some(format!("{count} ranges of records are damaged; the log tells which")),
        };
        let strays = match directories.online().map(LogDir::strays_count).sum() {
            0 => None,
            1 => Some("a log is of no topic that the metadata knows; the log tells which".to_owned()),
            count => Some(format!("{count} logs are of no topics that the metadata knows; the log tells which")),
        };
        let notices: Vec<String> = offline.into_iter().chain(faulty).chain(strays).collect();
        let notice = (!notices.is_empty()).then(|| notices.join("; "));
        Health { live: !has_none, not_ready, notice }
    }

    fn metrics(self: Arc<Self>, query: &[(String, String)]) -> Result<Writing, String> {
        self.metrics.writing(query)
    }
}
