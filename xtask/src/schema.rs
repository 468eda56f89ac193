//! Reads Kafka's message schemas out of its published jars and writes the facts that the codec is generated from.
//!
//! `cargo xtask schema JAR...` needs `unzip` on the path; the four jars that hold messages are in
//! `target/cache/protocol-oracle/jars` once the codec's tests have run. Facts only: names, types, versions, tags, defaults. The prose
//! of the schemas stays in the jars. The format is described by `crates/protocol/build/facts.rs`, which reads it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

type Error = Box<dyn std::error::Error>;

/// Writes `crates/protocol/schema/*.txt` from the `common/message/*.json` of the given jars.
pub fn run(jars: &[String]) -> Result<(), Error> {
    if jars.is_empty() {
        return Err("usage: cargo xtask schema kafka-clients-X.jar [kafka-group-coordinator-X.jar ...]".into());
    }
    let mut files: BTreeMap<String, Vec<(u8, String, String)>> = BTreeMap::new();
    for jar in jars {
        for message in messages(Path::new(jar))? {
            if text(&message, "validVersions")? == "none" {
                continue; // Keys 4-7 left the protocol with ZooKeeper.
            }
            let (order, facts) = message_facts(&message)?;
            files.entry(file_name(&message, jar)?).or_default().push((order, text(&message, "name")?.into(), facts));
        }
    }
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/protocol/schema");
    std::fs::create_dir_all(&directory)?;
    for entry in std::fs::read_dir(&directory)? {
        let path = entry?.path();
        // The error codes are an enum in Java, so theirs is the one file that is kept by hand.
        if path.extension().is_some_and(|extension| extension == "txt") && !path.ends_with("error_codes.txt") {
            std::fs::remove_file(path)?;
        }
    }
    for (name, mut messages) in files {
        messages.sort();
        let facts: Vec<String> = messages.into_iter().map(|(_, _, facts)| facts).collect();
        std::fs::write(directory.join(format!("{name}.txt")), facts.join("\n"))?;
    }
    Ok(())
}

fn messages(jar: &Path) -> Result<Vec<Value>, Error> {
    let names = String::from_utf8(unzip(jar, "-Z1", "common/message/*.json")?)?;
    names
        .lines()
        .map(|name| Ok(serde_json::from_str(&without_comments(&String::from_utf8(unzip(jar, "-p", name)?)?))?))
        .collect()
}

fn unzip(jar: &Path, mode: &str, pattern: &str) -> Result<Vec<u8>, Error> {
    let output =
        Command::new("unzip").arg(mode).arg(jar).arg(pattern).output().map_err(|error| format!("unzip: {error}"))?;
    if !output.status.success() {
        return Err(
            format!("unzip {mode} {} {pattern}: {}", jar.display(), String::from_utf8_lossy(&output.stderr)).into()
        );
    }
    Ok(output.stdout)
}

/// Kafka's schemas are JSON with `//` comments, some of them at the end of a line.
fn without_comments(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for line in json.lines() {
        let (mut quoted, mut escaped, mut end) = (false, false, line.len());
        for (at, byte) in line.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = quoted,
                b'"' => quoted = !quoted,
                b'/' if !quoted && line[at..].starts_with("//") => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        out.push_str(&line[..end]);
        out.push('\n');
    }
    out
}

/// Both halves of an API share a file; the rest is grouped by where it is written.
fn file_name(message: &Value, jar: &str) -> Result<String, Error> {
    let name = text(message, "name")?;
    Ok(match text(message, "type")? {
        kind @ ("request" | "response") => snake_case(&name[..name.len() - kind.len()]),
        "header" => "headers".into(),
        "data" => "data".into(),
        _ if jar.contains("group-coordinator") => "group_coordinator_records".into(),
        _ if jar.contains("transaction-coordinator") => "transaction_coordinator_records".into(),
        _ if jar.contains("share-coordinator") => "share_coordinator_records".into(),
        kind => return Err(format!("{name}: type {kind} in {jar}").into()),
    })
}

fn message_facts(message: &Value) -> Result<(u8, String), Error> {
    let kind = text(message, "type")?;
    let mut out = format!("{kind} {} versions={}", text(message, "name")?, text(message, "validVersions")?);
    write!(out, " flexible={}", message["flexibleVersions"].as_str().unwrap_or("none"))?;
    if let Some(key) = message["apiKey"].as_i64() {
        write!(out, " key={key}")?;
    }
    if let Some(listeners) = message["listeners"].as_array() {
        let listeners: Vec<&str> = listeners.iter().filter_map(Value::as_str).collect();
        write!(out, " listeners={}", listeners.join(","))?;
    }
    if message["latestVersionUnstable"] == true {
        out.push_str(" unstable");
    }
    out.push('\n');
    fields_facts(&mut out, message, 1)?;
    for shared in message["commonStructs"].as_array().into_iter().flatten() {
        writeln!(out, "  struct {} {}", text(shared, "name")?, text(shared, "versions")?)?;
        fields_facts(&mut out, shared, 2)?;
    }
    let order = ["header", "request", "response", "data", "coordinator-key", "coordinator-value"];
    Ok((order.iter().position(|&k| k == kind).ok_or("unknown message type")? as u8, out))
}

fn fields_facts(out: &mut String, parent: &Value, depth: usize) -> Result<(), Error> {
    for field in parent["fields"].as_array().into_iter().flatten() {
        // A field that is always tagged may leave its versions out.
        let versions = field["versions"].as_str().map_or_else(|| text(field, "taggedVersions"), Ok)?;
        write!(out, "{}{} {} {versions}", "  ".repeat(depth), text(field, "name")?, text(field, "type")?)?;
        if let Some(nullable) = field["nullableVersions"].as_str() {
            write!(out, " nullable={nullable}")?;
        }
        if let (Some(tag), Some(tagged)) = (field["tag"].as_u64(), field["taggedVersions"].as_str()) {
            write!(out, " tag={tag}@{tagged}")?;
        }
        match &field["default"] {
            Value::String(default) if !default.is_empty() => write!(out, " default={}", default.to_lowercase())?,
            default @ (Value::Bool(_) | Value::Number(_)) => write!(out, " default={default}")?,
            _ => {}
        }
        if let Some(flexible) = field["flexibleVersions"].as_str() {
            write!(out, " flexible={flexible}")?;
        }
        for (name, word) in [("ignorable", " ignorable"), ("mapKey", " map-key")] {
            if field[name] == true {
                out.push_str(word);
            }
        }
        out.push('\n');
        fields_facts(out, field, depth + 1)?;
    }
    Ok(())
}

fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str, Error> {
    value[name].as_str().ok_or_else(|| format!("no \"{name}\" in {value}").into())
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(character.to_lowercase());
    }
    out
}
