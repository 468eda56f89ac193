//! `ottla log`: a data directory looked at by somebody who has only that.
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::broker::{Broker, Ended, Home, Signal, ottla, run};
use crate::wire::{Wire, produce};

fn log(home: &Home, arguments: &[&str]) -> Ended {
    run(ottla(home, &[&["log"], arguments].concat()))
}

/// Some records, and a clean stop.
fn written(name: &str) -> Home {
    let home = Home::new(name);
    let broker = Broker::start(&home);
    let mut wire = Wire::connect(broker.address);
    wire.create_topic();
    (0..20).for_each(|number| assert!(wire.ask(&produce(&format!("letter {number}")), 9).is_ok()));
    broker.stop(Signal::TERM);
    home
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

fn segment(home: &Home) -> PathBuf {
    let of_letters = |path: &PathBuf| {
        path.to_string_lossy().contains("/letters-0.") && path.extension().is_some_and(|it| it == "log")
    };
    files(&home.data()).into_iter().find(of_letters).unwrap()
}

#[test]
fn a_sound_directory_is_called_so_and_is_not_changed() {
    let home = written("sound");
    let times = || -> Vec<_> {
        files(&home.data()).into_iter().map(|path| (path.metadata().unwrap().modified().unwrap(), path)).collect()
    };
    let before = times();
    let ended = log(&home, &["verify", "ottla-data"]).with_code(0);
    assert!(ended.out.ends_with("no damage\n") && ended.out.contains("stopped in order"), "{}", ended.out);
    assert!(ended.out.lines().any(|line| line.starts_with("letters ") && line.contains(" 20 ")), "{}", ended.out);
    // Nobody may write there, as on a file system mounted so.
    let modes = |file: u32, directory: u32| {
        for path in files(&home.data()) {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(file)).unwrap();
            std::fs::set_permissions(path.parent().unwrap(), std::fs::Permissions::from_mode(directory)).unwrap();
        }
    };
    modes(0o444, 0o555);
    let ended = log(&home, &["verify", "ottla-data", "-o", "json"]).with_code(0);
    modes(0o644, 0o755);
    let found: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&found[0]["sound"], &found[0]["findings"]), (&true.into(), &serde_json::json!([])));
    assert_eq!(found[0]["logs"][0]["end"], 20);
    assert!(before == times(), "something was written");
}

#[test]
fn damage_is_named_with_file_range_and_remedy_and_has_a_code() {
    let home = written("damaged");
    let path = segment(&home);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(b"?", 100).unwrap();
    let ended = log(&home, &["verify", "ottla-data"]).with_code(10);
    let said = format!("DAMAGE ottla-data/{}", path.strip_prefix(home.data()).unwrap().display());
    for part in [&said, "(letters-0 offsets 1..2)", "checksum ", "CORRUPT_MESSAGE", "1 place is damaged"] {
        assert!(ended.out.contains(part), "{part:?} is not in: {}", ended.out);
    }
    let ended = log(&home, &["verify", "ottla-data", "--output", "json"]).with_code(10);
    let found: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let finding = &found[0]["findings"][0];
    assert_eq!((&finding["from_offset"], &finding["to_offset"]), (&1.into(), &2.into()), "{finding}");
    assert_eq!((&finding["topic"], &finding["damage"]), (&"letters".into(), &true.into()), "{finding}");
    assert_eq!(found[0]["sound"], false);
}

