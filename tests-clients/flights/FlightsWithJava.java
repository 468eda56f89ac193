import java.io.BufferedReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The flights by Kafka's Java client: {@code produce}, {@code consume} in a group, {@code read} from a
 * time to the end. Lines of the input and of the journal as {@code client.py} says.
 */
public final class FlightsWithJava {
    private static final int GIVE_UP_MS = 600_000;
    private static final long COMMIT_EVERY_MS = 1_000;

    public static void main(String[] arguments) throws Exception {
        switch (arguments[0]) {
            case "produce" -> produce(arguments[1], arguments[2], Path.of(arguments[3]), Integer.parseInt(arguments[4]));
            case "consume" -> new GroupMember(arguments[1], arguments[2], arguments[3], Path.of(arguments[4]))
                .run(Path.of(arguments[5]));
            case "read" -> read(arguments[1], arguments[2], Long.parseLong(arguments[3]), Path.of(arguments[4]));
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static void produce(String bootstrap, String topic, Path input, int perSecond) throws Exception {
        AtomicLong acknowledged = new AtomicLong();
        AtomicReference<Exception> failure = new AtomicReference<>();
        Map<String, Object> config = Map.of(
            "bootstrap.servers", bootstrap, "acks", "all", "enable.idempotence", true, "compression.type", "zstd",
            "linger.ms", 20, "batch.size", 65_536, "delivery.timeout.ms", GIVE_UP_MS, "max.block.ms", GIVE_UP_MS);
        long sent = 0;
        try (BufferedReader lines = Files.newBufferedReader(input);
             KafkaProducer<byte[], byte[]> producer =
                 new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            long started = System.nanoTime();
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                String[] parts = line.split("\t");
                ProducerRecord<byte[], byte[]> flight = new ProducerRecord<>(
                    topic, null, Long.valueOf(parts[2]), utf8(parts[1]), utf8(parts[3]));
                producer.send(flight, (place, error) -> {
                    if (error != null) {
                        failure.compareAndSet(null, error);
                    } else if (acknowledged.incrementAndGet() % 1_000 == 0) {
                        System.out.println("acked " + acknowledged);
                    }
                });
                sent++;
                if (perSecond > 0 && sent % 50 == 0) {
                    long ahead = sent * 1_000L / perSecond - (System.nanoTime() - started) / 1_000_000;
                    Thread.sleep(Math.max(0, ahead));
                }
            }
            producer.flush();
        }
        System.out.println("acked " + acknowledged);
        if (failure.get() != null || acknowledged.get() != sent) {
            throw new IllegalStateException(sent - acknowledged.get() + " records not acknowledged", failure.get());
        }
    }

    /** A member of the group; its own listener, since what is assigned decides what may be committed. */
    private static final class GroupMember implements ConsumerRebalanceListener {
        private final String topic;
        private final KafkaConsumer<byte[], byte[]> consumer;
        private final Journal journal;
        private final Map<TopicPartition, OffsetAndMetadata> next = new TreeMap<>(FlightsWithJava::byPartition);
        private long committedAt = System.currentTimeMillis();

        GroupMember(String bootstrap, String topic, String group, Path journal) throws Exception {
            this.topic = topic;
            this.journal = new Journal(journal);
            this.consumer = consumer(Map.of(
                "bootstrap.servers", bootstrap, "group.id", group, "auto.offset.reset", "earliest",
                "enable.auto.commit", false, "session.timeout.ms", 15_000,
                "partition.assignment.strategy", "org.apache.kafka.clients.consumer.RoundRobinAssignor"));
        }

        void run(Path stopFile) {
            try (journal; consumer) {
                consumer.subscribe(List.of(topic), this);
                while (!Files.exists(stopFile)) {
                    for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                        journal.record(record);
                        next.put(new TopicPartition(topic, record.partition()),
                            new OffsetAndMetadata(record.offset() + 1));
                    }
                    if (System.currentTimeMillis() - committedAt > COMMIT_EVERY_MS) {
                        commit();
                    }
                }
            }
        }

        private void commit() {
            committedAt = System.currentTimeMillis();
            if (next.isEmpty()) {
                return;
            }
            journal.note("T", next);
            try {
                consumer.commitSync(next);
                journal.note("C", next);
            } catch (KafkaException error) {
                // The broker is down, or the group moves on: those records are delivered once more.
                System.out.println("commit failed: " + error);
            }
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
            assigned.forEach(partition -> {
                next.remove(partition);
                journal.assigned(partition.partition());
            });
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
            commit();
            next.clear();
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> lost) {
            next.clear();
        }
    }

    private static void read(String bootstrap, String topic, long fromTime, Path path) throws Exception {
        try (Journal journal = new Journal(path);
             KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of("bootstrap.servers", bootstrap))) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                .map(partition -> new TopicPartition(topic, partition.partition())).toList();
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            consumer.assign(partitions);
            consumer.offsetsForTimes(partitions.stream().collect(Collectors.toMap(part -> part, part -> fromTime)))
                .forEach((partition, found) -> {
                    journal.assigned(partition.partition());
                    consumer.seek(partition, found == null ? ends.get(partition) : found.offset());
                });
            while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    journal.record(record);
                }
            }
        }
    }

    private static KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> config) {
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static final class Journal implements AutoCloseable {
        private final PrintWriter file;
        private final MessageDigest md5 = MessageDigest.getInstance("MD5");

        Journal(Path path) throws Exception {
            file = new PrintWriter(Files.newBufferedWriter(path));
        }

        void assigned(int partition) {
            file.println("A " + System.currentTimeMillis() + " " + partition);
        }

        void record(ConsumerRecord<byte[], byte[]> record) {
            md5.update(record.key());
            md5.update(utf8("\0" + record.timestamp() + "\0"));
            String digest = HexFormat.of().formatHex(md5.digest(record.value()), 0, 8);
            file.println("R " + record.partition() + " " + record.offset() + " " + digest);
        }

        void note(String event, Map<TopicPartition, OffsetAndMetadata> offsets) {
            long time = System.currentTimeMillis();
            offsets.forEach((partition, offset) ->
                file.println(event + " " + time + " " + partition.partition() + " " + offset.offset()));
        }

        @Override
        public void close() {
            file.close();
        }
    }

    private static int byPartition(TopicPartition one, TopicPartition other) {
        return Integer.compare(one.partition(), other.partition());
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private FlightsWithJava() {
    }
}
