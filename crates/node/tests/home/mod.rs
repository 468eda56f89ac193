//! Where a simulated broker lives, through its ends: for tests that tell a story of several lives.
use std::net::SocketAddr;
use std::time::Duration;

use env::sim::{Machine, Settings, World};
use node::config::Config;
use node::{Node, Resources, StartError};

use crate::wire::Wire;

const RESOURCES: Resources = Resources { memory_bytes: 1 << 30, open_files_max: 1 << 12 };

pub struct Home {
    pub world: World,
    pub machine: Machine,
    pub client: Machine,
}

pub fn story<F: Future<Output = ()> + Send + 'static>(test: impl FnOnce(Home) -> F + Send + 'static) {
    story_of_seed(11, test);
}

pub fn story_of_seed<F: Future<Output = ()> + Send + 'static>(
    seed: u64,
    test: impl FnOnce(Home) -> F + Send + 'static,
) {
    env::sim::simulate(Settings::seed(seed), |world: World| async move {
        let machine = world.machine("broker");
        test(Home { client: world.machine("client"), machine, world }).await;
    });
}

impl Home {
    /// On the machine as it is, or after it has booted. `config` is for port 9092.
    pub async fn start_with(&self, config: &Config) -> Result<Node, StartError> {
        let env = if self.machine.is_up() { self.machine.env() } else { self.machine.boot() };
        Node::start(env, config, RESOURCES).await
    }

    pub async fn connect(&self) -> Wire {
        let address = SocketAddr::new(self.machine.ip(), 9092);
        Wire::new(self.client.env().net.connect(address).await.expect("it listens"))
    }

    pub async fn killed(&self, node: Node) {
        self.machine.kill();
        self.machine.down().await;
        drop(node);
    }

    pub async fn without_power(&self, node: Node) {
        self.machine.power_loss();
        self.machine.down().await;
        drop(node);
    }

    pub async fn sleep(&self, span: Duration) {
        self.world.sleep(span).await;
    }
}
