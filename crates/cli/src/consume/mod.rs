//! `ottla consume`: records of topics on stdout, from any point on, alone or as a member of a group. Alone it leaves no
//! trace at the broker.
mod assignor;
pub(crate) mod fetcher;
pub(crate) mod member;
pub(crate) mod offsets;
pub(crate) mod position;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use clap::Args;
use client::{Cluster, Topics};
use env::{BoxFuture, Env, Instant};
use protocol::ErrorCode;
use record::{Record, TopicPartition};

use crate::connect::{Connect, Session};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::format::Format;
use fetcher::{Fetcher, Go, Position};
use member::Member;
use position::{Point, Range};

#[derive(Args, Debug)]
pub struct Consume {
    /// Which topics to read
    #[arg(required = true, add = crate::completions::topics())]
    topics: Vec<String>,

    /// Where to begin, and after a colon where to stop: start, end, 42, +10, -10, @-1h, @2026-11-26, -10:end
    /// [default: start; with --group it counts where nothing is committed]
    #[arg(short, long, value_parser = Range::parse, allow_hyphen_values = true)]
    offset: Option<Range>,

    /// Only these partitions
    #[arg(short, long, value_delimiter = ',', conflicts_with = "group")]
    partition: Vec<i32>,

    /// Read as a member of this group, and commit what was read
    #[arg(short, long, add = crate::completions::groups())]
    group: Option<String>,

    /// Stop after so many records
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    num: Option<u64>,

    /// Stop at the end of what is there now
    #[arg(short, long)]
    exit: bool,

    /// %t topic, %p partition, %o offset, %k key, %v value, %h headers, %T time, %K %V sizes; or json
    #[arg(short, long, default_value = "%v\\n", value_parser = Format::parse)]
    format: Format,

    #[command(flatten)]
    connect: Connect,
}

/// How often a member commits.
const COMMIT: Duration = Duration::from_secs(5);

pub async fn run(consume: Consume, env: Env, console: &mut Console) -> Result<(), Failure> {
    let session = consume.connect.session(&env, console)?;
    check_topics(&session, &consume.topics).await?;
    let mut range = consume.offset.unwrap_or(Range { start: Point::Start, end: None });
    range.end = range.end.or(consume.exit.then_some(Point::End));
    let mut reading = Reading {
        interrupted: console.interrupted(),
        session,
        range,
        format: consume.format,
        left: consume.num,
        fetcher: Fetcher::new(),
        out: Vec::new(),
    };
    match consume.group {
        Some(group) => {
            let mut member = Member::new(group, consume.topics);
            let done = reading.as_member(&mut member, console).await;
            member.leave(&reading.session).await;
            done
        }
        None => {
            let partitions = partitions(&reading.session.client.cluster(), &consume.topics, &consume.partition)?;
            reading.alone(partitions, console).await
        }
    }
}

struct Reading {
    session: Session,
    range: Range,
    format: Format,
    /// How many records are still wanted.
    left: Option<u64>,
    fetcher: Fetcher,
    /// Formatted, on its way to stdout.
    out: Vec<u8>,
    interrupted: BoxFuture<()>,
}

/// What ended a wait.
enum Turn {
    Interrupted,
    /// The group's generation is over.
    Over(Result<(), Failure>),
    Fetched(fetcher::Done),
    Time,
}

impl Reading {
    async fn alone(&mut self, partitions: Vec<TopicPartition>, console: &mut Console) -> Result<(), Failure> {
        let positions = positions(&self.session, self.range, &partitions, &BTreeMap::new()).await?;
        self.fetcher.assign(positions);
        while !self.fetcher.is_at_end() {
            match self.turn(None, None).await {
                Turn::Interrupted => break,
                Turn::Fetched(done) => {
                    if self.print(done, console).await? == Go::Stop {
                        break;
                    }
                }
                Turn::Over(_) | Turn::Time => {}
            }
        }
        Ok(())
    }

