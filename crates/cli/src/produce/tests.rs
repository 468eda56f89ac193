//! A sender and a broker, with a door between them at which something goes wrong once, while so many requests are under
//! way. However it goes, what was appended is there, once and in order.
use std::collections::BTreeMap;
use std::io::{self, Cursor, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use client::{Address, Client, ConnectionOptions, Topics};
use env::net::{Connection, Receive};
use env::sim::{Machine, Settings, World};
use env::{Env, Instant, Listener, Listening};
use node::Node;
use node::config::Config;
use parking_lot::Mutex;
use protocol::produce_request::ProduceRequest;
use protocol::produce_response::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use protocol::{ApiKey, ErrorCode, Message, RequestFrame, encode_response};
use record::Compression;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::identity;
use super::input::Input;
use super::sender::{Batching, Sender};
use crate::connect::Session;
use crate::console::Console;

const PORT: u16 = 9092;
const TOPIC: &str = "lanes";
const PARTITIONS: i32 = 2;
const RECORDS: u64 = 100;
const RESOURCES: node::Resources = node::Resources { memory_bytes: 1 << 30, open_files_max: 1 << 12 };

/// What goes wrong, once.
#[derive(Clone, Copy)]
struct Mishap {
    /// Requests that are answered before.
    answered: usize,
    /// Requests that wait for an answer then.
    under_way: usize,
    ends: Ends,
}

#[derive(Clone, Copy)]
enum Ends {
    /// So many of them reach the broker, and the connection breaks before anybody hears of it.
    Cut { through: usize },
    /// The first of them is refused in the broker's name, and the others reach it.
    Refused,
}

#[test]
fn a_connection_lost_with_five_requests_under_way_loses_doubles_and_reorders_nothing() {
    for through in 0..=5 {
        goes_wrong(true, Mishap { answered: 1, under_way: 5, ends: Ends::Cut { through } });
    }
}

#[test]
fn what_follows_a_batch_that_was_refused_goes_again_behind_it() {
    goes_wrong(true, Mishap { answered: 1, under_way: 5, ends: Ends::Refused });
}

#[test]
fn nothing_follows_the_first_batch_before_it_is_acknowledged() {
    goes_wrong(true, Mishap { answered: 0, under_way: 1, ends: Ends::Refused });
}

#[test]
fn without_sequences_nothing_follows_a_batch_before_it_is_acknowledged() {
    goes_wrong(false, Mishap { answered: 2, under_way: 1, ends: Ends::Refused });
}

fn goes_wrong(is_idempotent: bool, mishap: Mishap) {
    env::sim::simulate(Settings::seed(3), move |world: World| async move {
        let (broker, door, client) = (world.machine("broker"), world.machine("door"), world.machine("client"));
        let node = start(&broker, &door).await;
        let mishap = Arc::new(Mutex::new(Some(mishap)));
        open(&door, SocketAddr::new(broker.ip(), PORT), mishap.clone());
        let (env, address) = (client.env(), Address::new(door.ip().to_string(), PORT));
        run(&env, &address, &format!("topic create {TOPIC} -p {PARTITIONS}")).await;
        write(&env, &address, is_idempotent).await;
        assert!(mishap.lock().is_none(), "nothing has gone wrong");
        let read = run(&env, &address, &format!("consume {TOPIC} --exit --format %p:%v\\n")).await;
        let mut found: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (partition, value) in read.lines().filter_map(|line| line.split_once(':')) {
            found.entry(partition).or_default().push(value.trim().parse().expect("a number"));
        }
        let [even, odd] = [0, 1].map(|first| (first..RECORDS).step_by(2).collect::<Vec<u64>>());
        assert_eq!(found, BTreeMap::from([("0", even), ("1", odd)]));
        node.stop().await;
    });
}

/// A broker that sends its clients to the door.
async fn start(machine: &Machine, door: &Machine) -> Node {
    let mut config = Config::for_tests_at("/data", "0.0.0.0", PORT);
    config.listeners.iter_mut().for_each(|listener| listener.host = None);
    config.advertised.iter_mut().for_each(|advertised| advertised.host = Some(door.ip().to_string()));
    Node::start(machine.env(), &config, RESOURCES).await.expect("it starts")
}

/// Many small batches, as many of them under way as the sender likes.
async fn write(env: &Env, address: &Address, is_idempotent: bool) {
    let client = Client::new(env.clone(), vec![address.clone()], ConnectionOptions::default());
    client.metadata(Topics::Named { names: &[TOPIC.to_owned()], create: false }).await.unwrap();
    let session = Session { client, env: env.clone(), timeout: Duration::from_secs(30) };
    let identity = if is_idempotent { identity(&session).await.ok() } else { None };
    let batching = Batching { bytes: 200, ..Batching::default() };
    let mut sender = Sender::new(session, TOPIC.to_owned(), PARTITIONS, -1, Compression::None, identity, batching);
    for number in 0..RECORDS {
        let input = Input { number, value: Some(format!("{number:50}").into()), ..Input::default() };
        sender.append((number % PARTITIONS as u64) as i32, &input, env.clock.now());
    }
    while !sender.is_empty() {
        let wake = sender.dispatch(env.clock.now(), true);
        tokio::select! {
            biased;
            done = sender.completion() => drop(sender.complete(done).await.expect("it goes on")),
            () = env.clock.sleep_until(wake.unwrap_or(Instant::NEVER)), if wake.is_some() => {}
        }
    }
    assert_eq!((sender.acknowledged(), sender.buffered_bytes()), (RECORDS, 0));
}

/// Takes connections for the broker.
fn open(machine: &Machine, broker: SocketAddr, mishap: Arc<Mutex<Option<Mishap>>>) {
    let env = machine.env();
    let mut listener = env.net.listen(SocketAddr::new(machine.ip(), PORT), Listening::with_backlog(16)).unwrap();
    let accept = async move {
        while let Ok(client) = <dyn Listener>::accept(&mut *listener).await {
            let broker = env.net.connect(broker).await.unwrap();
            let mishap = mishap.clone();
            env.spawn.task("carry", Box::pin(async move { drop(carry(client, broker, &mishap).await) }));
        }
    };
    machine.env().spawn.task("accept", Box::pin(accept));
}

/// One request after the other, but for those that a mishap waits for.
async fn carry(mut client: Connection, mut broker: Connection, mishap: &Mutex<Option<Mishap>>) -> io::Result<()> {
    let mut waiting = Vec::new();
    loop {
        let request = frame(&mut client.receiver).await?;
        let is_produce = RequestFrame::parse(&request[4..]).unwrap().api_key == ApiKey::Produce;
        waiting.push(request);
        let mut refused = None;
        if is_produce {
            let ends = match &mut *mishap.lock() {
                Some(Mishap { answered, .. }) if *answered > 0 => {
                    *answered -= 1;
                    None
                }
                Some(Mishap { under_way, .. }) if waiting.len() < *under_way => continue,
                ends => ends.take().map(|mishap| mishap.ends),
            };
            match ends {
                Some(Ends::Cut { through }) => {
                    for request in &waiting[..through] {
                        ask(&mut broker, request).await?;
                    }
                    return Ok(());
                }
                Some(Ends::Refused) => refused = Some(waiting.remove(0)),
                None => {}
            }
        }
        if let Some(request) = refused {
            client.sender.write_all(&refusal(&request)).await?;
        }
        for request in waiting.drain(..) {
            client.sender.write_all(&ask(&mut broker, &request).await?).await?;
        }
    }
}

/// With its length.
async fn frame(receiver: &mut Box<dyn Receive>) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    receiver.read_exact(&mut frame).await?;
    let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
    frame.resize(4 + length as usize, 0);
    receiver.read_exact(&mut frame[4..]).await?;
    Ok(frame)
}

