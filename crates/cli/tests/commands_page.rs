//! `docs/commands.md` is what `--help` says. OTTLA_UPDATE=1 writes it anew.
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory, Parser};

#[derive(Parser)]
#[command(name = "ottla")]
struct Arguments {
    #[command(subcommand)]
    _command: cli::Command,
}

#[test]
fn commands_page_says_what_help_says() {
    let mut page = include_str!("commands_page.md").to_owned();
    let mut ottla = Arguments::command();
    ottla.build();
    for command in ottla.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        describe(command, &mut page);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/commands.md");
    if std::env::var_os("OTTLA_UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/commands.md is stale; OTTLA_UPDATE=1 cargo test -p cli --test commands_page");
}

/// A command that has others is described by those.
fn describe(command: &mut Command, page: &mut String) {
    if command.has_subcommands() {
        for below in command.get_subcommands_mut().filter(|below| below.get_name() != "help") {
            describe(below, page);
        }
        return;
    }
    let name = command.get_bin_name().unwrap_or_default().to_owned();
    let help = command.render_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(page, "\n## {name}\n\n```\n{}\n```\n", lines.join("\n").trim_end());
}
