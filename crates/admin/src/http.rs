//! The routes, and axum over the sockets of `env`.
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use env::net::{Receive, Send};
use env::{Clock, Listener};
use tokio::io::Join;

use crate::query;
use crate::scrape::{self, Writing};
use crate::text::Format;

/// What the broker says of itself.
pub trait Status: std::marker::Send + Sync + 'static {
    fn health(&self) -> Health;
    /// What writes the metrics that a query asks for; what is wrong with the query.
    fn metrics(self: Arc<Self>, query: &[(String, String)]) -> Result<Writing, String>;
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

async fn metrics(State(status): State<Arc<dyn Status>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let accept: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = Format::accepted(&accept.join(","));
    match status.metrics(&query::values(&query.unwrap_or_default())) {
        Ok(writing) => {
            let content_type = [(header::CONTENT_TYPE, format.content_type())];
            (StatusCode::OK, content_type, scrape::body(format, writing)).into_response()
        }
        Err(reason) => (StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response(),
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