    async fn as_member(&mut self, member: &mut Member, console: &mut Console) -> Result<(), Failure> {
        let mut deadline = self.session.deadline();
        loop {
            let committed = tokio::select! {
                biased;
                () = &mut self.interrupted => return Ok(()),
                joined = join(&self.session, member) => joined,
            };
            let failure = match committed {
                Ok((assigned, committed)) => {
                    let end = self.share(member, &assigned, committed, console).await;
                    deadline = self.session.deadline();
                    match end {
                        Ok(Go::On) => continue, // A rebalance.
                        Ok(Go::Stop) => return Ok(()),
                        Err(failure) => failure,
                    }
                }
                Err(failure) => failure,
            };
            // The coordinator is gone. It, or another, may be there soon.
            if failure.exit != Exit::Unreachable || !self.session.pause(deadline).await {
                return Err(failure);
            }
        }
    }

    /// Reads our share until the generation is over (`On`) or everything is read (`Stop`).
    async fn share(
        &mut self,
        member: &mut Member,
        assigned: &[TopicPartition],
        mut committed: BTreeMap<TopicPartition, i64>,
        console: &mut Console,
    ) -> Result<Go, Failure> {
        let positions = positions(&self.session, self.range, assigned, &committed).await?;
        self.fetcher.assign(positions);
        let end = self.generation(member, &mut committed, console).await;
        // What was printed is committed, also before an error is reported.
        let commit = self.commit(member, &mut committed).await;
        let go = end?;
        commit.map(|()| go)
    }

    async fn generation(
        &mut self,
        member: &mut Member,
        committed: &mut BTreeMap<TopicPartition, i64>,
        console: &mut Console,
    ) -> Result<Go, Failure> {
        let mut commit_at = self.session.env.clock.now() + COMMIT;
        loop {
            if self.range.end.is_some() && self.fetcher.is_at_end() {
                return Ok(Go::Stop);
            }
            match self.turn(Some(member), Some(commit_at)).await {
                Turn::Interrupted => return Ok(Go::Stop),
                Turn::Over(over) => return over.map(|()| Go::On),
                Turn::Fetched(done) => {
                    if self.print(done, console).await? == Go::Stop {
                        return Ok(Go::Stop);
                    }
                }
                Turn::Time => {}
            }
            if self.session.env.clock.now() >= commit_at {
                self.commit(member, committed).await?;
                commit_at = self.session.env.clock.now() + COMMIT;
            }
        }
    }

    /// Asks for more and waits for whatever comes first.
    async fn turn(&mut self, member: Option<&mut Member>, at: Option<Instant>) -> Turn {
        let retry = self.fetcher.dispatch(&self.session, self.session.env.clock.now());
        let wake = retry.into_iter().chain(at).min();
        let over = async {
            match member {
                Some(member) => member.over().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = &mut self.interrupted => Turn::Interrupted,
            over = over => Turn::Over(over),
            done = self.fetcher.completion() => Turn::Fetched(done),
            () = self.session.env.clock.sleep_until(wake.unwrap_or(Instant::NEVER)), if wake.is_some() => Turn::Time,
        }
    }

    /// Prints what came. It is on stdout when this returns, so that a commit does not run ahead of it.
    async fn print(&mut self, done: fetcher::Done, console: &mut Console) -> Result<Go, Failure> {
        let Reading { session, format, left, fetcher, out, .. } = self;
        let (output, errors) = console.split();
        let mut reader = |partition: &TopicPartition, record: &Record<'_>| {
            format.put(&partition.topic, partition.partition, record, out);
            if out.len() >= OUT_BYTES {
                output.write_all(out)?;
                out.clear();
            }
            if let Some(left) = left {
                *left -= 1;
            }
            Ok(if *left == Some(0) { Go::Stop } else { Go::On })
        };
        let warn = |text: &str| drop(writeln!(errors, "ottla: {text}"));
        let go = fetcher.complete(session, done, &mut reader, warn).await?;
        console.write(out)?;
        out.clear();
        console.flush()?;
        Ok(go)
    }

