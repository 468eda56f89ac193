//! Answers and records as lines of a transcript. Random parts of ids are shortened: the n-th is `#n`.

use coordinator::{Answer, GroupRecord};
use protocol::ErrorCode;

pub fn answer(ticket: &str, answer: &Answer) -> String {
    shorten(&format!("{ticket}: {}", body(answer)))
}

pub fn record(record: &GroupRecord) -> String {
    let line = match record {
        GroupRecord::GroupMetadata { group_id, value: None } => format!("log: group {group_id} deleted"),
        GroupRecord::GroupMetadata { group_id, value: Some(value) } => {
            let members = value.members.iter().map(|member| {
                let instance = member.group_instance_id.as_deref().map(|id| format!("({id})")).unwrap_or_default();
                format!("{}{instance}={}", member.member_id, text(&member.assignment))
            });
            format!(
                "log: group {group_id} type={:?} generation={} protocol={:?} leader={:?} since={} members=[{}]",
                value.protocol_type,
                value.generation,
                value.protocol,
                value.leader,
                value.current_state_timestamp,
                members.collect::<Vec<_>>().join(" ")
            )
        }
        GroupRecord::OffsetCommit { group_id, topic, partition, value: None } => {
            format!("log: offset {group_id} {topic}-{partition} deleted")
        }
        GroupRecord::OffsetCommit { group_id, topic, partition, value: Some(value) } => format!(
            "log: offset {group_id} {topic}-{partition} = {} epoch={} metadata={:?} at={} expires={}",
            value.offset,
            value.leader_epoch,
            short(&value.metadata),
            value.commit_timestamp,
            value.expire_timestamp
        ),
    };
    shorten(&line)
}

/// The n-th UUID of the counting generator as `#n`.
pub fn shorten(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(at) = rest.find("00000000-0000-4000-8000-") {
        let (before, uuid) = rest.split_at(at);
        out.push_str(before);
        let number = u64::from_str_radix(&uuid[24..36], 16).expect("the rest of the UUID");
        out.push_str(&format!("#{number}"));
        rest = &uuid[36..];
    }
    out + rest
}

pub fn lengthen(text: &str) -> String {
    match text.split_once('#') {
        Some((before, number)) => {
            format!("{before}00000000-0000-4000-8000-{:012x}", number.parse::<u64>().expect("a number behind #"))
        }
        None => text.to_owned(),
    }
}

