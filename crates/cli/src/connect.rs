//! How a command finds its cluster, and how long it waits.
use std::time::Duration;

use clap::Args;
use client::{Address, CallError, Client, ConnectionOptions};
use env::{Env, Instant};
use protocol::{ErrorCode, Request};

use crate::console::Console;
use crate::failure::Failure;

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub struct Connect {
    /// Brokers to ask first, host:port separated by commas [default: KAFKA_BOOTSTRAP_SERVERS, else localhost:9092]
    #[arg(short, long, value_name = "HOST:PORT", visible_alias = "bootstrap", aliases = ["bootstrap-servers", "brokers"])]
    bootstrap_server: Option<String>,

    /// How long to wait for the cluster, such as 10s
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    timeout: Duration,
}

/// A connected command.
pub struct Session {
    pub client: Client,
    pub env: Env,
    pub timeout: Duration,
}

/// How long a topic may take to be there after somebody asked for it.
pub const CREATION: Duration = Duration::from_secs(5);

/// Between two attempts at something that will work soon.
pub const RETRY: Duration = Duration::from_millis(100);

impl Connect {
    pub fn session(&self, env: &Env, console: &Console) -> Result<Session, Failure> {
        let variable = console.variables.iter().find(|(name, _)| name == "KAFKA_BOOTSTRAP_SERVERS");
        let (text, whence) = match (&self.bootstrap_server, variable) {
            (Some(text), _) => (text.as_str(), "--bootstrap-server"),
            (None, Some((_, text))) => (text.as_str(), "KAFKA_BOOTSTRAP_SERVERS"),
            (None, None) => ("localhost:9092", ""),
        };
        let bootstrap = Address::parse_list(text).map_err(|bad| Failure::usage(format!("{whence}: {bad}")))?;
        let options = ConnectionOptions {
            client_id: concat!("ottla-cli/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: self.timeout.min(Duration::from_secs(10)),
            request_timeout: self.timeout,
            ..ConnectionOptions::default()
        };
        Ok(Session { client: Client::new(env.clone(), bootstrap, options), env: env.clone(), timeout: self.timeout })
    }
}

impl Session {
    pub fn deadline(&self) -> Instant {
        self.env.clock.now() + self.timeout
    }

    pub fn timeout_ms(&self) -> i32 {
        i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX)
    }

    /// Waits a little, if there is time until `deadline`.
    pub async fn pause(&self, deadline: Instant) -> bool {
        let then = self.env.clock.now() + RETRY;
        if then > deadline {
            return false;
        }
        self.env.clock.sleep_until(then).await;
        true
    }

    /// Asks the controller, again while `error_of` says that another one is it or that it is not ready.
    pub async fn ask_controller<R: Request>(
        &self,
        request: &R,
        versions: std::ops::RangeInclusive<i16>,
        error_of: fn(&R::Response) -> i16,
    ) -> Result<R::Response, Failure> {
        let deadline = self.deadline();
        loop {
            let connection = self.client.controller().await?;
            let response = connection.call_within(request, versions.clone(), self.timeout).await?;
            let retry = matches!(
                ErrorCode::from_code(error_of(&response)),
                Some(ErrorCode::NotController | ErrorCode::BrokerNotAvailable)
            );
            if !retry || !self.pause(deadline).await {
                return Ok(response);
            }
            self.client.metadata(client::Topics::None).await?;
        }
    }

    /// Asks the coordinator of `group`, again while it is being found or loads.
    pub async fn ask_coordinator<R: Request>(
        &self,
        group: &str,
        request: &R,
        versions: std::ops::RangeInclusive<i16>,
        error_of: fn(&R::Response) -> i16,
    ) -> Result<R::Response, Failure> {
        let deadline = self.deadline();
        loop {
            let connection = self.coordinator(group, deadline).await?;
            let answer = connection.call_within(request, versions.clone(), self.timeout).await;
            let retry = match &answer {
                Ok(response) => is_coordinator_error(error_of(response)),
                Err(error) => error.is_retriable() && !matches!(error, CallError::Timeout { .. }),
            };
            if !retry || !self.pause(deadline).await {
                return Ok(answer?);
            }
        }
    }

    /// The group's coordinator, once there is one.
    pub async fn coordinator(&self, group: &str, deadline: Instant) -> Result<client::Connection, Failure> {
        loop {
            let failure = match self.client.coordinator(group).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => {
                    let failure = Failure::of_code(&format!("the coordinator of group {group}"), error.code(), None);
                    if !is_coordinator_error(error.code()) {
                        return Err(failure);
                    }
                    failure
                }
                Err(error) if self.may_come_back(&error) => error.into(),
                Err(error) => return Err(error.into()),
            };
            if !self.pause(deadline).await {
                return Err(failure);
            }
        }
    }

    /// A cluster that was there may be starting again. One that never answered is more likely a wrong address.
    pub fn may_come_back(&self, error: &CallError) -> bool {
        error.is_retriable() && !self.client.cluster().brokers.is_empty()
    }
}

/// Ask again, and ask first who the coordinator is.
pub fn is_coordinator_error(code: i16) -> bool {
    matches!(
        ErrorCode::from_code(code),
        Some(ErrorCode::CoordinatorLoadInProgress | ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator)
    )
}

/// `10s`, `500ms`, `2m`, `1h`, `3d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("`{text}` is no time such as 500ms, 10s, 5m, 2h or 7d")),
    };
    let number: u64 = number.parse().map_err(|_| format!("`{text}` has no number before its unit"))?;
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(|| format!("`{text}` is too long"))
}
