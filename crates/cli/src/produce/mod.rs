//! `ottla produce`: stdin, record by record, into a topic. What is read is written in order, once, or the command says
//! from which record on it is not.
pub(crate) mod input;
pub(crate) mod partitioner;
pub(crate) mod sender;
#[cfg(test)]
mod tests;

use clap::{Args, ValueEnum};
use client::Topics;
use env::{Env, Instant};
use protocol::ErrorCode;
use protocol::init_producer_id_request::InitProducerIdRequest;
use record::{Compression, ProducerEpoch, ProducerId};

use crate::connect::{CREATION, Connect, Session};
use crate::console::Console;
use crate::failure::Failure;
use crate::format::separator;
use crate::table::counted;
use input::{Reader, Shape};
use partitioner::Partitioner;
use sender::{Acknowledged, Batching, Sender};

#[derive(Args, Debug)]
pub struct Produce {
    /// Where to write; it is made if it is not there and the broker makes topics
    #[arg(add = crate::completions::topics())]
    topic: String,

    /// The key of every record
    #[arg(short, long, conflicts_with = "key_separator")]
    key: Option<String>,

    /// What stands between key and value in a line, such as : or \t
    #[arg(short = 'K', long, value_name = "SEPARATOR", value_parser = parse_separator)]
    key_separator: Option<Separator>,

    /// What ends a record
    #[arg(short = 'D', long, value_name = "SEPARATOR", default_value = "\\n", value_parser = parse_separator)]
    delimiter: Separator,

    /// A header of every record; may be repeated
    #[arg(short = 'H', long, value_name = "NAME=VALUE", value_parser = header)]
    header: Vec<(String, String)>,

    /// The partition of every record [default: by key, as Java's clients choose]
    #[arg(short, long)]
    partition: Option<i32>,

    /// How batches are compressed
    #[arg(short = 'z', long, value_enum, default_value_t)]
    compression: Codec,

    /// Whose word to wait for
    #[arg(long, value_enum, default_value_t)]
    acks: Acks,

    /// Do not ask for a producer id: a repeated request may then write twice
    #[arg(long)]
    no_idempotence: bool,

    /// An empty value is null: it deletes its key in a compacted topic
    #[arg(short = 'Z', long)]
    empty_is_null: bool,

    /// How records stand in stdin: lines, or one JSON object per line, as `consume --format json` writes them
    #[arg(short, long, value_enum, default_value_t)]
    format: InputFormat,

    /// Print topic/partition@offset of every batch
    #[arg(short, long)]
    verbose: bool,