async fn ask(broker: &mut Connection, request: &[u8]) -> io::Result<Vec<u8>> {
    broker.sender.write_all(request).await?;
    frame(&mut broker.receiver).await
}

/// Another broker leads all of its partitions.
fn refusal(request: &[u8]) -> Vec<u8> {
    let RequestFrame { api_key, api_version, correlation_id, body, .. } = RequestFrame::parse(&request[4..]).unwrap();
    let request = ProduceRequest::decode(api_version, body).unwrap();
    let error_code = ErrorCode::NotLeaderOrFollower.code();
    let responses = request.topic_data.into_iter().map(|topic| TopicProduceResponse {
        name: topic.name,
        partition_responses: topic
            .partition_data
            .iter()
            .map(|data| PartitionProduceResponse { index: data.index, error_code, ..Default::default() })
            .collect(),
        ..Default::default()
    });
    let response = ProduceResponse { responses: responses.collect(), ..Default::default() };
    encode_response(&response, api_key, api_version, correlation_id).unwrap()
}

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: crate::Command,
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a command has printed.
async fn run(env: &Env, address: &Address, line: &str) -> String {
    let address = address.to_string();
    let words = std::iter::once("ottla").chain(line.split(' ')).chain(["-b", &address]);
    let command = Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).command;
    let (out, err) = (Written::default(), Written::default());
    let streams: (Box<dyn Write + Send>, Box<dyn Write + Send>) = (Box::new(out.clone()), Box::new(err.clone()));
    let console = Console::new(Box::new(Cursor::new("")), streams.0, streams.1, Box::pin(std::future::pending()));
    let code = crate::run(command, env.clone(), console).await;
    assert_eq!(code, 0, "{line}: {}", String::from_utf8_lossy(&err.0.lock()));
    String::from_utf8(std::mem::take(&mut out.0.lock())).unwrap()
}