/// Of the metadata log, names and contents.
fn metadata(home: &Home) -> Vec<(PathBuf, Vec<u8>)> {
    files(&home.data().join("metadata")).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn logs_that_the_next_start_will_not_serve_are_named_before_it() {
    let home = Home::new("strays");
    Broker::start(&home).stop(Signal::TERM);
    let older = metadata(&home);
    let broker = Broker::start(&home);
    let mut wire = Wire::connect(broker.address);
    wire.create_topic();
    assert!(wire.ask(&produce("letter"), 9).is_ok());
    broker.stop(Signal::TERM);
    let newer = metadata(&home);
    let restored = |saved: &[(PathBuf, Vec<u8>)]| {
        std::fs::remove_dir_all(home.data().join("metadata")).unwrap();
        std::fs::create_dir(home.data().join("metadata")).unwrap();
        saved.iter().for_each(|(path, content)| std::fs::write(path, content).unwrap());
    };
    let verified = || log(&home, &["verify", "ottla-data"]).with_code(0).out;
    assert!(verified().ends_with("\nno damage\n"));

    restored(&older);
    let name = segment(&home).parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    let said = format!("STRAY ottla-data/{name} (letters-0 offsets 0..1): the metadata has never had its topic\n");
    for part in [&said, "drop-strays", "no damage; strays: 1\n"] {
        assert!(verified().contains(part), "{part:?} is not in: {}", verified());
    }
    let ended = log(&home, &["verify", "ottla-data", "-o", "json"]).with_code(0);
    let found: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&found[0]["sound"], &found[0]["findings"][0]["remedy"]), (&true.into(), &"stray".into()));

    // The start says the same, and what is asked of it is said before, too.
    let broker = Broker::start(&home);
    assert!(broker.stop(Signal::TERM).err.contains("a stray log is kept"));
    std::fs::write(home.data().join("drop-strays"), "").unwrap();
    assert!(verified().contains("the next start deletes it, as drop-strays asks"), "{}", verified());
    std::fs::remove_file(home.data().join("drop-strays")).unwrap();
    restored(&newer);
    assert!(verified().ends_with("\nno damage\n"), "{}", verified());
}

#[test]
fn a_running_broker_s_directory_is_left_alone_and_a_wrong_one_is_named() {
    let home = Home::new("running");
    let broker = Broker::start(&home);
    let ended = log(&home, &["verify", "ottla-data"]).with_code(1);
    assert!(ended.err.contains("a broker runs on ottla-data") && ended.err.contains("stop it first"), "{}", ended.err);
    broker.stop(Signal::TERM);
    let ended = log(&home, &["verify", "elsewhere"]).with_code(3);
    assert!(ended.err.contains("elsewhere"), "{}", ended.err);
    let ended = log(&home, &["verify", "."]).with_code(3);
    assert!(ended.err.contains(". is no data directory"), "{}", ended.err);
    log(&home, &["dump", "elsewhere"]).with_code(3);
    log(&home, &["dump", "ottla-data/meta.properties"]).with_code(2);
    assert_eq!(home.names(), ["ottla-data"], "nothing was made");
    log(&home, &["verify"]).with_code(2);
}

#[test]
fn every_file_is_printed() {
    let home = written("dumped");
    let ended = log(&home, &["dump", segment(&home).to_str().unwrap(), "--print-data-log"]).with_code(0);
    assert_eq!(ended.out.lines().filter(|line| line.starts_with("baseOffset: ")).count(), 20, "{}", ended.out);
    assert!(ended.out.contains("| offset: 19 CreateTime: 1 keySize: -1 valueSize: 9 "), "{}", ended.out);
    assert!(ended.out.contains(" payload: letter 19\n") && !ended.out.contains("isvalid: false"), "{}", ended.out);
    let ended = log(&home, &["dump", "ottla-data", "-o", "json"]).with_code(0);
    let lines: Vec<serde_json::Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (field, count) in [("baseOffset", 20), ("nextLogId", 2), ("index", 3)] {
        let found = lines.iter().filter(|line| line.get(field).is_some()).count();
        assert!(found >= count, "{found} lines with {field}: {}", ended.out);
    }
    assert!(lines.iter().any(|line| line["record"] == "create" && line["topic"] == "letters"), "{}", ended.out);
    let other = home.join("other");
    std::fs::write(&other, "").unwrap();
    log(&home, &["dump", "other"]).with_code(2);
}