    #[command(flatten)]
    connect: Connect,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Acks {
    #[default]
    All,
    #[value(name = "1")]
    Leader,
    #[value(name = "0")]
    None,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Codec {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum InputFormat {
    Json,
    #[default]
    Line,
}

/// clap would take a `Vec<u8>` for several numbers.
#[derive(Clone, Debug)]
struct Separator(Vec<u8>);

impl Acks {
    /// As Produce has it.
    pub fn code(self) -> i16 {
        match self {
            Acks::All => -1,
            Acks::Leader => 1,
            Acks::None => 0,
        }
    }
}

impl Codec {
    pub fn compression(self) -> Compression {
        match self {
            Codec::None => Compression::None,
            Codec::Gzip => Compression::Gzip,
            Codec::Snappy => Compression::Snappy,
            Codec::Lz4 => Compression::Lz4,
            Codec::Zstd => Compression::Zstd,
        }
    }
}

/// More than this in memory, and stdin has to wait.
pub(crate) const BUFFERED_BYTES_MAX: usize = 32 << 20;

pub async fn run(produce: Produce, env: Env, console: &mut Console) -> Result<(), Failure> {
    let session = produce.connect.session(&env, console)?;
    let partitions = partitions(&session, &produce.topic).await?;
    if let Some(partition) = produce.partition.filter(|index| !(0..partitions).contains(index)) {
        let what = format!("{} has no partition {partition}", produce.topic);
        return Err(Failure::not_found(what).remedy(format!("there are 0 to {}", partitions - 1)));
    }
    let identity = match produce.acks == Acks::All && !produce.no_idempotence {
        true => Some(identity(&session).await?),
        false => None,
    };
    let shape = Shape {
        delimiter: produce.delimiter.0.clone(),
        empty_is_null: produce.empty_is_null,
        headers: produce.header.clone(),
        is_json: produce.format == InputFormat::Json,
        key: produce.key.clone(),
        key_separator: produce.key_separator.as_ref().map(|separator| separator.0.clone()),
    };
    let acks = produce.acks.code();
    let mut partitioner = Partitioner::new(partitions, produce.partition);
    let mut reader = Reader::new(shape);
    let (topic, compression) = (produce.topic.clone(), produce.compression.compression());
    let mut sender = Sender::new(session, topic, partitions, acks, compression, identity, Batching::default());
    let ended = copy(&env, console, &mut reader, &mut partitioner, &mut sender, produce.verbose).await?;
    let written = format!("{} written to {}", counted(sender.acknowledged(), "record"), produce.topic);
    if ended.is_ok() && console.errors_are_terminal && !produce.verbose {
        console.say(&written);
    }
    ended.map_err(|failure| Failure { what: format!("{}; {written}", failure.what), ..failure })
}

/// Until stdin has ended and all of it is acknowledged. Answers what has ended it, if it was not its end: Ctrl-C, or a
/// record that cannot be read; what came before is written.
async fn copy(
    env: &Env,
    console: &mut Console,
    reader: &mut Reader,
    partitioner: &mut Partitioner,
    sender: &mut Sender,
    verbose: bool,
) -> Result<Result<(), Failure>, Failure> {
    let mut pieces = console.input(env);
    let mut interrupted = console.interrupted();
    let mut was_interrupted = false;
    let mut ended = None;
    while ended.is_none() || !sender.is_empty() {
        let wake = sender.dispatch(env.clock.now(), ended.is_some());
        tokio::select! {
            biased;
            () = &mut interrupted, if !was_interrupted => {
                // What was read is written; a second Ctrl-C does not wait for it.
                was_interrupted = true;
                ended = Some(Err(Failure::interrupted()));
            }
            done = sender.completion() => {
                for Acknowledged { partition, base_offset, .. } in sender.complete(done).await? {
                    if verbose && base_offset >= 0 {
                        console.print(&format!("{}/{partition}@{base_offset}", sender.topic()))?;
                    }
                }
                if verbose && console.output_is_terminal {
                    console.flush()?;
                }
            }
            piece = pieces.recv(), if ended.is_none() && sender.buffered_bytes() < BUFFERED_BYTES_MAX => {
                let mut records = Vec::new();
                ended = match piece {
                    Some(Ok(piece)) => reader.take(&piece, &mut records).err().map(Err),
                    Some(Err(error)) => Some(Err(Failure::new(format!("cannot read stdin: {error}")))),
                    None => Some(reader.finish(&mut records)),
                };
                for record in records {
                    let partition = partitioner.choose(record.key.as_deref(), &*env.rng);
                    if sender.append(partition, &record, env.clock.now()) {
                        partitioner.sealed(partition, &*env.rng);
                    }
                }
            }
            () = env.clock.sleep_until(wake.unwrap_or(Instant::NEVER)), if wake.is_some() => {}
        }
    }
    Ok(ended.expect("it ends only then"))
}

/// How many partitions the topic has. A topic that is not there is made, if the broker makes topics.
pub(crate) async fn partitions(session: &Session, topic: &str) -> Result<i32, Failure> {
    let names = [topic.to_owned()];
    let deadline = session.env.clock.now() + CREATION.min(session.timeout);
    loop {
        let cluster = session.client.metadata(Topics::Named { names: &names, create: true }).await?;
        let Some(found) = cluster.topic(topic) else { return Err(Failure::not_found(format!("{topic} is not there"))) };
        let error = match found.error {
            ErrorCode::None if !found.partitions.is_empty() => return Ok(found.partitions.len() as i32),
            error => error,
        };
        let may_come =
            matches!(error, ErrorCode::None | ErrorCode::UnknownTopicOrPartition | ErrorCode::LeaderNotAvailable);
        if !may_come || !session.pause(deadline).await {
            let failure = Failure::of_code(topic, error.code(), None);
            return Err(match error {
                ErrorCode::UnknownTopicOrPartition => failure.remedy(format!(
                    "`ottla topic create {topic}` makes it; the broker does not by itself (auto.create.topics.enable)"
                )),
                _ => failure,
            });
        }
    }
}

/// A producer id, with which the broker tells a repeated request from a new one.
pub(crate) async fn identity(session: &Session) -> Result<(ProducerId, ProducerEpoch), Failure> {
    let request =
        InitProducerIdRequest { transactional_id: None, transaction_timeout_ms: i32::MAX, ..Default::default() };
    let deadline = session.deadline();
    loop {
        let connection = session.client.any().await?;
        let response = connection.call_within(&request, 0..=4, session.timeout).await?;
        let code = ErrorCode::from_code(response.error_code).unwrap_or(ErrorCode::UnknownServerError);
        match code {
            ErrorCode::None => return Ok((ProducerId(response.producer_id), ProducerEpoch(response.producer_epoch))),
            code if code.is_retriable() && session.pause(deadline).await => {}
            code => {
                let failure = Failure::of_code("a producer id", code.code(), None);
                return Err(failure.remedy("--no-idempotence does without"));
            }
        }
    }
}

fn parse_separator(text: &str) -> Result<Separator, String> {
    separator(text).map(Separator)
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is no NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}
