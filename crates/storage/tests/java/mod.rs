//! Kafka's jars for tests that ask Kafka itself, and a directory for what they write.

use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

/// A folder of jars that `tests-clients` keeps or, where it has none, one of our own, fetched by Maven. `jar` is how
/// the name of one of them begins. `None` if they cannot be had: that has been said then.
pub fn jars(what: &str, jar: &str) -> Option<PathBuf> {
    match find(what, jar) {
        Ok(folder) => Some(folder),
        Err(reason) => {
            assert!(std::env::var("OTTLA_TEST_COMPLETE").as_deref() != Ok("1"), "not run: {reason}");
            println!("not run: {reason}");
            None
        }
    }
}

fn find(what: &str, jar: &str) -> Result<PathBuf, String> {
    // Tests of one process fetch to one folder.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _mine = ONE_AT_A_TIME.lock();
    run(Command::new("javac").arg("-version"))?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cache = root.join("target/cache");
    let has_jar = |folder: &Path| {
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
        names.filter(|entry| entry.file_name().to_string_lossy().starts_with(jar)).count() > 0
    };
    // The suites leave a stamp once the folder is whole.
    let suites = cache.join("kafka").join(what);
    if cache.join(format!("kafka-{what}.stamp")).exists() && has_jar(&suites) {
        return Ok(suites);
    }
    let own = cache.join(format!("storage-{what}"));
    if has_jar(&own) {
        return Ok(own);
    }
    let beside = cache.join(format!("storage-{what}.{}", std::process::id()));
    run(Command::new("mvn")
        .args(["-q", "-B", "-f"])
        .arg(root.join(format!("tests-clients/java/poms/kafka-{what}.xml")))
        .arg("dependency:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", beside.display())))?;
    // Another process may have been faster.
    if std::fs::rename(&beside, &own).is_err() {
        let _ = std::fs::remove_dir_all(&beside);
    }
    if has_jar(&own) { Ok(own) } else { Err(format!("{} is not whole", own.display())) }
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("no `{name}` on this machine: {error}"))?;
    let said = || [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
    if output.status.success() { Ok(()) } else { Err(format!("{name} fails: {}", said().trim().replace('\n', "; "))) }
}

/// Removed when dropped.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new(name: &str) -> Directory {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Of all that `LogOracle.java` appends.
pub const LEADER_EPOCH: record::LeaderEpoch = record::LeaderEpoch(7);

/// `LogOracle.java`: it answers questions, each answer behind its length.
pub struct Oracle {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Oracle {
    pub fn start(jars: &Path, directory: &Path) -> Oracle {
        let mut process = Command::new("java")
            .args(["-Xmx512m", "-cp"])
            .arg(jars.join("*"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java/LogOracle.java"))
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (to, from) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Oracle { process, to, from }
    }

    pub fn ask(&mut self, question: &[u8]) -> Vec<u8> {
        self.to.write_all(question).unwrap();
        self.to.flush().unwrap();
        let mut length = [0; 4];
        self.from.read_exact(&mut length).expect("an answer from Java");
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.from.read_exact(&mut answer).unwrap();
        answer
    }

    pub fn ask_text(&mut self, question: &[u8]) -> String {
        String::from_utf8(self.ask(question)).unwrap()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}
