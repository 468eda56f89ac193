// Kafka's own log and its cleaner, for `kafka_append.rs` and `kafka_clean.rs`. Reads commands from stdin, writes answers to
// stdout, each as a length and so many bytes of UTF-8 (or of the log, for D).
//
//   L  length, `name=value` lines       a new, empty log with this topic configuration
//   A  version, now, length, bytes      a partition's share of a Produce request of this version, at this time
//   R                                   goes on in a new segment
//   C  first dirty offset, now          cleans all closed segments; answers where the next cleaning begins
//   D                                   all bytes of the log
//
// Compiled and run by `java LogOracle.java DIRECTORY` with Kafka's broker jars on the class path.
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.File;
import java.io.PrintStream;
import java.io.StringReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.requests.ProduceRequest;
import org.apache.kafka.common.requests.ProduceResponse;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.server.common.RequestLocal;
import org.apache.kafka.server.util.KafkaScheduler;
import org.apache.kafka.storage.internals.log.AppendOrigin;
import org.apache.kafka.storage.internals.log.Cleaner;
import org.apache.kafka.storage.internals.log.LogAppendInfo;
import org.apache.kafka.storage.internals.log.LogConfig;
import org.apache.kafka.storage.internals.log.LogDirFailureChannel;
import org.apache.kafka.storage.internals.log.LogToClean;
import org.apache.kafka.storage.internals.log.ProducerStateManagerConfig;
import org.apache.kafka.storage.internals.log.RecordValidationException;
import org.apache.kafka.storage.internals.log.SkimpyOffsetMap;
import org.apache.kafka.storage.internals.log.UnifiedLog;
import org.apache.kafka.storage.internals.log.VerificationGuard;
import org.apache.kafka.storage.internals.utils.Throttler;
import org.apache.kafka.storage.log.metrics.BrokerTopicStats;

public class LogOracle {
    private static final int LEADER_EPOCH = 7;

    private static class SetTime implements Time {
        long now;

        @Override
        public long milliseconds() {
            return now;
        }

        @Override
        public long nanoseconds() {
            return now * 1_000_000;
        }

        @Override
        public void sleep(long ms) {
            now += ms;
        }
    }

    private final SetTime time = new SetTime();
    private final KafkaScheduler scheduler = new KafkaScheduler(1);
    private final BrokerTopicStats stats = new BrokerTopicStats(false);
    private final Path directory;
    private int logs;
    private UnifiedLog log;

    LogOracle(Path directory) {
        this.directory = directory;
        scheduler.startup();
    }

    public static void main(String[] arguments) throws Exception {
        // What the logger says must not get between the answers.
        PrintStream answers = System.out;
        System.setOut(System.err);
        LogOracle oracle = new LogOracle(Path.of(arguments[0]));
        DataInputStream in = new DataInputStream(System.in);
        DataOutputStream out = new DataOutputStream(answers);
        while (true) {
            int command;
            try {
                command = in.readUnsignedByte();
            } catch (EOFException e) {
                System.exit(0);
                return;
            }
            byte[] answer = switch (command) {
                case 'L' -> oracle.create(new String(bytes(in), StandardCharsets.UTF_8)).getBytes(StandardCharsets.UTF_8);
                case 'A' -> oracle.append(in.readShort(), in.readLong(), bytes(in)).getBytes(StandardCharsets.UTF_8);
                case 'R' -> oracle.roll();
                case 'C' -> oracle.clean(in.readLong(), in.readLong()).getBytes(StandardCharsets.UTF_8);
                case 'D' -> oracle.dump();
                default -> throw new IllegalStateException("command " + command);
            };
            out.writeInt(answer.length);
            out.write(answer);
            out.flush();
        }
    }

    private static byte[] bytes(DataInputStream in) throws Exception {
        byte[] bytes = new byte[in.readInt()];
        in.readFully(bytes);
        return bytes;
    }

    private String create(String lines) throws Exception {
        Properties properties = new Properties();
        properties.load(new StringReader(lines));
        File dir = directory.resolve("t-" + logs++).toFile();
        Files.createDirectory(dir.toPath());
        log = UnifiedLog.create(dir, LogConfig.fromProps(Map.of(), properties), 0L, 0L, scheduler, stats, time, 300_000,
            new ProducerStateManagerConfig(86_400_000, false), 600_000, new LogDirFailureChannel(1), true,
            Optional.of(Uuid.randomUuid()));
        return "made";
    }

    private String append(short version, long now, byte[] bytes) {
        time.now = now;
        MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(bytes));
        try {
            ProduceRequest.validateRecords(version, records);
            LogAppendInfo info = log.appendAsLeader(records, LEADER_EPOCH, AppendOrigin.CLIENT, RequestLocal.noCaching(),
                VerificationGuard.SENTINEL, (short) 1);
            return "ok " + info.firstOffset() + " " + info.lastOffset() + " " + info.logAppendTime();
        } catch (RecordValidationException e) {
            StringBuilder text = new StringBuilder(Errors.forException(e.invalidException()).name());
            text.append('\n').append(e.invalidException().getMessage());
            for (ProduceResponse.RecordError error : e.recordErrors()) {
                text.append('\n').append(error.batchIndex).append(' ').append(error.message);
            }
            return text.toString();
        } catch (Throwable e) {
            return Errors.forException(e).name() + "\n" + e.getMessage();
        }
    }

    private byte[] roll() throws Exception {
        log.roll();
        return new byte[0];
    }

    private String clean(long firstDirty, long now) throws Exception {
        time.now = now;
        log.updateHighWatermark(log.logEndOffset());
        Throttler throttler = new Throttler(Double.MAX_VALUE, 300, "cleaner-io", "bytes", time);
        Cleaner cleaner = new Cleaner(0, new SkimpyOffsetMap(4 << 20), 64 << 10, 2 << 20, 0.9, throttler, time, tp -> { });
        LogToClean part = new LogToClean(log, firstDirty, log.activeSegment().baseOffset(), true);
        return Long.toString(cleaner.doClean(part, now).getKey());
    }

    private byte[] dump() throws Exception {
        log.flush(true);
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        File[] files = log.dir().listFiles((dir, name) -> name.endsWith(".log"));
        java.util.Arrays.sort(files);
        for (File file : files) {
            all.write(Files.readAllBytes(file.toPath()));
        }
        return all.toByteArray();
    }
}
