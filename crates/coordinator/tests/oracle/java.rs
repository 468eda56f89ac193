//! Starts `KafkaGroups.java` and speaks with it: one command, one answer.

use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

/// What a command brought about: answers by ticket, and records as key and value.
#[derive(Debug, Default)]
pub struct Outcome {
    pub answers: Vec<(String, Vec<u8>)>,
    pub records: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

pub struct Kafka {
    java: Child,
    commands: BufWriter<ChildStdin>,
    outcomes: BufReader<ChildStdout>,
}

impl Kafka {
    /// None if there is no Java or no Kafka here; that has been said then.
    pub fn start() -> Option<Kafka> {
        let jars = match find_jars() {
            Ok(jars) => jars,
            Err(reason) => {
                assert!(std::env::var("OTTLA_TEST_COMPLETE").as_deref() != Ok("1"), "not run: {reason}");
                println!("not run: {reason}");
                return None;
            }
        };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/KafkaGroups.java");
        let mut java = Command::new("java")
            .args(["-Xmx256m", "-cp"])
            .arg(jars.join("*"))
            .arg(source)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("java was there a moment ago");
        let commands = BufWriter::new(java.stdin.take().expect("piped"));
        let outcomes = BufReader::new(java.stdout.take().expect("piped"));
        Some(Kafka { java, commands, outcomes })
    }

    /// A coordinator without groups, and the lines of its `server.properties`.
    pub fn begin(&mut self, properties: &str) -> Outcome {
        self.ask(b'N', |command| put_text(command, properties))
    }

    pub fn request(&mut self, key: i16, version: i16, ticket: &str, body: &[u8]) -> Outcome {
        self.ask(b'Q', |command| {
            command.extend(key.to_be_bytes());
            command.extend(version.to_be_bytes());
            put_text(command, ticket);
            command.extend((body.len() as u32).to_be_bytes());
            command.extend(body);
        })
    }

    pub fn advance(&mut self, milliseconds: i64) -> Outcome {
        self.ask(b'T', |command| command.extend(milliseconds.to_be_bytes()))
    }

    pub fn load(&mut self) -> Outcome {
        self.ask(b'L', |_| {})
    }

    pub fn topic_deleted(&mut self, name: &str, id: [u8; 16]) -> Outcome {
        self.ask(b'D', |command| {
            command.extend(id);
            put_text(command, name);
        })
    }

    fn ask(&mut self, command: u8, body: impl FnOnce(&mut Vec<u8>)) -> Outcome {
        let mut bytes = vec![command];
        body(&mut bytes);
        self.commands.write_all(&bytes).and_then(|()| self.commands.flush()).expect("Java reads its commands");
        let answers = (0..self.number()).map(|_| (self.text(), self.bytes().expect("an answer"))).collect();
        let records = (0..self.number()).map(|_| (self.bytes().expect("a key"), self.bytes())).collect();
        Outcome { answers, records }
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.outcomes.read_exact(&mut bytes).expect("an outcome from Java (its stderr is above)");
        bytes
    }

    fn number(&mut self) -> i32 {
        i32::from_be_bytes(self.take())
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.number()).ok()?];
        self.outcomes.read_exact(&mut bytes).expect("an outcome from Java (its stderr is above)");
        Some(bytes)
    }

    fn text(&mut self) -> String {
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(self.take()))];
        self.outcomes.read_exact(&mut bytes).expect("an outcome from Java (its stderr is above)");
        String::from_utf8(bytes).expect("UTF-8 from Java")
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        let _ = self.java.kill();
        let _ = self.java.wait();
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

/// The folder of Kafka's jars that the tests of `protocol` use too, fetched by maven if they were not here before.
fn find_jars() -> Result<PathBuf, String> {
    // Tests of one process fetch to one folder.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _mine = ONE_AT_A_TIME.lock();
    run(Command::new("java").arg("-version"))?;
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let pom = crates.join("protocol/tests/oracle/pom.xml");
    let cache = crates.join("../target/cache/protocol-oracle");
    let jars = cache.join("jars");
    let wanted = std::fs::read(&pom).expect("the pom is in the repository");
    let are_there = || std::fs::read(jars.join("pom.xml")).is_ok_and(|made_from| made_from == wanted);
    if !are_there() {
        let fresh = cache.join(format!("jars.{}", std::process::id()));
        let output = format!("-DoutputDirectory={}", fresh.display());
        run(Command::new("mvn").args(["-q", "-B", "-f"]).arg(&pom).arg("dependency:copy-dependencies").arg(output))?;
        std::fs::copy(&pom, fresh.join("pom.xml")).expect("target/cache can be written");
        let _ = std::fs::remove_dir_all(&jars); // May not be there.
        if std::fs::rename(&fresh, &jars).is_err() {
            assert!(are_there(), "neither we nor another test could put jars to {}", jars.display());
            std::fs::remove_dir_all(fresh).expect("target/cache can be written");
        }
    }
    Ok(jars)
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("no {name} on this machine: {error}"))?;
    let said = || [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
    if output.status.success() { Ok(()) } else { Err(format!("{name} fails: {}", said().trim().replace('\n', "; "))) }
}
