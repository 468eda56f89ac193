//! The house rules that no compiler checks: imports go strictly downward between the floors, and nobody above `env`
//! names the clock, the file system, a socket, a thread or chance. Each finding names the place and what to use instead.
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cargo_metadata;

/// The floors, bottom up. A crate may use only crates of lower floors (ARCHITECTURE.md).
const FLOORS: &[&[&str]] = &[
    &["env", "tally"],
    &["protocol", "record"],
    &["storage", "quorum", "machine", "client"],
    &["metadata"],
    &["replication", "coordinator", "controller"],
    &["server", "admin"],
    &["node", "cli"],
    &["ottla", "sim", "bench"],
];

/// Floors 1 to 3 are synchronous, except these.
const ASYNC_FLOORS: std::ops::Range<usize> = 1..4;
const ASYNC_ALLOWED: &[&str] = &["client", "quorum"];

/// The world itself, and the load generator, which measures it.
const MAY_NAME_ANYTHING: &[&str] = &["env", "bench"];

/// What is banned outside `env`, and what to use instead.
const BANNED: &[(&str, &str)] = &[
    ("Instant::now", "the `now` you were given, or `env.clock.now()`"),
    ("SystemTime", "`env.clock.wall_ms()`"),
    ("std::fs", "`env.disk`"),
    ("tokio::fs", "`env.disk`, from a worker"),
    ("std::net::Tcp", "`env.net`"),
    ("std::net::Udp", "`env.net`"),
    ("tokio::net", "`env.net`"),
    ("tokio::time", "`env.clock.sleep_until`"),
    ("tokio::spawn", "`env.spawn.task`"),
    ("tokio::task", "`env.spawn.task`"),
    ("tokio::signal", "`env::process::termination`"),
    ("spawn_blocking", "a worker: `env.spawn.worker`"),
    ("std::thread", "a worker: `env.spawn.worker`"),
    ("thread::sleep", "`env.clock.sleep_until`"),
    ("std::env", "`env::process`"),
    ("sync::watch", "`tokio::sync::Notify` (watch wakes a waiter at random)"),
    ("RandomState", "`BTreeMap`, or `rustc_hash::FxHashMap` where no order is seen"),
    ("collections::HashMap", "`BTreeMap`, or `rustc_hash::FxHashMap` where no order is seen"),
    ("collections::HashSet", "`BTreeSet`, or `rustc_hash::FxHashSet` where no order is seen"),
    ("new_v4", "`env.rng`"),
    ("rand::", "`env.rng`"),
    ("{:p}", "a name or a number of ours: addresses differ from run to run"),
];

pub fn run(root: &Path) -> Result<String, String> {
    let mut findings = String::new();
    let packages = check_floors(root, &mut findings)?;
    let mut files = 0;
    for (name, floor) in &packages {
        for path in rust_files(&root.join("crates").join(name).join("src"))? {
            let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let place = path.strip_prefix(root).unwrap_or(&path);
            check_file(place, name, *floor, &text, &mut findings);
            files += 1;
        }
    }
    if findings.is_empty() { Ok(format!("{} crates, {files} files", packages.len())) } else { Err(findings) }
}

/// Returns the crates with their floors.
fn check_floors(root: &Path, findings: &mut String) -> Result<Vec<(String, usize)>, String> {
    let floor_of = |name: &str| FLOORS.iter().position(|floor| floor.contains(&name));
    let metadata = cargo_metadata(root, &["--no-deps"])?;
    let mut packages = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        if name == "xtask" {
            continue;
        }
        let Some(floor) = floor_of(name) else {
            let _ = writeln!(findings, "crates/{name}: has no floor; add it to FLOORS in xtask/src/tidy.rs");
            continue;
        };
        packages.push((name.to_owned(), floor));
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().unwrap_or_default();
            if !dependency["kind"].is_null() {
                continue; // Tests and build scripts may look upward.
            }
            if let Some(below) = floor_of(used).filter(|below| *below >= floor) {
                let _ = writeln!(
                    findings,
                    "crates/{name}/Cargo.toml: `{name}` (floor {floor}) may not use `{used}` (floor {below}); \
                     move what both need to a lower floor"
                );
            }
        }
    }
    packages.sort();
    Ok(packages)
}

