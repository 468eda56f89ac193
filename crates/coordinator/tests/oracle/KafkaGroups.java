// Kafka's own group coordinator, one partition of it, in the hand of a test: requests and time come in on stdin, answers
// and records go out on stdout. Kafka's runtime around it (threads, replication, purgatory) is replaced by the plainest
// there can be: every batch is committed at once. Member ids are counted instead of drawn, as the test's are.

import java.io.*;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.security.*;
import java.util.*;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.requests.*;
import org.apache.kafka.common.security.auth.*;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.common.utils.internals.LogContext;
import org.apache.kafka.coordinator.common.runtime.*;
import org.apache.kafka.coordinator.group.*;
import org.apache.kafka.coordinator.group.metrics.GroupCoordinatorMetrics;
import org.apache.kafka.coordinator.group.modern.share.ShareGroupConfig;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;
import org.apache.kafka.timeline.SnapshotRegistry;

public class KafkaGroups {
    /** Counts, so that the n-th UUID ends in n. */
    public static class CountingRandom extends SecureRandomSpi {
        static long count = 0;
        protected void engineSetSeed(byte[] seed) { }
        protected byte[] engineGenerateSeed(int length) { return new byte[length]; }
        protected void engineNextBytes(byte[] bytes) {
            Arrays.fill(bytes, (byte) 0);
            if (bytes.length == 16) ByteBuffer.wrap(bytes).putLong(8, ++count);
        }
    }

    public static class Counting extends Provider {
        public Counting() {
            super("Counting", "1", "counts");
            putService(new Service(this, "SecureRandom", "Counting", CountingRandom.class.getName(), null, null) {
                public Object newInstance(Object parameter) { return new CountingRandom(); }
            });
        }
    }

    static class MockTime implements Time {
        long now = 1_000_000;
        public long milliseconds() { return now; }
        public long nanoseconds() { return now * 1_000_000; }
        public void sleep(long ms) { throw new IllegalStateException(); }
    }

    record Timer(long deadline, int rank, String key) implements Comparable<Timer> {
        public int compareTo(Timer other) {
            int order = Long.compare(deadline, other.deadline);
            if (order == 0) order = Integer.compare(rank, other.rank);
            return order == 0 ? key.compareTo(other.key) : order;
        }
    }

    /** Timers in the order of their deadlines; of those at one time in the order that the test's have. */
    class Timers implements CoordinatorTimer<CoordinatorRecord> {
        final TreeMap<Timer, TimeoutOperation<CoordinatorRecord>> due = new TreeMap<>();
        final Map<String, Timer> byKey = new HashMap<>();
        public void schedule(String key, long delay, TimeUnit unit, boolean retry, TimeoutOperation<CoordinatorRecord> operation) {
            cancel(key);
            int rank = key.startsWith("expire") ? 0 : key.startsWith("join") ? 1 : key.startsWith("heartbeat") ? 2 : 3;
            Timer timer = new Timer(time.now + unit.toMillis(delay), rank, key);
            byKey.put(key, timer);
            due.put(timer, operation);
        }
        public void schedule(String key, long delay, TimeUnit unit, boolean retry, long backoff, TimeoutOperation<CoordinatorRecord> operation) {
            schedule(key, delay, unit, retry, operation);
        }
        public void scheduleIfAbsent(String key, long delay, TimeUnit unit, boolean retry, TimeoutOperation<CoordinatorRecord> operation) {
            if (!byKey.containsKey(key)) schedule(key, delay, unit, retry, operation);
        }
        public void cancel(String key) {
            Timer timer = byKey.remove(key);
            if (timer != null) due.remove(timer);
        }
        public boolean isScheduled(String key) { return byKey.containsKey(key); }
        void fireDue() {
            while (!due.isEmpty() && due.firstKey().deadline <= time.now) {
                var entry = due.pollFirstEntry();
                byKey.remove(entry.getKey().key);
                write(entry.getValue().generateRecords());
            }
        }
        void advance(long ms) {
            long until = time.now + ms;
            while (!due.isEmpty() && due.firstKey().deadline <= until) {
                time.now = Math.max(time.now, due.firstKey().deadline);
                fireDue();
            }
            time.now = until;
        }
    }

