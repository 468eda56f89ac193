//! Kafka's jars for tests that ask Kafka itself, and a directory for what they write.

use std::path::{Path, PathBuf};
use std::process::Command;

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
    let works = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    if !works(Command::new("javac").arg("-version")) {
        return Err("no `javac` on this machine (Debian: openjdk-17-jdk-headless)".to_string());
    }
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
    let fetched = works(
        Command::new("mvn")
            .args(["-q", "-B", "-f"])
            .arg(root.join(format!("tests-clients/java/poms/kafka-{what}.xml")))
            .arg("dependency:copy-dependencies")
            .arg(format!("-DoutputDirectory={}", beside.display())),
    );
    if !fetched {
        return Err(format!("Kafka's {what} jars cannot be fetched (Debian: maven)"));
    }
    // Another test may have been faster.
    if std::fs::rename(&beside, &own).is_err() {
        let _ = std::fs::remove_dir_all(&beside);
    }
    if has_jar(&own) { Ok(own) } else { Err(format!("{} is not whole", own.display())) }
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
