//! One connection to one broker. Requests go out in the order in which they are sent and may overtake nobody; several
//! may be under way at a time.
use std::io;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::{BoxFuture, Env};
use protocol::api_versions_request::ApiVersionsRequest;
use protocol::{ApiKey, Message, Request, View, decode_response_header, encode_request};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::address::Address;
use crate::error::CallError;
use crate::negotiate::{Greeting, Versions, greeting};
use crate::stream::{self, Shared};

/// How a connection behaves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConnectionOptions {
    pub client_id: String,
    /// Per address of the host.
    pub connect_timeout: Duration,
    /// Requests that may wait for an answer at a time; further ones wait to be sent.
    pub in_flight_max: usize,
    /// A longer answer ends the connection.
    pub response_bytes_max: usize,
    /// Where a call names none of its own.
    pub request_timeout: Duration,
}

impl Default for ConnectionOptions {
    fn default() -> ConnectionOptions {
        ConnectionOptions {
            client_id: "ottla".to_owned(),
            connect_timeout: Duration::from_secs(10),
            in_flight_max: 5,
            response_bytes_max: 128 << 20,
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// Cheap to clone; the socket closes with the last clone.
#[derive(Clone)]
pub struct Connection {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    env: Env,
    options: ConnectionOptions,
    peer: String,
    versions: Versions,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close("closed by us");
    }
}

impl Connection {
    /// Connects to the first address of the host that answers, and asks which versions are served.
    pub async fn open(env: &Env, address: &Address, options: &ConnectionOptions) -> Result<Connection, CallError> {
        let failed = |reason: String| CallError::Connect { address: address.clone(), reason };
        let resolved = within(env, options.connect_timeout, env.net.resolve(&address.host, address.port)).await;
        let mut reason = "the name has no address".to_owned();
        for socket in resolved.map_err(failed)? {
            match within(env, options.connect_timeout, env.net.connect(socket)).await {
                Ok(connection) => return Connection::greet(env, connection, address.to_string(), options).await,
                Err(error) => reason = error,
            }
        }
        Err(failed(reason))
    }

    async fn greet(
        env: &Env,
        connection: env::net::Connection,
        peer: String,
        options: &ConnectionOptions,
    ) -> Result<Connection, CallError> {
        let (shared, frames) = Shared::new(options.in_flight_max);
        let env::net::Connection { receiver, sender, .. } = connection;
        env.spawn.task("client-write", Box::pin(stream::write(shared.clone(), sender, frames)));
        let bytes_max = options.response_bytes_max;
        env.spawn.task("client-read", Box::pin(stream::read(shared.clone(), receiver, bytes_max)));
        let (env, options, versions) = (env.clone(), options.clone(), Versions::default());
        let mut handle = Handle { shared, env, options, peer, versions };
        handle.versions = handle.negotiate().await?;
        Ok(Connection { handle: Arc::new(handle) })
    }

    /// Asks at the highest version that both know.
    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Response, CallError> {
        self.call_within(request, R::KEY.stable_versions(), self.handle.options.request_timeout).await
    }

    /// Asks at the highest of `versions` that the broker knows.
    pub async fn call_within<R: Request>(
        &self,
        request: &R,
        versions: RangeInclusive<i16>,
        timeout: Duration,
    ) -> Result<R::Response, CallError> {
        let version = self.version_of(R::KEY, versions)?;
        self.send(request, version, timeout).await?.response().await?.into_owned()
    }

    /// Sends without waiting for the answer. Waits while `in_flight_max` requests are under way.
    pub async fn send<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<Pending<R>, CallError> {
        let Sent { answer, deadline } = self.handle.ask(request, version, timeout).await?;
        Ok(Pending { connection: self.clone(), answer, version, timeout, deadline, request: PhantomData })
    }

    /// Sends what is never answered, a produce with acks=0, and waits until it is written.
    pub async fn tell<R: Request>(&self, request: &R, version: i16, timeout: Duration) -> Result<(), CallError> {
        let handle = &self.handle;
        let deadline = handle.env.clock.now() + timeout;
        let frame = handle.encode(request, version)?;
        let permit = handle.permit(R::KEY, deadline, timeout).await?;
        let written = handle.shared.tell(frame, permit).map_err(|reason| handle.closed(reason))?;
        tokio::select! {
            biased;
            written = written => written.map_err(|_| handle.closed("closed")),
            () = handle.env.clock.sleep_until(deadline) => Err(handle.timed_out(R::KEY, timeout)),
        }
    }

    /// The highest of `ours` that the broker knows.
    pub fn version_of(&self, api_key: ApiKey, ours: RangeInclusive<i16>) -> Result<i16, CallError> {
        self.handle.versions.choose(api_key, ours)
    }

    pub fn versions(&self) -> &Versions {
        &self.handle.versions
    }

    pub fn is_closed(&self) -> bool {
        self.handle.shared.closed().is_some()
    }

    /// Whom we are connected to, as it was asked for.
    pub fn peer(&self) -> &str {
        &self.handle.peer
    }
}

/// The outcome of something that the network may keep us waiting for.
async fn within<T>(env: &Env, time: Duration, work: BoxFuture<io::Result<T>>) -> Result<T, String> {
    let deadline = env.clock.now() + time;
    tokio::select! {
        biased;
        done = work => done.map_err(|error| error.to_string()),
        () = env.clock.sleep_until(deadline) => Err(format!("no answer within {} ms", time.as_millis())),
    }
}

/// A queued request, and until when its answer is waited for.
struct Sent {
    answer: oneshot::Receiver<Bytes>,
    deadline: env::Instant,
}

/// The newest version of ApiVersions that says nothing about who we think we talk to.
const GREETING_VERSION: i16 = 4;

impl Handle {
    async fn negotiate(&self) -> Result<Versions, CallError> {
        let api_key = ApiKey::ApiVersions;
        let mut version = GREETING_VERSION;
        loop {
            let request = ApiVersionsRequest {
                client_software_name: "ottla".to_owned(),
                client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
                ..Default::default()
            };
            let request = if version < 3 { ApiVersionsRequest::default() } else { request };
            let timeout = self.options.request_timeout;
            let sent = self.ask(&request, version, timeout).await?;
            let frame = self.wait(api_key, sent, timeout).await?;
            let decode = |error| CallError::Decode { api_key, version, error };
            let (_, body) = decode_response_header(api_key, version, &frame).map_err(decode)?;
            match greeting(version, body).map_err(decode)? {
                Greeting::Versions(versions) => return Ok(versions),
                Greeting::AskAt(lower) => version = lower,
                Greeting::Refused(error) => return Err(self.closed(format!("ApiVersions was refused: {error}"))),
            }
        }
    }

    fn encode<R: Request>(&self, request: &R, version: i16) -> Result<Vec<u8>, CallError> {
        encode_request(request, version, 0, Some(&self.options.client_id)).map_err(|error| CallError::Encode {
            api_key: R::KEY,
            version,
            error,
        })
    }

    async fn ask<R: Request>(&self, request: &R, version: i16, timeout: Duration) -> Result<Sent, CallError> {
        let deadline = self.env.clock.now() + timeout;
        let frame = self.encode(request, version)?;
        let permit = self.permit(R::KEY, deadline, timeout).await?;
        let answer = self.shared.ask(frame, permit).map_err(|reason| self.closed(reason))?;
        Ok(Sent { answer, deadline })
    }

    /// Leave to have one more request under way.
    async fn permit(
        &self,
        api_key: ApiKey,
        deadline: env::Instant,
        timeout: Duration,
    ) -> Result<OwnedSemaphorePermit, CallError> {
        tokio::select! {
            biased;
            permit = self.shared.in_flight.clone().acquire_owned() => permit.map_err(|_| self.closed("closed")),
            () = self.env.clock.sleep_until(deadline) => Err(self.timed_out(api_key, timeout)),
        }
    }

    async fn wait(&self, api_key: ApiKey, sent: Sent, timeout: Duration) -> Result<Bytes, CallError> {
        tokio::select! {
            biased;
            answer = sent.answer => answer.map_err(|_| self.closed("closed")),
            () = self.env.clock.sleep_until(sent.deadline) => Err(self.timed_out(api_key, timeout)),
        }
    }

    /// What comes later would be late too: the answers stand in one line.
    fn timed_out(&self, api_key: ApiKey, after: Duration) -> CallError {
        self.shared.close(format!("{api_key} was not answered within {} ms", after.as_millis()));
        CallError::Timeout { api_key, peer: self.peer.clone(), after }
    }

    fn closed(&self, reason: impl Into<String>) -> CallError {
        let reason = self.shared.closed().unwrap_or_else(|| reason.into());
        CallError::Closed { peer: self.peer.clone(), reason }
    }
}

/// A request under way. Dropping it forgets the answer, not the request.
pub struct Pending<R> {
    connection: Connection,
    answer: oneshot::Receiver<Bytes>,
    version: i16,
    timeout: Duration,
    deadline: env::Instant,
    request: PhantomData<fn() -> R>,
}

impl<R: Request> Pending<R> {
    pub async fn response(self) -> Result<Response<R>, CallError> {
        let Pending { connection, answer, version, timeout, deadline, request } = self;
        let frame = connection.handle.wait(R::KEY, Sent { answer, deadline }, timeout).await?;
        let decode = |error| CallError::Decode { api_key: R::KEY, version, error };
        let (_, body) = decode_response_header(R::KEY, version, &frame).map_err(decode)?;
        Ok(Response { body: frame.slice_ref(body), version, request })
    }
}

/// An answer as it came, to be read where it lies or copied.
pub struct Response<R> {
    body: Bytes,
    pub version: i16,
    request: PhantomData<fn() -> R>,
}

impl<R: Request> Response<R> {
    pub fn view(&self) -> Result<<R::Response as Message>::View<'_>, CallError> {
        <R::Response as Message>::View::decode(self.version, &self.body).map_err(|error| self.error(error))
    }

    pub fn into_owned(self) -> Result<R::Response, CallError> {
        R::Response::decode(self.version, &self.body).map_err(|error| self.error(error))
    }

    /// The bytes that views borrow from: `body().slice_ref(records)` keeps a part of them without a copy.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    fn error(&self, error: protocol::DecodeError) -> CallError {
        CallError::Decode { api_key: R::KEY, version: self.version, error }
    }
}
