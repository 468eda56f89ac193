//! Completions as a shell has them: bash itself, told by `ottla completions bash`, and the names that are there now.
use std::path::Path;
use std::process::{Command, Stdio};

use crate::broker::{Broker, Home, ottla, run};

/// What bash would offer behind these words.
#[track_caller]
fn offered(home: &Home, broker: &Broker, words: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_BIN_EXE_ottla")).parent().unwrap();
    let script = format!(
        r#"source <(ottla completions bash) && COMP_WORDS=({words} "") && COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) \
           && COMP_TYPE=9 && _clap_complete_ottla ottla "" "${{COMP_WORDS[-2]}}" && printf '%s\n' "${{COMPREPLY[@]}}""#
    );
    let mut command = Command::new("bash");
    command.args(["-c", &script]).current_dir(home.path()).env_clear();
    command.env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
    command.env("KAFKA_BOOTSTRAP_SERVERS", broker.address.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = run(command).with_code(0);
    ended.out.lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn bash_offers_commands_and_the_names_that_are_there() {
    let home = Home::new("completions");
    let broker = Broker::start(&home);
    let address = broker.address.to_string();
    run(ottla(&home, &["topic", "create", "letters", "numbers", "-b", &address])).with_code(0);
    run(ottla(&home, &["group", "seek", "readers", "--to", "start", "-t", "letters", "-b", &address])).with_code(0);

    assert!(offered(&home, &broker, "ottla topic").contains(&"describe".to_owned()));
    let topics = offered(&home, &broker, "ottla topic describe");
    assert!(["letters", "numbers"].iter().all(|name| topics.iter().any(|topic| topic == name)), "{topics:?}");
    let groups = offered(&home, &broker, "ottla group describe");
    assert!(groups.iter().any(|group| group == "readers") && !groups.iter().any(|group| group == "letters"));
    // Which cluster the line itself names counts first.
    let elsewhere = offered(&home, &broker, "ottla topic describe -b 127.0.0.1:1");
    assert!(!elsewhere.iter().any(|topic| topic == "letters"), "{elsewhere:?}");
}
