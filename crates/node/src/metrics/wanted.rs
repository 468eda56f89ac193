//! What one scrape is to contain: whose names, and how far into detail. The configuration says what is usual, the query of
//! the scrape what is wanted this time.
use super::family::{Dialect, Family};

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    pub vocabularies: Vec<Vocabulary>,
    pub detail: Detail,
    /// With [`Detail::Auto`]: if there are more of something than these, it is not shown one by one.
    pub shown_max: usize,
}

/// Whose names, besides our own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Vocabulary {
    Confluent,
    KafkaExporter,
    KafkaLagExporter,
    Strimzi,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Detail {
    /// As much as is bearable: topics, groups and partitions, each as long as there are few.
    Auto,
    /// Sums only.
    Cluster,
    /// Topics and groups.
    Topic,
    Partition,
}

pub const VOCABULARIES: &[&str] = &["confluent", "kafka-exporter", "kafka-lag-exporter", "strimzi"];
pub const DETAILS: &[&str] = &["auto", "cluster", "topic", "partition"];

impl Vocabulary {
    pub fn named(name: &str) -> Option<Vocabulary> {
        Some(match name {
            "confluent" => Vocabulary::Confluent,
            "kafka-exporter" => Vocabulary::KafkaExporter,
            "kafka-lag-exporter" => Vocabulary::KafkaLagExporter,
            "strimzi" => Vocabulary::Strimzi,
            _ => return None,
        })
    }
}

impl Detail {
    pub fn named(name: &str) -> Option<Detail> {
        Some(match name {
            "auto" => Detail::Auto,
            "cluster" => Detail::Cluster,
            "topic" => Detail::Topic,
            "partition" => Detail::Partition,
            _ => return None,
        })
    }
}

impl Wanted {
    /// As it is usual, but for what a query says: `dialect`, as often as one likes, and `detail`.
    pub fn asked(&self, query: &[(String, String)]) -> Result<Wanted, String> {
        let mut wanted = self.clone();
        if query.iter().any(|(name, _)| name == "dialect") {
            wanted.vocabularies.clear();
        }
        for (name, value) in query {
            match &**name {
                "dialect" => match Vocabulary::named(value) {
                    Some(vocabulary) => wanted.vocabularies.push(vocabulary),
                    None => return Err(unknown("dialect", value, VOCABULARIES)),
                },
                "detail" => match Detail::named(value) {
                    Some(detail) => wanted.detail = detail,
                    None => return Err(unknown("detail", value, DETAILS)),
                },
                name => return Err(format!("there is no {name}: write dialect or detail")),
            }
        }
        Ok(wanted)
    }

    /// Under which names a family is written: none, one or two.
    pub fn names(&self, family: &Family) -> impl Iterator<Item = &'static str> + use<> {
        let has = |vocabulary: Vocabulary| self.vocabularies.contains(&vocabulary);
        let (own, confluent) = match family.dialect {
            Dialect::Ottla => (true, false),
            Dialect::KafkaExporter => (has(Vocabulary::KafkaExporter), false),
            Dialect::KafkaLagExporter => (has(Vocabulary::KafkaLagExporter), false),
            Dialect::Strimzi => (has(Vocabulary::Strimzi), has(Vocabulary::Confluent)),
        };
        let confluent_name = family.confluent.unwrap_or(family.name);
        let again = confluent && !(own && confluent_name == family.name);
        own.then_some(family.name).into_iter().chain(again.then_some(confluent_name))
    }

    /// Whether so many topics, or groups, are shown one by one.
    pub fn shows_topics(&self, count: usize) -> bool {
        match self.detail {
            Detail::Auto => count <= self.shown_max,
            Detail::Cluster => false,
            Detail::Topic | Detail::Partition => true,
        }
    }

    /// Whether so many partitions are.
    pub fn shows_partitions(&self, count: usize) -> bool {
        match self.detail {
            Detail::Auto => count <= self.shown_max,
            Detail::Cluster | Detail::Topic => false,
            Detail::Partition => true,
        }
    }
}

fn unknown(what: &str, value: &str, known: &[&str]) -> String {
    format!("there is no {what} {value:?}: write one of {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::families;
    use super::*;

    fn usual() -> Wanted {
        Wanted { vocabularies: vec![Vocabulary::Strimzi], detail: Detail::Auto, shown_max: 10 }
    }

    fn asked(query: &[(&str, &str)]) -> Result<Wanted, String> {
        let query: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        usual().asked(&query)
    }

    #[test]
    fn a_query_takes_the_place_of_what_is_usual() {
        assert_eq!(asked(&[]).unwrap(), usual());
        let both = asked(&[("dialect", "confluent"), ("dialect", "kafka-exporter"), ("detail", "partition")]).unwrap();
        assert_eq!(both.vocabularies, [Vocabulary::Confluent, Vocabulary::KafkaExporter]);
        assert!(both.shows_partitions(usize::MAX) && usual().shows_partitions(10) && !usual().shows_partitions(11));
        assert!(asked(&[("dialect", "redpanda")]).unwrap_err().contains("kafka-lag-exporter"));
        assert!(asked(&[("detail", "all")]).is_err() && asked(&[("details", "topic")]).is_err());
    }

    #[test]
    fn each_dialect_has_its_names_once() {
        let names = |vocabularies: &[Vocabulary], family: &str| -> Vec<&str> {
            let wanted = Wanted { vocabularies: vocabularies.to_vec(), ..usual() };
            wanted.names(families::find(family)).collect()
        };
        let (bytes, leaders) =
            ("kafka_server_brokertopicmetrics_bytesin_total", "kafka_server_replicamanager_leadercount");
        assert_eq!(names(&[Vocabulary::Strimzi], bytes), [bytes]);
        assert_eq!(names(&[Vocabulary::Confluent], bytes), ["kafka_server_brokertopicmetrics_bytesinpersec"]);
        assert_eq!(names(&[Vocabulary::Confluent, Vocabulary::Strimzi], bytes).len(), 2);
        assert_eq!(names(&[Vocabulary::Confluent], leaders), [leaders]);
        assert_eq!(names(&[Vocabulary::Confluent, Vocabulary::Strimzi], leaders), [leaders]);
        assert_eq!(names(&[Vocabulary::KafkaExporter], leaders), [""; 0]);
        assert_eq!(names(&[], "ottla_build_info"), ["ottla_build_info"]);
    }
}
