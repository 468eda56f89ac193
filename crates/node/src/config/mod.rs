//! The configuration of a broker: Kafka's `server.properties`, `KAFKA_` variables, `--override`, and the defaults beneath
//! them, checked as a whole and brought into types. Reads no file and no variable: whoever has them hands them in.
mod given;
mod key;
mod keys;
mod listeners;
mod nearest;
mod page;
mod per_ip;
mod problem;
mod profile;
mod properties;
mod settings;
mod typed;
mod value;

#[cfg(test)]
mod tests;

pub use key::{Effect, Importance, Key, Kind, READ_AT_START, Rule, Unit, UpdateMode};
pub use keys::{all as all_keys, key, of_listener, served_of_listener};
pub use listeners::{Endpoint, Listener, SecurityProtocol};
pub use page::configuration_page;
pub(crate) use per_ip::per_ip_overrides;
pub use problem::{ConfigErrors, Problem};
pub use profile::{DEVIATIONS, Deviation, Profile};
pub use settings::{Setting, Settings, Source};
pub use typed::{
    Config, Durability, FetchConfig, GroupConfig, HttpListener, LogConfig, NetworkConfig, OffsetsConfig, QuotaConfig,
    TopicDefaults,
};
pub use value::Wrong;

/// Where settings come from, the weakest first; the profile is beneath all of them.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    pub profile: Profile,
    /// How the file is called, and what is in it.
    pub file: Option<(&'a str, &'a [u8])>,
    /// All variables of the process; those of Kafka's images are picked out.
    pub variables: &'a [(String, String)],
    /// Each `key=value`.
    pub overrides: &'a [String],
    /// Unknown keys are problems, not notes.
    pub strict: bool,
    /// Nothing is kept after the end.
    pub ephemeral: bool,
}

impl Config {
    /// Reads all sources, or says everything that is wrong with them.
    pub fn load(sources: &Sources<'_>) -> Result<Config, ConfigErrors> {
        let mut settings = Settings::defaults(sources.file.map_or("", |(name, _)| name));
        let mut given = given::Given::gather(sources, &mut settings);
        if given.problems.is_empty() {
            match typed::config(sources, settings) {
                Ok(mut config) => {
                    given.notes.append(&mut config.notes);
                    return Ok(Config { notes: given.notes, ..config });
                }
                Err(problems) => given.problems = problems,
            }
        }
        Err(ConfigErrors { problems: given.problems })
    }

    /// `ottla dev` as tests want it: one listener on 127.0.0.1, no HTTP. Port 0 takes a free one.
    pub fn for_tests(log_dir: &str, port: u16) -> Config {
        Config::for_tests_at(log_dir, "127.0.0.1", port)
    }

    /// The same on another address of this machine.
    pub fn for_tests_at(log_dir: &str, host: &str, port: u16) -> Config {
        let overrides = [
            format!("listeners=PLAINTEXT://{host}:{port}"),
            format!("log.dirs={log_dir}"),
            "ottla.http.listener=".to_owned(),
        ];
        let sources = Sources {
            profile: Profile::Dev,
            file: None,
            variables: &[],
            overrides: &overrides,
            strict: true,
            ephemeral: false,
        };
        Config::load(&sources).unwrap_or_else(|errors| panic!("{errors}"))
    }
}
