//! The simulation's clients and its ledger against a real broker, such as Apache Kafka: what is no bug there must be none
//! here. `cargo run -p sim --example kafka -- 127.0.0.1:9092 [batches]`; the broker may be killed meanwhile.
use std::time::Duration;

use env::Instant;
use env::sim::Chance;
use sim::admin::{ACTS, Act, Admin, TopicPlan};
use sim::ledger::{Ledger, Promise};
use sim::producer::{Plan, Producer};
use sim::reader::{Consumer, Extent, LedgerOf, verify};
use sim::shared::{Phase, Shared};
use sim::wire::Wire;

struct Real(Shared);

impl LedgerOf for Real {
    fn with<T>(&self, act: impl FnOnce(&mut Ledger) -> T) -> T {
        act(&mut self.0.ledger())
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn pause(&self, span: Duration) -> impl Future<Output = ()> + Send {
        self.0.env.clock.sleep_until(self.0.now() + span)
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let address = arguments[0].parse().expect("an address");
    let wanted: u64 = arguments.get(1).map_or(5000, |count| count.parse().expect("a number"));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        hook(panic);
        std::process::exit(1);
    }));
    let runtime = env::real::Runtime::new(2).expect("threads");
    let env = runtime.env();
    let shared = Shared::new(env.clone(), address, Ledger::new(None, Duration::ZERO));
    let mut chance = Chance::new(1);
    runtime.block_on(async {
        let mut admin = Admin::new(env.clone(), shared.clone(), chance.fork());
        let plans: Vec<TopicPlan> = ["orders", "switching", "reborn"]
            .map(|name| TopicPlan {
                name,
                partitions: 2,
                promise: Promise::Durable,
                retention: None,
                delete_retention: None,
                configs: vec![("segment.ms", "500".to_owned())],
            })
            .to_vec();
        for plan in &plans {
            admin.create(plan).await;
        }
        let acts: Vec<Act> = ACTS.concat().into_iter().filter(|act| !matches!(act, Act::Switch(_))).collect();
        let busy = Admin::new(env.clone(), shared.clone(), chance.fork());
        env.spawn.task("admin", Box::pin(async move { busy.run(plans, &acts).await }));
        for (topics, version) in
            [(["orders", "switching"], 12), (["orders", "reborn"], 13), (["orders", "switching"], 13)]
        {
            let topics = topics.map(str::to_owned).to_vec();
            let plan = Plan {
                topics,
                acks: -1,
                depth: 5,
                pause_probability: 0.0,
                pause_max: Duration::from_millis(1),
                version,
                keys: 0..1,
            };
            let producer = Producer::new(env.clone(), shared.clone(), chance.fork(), plan);
            env.spawn.task("producer", Box::pin(producer.run()));
        }
        let consumer = Consumer { env: env.clone(), shared: shared.clone(), chance: chance.fork() };
        env.spawn.task("consumer", Box::pin(consumer.run()));
        while shared.ledger().counts.acknowledged < wanted {
            env.clock.sleep_until(env.clock.now() + Duration::from_millis(10)).await;
        }
        shared.set_phase(Phase::Drain);
        while shared.clients_at_work() > 0 {
            env.clock.sleep_until(env.clock.now() + Duration::from_millis(10)).await;
        }
        shared.set_phase(Phase::Over);
        env.clock.sleep_until(env.clock.now() + Duration::from_millis(500)).await;
        admin.check_topics().await;
        let mut wire = Wire::connect(&env, address).await.expect("a broker");
        let topics: Vec<_> =
            shared.ledger().topics.iter().map(|(id, topic)| (*id, topic.deletion, topic.partitions.len())).collect();
        for (id, deletion, partitions) in topics {
            for partition in 0..partitions {
                if deletion == sim::ledger::Deletion::No {
                    verify(&mut wire, &Real(shared.clone()), (id, partition), Extent::Whole)
                        .await
                        .expect("a broker that answers");
                }
            }
        }
        println!("{:?}", shared.ledger().counts);
    });
}
