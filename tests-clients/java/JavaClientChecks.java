import static org.apache.kafka.clients.admin.AlterConfigOp.OpType.APPEND;
import static org.apache.kafka.clients.admin.AlterConfigOp.OpType.DELETE;
import static org.apache.kafka.clients.admin.AlterConfigOp.OpType.SET;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Kafka's own client put through the checks of {@code ../python/behaviour.py}, and through what it alone does:
 * static members, cooperative rebalances, the whole of Admin as far as one node with classic groups goes.
 */
public final class JavaClientChecks {
    private static final int PARTITIONS = 3;
    private static final long SOME_TIME = 1_700_000_000_000L;
    private static final Map<String, Object> ALL_IN_SYNC = Map.of("acks", "all");
    private static final Admin ADMIN = Admin.create(Map.of("bootstrap.servers", Checks.BOOTSTRAP));

    public static void main(String[] arguments) {
        Checks checks = new Checks();
        for (String acks : List.of("0", "1", "all")) {
            checks.add("acks=" + acks, () ->
                roundTrip("acks-" + acks, Map.of("acks", acks, "enable.idempotence", false)));
        }
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            checks.add("codec " + codec, () -> roundTrip("codec-" + codec, Map.of("compression.type", codec)));
        }
        checks.add("idempotent producer keeps order", JavaClientChecks::idempotent)
            .add("value of 900 KiB and value of nothing", JavaClientChecks::largeAndEmpty)
            .add("message too large is refused", JavaClientChecks::tooLarge)
            .add("unknown topic is an error", JavaClientChecks::unknownTopic)
            .add("a topic is created by its first use", JavaClientChecks::createdByFirstUse)
            .add("consume from the beginning and from the end", JavaClientChecks::beginningAndEnd)
            .add("seek by time", JavaClientChecks::seekByTime)
            .add("offset out of range", JavaClientChecks::offsetOutOfRange)
            .add("log append time", JavaClientChecks::logAppendTime)
            .add("a transactional id is refused for good", JavaClientChecks::transactionalId)
            .add("group rebalances: range", () -> rebalance("Range"))
            .add("group rebalances: round robin", () -> rebalance("RoundRobin"))
            .add("group rebalances: sticky", () -> rebalance("Sticky"))
            .add("group rebalances: cooperative sticky takes only what it must", () -> rebalance("CooperativeSticky"))
            .add("static member comes back without a rebalance", JavaClientChecks::staticMemberComesBack)
            .add("static member is fenced by its double", JavaClientChecks::staticMemberIsFenced)
            .add("committed offsets and records survive SIGKILL", JavaClientChecks::committedSurvive)
            .add("idempotent producer goes on across SIGKILL", JavaClientChecks::producesAcrossSigkill)
            .add("admin: cluster", JavaClientChecks::adminCluster)
            .add("admin: topics by name and by id", JavaClientChecks::adminTopics)
            .add("admin: what is refused of topics", JavaClientChecks::adminTopicsRefused)
            .add("admin: configs of topics and of the broker", JavaClientChecks::adminConfigs)
            .add("admin: records and offsets", JavaClientChecks::adminRecordsAndOffsets)
            .add("admin: groups and their offsets", JavaClientChecks::adminGroups)
            .add("admin: all that a console asks at its start", JavaClientChecks::adminConsole)
            .run();
    }

    // ---- producing and reading

    static KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> config) {
        Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", Checks.BOOTSTRAP,
            "enable.auto.commit", false, "auto.offset.reset", "earliest", "allow.auto.create.topics", false));
        all.putAll(config);
        return new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static KafkaProducer<byte[], byte[]> producer(Map<String, Object> config) {
        Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", Checks.BOOTSTRAP, "linger.ms", 5,
            "max.request.size", 8_000_000, "max.block.ms", 30_000));
        all.putAll(config);
        return new KafkaProducer<>(all, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static <T> T done(Future<T> future) throws Exception {
        try {
            return future.get();
        } catch (ExecutionException error) {
            throw error.getCause() instanceof Exception cause ? cause : error;
        }
    }

    private static TopicPartition part(String topic, int partition) {
        return new TopicPartition(topic, partition);
    }

    /** Records that differ in everything a record has: nulls, empties, repeated headers, odd bytes. */
    private static List<ProducerRecord<byte[], byte[]>> varied(String topic, int count, long startTime) {
        return IntStream.range(0, count).mapToObj(i -> {
            byte[] key = i % 7 == 3 ? null : i % 7 == 5 ? new byte[0] : utf8("key-" + i);
            byte[] value = i % 11 == 4 && i % 7 != 3 ? null : i % 11 == 6 ? new byte[0]
                : utf8(("value-" + i + "-\0\u00ff").repeat(i % 40 + 1));
            List<Header> headers = i % 3 == 0 ? List.of() : List.of(new RecordHeader("trace", utf8("" + i)),
                new RecordHeader("trace", new byte[] {0, -1}), new RecordHeader("empty", new byte[0]),
                new RecordHeader("null", (byte[]) null));
            return new ProducerRecord<>(topic, i % PARTITIONS, startTime + 10L * i, key, value, headers);
        }).toList();
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String content(byte[] key, byte[] value, Iterable<Header> headers, long time) {
        StringBuilder text = new StringBuilder(time + " " + hex(key) + " " + hex(value));
        headers.forEach(header -> text.append(" ").append(header.key()).append("=").append(hex(header.value())));
        return text.toString();
    }

    private static String hex(byte[] bytes) {
        return bytes == null ? "null" : HexFormat.of().formatHex(bytes);
    }

    private static Map<Integer, List<String>> sent(Collection<ProducerRecord<byte[], byte[]>> records) {
        return records.stream().collect(Collectors.groupingBy(ProducerRecord::partition, Collectors.mapping(
            record -> content(record.key(), record.value(), record.headers(), record.timestamp()),
            Collectors.toList())));
    }

    private static Map<Integer, List<String>> read(Collection<ConsumerRecord<byte[], byte[]>> records) {
        return records.stream().collect(Collectors.groupingBy(ConsumerRecord::partition, Collectors.mapping(
            record -> content(record.key(), record.value(), record.headers(), record.timestamp()),
            Collectors.toList())));
    }

    /** Compares all but offsets, in order within each partition; says which record differs, not all of them. */
    private static void sameRecords(Collection<ConsumerRecord<byte[], byte[]>> found,
                                    Collection<ProducerRecord<byte[], byte[]>> wanted) {
        Map<Integer, List<String>> all = read(found);
        sent(wanted).forEach((partition, theirs) -> {
            List<String> mine = all.getOrDefault(partition, List.of());
            Checks.same(mine.size(), theirs.size(), "records of partition " + partition);
            for (int i = 0; i < mine.size(); i++) {
                Checks.expect(mine.get(i).equals(theirs.get(i)), "partition " + partition + ": record " + i + " differs");
            }
        });
        Checks.same(found.size(), wanted.size(), "records");
    }

    private static List<RecordMetadata> produce(List<ProducerRecord<byte[], byte[]>> records, Map<String, Object> config)
            throws Exception {
        List<RecordMetadata> places = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = producer(config)) {
            List<Future<RecordMetadata>> sending = records.stream().map(producer::send).toList();
            producer.flush();
            for (Future<RecordMetadata> future : sending) {
                places.add(done(future));
            }
        }
        return places;
    }

    private static List<ConsumerRecord<byte[], byte[]>> readFrom(String topic, Map<Integer, Long> starts, int count) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of())) {
            consumer.assign(starts.keySet().stream().map(partition -> part(topic, partition)).toList());
            starts.forEach((partition, offset) -> consumer.seek(part(topic, partition), offset));
            long deadline = System.currentTimeMillis() + 10_000;
            while (records.size() < count && System.currentTimeMillis() < deadline) {
                consumer.poll(Duration.ofMillis(200)).forEach(records::add);
            }
            consumer.poll(Duration.ofMillis(300)).forEach(records::add);
        }
        Checks.same(records.size(), count, "records read");
        return records;
    }

    private static List<ConsumerRecord<byte[], byte[]>> readAll(String topic, int count) {
        return readFrom(topic, Map.of(0, 0L, 1, 0L, 2, 0L), count);
    }

    private static String topic(String name, Map<String, String> configs) throws Exception {
        String topic = Checks.unique(name);
        done(ADMIN.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1).configs(configs))).all());
        // With acks=0 nothing tells that a partition was not led yet.
        Checks.eventually("the new topic has leaders", () -> offsets(topic, OffsetSpec.latest()).equals(List.of(0L, 0L, 0L)));
        return topic;
    }

    private static String topic(String name) throws Exception {
        return topic(name, Map.of());
    }

    /** Per partition; empty while a partition cannot answer. */
    private static List<Long> offsets(String topic, OffsetSpec spec) throws Exception {
        Map<TopicPartition, OffsetSpec> wanted = IntStream.range(0, PARTITIONS).boxed()
            .collect(Collectors.toMap(partition -> part(topic, partition), partition -> spec));
        try {
            var found = done(ADMIN.listOffsets(wanted).all());
            return IntStream.range(0, PARTITIONS).mapToObj(partition -> found.get(part(topic, partition)).offset()).toList();
        } catch (UnknownTopicOrPartitionException notYet) {
            return List.of();
        }
    }

    private static void roundTrip(String name, Map<String, Object> config) throws Exception {
        String topic = topic(name);
        var records = varied(topic, 300, SOME_TIME);
        produce(records, config);
        var found = readAll(topic, records.size());
        sameRecords(found, records);
        for (int p = 0; p < PARTITIONS; p++) {
            int partition = p;
            List<Long> mine = found.stream().filter(r -> r.partition() == partition).map(ConsumerRecord::offset).toList();
            Checks.same(mine, IntStream.range(0, 100).mapToObj(Long::valueOf).toList(), "offsets");
        }
    }

    private static void idempotent() throws Exception {
        String topic = topic("idempotent");
        var records = varied(topic, 3000, SOME_TIME);
        Set<String> places = new HashSet<>();
        produce(records, Map.of("enable.idempotence", true, "batch.size", 2_000))
            .forEach(place -> places.add(place.partition() + ":" + place.offset()));
        Checks.same(places.size(), 3000, "different places");
        sameRecords(readAll(topic, records.size()), records);
    }

    private static void largeAndEmpty() throws Exception {
        String topic = topic("large");
        byte[] large = new byte[900 * 1024];
        new Random(7).nextBytes(large);
        var records = List.of(new ProducerRecord<>(topic, 0, SOME_TIME, utf8("large"), large),
            new ProducerRecord<>(topic, 0, SOME_TIME + 1, new byte[0], new byte[0]));
        produce(records, ALL_IN_SYNC);
        sameRecords(readAll(topic, 2), records);
    }

    private static void tooLarge() throws Exception {
        String topic = topic("too-large");
        byte[] large = new byte[2000 * 1024];
        new Random(7).nextBytes(large);
        Checks.refused(RecordTooLargeException.class,
            () -> produce(List.of(new ProducerRecord<>(topic, 0, SOME_TIME, utf8("k"), large)), ALL_IN_SYNC));
        Checks.same(offsets(topic, OffsetSpec.latest()), List.of(0L, 0L, 0L), "ends");
        // The partition goes on as if nothing had happened.
        Checks.same(produce(varied(topic, 1, SOME_TIME), ALL_IN_SYNC).get(0).offset(), 0L, "the next offset");
    }

    private static void unknownTopic() throws Exception {
        Checks.refused(UnknownTopicOrPartitionException.class,
            () -> done(ADMIN.describeTopics(List.of(Checks.unique("never-created"))).allTopicNames()));
    }

    private static void createdByFirstUse() throws Exception {
        String topic = Checks.unique("by-first-use");
        produce(List.of(new ProducerRecord<>(topic, 3, SOME_TIME, utf8("k"), utf8("v"))), ALL_IN_SYNC);
        Checks.same(describe(topic).partitions().size(), 4, "partitions by default");
    }

    private static void beginningAndEnd() throws Exception {
        String topic = topic("ends");
        var before = varied(topic, 30, SOME_TIME);
        var after = varied(topic, 60, SOME_TIME + 100_000);
        produce(before, ALL_IN_SYNC);
        Checks.same(offsets(topic, OffsetSpec.latest()), List.of(10L, 10L, 10L), "ends");
        Checks.same(offsets(topic, OffsetSpec.earliest()), List.of(0L, 0L, 0L), "starts");
        produce(after, ALL_IN_SYNC);
        sameRecords(readFrom(topic, Map.of(0, 10L, 1, 10L, 2, 10L), 60), after);
        sameRecords(readAll(topic, 90), Stream.concat(before.stream(), after.stream()).toList());
    }

    private static void seekByTime() throws Exception {
        String topic = topic("time");
        var records = varied(topic, 300, SOME_TIME);
        produce(records, ALL_IN_SYNC);
        Checks.same(offsets(topic, OffsetSpec.forTimestamp(SOME_TIME + 1500)), List.of(50L, 50L, 50L), "at a time");
        Checks.same(offsets(topic, OffsetSpec.forTimestamp(SOME_TIME + 1501)), List.of(51L, 50L, 50L), "a bit later");
        Checks.same(offsets(topic, OffsetSpec.forTimestamp(0)), List.of(0L, 0L, 0L), "at 0");
        Checks.same(offsets(topic, OffsetSpec.forTimestamp(SOME_TIME + 3000)), List.of(-1L, -1L, -1L), "after the last");
        Checks.same(offsets(topic, OffsetSpec.maxTimestamp()), List.of(99L, 99L, 99L), "of the youngest");
        Checks.same(offsets(topic, OffsetSpec.earliestLocal()), List.of(0L, 0L, 0L), "earliest local");
        Checks.same(offsets(topic, OffsetSpec.latestTiered()), List.of(-1L, -1L, -1L), "latest tiered");
        sameRecords(readFrom(topic, Map.of(0, 50L, 1, 50L, 2, 50L), 150), records.subList(150, 300));
    }

    private static void offsetOutOfRange() throws Exception {
        String topic = topic("range");
        produce(varied(topic, 30, SOME_TIME), ALL_IN_SYNC);
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of("auto.offset.reset", "none"))) {
            consumer.assign(List.of(part(topic, 1)));
            consumer.seek(part(topic, 1), 11);
            var error = Checks.refused(OffsetOutOfRangeException.class, () -> {
                for (int i = 0; i < 50; i++) {
                    consumer.poll(Duration.ofMillis(200));
                }
            });
            Checks.same(error.offsetOutOfRangePartitions(), Map.of(part(topic, 1), 11L), "what is out of range");
        }
    }

    private static void logAppendTime() throws Exception {
        String topic = topic("append-time", Map.of("message.timestamp.type", "LogAppendTime"));
        long before = System.currentTimeMillis();
        produce(varied(topic, 30, SOME_TIME), Map.of("compression.type", "gzip"));
        long after = System.currentTimeMillis();
        for (var record : readAll(topic, 30)) {
            Checks.same(record.timestampType().name, "LogAppendTime", "kind of time");
            Checks.expect(record.timestamp() >= before && record.timestamp() <= after, "time of " + record.offset());
        }
        Checks.same(offsets(topic, OffsetSpec.forTimestamp(before)), List.of(0L, 0L, 0L), "by append time");
    }

    /** Ottla has no transactions yet: an error that ends the producer, not one that it repeats for ever. */
    private static void transactionalId() throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer(Map.of("transactional.id", Checks.unique("tx")))) {
            if (System.getenv("BROKER").equals("kafka")) {
                producer.initTransactions();
                return;
            }
            var error = Checks.refused(org.apache.kafka.common.errors.ApiException.class, producer::initTransactions);
            Checks.expect(!(error instanceof org.apache.kafka.common.errors.RetriableException), "retriable: " + error);
        }
    }

    // ---- groups

    private static Map<String, Object> inGroup(String group, String assignor) {
        return Map.of("group.id", group, "session.timeout.ms", 10_000, "heartbeat.interval.ms", 500,
            "partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor + "Assignor");
    }

    private static boolean settled(List<GroupMember> members) {
        Set<Integer> all = new TreeSet<>();
        int count = 0;
        for (GroupMember member : members) {
            Set<Integer> share = member.assigned();
            if (share.isEmpty()) {
                return false;
            }
            all.addAll(share);
            count += share.size();
        }
        return all.equals(Set.of(0, 1, 2)) && count == PARTITIONS;
    }

    private static void rebalance(String assignor) throws Exception {
        String topic = topic("rebalance-" + assignor);
        String group = Checks.unique("rebalance-" + assignor);
        List<GroupMember> members = new ArrayList<>();
        try {
            for (int size = 1; size <= 3; size++) {
                members.add(new GroupMember(topic, inGroup(group, assignor)));
                Checks.eventually(size + " members share", () -> settled(members));
            }
            if (assignor.equals("CooperativeSticky")) {
                // Of three partitions two had to move, one after the other; a member never gave up what it kept.
                Checks.same(members.stream().mapToInt(GroupMember::revocations).sum(), 2, "partitions taken away");
            }
            var records = varied(topic, 300, SOME_TIME);
            produce(records, ALL_IN_SYNC);
            Checks.eventually("the group reads all", () -> received(members).size() >= 300);
            sameRecords(received(members), records);
            GroupMember first = members.remove(0);
            first.commit();
            first.leave();
            Checks.eventually("those who stay take over", () -> settled(members));
        } finally {
            for (GroupMember member : members) {
                member.leave();
            }
        }
    }

    private static List<ConsumerRecord<byte[], byte[]>> received(List<GroupMember> members) {
        return members.stream().flatMap(member -> member.received().stream()).toList();
    }

    private static GroupMember consumeAsGroup(String group, String topic, int count) throws Exception {
        GroupMember member = new GroupMember(topic, inGroup(group, "Range"));
        Checks.eventually(count + " records read", () -> {
            member.assigned();
            return member.received().size() >= count;
        });
        return member;
    }

    private static Map<String, Object> asInstance(String group, String instance) {
        Map<String, Object> config = new HashMap<>(inGroup(group, "Range"));
        config.put("group.instance.id", instance);
        return config;
    }

    private static ConsumerGroupDescription describeGroup(String group) throws Exception {
        return done(ADMIN.describeConsumerGroups(List.of(group)).all()).get(group);
    }

    private static void staticMemberComesBack() throws Exception {
        String topic = topic("static");
        String group = Checks.unique("static");
        List<GroupMember> members = new ArrayList<>();
        for (String instance : List.of("one", "two")) {
            members.add(new GroupMember(topic, asInstance(group, instance)));
            Checks.eventually("shared", () -> settled(members));
        }
        int revocations = members.get(1).revocations();
        GroupMember gone = members.remove(0);
        Set<Integer> had = gone.assigned();
        gone.leaveSilently();
        Thread.sleep(1_000);
        Checks.same(describeGroup(group).members().size(), 2, "members while one is away");
        members.add(new GroupMember(topic, asInstance(group, "one")));
        Checks.eventually("shared again", () -> settled(members));
        Checks.same(members.get(1).assigned(), had, "what it had before");
        Checks.same(members.get(0).revocations(), revocations, "partitions taken from the other");
        // Only an administrator removes a static member before its session ends.
        members.remove(1).leaveSilently();
        done(ADMIN.removeMembersFromConsumerGroup(group,
            new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("one")))).all());
        Checks.eventually("the other has all", () -> settled(members));
        members.get(0).leave();
    }

    private static void staticMemberIsFenced() throws Exception {
        String topic = topic("fenced");
        String group = Checks.unique("fenced");
        GroupMember first = new GroupMember(topic, asInstance(group, "same"));
        Checks.eventually("the first has all", () -> settled(List.of(first)));
        GroupMember second = new GroupMember(topic, asInstance(group, "same"));
        Checks.eventually("the first is told", () -> first.error() != null);
        Checks.expect(first.error() instanceof FencedInstanceIdException, "fenced, not " + first.error());
        Checks.eventually("the second has all", () -> settled(List.of(second)));
        second.leave();
    }

    private static void committedSurvive() throws Exception {
        String topic = topic("survive");
        String group = Checks.unique("survive");
        var records = varied(topic, 300, SOME_TIME);
        var more = varied(topic, 30, SOME_TIME + 200_000);
        produce(records, Map.of("compression.type", "lz4"));
        GroupMember member = consumeAsGroup(group, topic, 300);
        member.commit();
        member.leave();
        produce(more, ALL_IN_SYNC);
        Checks.killAndRestartBroker();
        sameRecords(readAll(topic, 330), Stream.concat(records.stream(), more.stream()).toList());
        member = consumeAsGroup(group, topic, 30);
        member.leave();
        sameRecords(member.received(), more);
        var committed = done(ADMIN.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
        for (int p = 0; p < PARTITIONS; p++) {
            Checks.same(committed.get(part(topic, p)).offset(), 100L, "committed");
        }
    }

    private static void producesAcrossSigkill() throws Exception {
        String topic = topic("across");
        // Times of now: Kafka forgets a producer by the time of its records, see ../flights/flights.py.
        var records = varied(topic, 3000, System.currentTimeMillis() - 60_000);
        try (KafkaProducer<byte[], byte[]> producer = producer(Map.of("enable.idempotence", true, "batch.size", 4_000))) {
            List<Future<RecordMetadata>> sending = new ArrayList<>();
            for (int i = 0; i < records.size(); i++) {
                sending.add(producer.send(records.get(i)));
                if (i == 1500) {
                    done(sending.get(100));
                    Checks.killAndRestartBroker();
                }
            }
            producer.flush();
            for (Future<RecordMetadata> future : sending) {
                done(future);
            }
        }
        sameRecords(readAll(topic, records.size()), records);
    }

    // ---- administration

    private static TopicDescription describe(String topic) throws Exception {
        return done(ADMIN.describeTopics(List.of(topic)).allTopicNames()).get(topic);
    }

    private static void adminCluster() throws Exception {
        var cluster = ADMIN.describeCluster();
        List<Node> nodes = new ArrayList<>(done(cluster.nodes()));
        Checks.same(nodes.size(), 1, "nodes");
        Checks.same(nodes.get(0).idString() + " " + nodes.get(0).host() + ":" + nodes.get(0).port(),
            "0 " + Checks.BOOTSTRAP, "the node");
        Checks.same(done(cluster.controller()).id(), 0, "controller");
        Checks.same(done(cluster.clusterId()).length(), 22, "length of the cluster's id");
        var features = done(ADMIN.describeFeatures().featureMetadata());
        Checks.expect(features.finalizedFeatures().containsKey("metadata.version"), "no metadata.version");
    }

    private static void adminTopics() throws Exception {
        String topic = topic("admin", Map.of("retention.ms", "3600000"));
        TopicDescription description = describe(topic);
        Checks.same(description.partitions().size(), PARTITIONS, "partitions");
        Checks.same(description.isInternal(), false, "internal");
        description.partitions().forEach(partition -> {
            Checks.same(partition.leader().id(), 0, "leader");
            Checks.same(partition.isr().size() + partition.replicas().size(), 2, "in sync and replicas");
        });
        Checks.expect(done(ADMIN.listTopics().names()).contains(topic), "not listed");
        var byId = done(ADMIN.describeTopics(org.apache.kafka.common.TopicCollection.ofTopicIds(
            List.of(description.topicId()))).allTopicIds());
        Checks.same(byId.get(description.topicId()).name(), topic, "name by id");
        done(ADMIN.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all());
        Checks.eventually("two partitions more", () -> describe(topic).partitions().size() == 5);
        done(ADMIN.deleteTopics(org.apache.kafka.common.TopicCollection.ofTopicIds(
            List.of(description.topicId()))).all());
        Checks.eventually("the topic is gone", () -> !done(ADMIN.listTopics().names()).contains(topic));
        done(ADMIN.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all());
        Checks.eventually("created again", () -> done(ADMIN.listTopics().names()).contains(topic));
        Checks.expect(!describe(topic).topicId().equals(description.topicId()), "a new topic, a new id");
        Checks.same(readFrom(topic, Map.of(0, 0L), 0).size(), 0, "records of the one before");
        // With defaults of the broker, and only validated.
        String other = Checks.unique("defaults");
        var created = ADMIN.createTopics(List.of(new NewTopic(other, Optional.empty(), Optional.empty())));
        Checks.same(done(created.numPartitions(other)), 4, "partitions by default");
        Checks.same(done(created.replicationFactor(other)), 1, "replicas by default");
        var onlyChecked = new org.apache.kafka.clients.admin.CreateTopicsOptions().validateOnly(true);
        done(ADMIN.createTopics(List.of(new NewTopic(Checks.unique("checked"), 1, (short) 1)), onlyChecked).all());
        Checks.expect(!done(ADMIN.listTopics().names()).contains(Checks.unique("checked")), "created, though only checked");
    }

    private static void create(String name, int partitions, int replicas, Map<String, String> configs) throws Exception {
        done(ADMIN.createTopics(List.of(new NewTopic(name, partitions, (short) replicas).configs(configs))).all());
    }

    private static void adminTopicsRefused() throws Exception {
        String topic = topic("refused");
        String other = Checks.unique("never");
        Checks.refused(TopicExistsException.class, () -> create(topic, 1, 1, Map.of()));
        for (String name : List.of("", ".", "..", "a/b", "a\0b", "a b", "x".repeat(250), "é")) {
            Checks.refused(InvalidTopicException.class, () -> create(name, 1, 1, Map.of()));
        }
        Checks.refused(InvalidPartitionsException.class, () -> create(other, 0, 1, Map.of()));
        Checks.refused(InvalidReplicationFactorException.class, () -> create(other, 1, 2, Map.of()));
        Checks.refused(InvalidConfigurationException.class, () -> create(other, 1, 1, Map.of("no.such.config", "1")));
        Checks.refused(InvalidConfigurationException.class, () -> create(other, 1, 1, Map.of("retention.ms", "soon")));
        Checks.refused(InvalidPartitionsException.class,
            () -> done(ADMIN.createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all()));
        Checks.refused(InvalidPartitionsException.class,
            () -> done(ADMIN.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all()));
        Checks.refused(UnknownTopicOrPartitionException.class,
            () -> done(ADMIN.createPartitions(Map.of(other, NewPartitions.increaseTo(2))).all()));
        Checks.refused(UnknownTopicOrPartitionException.class, () -> done(ADMIN.deleteTopics(List.of(other)).all()));
        // Two names that metrics cannot tell apart.
        create(Checks.unique("a.b"), 1, 1, Map.of());
        Checks.refused(InvalidTopicException.class, () -> create(Checks.unique("a_b"), 1, 1, Map.of()));
    }

    private static ConfigEntry config(ConfigResource resource, String key) throws Exception {
        return done(ADMIN.describeConfigs(List.of(resource)).all()).get(resource).get(key);
    }

    private static void alter(ConfigResource resource, String key, String value, AlterConfigOp.OpType how) throws Exception {
        done(ADMIN.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry(key, value), how)))).all());
    }

    private static void adminConfigs() throws Exception {
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, topic("configs", Map.of("retention.ms", "3600000")));
        ConfigEntry retention = config(topic, "retention.ms");
        Checks.same(retention.value(), "3600000", "retention.ms");
        Checks.same(retention.source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "its source");
        ConfigEntry policy = config(topic, "cleanup.policy");
        Checks.same(policy.value() + " " + policy.source(), "delete " + ConfigEntry.ConfigSource.DEFAULT_CONFIG, "policy");
        alter(topic, "retention.ms", "7200000", SET);
        Checks.eventually("changed", () -> config(topic, "retention.ms").value().equals("7200000"));
        alter(topic, "retention.ms", null, DELETE);
        Checks.eventually("back to the default", () -> config(topic, "retention.ms").value().equals("604800000"));
        Checks.refused(InvalidConfigurationException.class, () -> alter(topic, "retention.ms", "soon", SET));
        Checks.refused(InvalidConfigurationException.class, () -> alter(topic, "no.such.config", "1", SET));
        Checks.refused(InvalidConfigurationException.class, () -> alter(topic, "retention.ms", "1", APPEND));
        Checks.refused(UnknownTopicOrPartitionException.class, () ->
            alter(new ConfigResource(ConfigResource.Type.TOPIC, Checks.unique("never")), "retention.ms", "1", SET));
        alter(topic, "max.message.bytes", "2000", SET);
        Checks.eventually("a smaller limit holds", () -> {
            try {
                produce(List.of(new ProducerRecord<>(topic.name(), 0, SOME_TIME, utf8("k"), new byte[3000])), ALL_IN_SYNC);
                return false;
            } catch (RecordTooLargeException refused) {
                return true;
            }
        });
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "0");
        Checks.same(config(broker, "num.partitions").value(), "4", "num.partitions");
        Checks.same(config(broker, "num.partitions").source(), ConfigEntry.ConfigSource.STATIC_BROKER_CONFIG, "its source");
    }

    private static void adminRecordsAndOffsets() throws Exception {
        String topic = topic("delete-records");
        var records = varied(topic, 300, SOME_TIME);
        produce(records, ALL_IN_SYNC);
        var deleted = ADMIN.deleteRecords(Map.of(part(topic, 1), RecordsToDelete.beforeOffset(60)));
        Checks.same(done(deleted.lowWatermarks().get(part(topic, 1))).lowWatermark(), 60L, "low watermark");
        Checks.same(offsets(topic, OffsetSpec.earliest()), List.of(0L, 60L, 0L), "starts");
        Checks.same(offsets(topic, OffsetSpec.latest()), List.of(100L, 100L, 100L), "ends");
        // -1 stands for the high watermark.
        done(ADMIN.deleteRecords(Map.of(part(topic, 2), RecordsToDelete.beforeOffset(-1))).all());
        Checks.same(offsets(topic, OffsetSpec.earliest()), List.of(0L, 60L, 100L), "starts");
        var kept = IntStream.range(0, 300).filter(i -> i % 3 == 0 || i % 3 == 1 && i >= 180).mapToObj(records::get).toList();
        sameRecords(readFrom(topic, Map.of(0, 0L, 1, 60L, 2, 100L), 140), kept);
        Checks.refused(org.apache.kafka.common.errors.OffsetOutOfRangeException.class,
            () -> done(ADMIN.deleteRecords(Map.of(part(topic, 1), RecordsToDelete.beforeOffset(101))).all()));
        if (System.getenv("BROKER").equals("kafka")) {
            return; // It writes the start of a log once a minute, and may forget it when it is killed.
        }
        Checks.killAndRestartBroker();
        Checks.eventually("it holds after SIGKILL", () -> offsets(topic, OffsetSpec.earliest()).equals(List.of(0L, 60L, 100L)));
    }

    private static void adminGroups() throws Exception {
        String topic = topic("groups");
        String group = Checks.unique("groups");
        produce(varied(topic, 3, SOME_TIME), ALL_IN_SYNC);
        GroupMember member = consumeAsGroup(group, topic, 3);
        member.commit();
        GroupListing listing = done(ADMIN.listGroups(ListGroupsOptions.forConsumerGroups()).all()).stream()
            .filter(found -> found.groupId().equals(group)).findFirst().orElseThrow();
        Checks.same(listing.groupState().orElseThrow(), GroupState.STABLE, "listed state");
        ConsumerGroupDescription description = describeGroup(group);
        Checks.same(description.groupState() + " " + description.partitionAssignor(), "Stable range", "state and assignor");
        Checks.same(description.coordinator().id(), 0, "coordinator");
        var only = description.members().iterator().next();
        Checks.same(only.host(), "/127.0.0.1", "host");
        Checks.same(only.assignment().topicPartitions(), Set.of(part(topic, 0), part(topic, 1), part(topic, 2)), "assignment");
        Checks.refused(GroupNotEmptyException.class, () -> done(ADMIN.deleteConsumerGroups(List.of(group)).all()));
        Checks.refused(GroupSubscribedToTopicException.class,
            () -> done(ADMIN.deleteConsumerGroupOffsets(group, Set.of(part(topic, 0))).all()));
        member.leave();
        Checks.eventually("empty", () -> describeGroup(group).groupState() == GroupState.EMPTY);
        done(ADMIN.alterConsumerGroupOffsets(group, Map.of(part(topic, 0), new OffsetAndMetadata(7, "by hand"))).all());
        done(ADMIN.deleteConsumerGroupOffsets(group, Set.of(part(topic, 1))).all());
        Map<Integer, String> committed = new TreeMap<>();
        done(ADMIN.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata())
            .forEach((partition, offset) -> committed.put(partition.partition(), offset.offset() + offset.metadata()));
        Checks.same(committed, Map.of(0, "7by hand", 2, "1"), "offsets");
        done(ADMIN.deleteConsumerGroups(List.of(group)).all());
        Checks.expect(done(ADMIN.listGroups().all()).stream().noneMatch(found -> found.groupId().equals(group)), "still listed");
        Checks.refused(org.apache.kafka.common.errors.GroupIdNotFoundException.class,
            () -> done(ADMIN.deleteConsumerGroups(Arrays.asList(group)).all()));
    }

    /** The calls of web consoles (Kafbat's and Provectus' UI, AKHQ, Redpanda's) before they show their first page. */
    private static void adminConsole() throws Exception {
        String topic = topic("console", Map.of("retention.ms", "3600000"));
        String group = Checks.unique("console");
        produce(varied(topic, 30, SOME_TIME), ALL_IN_SYNC);
        GroupMember member = consumeAsGroup(group, topic, 30);
        member.commit();
        done(ADMIN.describeCluster(new org.apache.kafka.clients.admin.DescribeClusterOptions()
            .includeAuthorizedOperations(true)).authorizedOperations());
        var brokerConfigs = new ConfigResource(ConfigResource.Type.BROKER, "0");
        var loggers = new ConfigResource(ConfigResource.Type.BROKER_LOGGER, "0");
        var topicConfigs = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        var withAll = new org.apache.kafka.clients.admin.DescribeConfigsOptions()
            .includeSynonyms(true).includeDocumentation(true);
        var configs = done(ADMIN.describeConfigs(List.of(brokerConfigs, topicConfigs), withAll).all());
        Checks.expect(configs.get(brokerConfigs).entries().size() > 200, "configs of the broker");
        ConfigEntry retention = configs.get(topicConfigs).get("retention.ms");
        Checks.expect(retention.documentation().length() > 50, "retention.ms is documented");
        Checks.expect(!retention.synonyms().isEmpty(), "retention.ms has synonyms");
        Checks.expect(!done(ADMIN.describeConfigs(List.of(loggers)).all()).get(loggers).entries().isEmpty(), "loggers");
        var names = done(ADMIN.listTopics(new org.apache.kafka.clients.admin.ListTopicsOptions().listInternal(true)).names());
        Checks.expect(names.contains(topic) && names.contains("__consumer_offsets"), "topics");
        done(ADMIN.describeTopics(names).allTopicNames());
        var dirs = done(ADMIN.describeLogDirs(List.of(0)).allDescriptions()).get(0).values().iterator().next();
        var replica = dirs.replicaInfos().get(part(topic, 0));
        Checks.expect(replica.size() > 0 && replica.offsetLag() == 0 && !replica.isFuture(), "a replica's size");
        Checks.expect(dirs.totalBytes().orElse(0) > dirs.usableBytes().orElse(0), "the disk");
        var groups = done(ADMIN.listGroups().all()).stream().map(GroupListing::groupId).toList();
        Checks.expect(groups.contains(group), "groups");
        done(ADMIN.describeConsumerGroups(groups).all());
        var asked = new org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec();
        var committed = done(ADMIN.listConsumerGroupOffsets(Map.of(group, asked)).all()).get(group);
        Map<TopicPartition, OffsetSpec> latest = new HashMap<>();
        committed.keySet().forEach(partition -> latest.put(partition, OffsetSpec.latest()));
        done(ADMIN.listOffsets(latest).all()).forEach((partition, end) ->
            Checks.same(committed.get(partition).offset(), end.offset(), "no lag of " + partition));
        Checks.same(done(ADMIN.describeMetadataQuorum().quorumInfo()).leaderId(), 0, "leader of the quorum");
        Checks.refused(org.apache.kafka.common.errors.SecurityDisabledException.class,
            () -> done(ADMIN.describeAcls(org.apache.kafka.common.acl.AclBindingFilter.ANY).values()));
        done(ADMIN.describeClientQuotas(org.apache.kafka.common.quota.ClientQuotaFilter.all()).entities());
        done(ADMIN.describeUserScramCredentials().all());
        Checks.expect(done(ADMIN.listPartitionReassignments().reassignments()).isEmpty(), "nothing is reassigned");
        done(ADMIN.listConfigResources().all());
        done(ADMIN.describeProducers(List.of(part(topic, 0))).all());
        done(ADMIN.listTransactions().all());
        member.leave();
    }

    private JavaClientChecks() {
    }
}
