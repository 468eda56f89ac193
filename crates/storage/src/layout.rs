//! Names in a log directory: what lies where, and how a name is read back.
use record::TopicPartition;

pub(crate) const LOCK: &str = ".lock";
pub(crate) const META: &str = "meta.properties";
pub(crate) const CHECKPOINTS: [&str; 2] = ["checkpoint-0", "checkpoint-1"];
/// Made by people: logs that may have lost their ends go on where they are known to end.
pub(crate) const ACCEPT_LOSS: &str = "accept-loss";
/// Made by people: logs of which the metadata has never heard are deleted.
pub(crate) const DROP_STRAYS: &str = "drop-strays";
pub(crate) const LANE: &str = "lane";
/// In a log's directory: it is being filled from another log directory, and is no replica yet.
pub(crate) const COPY: &str = "copy";
/// What nothing accounts for is moved here, and never used again.
pub(crate) const SET_ASIDE: &str = "set-aside";

/// A name in a directory has at most 255 bytes, a topic's up to 249.
const TOPIC_BYTES_MAX: usize = 200;

/// The topic's name is for people; the number behind the last dot is the log's identity.
pub(crate) fn log_dir_name(name: &TopicPartition, log_id: u64) -> String {
    // Topic names are ASCII; anything else would be cut at a character.
    let topic = &name.topic[..name.topic.floor_char_boundary(TOPIC_BYTES_MAX)];
    format!("{topic}-{}.{log_id:x}", name.partition)
}

/// The identity in a log's directory name.
pub(crate) fn parse_log_dir(name: &str) -> Option<u64> {
    let (front, id) = name.rsplit_once('.')?;
    let (topic, partition) = front.rsplit_once('-')?;
    let canonical =
        !id.is_empty() && !id.starts_with('0') && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_log = !topic.is_empty() && partition.parse::<u32>().is_ok() && canonical;
    is_log.then(|| u64::from_str_radix(id, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_s_identity_survives_in_its_directory_s_name() {
        for (topic, partition, id) in [("flights", 3, 1), ("a.b-c", 0, 0xabc), (&"x".repeat(249), i32::MAX, u64::MAX)] {
            let name = log_dir_name(&TopicPartition::new(topic, partition), id);
            assert!(name.len() <= 255);
            assert_eq!(parse_log_dir(&name), Some(id), "{name}");
        }
        for other in ["meta.properties", "flights-3", "flights-3.", "flights-3.0f", "flights.1", "-1.1", "a-b.1", LANE]
        {
            assert_eq!(parse_log_dir(other), None, "{other}");
        }
    }
}
