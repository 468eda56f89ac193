//! `ottla bench consume`: a topic read as fast as it comes and thrown away, and how long each fetch took.
use std::collections::BTreeMap;

use clap::Args;
use env::Env;
use record::{Record, TopicPartition};

use super::report::Report;
use crate::connect::Connect;
use crate::console::Console;
use crate::consume::fetcher::{Fetcher, Go};
use crate::consume::position::{Point, Range};
use crate::consume::{check_topics, partitions, positions};
use crate::failure::Failure;
use crate::table::Output;

#[derive(Args, Debug)]
pub struct Consume {
    /// Which topics to read
    #[arg(required = true, add = crate::completions::topics())]
    topics: Vec<String>,

    /// Where to begin, and after a colon where to stop: start, end, 42, +10, -10, @-1h, @2026-11-26, -10:end
    /// [default: all there is now; with --num from the start]
    #[arg(long, value_name = "OFFSET", value_parser = Range::parse, allow_hyphen_values = true)]
    offset: Option<Range>,

    /// Stop after so many records
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    num: Option<u64>,

    /// For people or for programs
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    connect: Connect,
}

impl Consume {
    pub async fn run(self, env: Env, console: &mut Console) -> Result<(), Failure> {
        let session = self.connect.session(&env, console)?;
        check_topics(&session, &self.topics).await?;
        let mut range = self.offset.unwrap_or(Range { start: Point::Start, end: None });
        if self.num.is_none() {
            range.end = range.end.or(Some(Point::End));
        }
        let partitions = partitions(&session.client.cluster(), &self.topics, &[])?;
        let positions = positions(&session, range, &partitions, &BTreeMap::new()).await?;
        let there = positions.values().map(|position| position.end.map(|end| (end - position.next).max(0) as u64));
        let there = there.sum::<Option<u64>>();
        let goal = there.into_iter().chain(self.num).min();
        let mut fetcher = Fetcher::new();
        fetcher.assign(positions);
        let mut interrupted = console.interrupted();
        let mut was_interrupted = false;
        let mut report = Report::new(goal, env.clock.now());
        let mut left = self.num;
        while !fetcher.is_at_end() {
            let retry = fetcher.dispatch(&session, env.clock.now());
            let wake = retry.into_iter().fold(report.moves_at(), env::Instant::min);
            let done = tokio::select! {
                biased;
                () = &mut interrupted => {
                    was_interrupted = true;
                    break;
                }
                done = fetcher.completion() => Some(done),
                () = env.clock.sleep_until(wake) => None,
            };
            if let Some(done) = done {
                let (before, took) = (report.records, done.took);
                let mut reader = |_: &TopicPartition, record: &Record<'_>| {
                    report.records += 1;
                    report.bytes += (record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)) as u64;
                    left = left.map(|left| left - 1);
                    Ok(if left == Some(0) { Go::Stop } else { Go::On })
                };
                let mut warning = None;
                let go = fetcher.complete(&session, done, &mut reader, |text| warning = Some(text.to_owned())).await?;
                // One that waits for records to come says nothing of the broker.
                if report.records > before {
                    report.times.add(took);
                }
                if let Some(warning) = warning {
                    console.end_progress();
                    console.say(&format!("ottla: {warning}"));
                }
                if go == Go::Stop {
                    break;
                }
            }
            report.progress(env.clock.now(), console);
        }
        report.print(env.clock.now(), self.output, console)?;
        if was_interrupted { Err(Failure::interrupted()) } else { Ok(()) }
    }
}
