//! `ottla topic alter`: configurations of topics, with what changes shown first.
use clap::{ArgGroup, Args};
use env::Env;

use crate::config::{Change, ChangeOptions, Kind, Resource};
use crate::console::Console;
use crate::failure::Failure;

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("changes").args(["set", "delete"]).required(true).multiple(true))]
pub struct Alter {
    /// Which topics to change
    #[arg(required = true, add = crate::completions::topics())]
    topics: Vec<String>,

    /// A configuration to set; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = crate::config::pair)]
    set: Vec<(String, String)>,

    /// A configuration to take back, so that the default counts again; may be repeated
    #[arg(long, value_name = "KEY")]
    delete: Vec<String>,

    #[command(flatten)]
    options: ChangeOptions,
}

impl Alter {
    pub async fn run(self, env: Env, console: &mut Console) -> Result<(), Failure> {
        let set = self.set.into_iter().map(|(key, value)| Change { key, value: Some(value) });
        let delete = self.delete.into_iter().map(|key| Change { key, value: None });
        let resources = self.topics.into_iter().map(|name| Resource { kind: Kind::Topic, name });
        self.options.change(resources, set.chain(delete).collect(), env, console).await
    }
}
