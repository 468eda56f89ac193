//! `meta.properties`: whose directory this is. The last file that formatting makes, so a directory that has it is whole.
//! The keys are Kafka's; `ottla.format` is ours.
use std::fmt;
use std::path::Path;

use env::disk::{read_file, replace_file};
use env::{Disk, Env};
use record::TopicId;

use crate::layout;
use crate::settings::Identity;

/// Raised when an older build could not read what a newer one writes.
pub(crate) const FORMAT: u32 = 1;
const FILE_BYTES_MAX: u64 = 64 << 10;

/// What a directory says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facts {
    pub cluster_id: String,
    pub node_id: i32,
    /// Of this directory alone (Kafka's `directory.id`): another disk in its place is told by it.
    pub directory_id: TopicId,
    /// The last process stopped in order, and nothing had to be replayed.
    pub was_clean: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MetaError {
    /// Its checksum is of something else.
    Damaged {
        path: String,
    },
    /// The directory belongs to another cluster or node.
    Foreign {
        path: String,
        key: &'static str,
        found: String,
        expected: String,
    },
    Io {
        path: String,
        error: String,
    },
    Line {
        path: String,
        line: usize,
    },
    /// Written by a newer Ottla, or not by Ottla.
    Format {
        path: String,
        found: String,
    },
    Missing {
        path: String,
        key: &'static str,
    },
}

/// `None` if the directory was never formatted, or not to the end. Without an `identity` it may be anybody's.
pub(crate) fn read(disk: &dyn Disk, directory: &Path, identity: Option<&Identity>) -> Result<Option<Facts>, MetaError> {
    let path = directory.join(layout::META);
    let shown = path.display().to_string();
    let bytes = match read_file(disk, &path, FILE_BYTES_MAX) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| MetaError::Io { path: shown.clone(), error: error.to_string() })?,
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut pairs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let pair = line.split_once('=').ok_or(MetaError::Line { path: shown.clone(), line: index + 1 })?;
        pairs.push((pair.0.trim(), pair.1.trim()));
    }
    let find = |key: &'static str| {
        let found = pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned());
        found.ok_or(MetaError::Missing { path: shown.clone(), key })
    };
    // First, since everything else may mean something different in another format.
    let format = find("ottla.format")?;
    if format != FORMAT.to_string() {
        return Err(MetaError::Format { path: shown, found: format });
    }
    if !is_as_written(&bytes) {
        return Err(MetaError::Damaged { path: shown });
    }
    let (cluster_id, node_id, directory_id) = (find("cluster.id")?, find("node.id")?, find("directory.id")?);
    let foreign = |key, found: &str, expected: String| MetaError::Foreign {
        path: shown.clone(),
        key,
        found: found.to_owned(),
        expected,
    };
    if let Some(expected) = identity.and_then(|identity| identity.cluster_id.as_ref()).filter(|id| **id != cluster_id) {
        return Err(foreign("cluster.id", &cluster_id, expected.clone()));
    }
    let found_id = node_id.parse().ok().filter(|id: &i32| id.to_string() == node_id);
    let node_id = match (found_id, identity) {
        (Some(found), Some(identity)) if found == identity.node_id => found,
        (Some(found), None) => found,
        (_, Some(identity)) => return Err(foreign("node.id", &node_id, identity.node_id.to_string())),
        (None, None) => return Err(MetaError::Missing { path: shown.clone(), key: "node.id" }),
    };
    let directory_id =
        directory_id.parse().map_err(|_| MetaError::Missing { path: shown.clone(), key: "directory.id" })?;
    Ok(Some(Facts { cluster_id, node_id, directory_id, was_clean: false }))
}

pub(crate) fn write(env: &Env, directory: &Path, identity: &Identity) -> Result<Facts, MetaError> {
    let path = directory.join(layout::META);
    let cluster_id = identity.cluster_id.clone().unwrap_or_else(|| random_id(env).to_string());
    let facts = Facts { cluster_id, node_id: identity.node_id, directory_id: random_id(env), was_clean: true };
    let mut text = format!(
        "# Written by Ottla; one directory, one node.\nversion=1\nottla.format={FORMAT}\ncluster.id={}\nnode.id={}\n\
         directory.id={}\n",
        facts.cluster_id, facts.node_id, facts.directory_id
    );
    text += &format!("{CHECKSUM}{:08x}\n", crc32c::crc32c(text.as_bytes()));
    replace_file(&*env.disk, &path, text.as_bytes())
        .map_err(|error| MetaError::Io { path: path.display().to_string(), error: error.to_string() })?;
    Ok(facts)
}

/// Of everything before it. Whoever changes the file takes it out; it is there because an id that is another one reads as
/// well as the right one.
const CHECKSUM: &str = "checksum=";

fn is_as_written(bytes: &[u8]) -> bool {
    let Some(at) = bytes.windows(CHECKSUM.len()).rposition(|part| part == CHECKSUM.as_bytes()) else { return true };
    let said = bytes[at + CHECKSUM.len()..].trim_ascii_end();
    said == format!("{:08x}", crc32c::crc32c(&bytes[..at])).as_bytes()
}

pub(crate) fn random_id(env: &Env) -> TopicId {
    loop {
        let mut bytes = [0; 16];
        env.rng.fill(&mut bytes);
        if let Some(id) = TopicId::from_random(bytes) {
            return id;
        }
    }
}

impl fmt::Display for MetaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetaError::Damaged { path } => {
                write!(f, "{path} is not as it was written; put it right, and take out its line checksum=")
            }
            MetaError::Foreign { path, key, found, expected } => {
                write!(f, "{path}: this directory belongs to {key} {found}, and we are {expected}")
            }
            MetaError::Io { path, error } => write!(f, "{path}: {error}"),
            MetaError::Line { path, line } => write!(f, "{path}, line {line}: not a line of key=value"),
            MetaError::Format { path, found } => {
                write!(f, "{path}: format {found}, and this build of Ottla reads format {FORMAT}; use a newer one")
            }
            MetaError::Missing { path, key } => write!(f, "{path}: no valid {key}"),
        }
    }
}

impl std::error::Error for MetaError {}
