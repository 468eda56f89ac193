//! Runs `Oracle.java` and speaks with it. See there for the questions.

use std::collections::BTreeMap;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

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

/// Whether Kafka's class takes the bytes, and how many of them it reads: for those too large to be printed.
pub fn ask_check(messages: &[(MessageKind, i16, Vec<u8>)]) -> Option<Vec<Result<usize, String>>> {
    let mut asked = Vec::new();
    for (kind, version, bytes) in messages {
        head(&mut asked, b'C', *kind, *version);
        asked.extend((bytes.len() as u32).to_be_bytes());
        asked.extend(bytes);
    }
    let checked = |answers: &mut dyn Read| match byte(answers) {
        1 => Err(text(answers)),
        4 => Ok(number(answers)),
        other => panic!("answer {other}"),
    };
    ask(asked, |answers| messages.iter().map(|_| checked(answers)).collect())
}

/// What Kafka counts of each response: codes, each with how often it counts. None of what no broker would answer.
pub fn ask_error_counts(responses: &[(MessageKind, i16, Vec<u8>)]) -> Option<Vec<Option<BTreeMap<i16, usize>>>> {
    let mut asked = Vec::new();
    for (kind, version, bytes) in responses {
        head(&mut asked, b'X', *kind, *version);
        asked.extend((bytes.len() as u32).to_be_bytes());
        asked.extend(bytes);
    }
    let counts = |answers: &mut dyn Read| match number(answers) as u32 as i32 {
        -1 => None,
        pairs => Some((0..pairs).map(|_| (number(answers) as u32 as i16, number(answers))).collect()),
    };
    ask(asked, |answers| responses.iter().map(|_| counts(answers)).collect())
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
        .args(["-Xmx512m", "-cp"])
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

/// The folder of Kafka's jars, fetched by maven into `target/cache` when a test asks for the first time. The reason why
/// there is none is that something is missing on this machine.
fn find_jars() -> Result<PathBuf, String> {
    static JARS: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    JARS.get_or_init(|| {
        run(Command::new("java").arg("-version"))?;
        let pom = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/pom.xml");
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/cache/protocol-oracle");
        let jars = cache.join("jars");
        if !is_made_from(&jars, &pom) {
            fetch_jars(&pom, &jars, &cache.join(format!("jars.{}", std::process::id())))?;
        }
        Ok(jars)
    })
    .clone()
}

/// The folder has a copy of what it was made from, put there last.
fn is_made_from(jars: &Path, pom: &Path) -> bool {
    let wanted = std::fs::read(pom).expect("the pom is beside the test");
    std::fs::read(jars.join("pom.xml")).is_ok_and(|made_from| made_from == wanted)
}

/// Into a folder of this process, which then takes its place, so that another process sees all jars or none.
fn fetch_jars(pom: &Path, jars: &Path, fresh: &Path) -> Result<(), String> {
    println!("fetching Kafka's jars to {}", jars.display());
    let output = format!("-DoutputDirectory={}", fresh.display());
    run(Command::new("mvn").args(["-q", "-B", "-f"]).arg(pom).arg("dependency:copy-dependencies").arg(output))?;
    std::fs::copy(pom, fresh.join("pom.xml")).expect("target/cache can be written");
    let _ = std::fs::remove_dir_all(jars); // May not be there.
    if std::fs::rename(fresh, jars).is_err() {
        assert!(is_made_from(jars, pom), "neither we nor another test could put jars to {}", jars.display());
        std::fs::remove_dir_all(fresh).expect("target/cache can be written");
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("no {name} on this machine: {error}"))?;
    let said = || [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
    if output.status.success() { Ok(()) } else { Err(format!("{name} fails: {}", said().trim().replace('\n', "; "))) }
}
