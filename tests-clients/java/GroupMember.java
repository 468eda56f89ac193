import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

/** One member of a group, polling on a thread of its own as an application would. */
final class GroupMember implements ConsumerRebalanceListener {
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final Thread thread;
    private final List<ConsumerRecord<byte[], byte[]>> received = new ArrayList<>();
    private final Set<Integer> assigned = new TreeSet<>();
    private final AtomicReference<CompletableFuture<Void>> commitAsked = new AtomicReference<>();
    private volatile int revocations;
    private volatile boolean leaving;
    private volatile CloseOptions.GroupMembershipOperation leave = CloseOptions.GroupMembershipOperation.DEFAULT;
    private volatile RuntimeException error;

    GroupMember(String topic, Map<String, Object> config) {
        this.consumer = JavaClientChecks.consumer(config);
        this.thread = new Thread(() -> run(topic), "member");
        this.thread.setDaemon(true);
        this.thread.start();
    }

    private void run(String topic) {
        try {
            consumer.subscribe(List.of(topic), this);
            while (!leaving) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                    synchronized (this) {
                        received.add(record);
                    }
                }
                CompletableFuture<Void> commit = commitAsked.getAndSet(null);
                if (commit != null) {
                    consumer.commitSync();
                    commit.complete(null);
                }
            }
        } catch (RuntimeException failure) {
            error = failure;
        } finally {
            consumer.close(CloseOptions.timeout(Duration.ofSeconds(20)).withGroupMembershipOperation(leave));
        }
    }

    @Override
    public synchronized void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        partitions.forEach(partition -> assigned.add(partition.partition()));
    }

    @Override
    public synchronized void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        revocations += partitions.size();
        partitions.forEach(partition -> assigned.remove(partition.partition()));
    }

    synchronized List<ConsumerRecord<byte[], byte[]>> received() {
        return new ArrayList<>(received);
    }

    synchronized Set<Integer> assigned() {
        if (error != null) {
            throw error;
        }
        return new TreeSet<>(assigned);
    }

    /** How many partitions were taken from it so far. */
    int revocations() {
        return revocations;
    }

    RuntimeException error() {
        return error;
    }

    void commit() throws Exception {
        CompletableFuture<Void> done = new CompletableFuture<>();
        commitAsked.set(done);
        done.get(30, TimeUnit.SECONDS);
    }

    void leave() throws InterruptedException {
        leaving = true;
        thread.join(30_000);
        Checks.expect(!thread.isAlive(), "a member does not leave within 30 s");
    }

    /** Stops as a static member does that will be back: the group is not told. */
    void leaveSilently() throws InterruptedException {
        leave = CloseOptions.GroupMembershipOperation.REMAIN_IN_GROUP;
        leave();
    }
}
