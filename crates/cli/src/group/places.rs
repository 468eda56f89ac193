//! Offsets of partitions as text, `topic,partition,offset` a line, as kafka-consumer-groups exports them. An offset that
//! is `-` means that none is committed: what undoes a seek has to say that too.
use std::collections::BTreeMap;
use std::fmt::Write as _;

use record::TopicPartition;

use crate::failure::Failure;

/// What is to be committed; `None` takes back what is.
pub type Goals = BTreeMap<TopicPartition, Option<i64>>;

pub fn parse(text: &str) -> Result<Goals, Failure> {
    let mut goals = Goals::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let goal = goal(line).ok_or_else(|| {
            Failure::new(format!("line {}: `{line}` is no topic,partition,offset", index + 1))
                .remedy("the offset is a number, or - for none")
        })?;
        goals.insert(goal.0, goal.1);
    }
    Ok(goals)
}

fn goal(line: &str) -> Option<(TopicPartition, Option<i64>)> {
    // Kafka's tool writes topics in quotes if it has to; their names need none.
    let fields: Vec<&str> = line.split(',').map(|field| field.trim().trim_matches('"')).collect();
    let [topic, partition, offset] = fields[..] else { return None };
    let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0);
    let partition = i32::try_from(number(partition)?).ok()?;
    let offset = if offset == "-" { None } else { Some(number(offset)?) };
    (!topic.is_empty()).then(|| (TopicPartition::new(topic, partition), offset))
}

pub fn write(goals: &Goals) -> String {
    let mut text = String::new();
    for (place, offset) in goals {
        let _ = match offset {
            Some(offset) => writeln!(text, "{},{},{offset}", place.topic, place.partition),
            None => writeln!(text, "{},{},-", place.topic, place.partition),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let goals = Goals::from([
            (TopicPartition::new("a.b-c", 0), Some(7)),
            (TopicPartition::new("a.b-c", 11), None),
            (TopicPartition::new("z", 3), Some(i64::MAX)),
        ]);
        assert_eq!(parse(&write(&goals)).unwrap(), goals);
        assert_eq!(parse("# a note\n\n \"z\" , 3 , 9223372036854775807 \na.b-c,0,7\na.b-c,11,-").unwrap(), goals);
        for wrong in ["a", "a,0", "a,0,1,2", "a,x,1", "a,0,-1", "a,-1,0", ",0,0", "a,0,"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
