//! `ottla group seek`: where a group goes on. What moves is shown before it moves, and what undoes it is said.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use client::Topics;
use env::Env;
use protocol::offset_delete_request::{OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use protocol::offset_delete_response::OffsetDeleteResponse;
use record::TopicPartition;
use serde_json::json;

use super::places::{self, Goals};
use crate::connect::{Connect, Session};
use crate::console::Console;
use crate::consume::member::{Member, committed};
use crate::consume::offsets::{self, Bounds};
use crate::consume::position::Point;
use crate::failure::{Exit, Failure};
use crate::table::{Output, Table, counted};

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("goal").args(["to", "from_file"]).required(true))]
pub struct Seek {
    /// Which group
    #[arg(add = crate::completions::groups())]
    group: String,

    /// Where it goes on: start, end, 42, +10, -10, @-1h, @2026-11-26
    #[arg(long, value_name = "OFFSET", value_parser = Point::parse, allow_hyphen_values = true)]
    to: Option<Point>,

    /// Only these topics; ones that it has not read yet too [default: all of which it has committed offsets]
    #[arg(
        short, long = "topic", value_name = "TOPIC", value_delimiter = ',', conflicts_with = "from_file",
        add = crate::completions::topics()
    )]
    topics: Vec<String>,

    /// Only these partitions
    #[arg(short, long, value_delimiter = ',', requires = "topics")]
    partition: Vec<i32>,

    /// Lines of topic,partition,offset; the offset - takes it back; - is stdin
    #[arg(short, long, value_name = "FILE")]
    from_file: Option<PathBuf>,

    /// Write what undoes it to this file, for --from-file [default: print the command that undoes it]
    #[arg(long, value_name = "FILE")]
    undo: Option<PathBuf>,

    /// Only show what would move
    #[arg(short = 'd', long)]
    dry_run: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    /// For people or for programs
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    connect: Connect,
}

/// Offsets of 10,000 partitions with long names are less.
const FILE_BYTES_MAX: u64 = 16 << 20;

impl Seek {
    pub async fn run(self, env: Env, console: &mut Console) -> Result<(), Failure> {
        let session = self.connect.session(&env, console)?;
        let is_there = match super::describe(&session, &self.group).await {
            Ok(group) => {
                if !group.members.is_empty() && !self.dry_run {
                    let what = format!("group {} is in use, and would go on where it is", self.group);
                    return Err(Failure::new(what).remedy(super::who_is_in(&session, &self.group).await?));
                }
                true
            }
            Err(failure) if failure.exit == Exit::NotFound && (!self.topics.is_empty() || self.from_file.is_some()) => {
                false
            }
            Err(failure) if failure.exit == Exit::NotFound => {
                return Err(failure.remedy("--topic makes it, with offsets of that topic"));
            }
            Err(failure) => return Err(failure),
        };
        let old = if is_there { committed(&session, &self.group, None).await? } else { BTreeMap::new() };
        let (goals, bounds) = self.goals(&session, &old, &env, console).await?;
        show(&goals, &old, &bounds, self.output, console)?;
        let moving: Goals = goals.into_iter().filter(|(place, goal)| old.get(place).copied() != *goal).collect();
        if moving.is_empty() || self.dry_run {
            console.say(if moving.is_empty() { "there is nothing to move" } else { "nothing was moved" });
            return Ok(());
        }
        let question = format!("move {}?", counted(moving.len() as u64, "partition"));
        console.confirm(&env, self.yes, &question, "nothing was moved").await?;
        let undo: Goals = moving.keys().map(|place| (place.clone(), old.get(place).copied())).collect();
        let undo = self.write_undo(&undo, &env)?;
        self.act(&session, moving).await?;
        console.say(&format!("moved {}; to undo it:\n  {undo}", self.group));
        Ok(())
    }

    /// Where each partition goes, and what there is in those that are still there.
    async fn goals(
        &self,
        session: &Session,
        old: &BTreeMap<TopicPartition, i64>,
        env: &Env,
        console: &mut Console,
    ) -> Result<(Goals, BTreeMap<TopicPartition, Bounds>), Failure> {
        let Some(to) = self.to else {
            let goals = places::parse(&self.read_file(env, console).await?)?;
            let bounds = bounds_of(session, goals.keys()).await?;
            for (place, goal) in &goals {
                if goal.is_some() && !bounds.contains_key(place) {
                    let what = format!("there is no {}/{}", place.topic, place.partition);
                    return Err(Failure::not_found(what).remedy("`ottla topic list` shows what is there"));
                }
            }
            return Ok((goals, bounds));
        };
        let bounds = if self.topics.is_empty() {
            bounds_of(session, old.keys()).await?
        } else {
            crate::consume::check_topics(session, &self.topics).await?;
            let partitions = crate::consume::partitions(&session.client.cluster(), &self.topics, &self.partition)?;
            offsets::bounds(session, &partitions).await?
        };
        let partitions: Vec<TopicPartition> = bounds.keys().cloned().collect();
        let offsets = offsets::resolve(session, &partitions, to, &bounds).await?;
        Ok((offsets.into_iter().map(|(place, offset)| (place, Some(offset))).collect(), bounds))
    }

