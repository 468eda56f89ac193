//! The configuration as a whole: who wins, what is refused, what is said.
use std::time::Duration;

use super::typed::Durability;
use super::*;

const FILE: &str = "server.properties";

struct Written {
    profile: Profile,
    file: &'static str,
    variables: Vec<(String, String)>,
    overrides: Vec<String>,
    strict: bool,
}

fn server(file: &'static str) -> Written {
    Written { profile: Profile::Server, file, variables: Vec::new(), overrides: Vec::new(), strict: false }
}

impl Written {
    fn variable(mut self, name: &str, value: &str) -> Written {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn overridden(mut self, text: &str) -> Written {
        self.overrides.push(text.to_owned());
        self
    }

    fn load(&self) -> Result<Config, String> {
        let sources = Sources {
            profile: self.profile,
            file: Some((FILE, self.file.as_bytes())),
            variables: &self.variables,
            overrides: &self.overrides,
            strict: self.strict,
            ephemeral: false,
        };
        Config::load(&sources).map_err(|errors| errors.to_string())
    }

    fn config(&self) -> Config {
        self.load().unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn errors(&self) -> String {
        self.load().expect_err("this is wrong")
    }

    fn notes(&self) -> Vec<String> {
        self.config().notes
    }
}

#[test]
fn later_sources_win_and_are_named() {
    let written = server("num.partitions=2\nlog.retention.hours=1\nnum.partitions=3\n");
    let setting = |written: &Written| {
        let config = written.config();
        let found = config.settings.find("num.partitions").unwrap();
        (found.value.unwrap().to_owned(), found.source.clone(), config.topics.num_partitions)
    };
    assert_eq!(setting(&server("")), ("1".to_owned(), Source::Default, 1));
    assert_eq!(setting(&written), ("3".to_owned(), Source::File { line: 3 }, 3));
    let written = written.variable("KAFKA_NUM_PARTITIONS", "4");
    assert_eq!(setting(&written), ("4".to_owned(), Source::Variable("KAFKA_NUM_PARTITIONS".to_owned()), 4));
    let written = written.overridden("num.partitions=5");
    assert_eq!(setting(&written), ("5".to_owned(), Source::Override, 5));
    // One variable does not take the file's other lines away, as it does in Kafka's image.
    let config = written.config();
    assert_eq!(config.settings.find("log.retention.hours").unwrap().value, Some("1"));
}

#[test]
fn the_configuration_that_kafka_ships_is_served() {
    let config = server(include_str!("../../tests/kafka/server.properties")).config();
    assert_eq!(config.node_id, 1);
    assert_eq!(config.listeners.len(), 1, "the controller's is not opened");
    assert_eq!(config.listeners[0].port, 9092);
    assert_eq!(config.listeners[0].host, None);
    assert_eq!(config.advertised, [Endpoint { name: "PLAINTEXT".into(), host: Some("localhost".into()), port: 9092 }]);
    assert_eq!(config.log_dirs, [std::path::PathBuf::from("/tmp/kraft-combined-logs")]);
    assert_eq!(config.offsets.topic_replication_factor, 1);
    let without: Vec<&String> = config.notes.iter().filter(|note| note.contains("without effect")).collect();
    assert_eq!(without.len(), 1, "one warning for all: {:?}", config.notes);
    for name in ["num.network.threads", "controller.listener.names", "transaction.state.log.min.isr"] {
        assert!(without[0].contains(name), "{name}: {}", without[0]);
    }
    assert!(!without[0].contains("log.retention.hours"));
    assert!(!config.notes.iter().any(|note| note.contains("no key")), "{:?}", config.notes);
}

#[test]
fn the_variables_of_testcontainers_are_served() {
    // What org.testcontainers.kafka.KafkaContainer sets.
    let mut written = server("").variable("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw");
    for (name, value) in [
        ("KAFKA_LISTENERS", "PLAINTEXT://0.0.0.0:9092,BROKER://0.0.0.0:9093,CONTROLLER://0.0.0.0:9094"),
        ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://localhost:32768,BROKER://f00:9093"),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "BROKER"),
        ("KAFKA_PROCESS_ROLES", "broker,controller"),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9094"),
        ("KAFKA_NODE_ID", "1"),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
        ("KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS", "1"),
        ("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1"),
        ("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1"),
        ("KAFKA_LOG_FLUSH_INTERVAL_MESSAGES", "9223372036854775807"),
        ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
        ("KAFKA_HEAP_OPTS", "-Xmx256M"),
        ("KAFKA_SERVICE_PORT", "9092"),
        ("KAFKA_PORT_9092_TCP_ADDR", "10.0.0.1"),
        ("HOME", "/root"),
    ] {
        written = written.variable(name, value);
    }
    written.strict = true;
    let config = written.config();
    let names: Vec<&str> = config.listeners.iter().map(|listener| listener.name.as_str()).collect();
    assert_eq!(names, ["PLAINTEXT", "BROKER"]);
    assert!(config.listeners.iter().all(|listener| listener.host.is_none()));
    assert_eq!(
        config.advertised[0],
        Endpoint { name: "PLAINTEXT".into(), host: Some("localhost".into()), port: 32768 }
    );
    assert_eq!(config.inter_broker_listener, "BROKER");
    assert_eq!(config.cluster_id.as_deref(), Some("4L6g3nShT-eMCtK--X86sw"));
    assert_eq!(config.groups.initial_rebalance_delay, Duration::ZERO);
}

#[test]
fn dev_is_kafka_with_the_deviations_of_its_table() {
    let config = Written { profile: Profile::Dev, ..server("") }.config();
    assert_eq!(config.listeners[0].host.as_deref(), Some("localhost"));
    assert_eq!(config.log_dirs, [std::path::PathBuf::from("./ottla-data")]);
    assert_eq!(config.notes, Vec::<String>::new(), "who starts `ottla` is not warned of anything");
    let served = server("").config();
    for (dev, server) in config.settings.iter().zip(served.settings.iter()) {
        let deviation = DEVIATIONS.iter().find(|deviation| deviation.name == dev.key.name);
        let expected = deviation.and_then(|deviation| deviation.dev).or(server.value);
        assert_eq!(dev.value, expected, "{}", dev.key.name);
    }
    assert_eq!(config.log.durability, Durability::Flush);
    let elsewhere = Written { profile: Profile::Dev, ..server("") }.overridden("log.dir=/data").config();
    assert_eq!(elsewhere.log_dirs, [std::path::PathBuf::from("/data")]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let errors =
        server("# mine\nlog.segment.bytes=10MB\nlog.retention.ms=soon\nnum.partitions=0\nssl.key.password=x\n")
            .variable("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "maybe")
            .overridden("listeners")
            .errors();
    assert_eq!(
        errors,
        "log.retention.ms=soon (server.properties, line 3) must be a whole number of milliseconds; write a number such as \
         10000 or 10s\n\
         num.partitions=0 (server.properties, line 4) must be a whole number, at least 1; write num.partitions=1, or take \
         it out: the default is 1\n\
         auto.create.topics.enable=maybe (variable KAFKA_AUTO_CREATE_TOPICS_ENABLE) must be true or false; write true or \
         false, or take it out: the default is true\n\
         --override listeners must be a key and a value; write --override listeners=VALUE"
    );
    let errors = server("listeners=SSL://:9093\nprocess.roles=controller\n").errors();
    assert_eq!(
        errors,
        "listeners=SSL://:9093 (server.properties, line 1) has the listener SSL, which speaks SSL, and Ottla serves only \
         PLAINTEXT yet; take it out, or let a proxy speak TLS in front of Ottla\n\
         process.roles=controller (server.properties, line 2) must contain broker: Ottla has no nodes that are a controller \
         only; write process.roles=broker,controller"
    );
    assert_eq!(
        server("a=\\u12").errors(),
        "server.properties, line 1 has a \\u that four hexadecimal digits do not follow, or ends in a backslash; write \
         \\\\ for a backslash"
    );
}

#[test]
fn what_would_open_a_closed_door_is_refused() {
    for (line, why) in [
        ("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "access control"),
        ("super.users=User:admin", "access control"),
        ("allow.everyone.if.no.acl.found=false", "access control"),
        ("create.topic.policy.class.name=com.example.Policy", "Java class"),
        ("security.inter.broker.protocol=SASL_SSL", "PLAINTEXT"),
        ("remote.log.storage.system.enable=true", "tiered storage"),
        ("config.providers=env", "providers"),
    ] {
        let errors = server(line).errors();
        assert!(errors.contains(why) && errors.contains("line 1"), "{line}: {errors}");
    }
    // Their defaults promise nothing.
    server("authorizer.class.name=\nremote.log.storage.system.enable=false\nsecurity.inter.broker.protocol=PLAINTEXT")
        .config();
}

#[test]
fn an_unknown_key_is_named_once_with_the_nearest_and_stops_a_strict_start() {
    let mut written = server("log.dirs=/d\nnum.partition=3\nzookeeper.connect=z:2181\nlistener.name.x.ssl.key=1\n");
    let notes = written.notes();
    let of = |what: &str| notes.iter().filter(|note| note.contains(what)).cloned().collect::<Vec<_>>();
    assert_eq!(
        of("num.partition"),
        ["server.properties, line 2: num.partition is no key of Kafka 4.4 or of Ottla and is ignored; did you mean \
          num.partitions?"]
    );
    assert_eq!(
        of("zookeeper"),
        ["server.properties, line 3: zookeeper.connect is no key of Kafka 4 any more: there is no ZooKeeper"]
    );
    assert_eq!(of("listener.name.x").len(), 1);
    written.strict = true;
    assert_eq!(
        written.errors(),
        "num.partition (server.properties, line 2) is no key of Kafka 4.4 or of Ottla, and --strict allows no others; did \
         you mean num.partitions?"
    );
}

#[test]
fn listeners_follow_kafkas_rules() {
    let wrong = |file: &'static str| server(file).errors();
    assert!(wrong("listeners=PLAINTEXT:9092").contains("NAME://host:port"));
    assert!(wrong("listeners=PLAINTEXT://:99999").contains("NAME://host:port"));
    assert!(wrong("listeners=PLAINTEXT://:1,PLAINTEXT://:2").contains("twice"));
    assert!(
        wrong("listeners=PLAINTEXT://:1,B://:1\nlistener.security.protocol.map=B:PLAINTEXT").contains("port 1 twice")
    );
    assert!(wrong("listeners=EXTERNAL://:1").contains("add EXTERNAL:PLAINTEXT to listener.security.protocol.map"));
    assert!(
        wrong("listeners=CONTROLLER://:1\ncontroller.listener.names=CONTROLLER").contains("no listener for clients")
    );
    assert!(
        wrong("listeners=PLAINTEXT://:1\nadvertised.listeners=PLAINTEXT://0.0.0.0:1").contains("no client can connect")
    );
    assert!(wrong("listeners=PLAINTEXT://:1\nadvertised.listeners=OTHER://h:1").contains("OTHER is none of them"));
    assert!(wrong("listeners=PLAINTEXT://:1\ninter.broker.listener.name=B").contains("set it to PLAINTEXT"));

    let pair = "listeners=A://127.0.0.1:9092,B://[::1]:9092\nlistener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT\n\
                inter.broker.listener.name=A";
    let config = server(pair).config();
    assert_eq!(config.listeners[1].host.as_deref(), Some("::1"));
    assert!(!config.notes.iter().any(|note| note.contains("binds")));

    let derived = server("advertised.listeners=PLAINTEXT://broker.example.com:9095").config();
    assert_eq!((derived.listeners[0].host.as_deref(), derived.listeners[0].port), (None, 9095));
    assert_eq!(derived.advertised[0].host.as_deref(), Some("broker.example.com"));

    let everywhere = server("").config();
    assert!(everywhere.notes.iter().any(|note| note.starts_with("listener PLAINTEXT binds all interfaces")));
    assert_eq!(everywhere.advertised[0].host, None);
}

#[test]
fn old_names_count_where_the_new_ones_are_not_set() {
    assert_eq!(server("broker.id=7").config().node_id, 7);
    assert_eq!(server("broker.id=7\nnode.id=7").config().node_id, 7);
    assert!(server("broker.id=7\nnode.id=8").errors().contains("take broker.id out"));
    assert!(server("log.retention.hours=0").errors().contains("-1 (no limit)"));
}

#[test]
fn secrets_are_in_no_message() {
    let errors = server("ssl.key.password=hunter2\nlog.segment.bytes=1").errors();
    assert!(!errors.contains("hunter2"));
    let config = server("ssl.key.password=hunter2").config();
    assert!(!config.notes.iter().any(|note| note.contains("hunter2")), "{:?}", config.notes);
    assert!(config.settings.find("ssl.key.password").unwrap().key.is_sensitive());
}

/// A key that neither the rooms nor the topics' configurations read must not claim an effect.
#[test]
fn keys_are_served_only_if_something_reads_them() {
    let readers =
        concat!(include_str!("typed.rs"), include_str!("listeners.rs"), include_str!("../connection_limits.rs"));
    let of_topics = metadata::configs::KEYS.iter().flat_map(|key| key.synonyms).map(|synonym| synonym.name);
    let of_topics: Vec<&str> = of_topics.collect();
    for key in all_keys() {
        let is_read = readers.contains(&format!("\"{}\"", key.name)) || of_topics.contains(&key.name);
        assert!(is_read || key.effect != Effect::Served, "{} is served, and nothing reads it", key.name);
    }
}