fn check_file(place: &Path, package: &str, floor: usize, text: &str, findings: &mut String) {
    // Unit tests stand at the end of a file, or in a file of their own, and may name anything.
    if place.file_name().is_some_and(|name| name == "tests.rs")
        || place.components().any(|part| part.as_os_str() == "tests")
    {
        return;
    }
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let sees_async = !ASYNC_FLOORS.contains(&floor) || ASYNC_ALLOWED.contains(&package);
    let lines: Vec<&str> = code.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let line = line.split("//").next().unwrap_or_default();
        let mut find = |what: &str, instead: &str| {
            let _ = writeln!(findings, "{}:{}: `{what}` is banned here; use {instead}", place.display(), index + 1);
        };
        if !MAY_NAME_ANYTHING.contains(&package) {
            for (what, instead) in BANNED.iter().filter(|(what, _)| names(line, what)) {
                find(what, instead);
            }
        }
        // A ticket's sending half is no more async than a callback: who awaits the other half is above.
        let sends_tickets = line.contains("tokio::sync::oneshot") || line.contains("tokio::sync::{Notify, oneshot}");
        let only_tells = sends_tickets || line.contains("tokio::sync::Notify");
        if !sees_async && (names(line, "async") || names(line, "await") || names(line, "tokio") && !only_tells) {
            find("async", "a step, a callback or a state machine: floors 1 to 3 are synchronous");
        }
        if line.contains("select!") && !lines[index..].iter().take(2).any(|line| line.contains("biased")) {
            find("select!", "`select! { biased; …`: the order of its branches must not be chance");
        }
    }
    if !text.starts_with("//!") {
        let _ = writeln!(
            findings,
            "{}:1: says nothing of itself; open with `//!`: what it is, what it refuses to know",
            place.display()
        );
    }
}

/// Whether `what` occurs in `line` with no letter, digit or underscore right before it (nor after it, if it ends in one).
fn names(line: &str, what: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    line.match_indices(what).any(|(at, _)| {
        let bytes = line.as_bytes();
        let end = at + what.len();
        let before = at == 0 || !word(bytes[at - 1]) || !word(what.as_bytes()[0]);
        let after = end == bytes.len()
            || !word(bytes[end])
            || what.ends_with("Tcp")
            || what.ends_with("Udp")
            || what.ends_with(':');
        before && after
    })
}

fn rust_files(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(package: &str, floor: usize, text: &str) -> String {
        let mut findings = String::new();
        check_file(Path::new("crates/x/src/x.rs"), package, floor, text, &mut findings);
        findings
    }

    #[test]
    fn a_banned_name_is_reported_with_its_replacement() {
        let found = findings("server", 5, "//! X.\nlet now = Instant::now();\n");
        assert_eq!(
            found,
            "crates/x/src/x.rs:2: `Instant::now` is banned here; use the `now` you were given, or `env.clock.now()`\n"
        );
    }

    #[test]
    fn comments_tests_and_env_may_name_anything() {
        assert_eq!(findings("server", 5, "//! X.\n// not Instant::now\n#[cfg(test)]\nuse std::fs;\n"), "");
        assert_eq!(findings("env", 0, "//! X.\nuse std::fs;\n"), "");
    }

    #[test]
    fn operand_is_not_rand_and_an_address_is_not_a_socket() {
        assert_eq!(findings("server", 5, "//! X.\nlet operand::x = 1;\nuse std::net::SocketAddr;\n"), "");
    }

    #[test]
    fn the_lower_floors_know_no_async_but_client_and_quorum() {
        assert!(findings("storage", 2, "//! X.\nasync fn f() {}\n").contains("synchronous"));
        assert!(findings("storage", 2, "//! X.\nuse tokio::sync::mpsc;\n").contains("synchronous"));
        assert_eq!(findings("storage", 2, "//! X.\nuse tokio::sync::oneshot;\n"), "");
        assert_eq!(findings("quorum", 2, "//! X.\nasync fn f() {}\n"), "");
        assert_eq!(findings("server", 5, "//! X.\nasync fn f() {}\n"), "");
    }

    #[test]
    fn a_select_must_be_biased() {
        assert!(findings("server", 5, "//! X.\ntokio::select! {\n a = b => {}\n}").contains("biased"));
        assert_eq!(findings("server", 5, "//! X.\ntokio::select! {\n biased;\n}"), "");
    }
}
