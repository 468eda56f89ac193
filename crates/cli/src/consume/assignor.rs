//! Who reads what: Kafka's `range` assignor. Topic by topic, the members in the order of their ids get runs of
//! partitions, the first ones one more if it does not come out even.
use std::collections::BTreeMap;

/// Member id, its topics.
pub type Subscriptions = BTreeMap<String, Vec<String>>;
/// Member id, topic, partitions.
pub type Assignments = BTreeMap<String, BTreeMap<String, Vec<i32>>>;

/// `partitions` says how many each topic has; topics that are not there are nobody's.
pub fn range(subscriptions: &Subscriptions, partitions: &BTreeMap<String, i32>) -> Assignments {
    let mut assignments: Assignments = subscriptions.keys().map(|member| (member.clone(), BTreeMap::new())).collect();
    for (topic, count) in partitions {
        let members: Vec<&String> =
            subscriptions.iter().filter(|(_, topics)| topics.contains(topic)).map(|(member, _)| member).collect();
        let Ok(member_count) = i32::try_from(members.len()) else { continue };
        if member_count == 0 {
            continue;
        }
        let (share, remainder) = (count / member_count, count % member_count);
        let mut next = 0;
        for (index, member) in (0..).zip(members) {
            let length = share + i32::from(index < remainder);
            if length > 0 {
                let topics = assignments.get_mut(member).expect("every member has an entry");
                topics.insert(topic.clone(), (next..next + length).collect());
            }
            next += length;
        }
    }
    assignments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_members_get_one_more() {
        let topics = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let subscriptions = Subscriptions::from([
            ("a".to_owned(), topics(&["t", "u"])),
            ("b".to_owned(), topics(&["t"])),
            ("c".to_owned(), topics(&["t", "gone"])),
        ]);
        let partitions = BTreeMap::from([("t".to_owned(), 7), ("u".to_owned(), 2)]);
        let assignments = range(&subscriptions, &partitions);
        assert_eq!(assignments["a"]["t"], [0, 1, 2]);
        assert_eq!(assignments["b"]["t"], [3, 4]);
        assert_eq!(assignments["c"]["t"], [5, 6]);
        assert_eq!(assignments["a"]["u"], [0, 1]);
        assert_eq!(assignments["c"].len(), 1);
        let few = range(&subscriptions, &BTreeMap::from([("t".to_owned(), 2)]));
        assert_eq!((few["a"]["t"].as_slice(), few["c"].len()), ([0].as_slice(), 0));
    }
}