    async fn read_file(&self, env: &Env, console: &mut Console) -> Result<String, Failure> {
        let path = self.from_file.as_deref().unwrap_or(Path::new("-"));
        if path == Path::new("-") {
            if !self.yes && console.input_is_terminal {
                return Err(Failure::usage("stdin has the offsets, so it cannot answer; add -y or -d"));
            }
            return console.all_input(env, FILE_BYTES_MAX as usize).await;
        }
        let bytes = env::disk::read_file(&*env.disk, path, FILE_BYTES_MAX)
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Keeps what undoes it, before anything moves. Answers the command.
    fn write_undo(&self, undo: &Goals, env: &Env) -> Result<String, Failure> {
        let text = places::write(undo);
        let group = quoted(&self.group);
        match &self.undo {
            Some(path) => {
                env::disk::replace_file(&*env.disk, path, text.as_bytes())
                    .map_err(|error| Failure::new(format!("{}: {error}; nothing was moved", path.display())))?;
                Ok(format!("ottla group seek {group} --from-file {}", quoted(&path.display().to_string())))
            }
            None => {
                let lines = text.trim_end().replace('\n', "\\n");
                Ok(format!("printf '{lines}\\n' | ottla group seek {group} --yes --from-file -"))
            }
        }
    }

    async fn act(&self, session: &Session, moving: Goals) -> Result<(), Failure> {
        let mut offsets = BTreeMap::new();
        let mut gone = Vec::new();
        for (place, goal) in moving {
            match goal {
                Some(offset) => drop(offsets.insert(place, offset)),
                None => gone.push(place),
            }
        }
        // Outside of any generation; a group with members refuses it.
        let outsider = Member::new(self.group.clone(), Vec::new());
        if !outsider.commit(session, &offsets).await? {
            let failure = Failure::new(format!("group {} is in use; nothing was moved", self.group));
            return Err(failure.remedy(super::who_is_in(session, &self.group).await?));
        }
        take_back(session, &self.group, gone).await
    }
}

/// What there is in partitions; those that are gone are left out.
async fn bounds_of(
    session: &Session,
    places: impl Iterator<Item = &TopicPartition> + Clone,
) -> Result<BTreeMap<TopicPartition, Bounds>, Failure> {
    let mut names: Vec<String> = places.clone().map(|place| place.topic.to_string()).collect();
    names.dedup();
    let cluster = session.client.metadata(Topics::Named { names: &names, create: false }).await?;
    let there: Vec<TopicPartition> =
        places.filter(|place| crate::consume::leader(&cluster, place) >= 0).cloned().collect();
    offsets::bounds(session, &there).await
}

fn show(
    goals: &Goals,
    old: &BTreeMap<TopicPartition, i64>,
    bounds: &BTreeMap<TopicPartition, Bounds>,
    output: Output,
    console: &mut Console,
) -> Result<(), Failure> {
    let mut table = Table::new(&["TOPIC", "PARTITION", "OLD", "NEW", "MOVE", "LAG"]);
    for (place, new) in goals {
        let old = old.get(place).copied();
        let distance = old.zip(*new).map(|(old, new)| new - old);
        let lag = bounds.get(place).zip(*new).map(|(bounds, new)| (bounds.end - new).max(0));
        table.row(vec![
            json!(&*place.topic),
            json!(place.partition),
            json!(old),
            json!(new),
            json!(distance),
            json!(lag),
        ]);
    }
    table.print(output, console)?;
    console.flush()
}

/// As if they had never been committed (KIP-496).
async fn take_back(session: &Session, group: &str, places: Vec<TopicPartition>) -> Result<(), Failure> {
    if places.is_empty() {
        return Ok(());
    }
    let mut topics: Vec<OffsetDeleteRequestTopic> = Vec::new();
    for place in &places {
        let partition = OffsetDeleteRequestPartition { partition_index: place.partition, ..Default::default() };
        match topics.last_mut().filter(|topic| topic.name == *place.topic) {
            Some(topic) => topic.partitions.push(partition),
            None => {
                topics.push(OffsetDeleteRequestTopic {
                    name: place.topic.to_string(),
                    partitions: vec![partition],
                    ..Default::default()
                });
            }
        }
    }
    let request = OffsetDeleteRequest { group_id: group.to_owned(), topics, ..Default::default() };
    let error_of = |response: &OffsetDeleteResponse| {
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        let codes = partitions.map(|partition| partition.error_code);
        std::iter::once(response.error_code).chain(codes).find(|code| *code != 0).unwrap_or(0)
    };
    let response = session.ask_coordinator(group, &request, 0..=0, error_of).await?;
    match error_of(&response) {
        0 => Ok(()),
        code => Err(Failure::of_code(&format!("group {group}: taking offsets back"), code, None)),
    }
}

/// As a shell reads it back.
fn quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-/:@%+=".contains(letter);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_names_as_they_are() {
        assert_eq!(quoted("a.b-c_1"), "a.b-c_1");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