fn body(answer: &Answer) -> String {
    match answer {
        Answer::DeleteGroups(groups) => {
            let groups = groups.iter().map(|group| format!("{}={}", group.group_id, error(group.error_code)));
            format!("DeleteGroups {}", groups.collect::<Vec<_>>().join(" "))
        }
        Answer::DescribeGroups(groups) => {
            let groups = groups.iter().map(|group| {
                let members = group.members.iter().map(|member| {
                    let instance = member.group_instance_id.as_deref().map(|id| format!("({id})")).unwrap_or_default();
                    let (metadata, assignment) = (text(&member.member_metadata), text(&member.member_assignment));
                    format!(
                        "{}{instance} {}@{} {metadata}={assignment}",
                        member.member_id, member.client_id, member.client_host
                    )
                });
                let message = group.error_message.as_deref().map(|message| format!(" {message:?}")).unwrap_or_default();
                format!(
                    "{} {}{message} {} type={:?} protocol={:?} members=[{}]",
                    group.group_id,
                    error(group.error_code),
                    group.group_state,
                    group.protocol_type,
                    group.protocol_data,
                    members.collect::<Vec<_>>().join(", ")
                )
            });
            format!("DescribeGroups {}", groups.collect::<Vec<_>>().join("; "))
        }
        Answer::Heartbeat(heartbeat) => format!("Heartbeat {}", error(heartbeat.error_code)),
        Answer::JoinGroup(join) if join.error_code != 0 => {
            format!("JoinGroup {} id={:?}", error(join.error_code), join.member_id)
        }
        Answer::JoinGroup(join) => {
            let members = join.members.iter().map(|member| {
                let instance = member.group_instance_id.as_deref().map(|id| format!("({id})")).unwrap_or_default();
                format!("{}{instance}={}", member.member_id, text(&member.metadata))
            });
            format!(
                "JoinGroup NONE generation={} type={:?} protocol={:?} leader={} id={} members=[{}]{}",
                join.generation_id,
                join.protocol_type,
                join.protocol_name,
                join.leader,
                join.member_id,
                members.collect::<Vec<_>>().join(" "),
                if join.skip_assignment { " skip_assignment" } else { "" }
            )
        }
        Answer::LeaveGroup(leave) => {
            let members = leave.members.iter().map(|member| {
                let instance = member.group_instance_id.as_deref().map(|id| format!("({id})")).unwrap_or_default();
                format!("{}{instance}={}", member.member_id, error(member.error_code))
            });
            format!("LeaveGroup {} [{}]", error(leave.error_code), members.collect::<Vec<_>>().join(" "))
        }
        Answer::ListGroups(list) => {
            let groups = list.groups.iter();
            let groups = groups.map(|group| {
                format!("{} {:?} {} {}", group.group_id, group.protocol_type, group.group_state, group.group_type)
            });
            format!("ListGroups {} [{}]", error(list.error_code), groups.collect::<Vec<_>>().join(", "))
        }
        Answer::OffsetCommit(commit) => {
            let partitions = commit.topics.iter().flat_map(|topic| {
                let outcome = |partition: &protocol::offset_commit_response::OffsetCommitResponsePartition| {
                    format!("{}-{}={}", topic.name, partition.partition_index, error(partition.error_code))
                };
                topic.partitions.iter().map(outcome).collect::<Vec<_>>()
            });
            format!("OffsetCommit {}", partitions.collect::<Vec<_>>().join(" "))
        }
        Answer::OffsetDelete(delete) => {
            let partitions = delete.topics.iter().flat_map(|topic| {
                let outcome = |partition: &protocol::offset_delete_response::OffsetDeleteResponsePartition| {
                    format!(" {}-{}={}", topic.name, partition.partition_index, error(partition.error_code))
                };
                topic.partitions.iter().map(outcome).collect::<Vec<_>>()
            });
            format!("OffsetDelete {}{}", error(delete.error_code), partitions.collect::<String>())
        }
        Answer::OffsetFetch(fetch) => {
            let partitions = fetch.topics.iter().flat_map(|topic| {
                let outcome = |partition: &protocol::offset_fetch_response::OffsetFetchResponsePartitions| {
                    format!(
                        " {}-{}={} epoch={} {:?} {}",
                        topic.name,
                        partition.partition_index,
                        partition.committed_offset,
                        partition.committed_leader_epoch,
                        short(partition.metadata.as_deref().unwrap_or("null")),
                        error(partition.error_code)
                    )
                };
                topic.partitions.iter().map(outcome).collect::<Vec<_>>()
            });
            format!("OffsetFetch {} {}:{}", error(fetch.error_code), fetch.group_id, partitions.collect::<String>())
        }
        Answer::SyncGroup(sync) if sync.error_code != 0 => format!("SyncGroup {}", error(sync.error_code)),
        Answer::SyncGroup(sync) => format!(
            "SyncGroup NONE type={:?} protocol={:?} assignment={}",
            sync.protocol_type,
            sync.protocol_name,
            text(&sync.assignment)
        ),
    }
}

fn error(code: i16) -> &'static str {
    ErrorCode::from_code(code).map_or("no error of Kafka's", ErrorCode::name)
}

fn text(bytes: &[u8]) -> String {
    match bytes {
        // A subscription: version, topics, no user data.
        [0, 0, ..] | [0, 1, ..] => "subscription".to_owned(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn short(text: &str) -> String {
    if text.len() > 20 { format!("{}... {} bytes", &text[..3], text.len()) } else { text.to_owned() }
}