    async fn commit(&mut self, member: &Member, committed: &mut BTreeMap<TopicPartition, i64>) -> Result<(), Failure> {
        let mut offsets: BTreeMap<TopicPartition, i64> = BTreeMap::new();
        for (partition, position) in self.fetcher.positions() {
            if committed.get(partition) != Some(&position.next) {
                offsets.insert(partition.clone(), position.next);
            }
        }
        if member.commit(&self.session, &offsets).await? {
            committed.extend(offsets);
        }
        Ok(())
    }
}

/// Where to begin and to stop in each partition. What is committed counts before where `range` starts.
pub(crate) async fn positions(
    session: &Session,
    range: Range,
    partitions: &[TopicPartition],
    committed: &BTreeMap<TopicPartition, i64>,
) -> Result<BTreeMap<TopicPartition, Position>, Failure> {
    let bounds = offsets::bounds(session, partitions).await?;
    let fresh: Vec<TopicPartition> =
        partitions.iter().filter(|partition| !committed.contains_key(*partition)).cloned().collect();
    let starts = offsets::resolve(session, &fresh, range.start, &bounds).await?;
    let ends = match range.end {
        Some(Point::Offset(_)) | None => BTreeMap::new(), // It need not be there yet.
        Some(end) => offsets::resolve(session, partitions, end, &bounds).await?,
    };
    let position = |partition: &TopicPartition| {
        let end = match range.end {
            Some(Point::Offset(end)) => Some(end),
            _ => ends.get(partition).copied(),
        };
        let next = committed.get(partition).or_else(|| starts.get(partition)).copied();
        (partition.clone(), Position { next: next.unwrap_or(bounds[partition].start), end })
    };
    Ok(partitions.iter().map(position).collect())
}

/// Joins, and learns what the group has committed of our partitions.
async fn join(
    session: &Session,
    member: &mut Member,
) -> Result<(Vec<TopicPartition>, BTreeMap<TopicPartition, i64>), Failure> {
    let assigned = member.join(session).await?;
    let names: Vec<String> = assigned.iter().map(|partition| partition.topic.to_string()).collect();
    session.client.metadata(Topics::Named { names: &names, create: false }).await?;
    let committed = member.committed(session, &assigned).await?;
    Ok((assigned, committed))
}

const OUT_BYTES: usize = 64 * 1024;

/// Who leads a partition; -1 while nobody does.
pub(crate) fn leader(cluster: &Cluster, partition: &TopicPartition) -> i32 {
    let topic = cluster.topic(&partition.topic);
    let found = topic.and_then(|topic| topic.partitions.iter().find(|found| found.index == partition.partition));
    found.map_or(-1, |found| found.leader)
}

pub(crate) async fn check_topics(session: &Session, topics: &[String]) -> Result<(), Failure> {
    let cluster = session.client.metadata(Topics::Named { names: topics, create: false }).await?;
    for name in topics {
        let code = cluster.topic(name).map_or(ErrorCode::UnknownTopicOrPartition, |topic| topic.error);
        if code.is_error() && code != ErrorCode::LeaderNotAvailable {
            return Err(Failure::of_code(name, code.code(), None));
        }
    }
    Ok(())
}

/// All partitions of the topics, or those that were asked for, which must be there.
pub(crate) fn partitions(cluster: &Cluster, topics: &[String], wanted: &[i32]) -> Result<Vec<TopicPartition>, Failure> {
    let mut partitions = Vec::new();
    for topic in topics.iter().filter_map(|name| cluster.topic(name)) {
        let there: Vec<i32> = topic.partitions.iter().map(|partition| partition.index).collect();
        if let Some(missing) = wanted.iter().find(|index| !there.contains(index)) {
            let what = format!("{} has no partition {missing}", topic.name);
            return Err(Failure::not_found(what).remedy(format!("there are 0 to {}", there.len().saturating_sub(1))));
        }
        let indexes = if wanted.is_empty() { &there } else { wanted };
        partitions.extend(indexes.iter().map(|index| TopicPartition::new(topic.name.as_str(), *index)));
    }
    partitions.sort();
    partitions.dedup();
    Ok(partitions)
}
