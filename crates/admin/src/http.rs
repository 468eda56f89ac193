//! The routes, and axum over the sockets of `env`.
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use env::net::{Receive, Send};
use env::{Clock, Listener};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::io::Join;

/// What the broker says of itself.
pub trait Status: std::marker::Send + Sync + 'static {
    fn health(&self) -> Health;
    fn metrics(&self) -> &Registry;
}

/// `live`: restarting would not help. `not_ready`: why clients should wait, if they should.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Health {
    pub live: bool,
    pub not_ready: Option<String>,
    /// What whoever runs the broker should know, though it serves.
    pub notice: Option<String>,
}

/// Serves until the process ends or the listener fails for good.
pub async fn serve(listener: Box<dyn Listener>, clock: Arc<dyn Clock>, status: Arc<dyn Status>) -> io::Result<()> {
    let routes = Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(status);
    axum::serve(Sockets { listener, clock }, routes).await
}

async fn live(State(status): State<Arc<dyn Status>>) -> impl IntoResponse {
    match status.health().live {
        true => (StatusCode::OK, "live\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not live\n"),
    }
}

async fn ready(State(status): State<Arc<dyn Status>>) -> impl IntoResponse {
    match status.health() {
        Health { live: true, not_ready: None, notice: None } => (StatusCode::OK, "ready\n".to_owned()),
        Health { live: true, not_ready: None, notice: Some(notice) } => {
            (StatusCode::OK, format!("ready, but {notice}\n"))
        }
        Health { live: true, not_ready: Some(why), .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n"))
        }
        Health { live: false, .. } => (StatusCode::SERVICE_UNAVAILABLE, "not live\n".to_owned()),
    }
}

async fn metrics(State(status): State<Arc<dyn Status>>) -> impl IntoResponse {
    let mut text = String::new();
    match encode(&mut text, status.metrics()) {
        Ok(()) => {
            let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (StatusCode::OK, [(header::CONTENT_TYPE, content_type)], text)
        }
        Err(error) => {
            let content_type = "text/plain; charset=utf-8";
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, content_type)], format!("metrics: {error}\n"))
        }
    }
}

/// axum's view of a listener.
struct Sockets {
    listener: Box<dyn Listener>,
    clock: Arc<dyn Clock>,
}

/// After a failed accept: out of descriptors, say, which passes.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

impl axum::serve::Listener for Sockets {
    type Io = Join<Box<dyn Receive>, Box<dyn Send>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(connection) => return (tokio::io::join(connection.receiver, connection.sender), connection.peer),
                Err(error) => {
                    tracing::warn!(%error, "admin listener: a connection could not be accepted");
                    self.clock.sleep_until(self.clock.now() + ACCEPT_RETRY).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.listener.local_address())
    }
}