    record Context(short version, String clientId, InetAddress address, int key) implements AuthorizableRequestContext {
        public String listenerName() { return "PLAINTEXT"; }
        public SecurityProtocol securityProtocol() { return SecurityProtocol.PLAINTEXT; }
        public KafkaPrincipal principal() { return KafkaPrincipal.ANONYMOUS; }
        public InetAddress clientAddress() { return address; }
        public int requestType() { return key; }
        public int requestVersion() { return version; }
        public int correlationId() { return 0; }
    }

    record Answer(String ticket, short version, ApiMessage message) { }

    static final DataInputStream in = new DataInputStream(new BufferedInputStream(System.in));
    static final DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out));

    final MockTime time = new MockTime();
    final GroupCoordinatorConfig config;
    final AbstractConfig raw;
    final GroupCoordinatorRecordSerde serde = new GroupCoordinatorRecordSerde();
    final List<byte[][]> log = new ArrayList<>();
    Timers timers;
    GroupCoordinatorShard shard;
    List<Answer> answers = new ArrayList<>();
    int told = 0;

    KafkaGroups(Properties properties) {
        raw = new AbstractConfig(org.apache.kafka.common.config.ConfigDef.class.cast(definitions()), properties, false);
        config = new GroupCoordinatorConfig(raw);
        load();
    }

    static org.apache.kafka.common.config.ConfigDef definitions() {
        var all = new org.apache.kafka.common.config.ConfigDef();
        for (var part : List.of(GroupCoordinatorConfig.CONFIG_DEF, ShareGroupConfig.CONFIG_DEF))
            part.configKeys().values().forEach(all::define);
        return all;
    }

    void load() {
        if (shard != null) shard.onUnloaded();
        timers = new Timers();
        LogContext context = new LogContext();
        shard = new GroupCoordinatorShard.Builder(config, new GroupConfigManager(config, new ShareGroupConfig(raw)))
            .withAuthorizerPlugin(Optional.empty())
            .withLogContext(context)
            .withSnapshotRegistry(new SnapshotRegistry(context))
            .withTime(time)
            .withTimer(timers)
            .withExecutor(new CoordinatorExecutor<>() {
                public <R> boolean schedule(String key, TaskRunnable<R> task, TaskOperation<CoordinatorRecord, R> operation) { return false; }
                public boolean isScheduled(String key) { return false; }
                public void cancel(String key) { }
            })
            .withCoordinatorMetrics(new GroupCoordinatorMetrics())
            .withTopicPartition(new TopicPartition("__consumer_offsets", 0))
            .build();
        for (int offset = 0; offset < log.size(); offset++) {
            byte[][] record = log.get(offset);
            ByteBuffer value = record[1] == null ? null : ByteBuffer.wrap(record[1]);
            shard.replay(offset, -1, (short) -1, serde.deserialize(ByteBuffer.wrap(record[0]), value));
        }
        shard.onLoaded(CoordinatorMetadataImage.EMPTY);
    }

    /** Appends, replays what is to be replayed, and commits. */
    <T> T write(CoordinatorResult<T, CoordinatorRecord> result) {
        for (CoordinatorRecord record : result.records()) {
            if (result.replayRecords()) shard.replay(log.size(), -1, (short) -1, record);
            log.add(new byte[][] {serde.serializeKey(record), serde.serializeValue(record)});
        }
        if (result.appendFuture() != null) result.appendFuture().complete(null);
        return result.response();
    }

    /** An error of the operation as the answer that the service makes of it. */
    <T> T orError(Supplier<T> operation, Function<Errors, T> answer) {
        try {
            return operation.get();
        } catch (RuntimeException exception) {
            return CoordinatorOperationExceptionHelper.handleOperationException("", "", exception,
                (error, message) -> answer.apply(error), org.slf4j.LoggerFactory.getLogger(KafkaGroups.class));
        }
    }

    void request(short key, short version, String ticket, ByteBuffer bytes) throws Exception {
        org.apache.kafka.common.protocol.Readable readable = new ByteBufferAccessor(bytes);
        Context context = new Context(version, "c", InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), key);
        Consumer<ApiMessage> answer = message -> answers.add(new Answer(ticket, version, message));
        switch (ApiKeys.forId(key)) {
            case JOIN_GROUP -> {
                var request = JoinGroupRequest.parse(readable, version).data();
                Consumer<JoinGroupResponseData> joined = data -> answer.accept(new JoinGroupResponse(data, version).data());
                Errors invalid = request.groupId().isEmpty() ? Errors.INVALID_GROUP_ID
                    : request.sessionTimeoutMs() < config.classicGroupMinSessionTimeoutMs()
                        || request.sessionTimeoutMs() > config.classicGroupMaxSessionTimeoutMs() ? Errors.INVALID_SESSION_TIMEOUT : null;
                if (invalid != null) {
                    joined.accept(new JoinGroupResponseData().setMemberId(request.memberId()).setErrorCode(invalid.code()));
                    return;
                }
                var future = new CompletableFuture<JoinGroupResponseData>();
                future.thenAccept(joined);
                orError(() -> write(shard.classicGroupJoin(context, request, future, true)), error -> {
                    future.complete(new JoinGroupResponseData().setErrorCode(error.code()));
                    return null;
                });
            }
            case SYNC_GROUP -> {
                var parsed = SyncGroupRequest.parse(readable, version);
                var request = parsed.data();
                if (!parsed.areMandatoryProtocolTypeAndNamePresent()) {
                    answer.accept(new SyncGroupResponseData().setErrorCode(Errors.INCONSISTENT_GROUP_PROTOCOL.code()));
                    return;
                }
                if (request.groupId().isEmpty()) {
                    answer.accept(new SyncGroupResponseData().setErrorCode(Errors.INVALID_GROUP_ID.code()));
                    return;
                }
                var future = new CompletableFuture<SyncGroupResponseData>();
                future.thenAccept(answer);
                orError(() -> write(shard.classicGroupSync(context, request, future)), error -> {
                    future.complete(new SyncGroupResponseData().setErrorCode(error.code()));
                    return null;
                });
            }
            case HEARTBEAT -> {
                var request = HeartbeatRequest.parse(readable, version).data();
                answer.accept(request.groupId().isEmpty() ? new HeartbeatResponseData().setErrorCode(Errors.INVALID_GROUP_ID.code())
                    : orError(() -> write(shard.classicGroupHeartbeat(context, request)),
                        error -> new HeartbeatResponseData().setErrorCode(error.code())));
            }
            case LEAVE_GROUP -> {
                var request = LeaveGroupRequest.parse(readable, version).normalizedData();
                var left = request.groupId().isEmpty() ? new LeaveGroupResponseData().setErrorCode(Errors.INVALID_GROUP_ID.code())
                    : orError(() -> write(shard.classicGroupLeave(context, request)), error -> {
                        if (error != Errors.UNKNOWN_MEMBER_ID) return new LeaveGroupResponseData().setErrorCode(error.code());
                        return new LeaveGroupResponseData().setMembers(request.members().stream().map(member ->
                            new LeaveGroupResponseData.MemberResponse().setMemberId(member.memberId())
                                .setGroupInstanceId(member.groupInstanceId()).setErrorCode(error.code())).toList());
                    });
                answer.accept(left.errorCode() != 0 ? left : new LeaveGroupResponse(left, version).data());
            }
            case OFFSET_COMMIT -> {
                var request = OffsetCommitRequest.parse(readable, version).data();
                answer.accept(orError(() -> write(shard.commitOffset(context, request)),
                    error -> OffsetCommitRequest.getErrorResponse(request, error)));
            }
            case OFFSET_FETCH -> {
                var request = OffsetFetchRequest.parse(readable, version).data().groups().get(0);
                answer.accept(new OffsetFetchResponseData().setGroups(List.of(
                    orError(() -> shard.fetchOffsets(request, Long.MAX_VALUE), error -> OffsetFetchResponse.groupError(request, error, version)))));
            }
            case OFFSET_DELETE -> {
                var request = OffsetDeleteRequest.parse(readable, version).data();
                answer.accept(request.groupId().isEmpty() ? new OffsetDeleteResponseData().setErrorCode(Errors.INVALID_GROUP_ID.code())
                    : orError(() -> write(shard.deleteOffsets(context, request)),
                        error -> new OffsetDeleteResponseData().setErrorCode(error.code())));
            }
            case DESCRIBE_GROUPS -> {
                var request = DescribeGroupsRequest.parse(readable, version).data();
                answer.accept(new DescribeGroupsResponseData().setGroups(shard.describeGroups(context, request.groups(), Long.MAX_VALUE)));
            }
            case LIST_GROUPS -> {
                var request = ListGroupsRequest.parse(readable, version).data();
                answer.accept(new ListGroupsResponseData().setGroups(shard.listGroups(request.statesFilter(), request.typesFilter(), Long.MAX_VALUE)));
            }
            case DELETE_GROUPS -> {
                var request = DeleteGroupsRequest.parse(readable, version).data();
                answer.accept(new DeleteGroupsResponseData().setResults(write(shard.deleteGroups(context, request.groupsNames()))));
            }
            default -> throw new IllegalArgumentException("key " + key);
        }
    }

    void tell() throws IOException {
        out.writeInt(answers.size());
        for (Answer answer : answers) {
            out.writeUTF(answer.ticket);
            bytes(MessageUtil.byteBufferToArray(MessageUtil.toByteBufferAccessor(answer.message, answer.version).buffer()));
        }
        out.writeInt(log.size() - told);
        for (; told < log.size(); told++) {
            bytes(log.get(told)[0]);
            if (log.get(told)[1] == null) out.writeInt(-1);
            else bytes(log.get(told)[1]);
        }
        out.flush();
        answers = new ArrayList<>();
    }

    static void bytes(byte[] bytes) throws IOException {
        out.writeInt(bytes.length);
        out.write(bytes);
    }

    public static void main(String[] arguments) throws Exception {
        Security.insertProviderAt(new Counting(), 1);
        if (!UUID.randomUUID().toString().endsWith("-000000000001")) throw new IllegalStateException("Java draws UUIDs otherwise");
        KafkaGroups groups = null;
        for (int command = in.read(); command >= 0; command = in.read()) {
            switch (command) {
                case 'N' -> {
                    Properties properties = new Properties();
                    properties.load(new StringReader(in.readUTF()));
                    CountingRandom.count = 0;
                    groups = new KafkaGroups(properties);
                }
                case 'Q' -> {
                    short key = in.readShort(), version = in.readShort();
                    String ticket = in.readUTF();
                    byte[] bytes = new byte[in.readInt()];
                    in.readFully(bytes);
                    groups.request(key, version, ticket, ByteBuffer.wrap(bytes));
                    groups.timers.fireDue();
                }
                case 'T' -> groups.timers.advance(in.readLong());
                case 'L' -> groups.load();
                case 'D' -> groups.write(groups.shard.onTopicsDeleted(
                    List.of(new GroupCoordinatorShard.DeletedTopic(new Uuid(in.readLong(), in.readLong()), in.readUTF()))));
                default -> throw new IllegalArgumentException("command " + command);
            }
            groups.tell();
        }
    }
}
