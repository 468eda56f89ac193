// Writes the *.batch files beside it with Kafka's own classes. Run once per Kafka version, from this folder:
//   javac -cp 'JARS/*' -d /tmp/golden GoldenBatches.java && java -cp '/tmp/golden:JARS/*' GoldenBatches .
// where JARS holds kafka-clients 4.4.0 with lz4-java, snappy-java, zstd-jni and slf4j-api.
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.LeaderChangeMessage;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.*;

public class GoldenBatches {
    static Path out;

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static void write(String name, MemoryRecords records) throws Exception {
        ByteBuffer buffer = records.buffer().duplicate();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        Files.write(out.resolve(name + ".batch"), bytes);
    }

    // Keys, nulls, headers, timestamps that go back; the same five in every small batch.
    static SimpleRecord[] small() {
        return new SimpleRecord[] {
            new SimpleRecord(1700000000000L, utf8("key-0"), utf8("value-0")),
            new SimpleRecord(1700000000005L, null, utf8("value-1")),
            new SimpleRecord(1699999999000L, utf8("key-2"), (byte[]) null),
            new SimpleRecord(1700000000005L, utf8(""), utf8(""), new Header[] {
                new RecordHeader("trace", utf8("abc")), new RecordHeader("empty", null), new RecordHeader("", new byte[0])}),
            new SimpleRecord(-1L, utf8("schlüssel"), utf8("wert")),
        };
    }

    // Two hundred records of a kilobyte each: more than one block for lz4 and snappy.
    static SimpleRecord[] large() {
        SimpleRecord[] records = new SimpleRecord[200];
        for (int i = 0; i < records.length; i++) {
            StringBuilder value = new StringBuilder();
            for (int j = 0; value.length() < 1000; j++)
                value.append(i * 31 + j * j % 97).append(',');
            records[i] = new SimpleRecord(1700000000000L + i, utf8("key-" + i), utf8(value.toString()));
        }
        return records;
    }

    public static void main(String[] args) throws Exception {
        out = Path.of(args[0]);
        for (CompressionType type : CompressionType.values()) {
            Compression codec = Compression.of(type).build();
            write("small-" + type.name, MemoryRecords.withRecords(RecordBatch.MAGIC_VALUE_V2, 0L, codec,
                TimestampType.CREATE_TIME, 4001L, (short) 7, Integer.MAX_VALUE - 1, -1, false, small()));
            if (type != CompressionType.NONE)
                write("large-" + type.name, MemoryRecords.withRecords(codec, large()));
        }
        write("log-append-time", MemoryRecords.withRecords(RecordBatch.MAGIC_VALUE_V2, 42L, Compression.NONE,
            TimestampType.LOG_APPEND_TIME, 4001L, (short) 7, 0, 9, true, new SimpleRecord(1700000000000L, utf8("k"), utf8("v"))));
        for (ControlRecordType type : List.of(ControlRecordType.COMMIT, ControlRecordType.ABORT))
            write("marker-" + type.name().toLowerCase(), MemoryRecords.withEndTransactionMarker(1700000000000L, 4001L, (short) 7,
                new EndTransactionMarker(type, 15)));
        List<LeaderChangeMessage.Voter> voters = List.of(
            new LeaderChangeMessage.Voter().setVoterId(1),
            new LeaderChangeMessage.Voter().setVoterId(300));
        write("leader-change", MemoryRecords.withLeaderChangeMessage(77L, 1700000000000L, 5, ByteBuffer.allocate(4096),
            new LeaderChangeMessage().setVersion((short) 0).setLeaderId(1).setVoters(voters).setGrantingVoters(voters.subList(0, 1))));
        System.out.println(new Uuid(0x0123456789abcdefL, 0xfedcba9876543210L) + " " + Uuid.METADATA_TOPIC_ID);
    }
}
