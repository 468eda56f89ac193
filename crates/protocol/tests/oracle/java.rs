//! Runs `Oracle.java` and speaks with it. See there for the questions.

use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use protocol::MessageKind;
use serde_json::Value;

pub struct Question {
    pub kind: MessageKind,
    pub version: i16,
    /// The version to write it at again.
    pub to: i16,
    pub bytes: Vec<u8>,
}

/// What Kafka's class made of bytes.
#[derive(Debug)]
#[allow(dead_code)] // The texts are read when a test fails.
pub enum Outcome {
    NotDecoded { error: String },
    NotEncoded { consumed: usize, error: String },
    Transcoded { consumed: usize, encoded: Vec<u8>, json: Value },
}

/// None if there is no Java or no Kafka here; that has been said then.
pub fn ask_transcode(questions: &[Question]) -> Option<Vec<Outcome>> {
    let mut asked = Vec::new();
    for Question { kind, version, to, bytes } in questions {
        head(&mut asked, b'T', *kind, *version);
        asked.extend(to.to_be_bytes());
        asked.extend((bytes.len() as u32).to_be_bytes());
        asked.extend(bytes);
    }
    ask(asked, |answers| questions.iter().map(|question| outcome(answers, question.kind)).collect())
}

/// For each message, version and seed: bytes that Kafka's generic serialisation wrote, and what its class made of them.
pub fn ask_random(messages: &[(MessageKind, i16, i64)]) -> Option<Vec<(Vec<u8>, Outcome)>> {
    let mut asked = Vec::new();
    for (kind, version, seed) in messages {
        head(&mut asked, b'R', *kind, *version);
        asked.extend(seed.to_be_bytes());
    }
    ask(asked, |answers| messages.iter().map(|(kind, ..)| (bytes(answers), outcome(answers, *kind))).collect())
}

pub fn ask_text(question: u8) -> Option<String> {
    ask(vec![question], |answers| text(answers))
}

fn head(asked: &mut Vec<u8>, question: u8, kind: MessageKind, version: i16) {
    asked.push(question);
    asked.extend((kind.name().len() as u16).to_be_bytes());
    asked.extend(kind.name().as_bytes());
    asked.extend(version.to_be_bytes());
}

fn outcome(answers: &mut dyn Read, kind: MessageKind) -> Outcome {
    match byte(answers) {
        0 => panic!("Kafka's jars have no class for {}", kind.name()),
        1 => Outcome::NotDecoded { error: text(answers) },
        2 => Outcome::NotEncoded { consumed: number(answers), error: text(answers) },
        3 => Outcome::Transcoded {
            consumed: number(answers),
            encoded: bytes(answers),
            json: serde_json::from_str(&text(answers)).expect("JSON from Kafka"),
        },
        other => panic!("answer {other}"),
    }
}

fn byte(answers: &mut dyn Read) -> u8 {
    let mut byte = [0];
    answers.read_exact(&mut byte).expect("an answer from Java (its stderr is above)");
    byte[0]
}

fn number(answers: &mut dyn Read) -> usize {
    let mut number = [0; 4];
    answers.read_exact(&mut number).expect("an answer from Java (its stderr is above)");
    u32::from_be_bytes(number) as usize
}

fn bytes(answers: &mut dyn Read) -> Vec<u8> {
    let mut bytes = vec![0; number(answers)];
    answers.read_exact(&mut bytes).expect("an answer from Java (its stderr is above)");
    bytes
}

fn text(answers: &mut dyn Read) -> String {
    String::from_utf8(bytes(answers)).expect("UTF-8 from Java")
}

fn ask<T>(asked: Vec<u8>, read: impl FnOnce(&mut dyn Read) -> T) -> Option<T> {
    let jars = match find_jars() {
        Ok(jars) => jars,
        Err(reason) => {
            assert!(std::env::var("OTTLA_TEST_COMPLETE").as_deref() != Ok("1"), "not run: {reason}");
            println!("not run: {reason}");
            return None;
        }
    };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/Oracle.java");
    let mut java = Command::new("java")
        .args(["-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp"])
        .arg(jars.join("*"))
        .arg(source)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("java was there a moment ago");
    let mut stdin = BufWriter::new(java.stdin.take().expect("piped"));
    let asking = std::thread::spawn(move || stdin.write_all(&asked).and_then(|()| stdin.flush()));
    let mut answers = BufReader::new(java.stdout.take().expect("piped"));
    let answer = read(&mut answers);
    asking.join().expect("the asking thread").expect("Java reads its questions");
    assert!(java.wait().expect("java ends").success());
    Some(answer)
}

/// The folder of jars, if there is one with Kafka's clients in it and a JDK to run them.
fn find_jars() -> Result<PathBuf, String> {
    let version = Command::new("java").arg("-version").output().map_err(|error| format!("no java: {error}"))?;
    if !version.status.success() {
        return Err("java does not run".into());
    }
    if let Some(jar) = std::env::var_os("OTTLA_KAFKA_CLIENTS_JAR") {
        let jar = PathBuf::from(jar);
        let folder = jar.parent().filter(|_| jar.is_file());
        return folder
            .map(Path::to_owned)
            .ok_or_else(|| format!("OTTLA_KAFKA_CLIENTS_JAR is no file: {}", jar.display()));
    }
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/cache");
    let folders = [cache.join("kafka/broker"), cache.join("protocol-oracle/jars")];
    let has_clients = |folder: &&PathBuf| folder.join("kafka-clients-4.4.0.jar").is_file();
    folders.iter().find(has_clients).cloned().ok_or_else(|| format!("no kafka-clients-4.4.0.jar in {folders:?}"))
}
