//! A broker in the simulated world and one raw connection to it: what tests of the protocol's edges speak.
pub mod records;

use std::net::SocketAddr;

use env::sim::{Machine, Settings, World};
use env::{Connection, Env};
use node::config::Config;
use node::{Node, Resources};
use protocol::{ApiKey, Message, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const RESOURCES: Resources = Resources { memory_bytes: 1 << 30, open_files_max: 1 << 12 };

/// Runs `test` against a broker that has just started.
pub fn with_broker<F: Future<Output = ()> + Send + 'static>(test: impl FnOnce(World, Broker) -> F + Send + 'static) {
    env::sim::simulate(Settings::seed(1), |world: World| async move {
        let machine = world.machine("broker");
        let config = Config::for_tests_at("/data", "0.0.0.0", 9092);
        let node = Node::start(machine.env(), &config, RESOURCES).await.expect("an empty disk");
        let address = SocketAddr::new(machine.ip(), 9092);
        let broker = Broker { client: world.machine("client").env(), address, _machine: machine };
        test(world, broker).await;
        node.stop().await;
    });
}

pub struct Broker {
    client: Env,
    address: SocketAddr,
    _machine: Machine,
}

impl Broker {
    pub async fn connect(&self) -> Wire {
        Wire { connection: self.client.net.connect(self.address).await.expect("it listens") }
    }
}

pub struct Wire {
    connection: Connection,
}

impl Wire {
    pub fn new(connection: Connection) -> Wire {
        Wire { connection }
    }

    /// Sends a request and gives the response, decoded; `None` if the broker has closed the connection.
    pub async fn ask<R: Request>(&mut self, request: &R, version: i16) -> Option<R::Response> {
        let frame = protocol::encode_request(request, version, 7, Some("test")).expect("a request that can be sent");
        let body = self.exchange(&frame, R::KEY, version).await?;
        let response = R::Response::decode(version, &body);
        Some(response.unwrap_or_else(|error| panic!("{:?} version {version}: {error}", R::KEY)))
    }

    /// The body of the response to a frame.
    pub async fn exchange(&mut self, frame: &[u8], key: ApiKey, version: i16) -> Option<Vec<u8>> {
        self.connection.sender.write_all(frame).await.ok()?;
        let response = self.receive().await?;
        let (correlation_id, body) = protocol::decode_response_header(key, version, &response).expect("a header");
        assert_eq!(correlation_id, 7);
        Some(body.to_vec())
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        // The broker may have closed it already: then the next receive says so.
        let _ = self.connection.sender.write_all(bytes).await;
    }

    /// The next frame without its length.
    pub async fn receive(&mut self) -> Option<Vec<u8>> {
        let length = self.connection.receiver.read_i32().await.ok()?;
        let mut frame = vec![0; length as usize];
        self.connection.receiver.read_exact(&mut frame).await.ok()?;
        Some(frame)
    }
}
