//! `ottla log dump`: files as text, in the words of `kafka-dump-log` where Kafka has such a file.
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use coordinator::group::{GroupRecord, Replayed};
use env::{Disk, Env};
use record::Record;
use serde_json::{Map, json};
use storage::inspect::{self, Depth, Line, Value};
use tokio::sync::mpsc;

use super::on_a_thread;
use super::verify::failure;
use crate::console::Console;
use crate::failure::{Exit, Failure};

#[derive(Args, Debug)]
pub struct Dump {
    /// Files of a data directory, or directories with such
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Each record of every batch too
    #[arg(long, visible_alias = "deep-iteration")]
    records: bool,
    /// Each record with its key and value; those of __consumer_offsets decoded
    #[arg(long, visible_alias = "print-data-log")]
    contents: bool,
    /// How it is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: DumpOutput,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum DumpOutput {
    /// As kafka-dump-log does
    #[default]
    Text,
    /// One object a line
    Json,
}

enum Said {
    File(PathBuf),
    Line(Line),
    Failed(Failure),
}

pub async fn run(dump: Dump, env: Env, console: &mut Console) -> Result<(), Failure> {
    let depth = Depth { records: dump.records || dump.contents, contents: dump.contents };
    let (disk, paths, output) = (env.disk.clone(), dump.paths, dump.output);
    let job = move |sender: &mpsc::Sender<Said>| {
        for path in paths {
            if let Err(failure) = dump_path(&disk, &path, depth, sender) {
                let _ = sender.blocking_send(Said::Failed(failure));
            }
        }
    };
    let mut failures = crate::failure::Failures::default();
    let mut file = PathBuf::new();
    on_a_thread(&env, console, job, |console, said| {
        match said {
            Said::Failed(failure) => failures.add(failure),
            Said::File(path) => {
                if output == DumpOutput::Text {
                    console.print(&format!("Dumping {}", path.display()))?;
                }
                file = path;
            }
            Said::Line(line) if output == DumpOutput::Text => console.print(&line.to_string())?,
            Said::Line(line) => console.print(&to_json(&file, &line).to_string())?,
        }
        Ok(())
    })
    .await?;
    console.end(failures)
}

fn to_json(file: &Path, line: &Line) -> serde_json::Value {
    let mut object = Map::new();
    object.insert("file".to_owned(), json!(file.display().to_string()));
    for (name, value) in &line.fields {
        let value = match value {
            Value::Flag(flag) => json!(flag),
            Value::Number(number) => i64::try_from(*number).map_or_else(|_| json!(number.to_string()), |it| json!(it)),
            Value::Text(text) => json!(text),
            Value::Bytes(bytes) => json!(bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes))),
        };
        object.insert((*name).to_owned(), value);
    }
    serde_json::Value::Object(object)
}

/// A file, or all files in a directory and below it, by their names.
fn dump_path(disk: &Arc<dyn Disk>, path: &Path, depth: Depth, sender: &mpsc::Sender<Said>) -> Result<(), Failure> {
    if is_metadata(path) || path.parent().is_some_and(is_metadata) {
        let directory = if is_metadata(path) { path } else { path.parent().expect("just seen") };
        return dump_metadata(&**disk, directory, sender);
    }
    let entries = match disk.read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Failure::not_found(format!("{}: {error}", path.display())));
        }
        Err(_) => {
            return match dump_file(&**disk, path, depth, sender)? {
                true => Ok(()),
                false => {
                    let what = format!("{} is no log, index, lane, checkpoint or metadata log", path.display());
                    Err(Failure::usage(what))
                }
            };
        }
    };
    for entry in entries {
        let path = path.join(&entry.name);
        match entry.is_dir {
            true => dump_path(disk, &path, depth, sender)?,
            false => drop(dump_file(&**disk, &path, depth, sender)?),
        }
    }
    Ok(())
}

fn is_metadata(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == quorum::DIRECTORY)
}

/// False if there is nothing in such a file to print.
fn dump_file(disk: &dyn Disk, path: &Path, depth: Depth, sender: &mpsc::Sender<Said>) -> Result<bool, Failure> {
    let mut file = Some(Said::File(path.to_owned()));
    let decode: inspect::Decode<'_> = match is_of_offsets(path) {
        true => &decode_group_record,
        false => &|_| None,
    };
    let mut out = |line| {
        let mut said = file.take().into_iter().chain([Said::Line(line)]);
        said.all(|said| sender.blocking_send(said).is_ok())
    };
    inspect::dump(disk, path, depth, decode, &mut out).map_err(|error| failure(path, &error))
}

fn is_of_offsets(path: &Path) -> bool {
    let directory = path.parent().and_then(Path::file_name);
    directory.is_some_and(|name| name.to_string_lossy().starts_with("__consumer_offsets-"))
}

fn decode_group_record(record: &Record<'_>) -> Option<String> {
    Some(match GroupRecord::replay(record.key, record.value).ok()? {
        Replayed::Record(GroupRecord::GroupMetadata { group_id, value }) => match value {
            Some(value) => format!("group {group_id}: {value:?}"),
            None => format!("group {group_id}: gone"),
        },
        Replayed::Record(GroupRecord::OffsetCommit { group_id, topic, partition, value }) => match value {
            Some(value) => format!(
                "group {group_id}: {topic}-{partition} at {} epoch {} {:?} committed {}",
                value.offset, value.leader_epoch, value.metadata, value.commit_timestamp
            ),
            None => format!("group {group_id}: {topic}-{partition} gone"),
        },
        Replayed::Skipped { kind } => format!("of kind {kind}"),
    })
}

/// The whole log: its files are one.
fn dump_metadata(disk: &dyn Disk, directory: &Path, sender: &mpsc::Sender<Said>) -> Result<(), Failure> {
    let _ = sender.blocking_send(Said::File(directory.to_owned()));
    let found = quorum::inspect(disk, directory)
        .map_err(|error| Failure { exit: Exit::Unhealthy, ..Failure::new(error.to_string()) })?;
    let say = |line| drop(sender.blocking_send(Said::Line(line)));
    let records = |bytes: &[u8]| {
        for record in metadata::Records::decode(bytes) {
            match record {
                Ok(record) => say(Line::inner().text("record", format!("{record:?}"))),
                Err(error) => say(Line::inner().text("damaged", error)),
            }
        }
    };
    if let Some(snapshot) = &found.snapshot {
        say(Line::new().text("snapshot", "").number("index", snapshot.last.index).number("term", snapshot.last.term));
        snapshot.pieces.iter().for_each(|piece| records(piece));
    }
    for entry in &found.entries {
        let line = Line::new().number("index", entry.id.index).number("term", entry.id.term);
        match &entry.payload {
            quorum::Payload::TermStart => say(line.text("kind", "term-start")),
            quorum::Payload::Records(bytes) => {
                say(line.text("kind", "records").number("size", bytes.len() as u64));
                records(bytes);
            }
        }
    }
    Ok(())
}
