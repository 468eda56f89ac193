//! Which partition of `__consumer_offsets` a group lives in.

/// Kafka's rule: `Utils.abs(groupId.hashCode()) % partitions` (`GroupCoordinatorService.partitionFor`), where the absolute
/// value of the least integer is 0.
pub fn partition_for(group_id: &str, partitions: i32) -> i32 {
    protocol::hash_code(group_id).checked_abs().unwrap_or(0) % partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_java_does() {
        // The hashes are `String.hashCode()` of Java 17.
        let hashes = [("", 0), ("group", 98_629_247), ("größe", 98_762_257), ("😀-group", -1_198_440_043)];
        for (group_id, hash) in hashes {
            assert_eq!(partition_for(group_id, i32::MAX), i32::abs(hash), "{group_id}");
        }
        // "polygenelubricants" hashes to the least integer, whose absolute value Kafka takes to be 0.
        assert_eq!(partition_for("polygenelubricants", 50), 0);
        assert_eq!(partition_for("group", 50), 47);
    }
}
