import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Confluent's way of using a compacted topic of one partition as a store: the calls of its Schema Registry
 * ({@code KafkaStore}, {@code KafkaStoreReaderThread}), with its settings of clients. Its own jars are not to be had here.
 */
public final class SchemaRegistryStore {
    private static final String TOPIC = Checks.unique("_schemas");
    private static final TopicPartition PARTITION = new TopicPartition(TOPIC, 0);
    private static final String NOOP = "{\"keytype\":\"NOOP\",\"magic\":0}";

    public static void main(String[] arguments) {
        new Checks()
            .add("the topic is made, and verified by who comes second", SchemaRegistryStore::madeAndVerified)
            .add("a registry starts on an empty topic", () -> {
                try (Store store = new Store()) {
                    Checks.expect(store.values.isEmpty(), "values in an empty topic");
                }
            })
            .add("what is put is read by the one who put it", SchemaRegistryStore::putAndRead)
            .add("another registry reads all of it", SchemaRegistryStore::another)
            .add("a broker that was killed has all of it", SchemaRegistryStore::afterKill)
            .add("a topic of another policy is told apart", SchemaRegistryStore::wrongPolicy)
            .run();
    }

    /** One registry: a producer, and a consumer that follows the topic. */
    private static final class Store implements AutoCloseable {
        final Map<String, String> values = new TreeMap<>();
        private final KafkaProducer<byte[], byte[]> producer;
        private final KafkaConsumer<byte[], byte[]> reader;
        private long readTo = -1;

        Store() throws Exception {
            createOrVerify();
            Map<String, Object> reading = new HashMap<>(Map.of("bootstrap.servers", Checks.BOOTSTRAP,
                "client.id", "KafkaStore-reader-" + TOPIC, "group.id", Checks.unique("schema-registry"),
                "auto.offset.reset", "earliest", "enable.auto.commit", "false"));
            reader = new KafkaConsumer<>(reading, new ByteArrayDeserializer(), new ByteArrayDeserializer());
            Checks.eventually("the partition is known", () -> {
                var partitions = reader.partitionsFor(TOPIC);
                return partitions != null && partitions.size() == 1;
            });
            reader.assign(List.of(PARTITION));
            reader.seekToBeginning(List.of(PARTITION));
            Map<String, Object> writing = Map.of("bootstrap.servers", Checks.BOOTSTRAP, "acks", "-1", "retries", 0,
                "enable.idempotence", false);
            producer = new KafkaProducer<>(writing, new ByteArraySerializer(), new ByteArraySerializer());
            // The store is ready once its reader has come to what it writes itself.
            readUpTo(send(NOOP, null));
        }

        void put(String key, String value) throws Exception {
            readUpTo(send(key, value));
        }

        private long send(String key, String value) throws Exception {
            RecordMetadata written = producer.send(new ProducerRecord<>(TOPIC, 0, bytes(key), bytes(value))).get(10, TimeUnit.SECONDS);
            return written.offset();
        }

        private void readUpTo(long offset) throws Exception {
            Checks.eventually("the reader comes to " + offset, () -> {
                for (var record : reader.poll(Duration.ofMillis(200))) {
                    Checks.expect(record.offset() > readTo, "offset " + record.offset() + " behind " + readTo);
                    readTo = record.offset();
                    String key = new String(record.key(), StandardCharsets.UTF_8);
                    if (record.value() == null) {
                        values.remove(key);
                    } else {
                        values.put(key, new String(record.value(), StandardCharsets.UTF_8));
                    }
                }
                return readTo >= offset;
            });
        }

        @Override
        public void close() {
            producer.close();
            reader.close();
        }
    }

    private static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    private static void createOrVerify() throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", Checks.BOOTSTRAP))) {
            if (admin.listTopics().names().get(10, TimeUnit.SECONDS).contains(TOPIC)) {
                verify(admin, TOPIC);
                return;
            }
            int nodes = admin.describeCluster().nodes().get(10, TimeUnit.SECONDS).size();
            NewTopic wanted = new NewTopic(TOPIC, 1, (short) Math.min(nodes, 3)).configs(Map.of("cleanup.policy", "compact"));
            try {
                admin.createTopics(List.of(wanted)).all().get(10, TimeUnit.SECONDS);
            } catch (ExecutionException error) {
                Checks.expect(error.getCause() instanceof TopicExistsException, "not made: " + error);
                verify(admin, TOPIC);
            }
        }
    }

    private static void verify(Admin admin, String topic) throws Exception {
        TopicDescription found = admin.describeTopics(List.of(topic)).allTopicNames().get(10, TimeUnit.SECONDS).get(topic);
        Checks.same(found.partitions().size(), 1, "partitions");
        Checks.same(policy(admin, topic), "compact", "policy");
    }

    private static String policy(Admin admin, String topic) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        return admin.describeConfigs(List.of(resource)).all().get(10, TimeUnit.SECONDS).get(resource).get("cleanup.policy").value();
    }

    private static void madeAndVerified() throws Exception {
        createOrVerify();
        createOrVerify();
    }

    private static String schemaKey(String subject, int version) {
        return "{\"keytype\":\"SCHEMA\",\"subject\":\"" + subject + "\",\"version\":" + version + ",\"magic\":1}";
    }

    private static void putAndRead() throws Exception {
        try (Store store = new Store()) {
            for (int id = 1; id <= 50; id++) {
                String key = schemaKey("subject-" + id % 5, id / 5 + 1);
                String schema = "{\"subject\":\"subject-" + id % 5 + "\",\"id\":" + id + ",\"deleted\":false,\"schema\":\"\\\"string\\\"\"}";
                store.put(key, schema);
                Checks.same(store.values.get(key), schema, key);
            }
            store.put("{\"keytype\":\"CONFIG\",\"subject\":null,\"magic\":0}", "{\"compatibilityLevel\":\"FULL\"}");
            store.put("{\"keytype\":\"CONFIG\",\"subject\":null,\"magic\":0}", "{\"compatibilityLevel\":\"NONE\"}");
            store.put(schemaKey("subject-0", 2), null); // Deleted for good.
            expectAll(store);
        }
    }

    private static void expectAll(Store store) {
        Checks.same(store.values.size(), 50, "values");
        Checks.same(store.values.get("{\"keytype\":\"CONFIG\",\"subject\":null,\"magic\":0}"), "{\"compatibilityLevel\":\"NONE\"}", "config");
        Checks.expect(!store.values.containsKey(schemaKey("subject-0", 2)), "what was deleted is there");
    }

    private static void another() throws Exception {
        try (Store store = new Store()) {
            expectAll(store);
        }
    }

    private static void afterKill() throws Exception {
        Checks.killAndRestartBroker();
        try (Store store = new Store()) {
            expectAll(store);
            store.put(schemaKey("after", 1), "{\"id\":51}");
            Checks.same(store.values.get(schemaKey("after", 1)), "{\"id\":51}", "put after the kill");
        }
    }

    private static void wrongPolicy() throws Exception {
        String other = Checks.unique("_schemas-deleted");
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", Checks.BOOTSTRAP))) {
            admin.createTopics(List.of(new NewTopic(other, 1, (short) 1))).all().get(10, TimeUnit.SECONDS);
            Checks.same(policy(admin, other), "delete", "policy");
        }
    }
}
