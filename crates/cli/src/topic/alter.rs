//! `ottla topic alter`: configurations of topics, with what changes shown first.
use clap::Args;
use env::Env;

use crate::config::{self, Change, Kind, Resource};
use crate::connect::Connect;
use crate::console::Console;
use crate::failure::Failure;
use crate::table::Output;

#[derive(Args, Debug)]
pub struct Alter {
    /// Which topics to change
    #[arg(required = true, add = crate::completions::topics())]
    topics: Vec<String>,

    /// A configuration to set; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = super::pair, required_unless_present = "delete")]
    set: Vec<(String, String)>,

    /// A configuration to take back, so that the default counts again; may be repeated
    #[arg(long, value_name = "KEY")]
    delete: Vec<String>,

    /// Only check whether it would work, and show what would change
    #[arg(short = 'd', long)]
    dry_run: bool,

    /// For people or for programs
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    connect: Connect,
}

impl Alter {
    pub async fn run(self, env: Env, console: &mut Console) -> Result<(), Failure> {
        let set = self.set.into_iter().map(|(key, value)| Change { key, value: Some(value) });
        let delete = self.delete.into_iter().map(|key| Change { key, value: None });
        let resources = self.topics.into_iter().map(|name| Resource { kind: Kind::Topic, name });
        config::change(&self.connect, resources, set.chain(delete).collect(), self.dry_run, self.output, env, console)
            .await
    }
}
