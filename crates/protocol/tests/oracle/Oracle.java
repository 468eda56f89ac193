// Kafka's own message classes, asked over stdin and stdout by java_oracle.rs. One question at a time:
//   'T' name version version bytes: decode at one version, encode at the other
//   'R' name version seed: make a random message first
//   'C' name version bytes: decode only, for large ones
//   'X' name version bytes: what a response counts as errors
//   'E': error codes    'K': API keys    'M': all messages
// Run as a single source file: java -cp 'JARS/*' Oracle.java

import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.File;
import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.InvalidMetadataException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.requests.AbstractResponse;

public class Oracle {
    static final int ABSENT = 0, NOT_DECODED = 1, NOT_ENCODED = 2, TRANSCODED = 3, DECODED = 4;
    static final String[] PACKAGES = {
        "org.apache.kafka.common.message.%sData",
        "org.apache.kafka.common.message.%s",
        "org.apache.kafka.coordinator.group.generated.%s",
        "org.apache.kafka.coordinator.transaction.generated.%s",
        "org.apache.kafka.coordinator.share.generated.%s",
    };

    public static void main(String[] arguments) throws Exception {
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 16));
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out, 1 << 16));
        for (int question = in.read(); question >= 0; question = in.read()) {
            switch (question) {
                case 'T': {
                    Kind kind = Kind.of(in.readUTF());
                    short from = in.readShort();
                    short to = in.readShort();
                    byte[] bytes = in.readNBytes(in.readInt());
                    transcode(kind, from, to, bytes, out);
                    break;
                }
                case 'R': {
                    Kind kind = Kind.of(in.readUTF());
                    short version = in.readShort();
                    byte[] bytes = kind == null ? new byte[0] : randomMessage(kind, version, new Random(in.readLong()));
                    put(out, bytes);
                    transcode(kind, version, version, bytes, out);
                    break;
                }
                case 'C': {
                    Kind kind = Kind.of(in.readUTF());
                    short version = in.readShort();
                    check(kind, version, in.readNBytes(in.readInt()), out);
                    break;
                }
                case 'X': {
                    String name = in.readUTF();
                    short version = in.readShort();
                    errorCounts(name, version, in.readNBytes(in.readInt()), out);
                    break;
                }
                case 'M':
                    put(out, messages().getBytes(StandardCharsets.UTF_8));
                    break;
                case 'E':
                    put(out, errors().getBytes(StandardCharsets.UTF_8));
                    break;
                case 'K':
                    put(out, keys().getBytes(StandardCharsets.UTF_8));
                    break;
                default:
                    throw new IOException("unknown question " + question);
            }
            if (in.available() == 0) {
                out.flush();
            }
        }
        out.flush();
    }

    static void transcode(Kind kind, short from, short to, byte[] bytes, DataOutputStream out) throws Exception {
        if (kind == null) {
            out.write(ABSENT);
            return;
        }
        Message message = (Message) kind.message.getConstructor().newInstance();
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        try {
            message.read(new ByteBufferAccessor(buffer), from);
        } catch (Throwable error) {
            out.write(NOT_DECODED);
            put(out, error.toString().getBytes(StandardCharsets.UTF_8));
            return;
        }
        byte[] encoded;
        try {
            ObjectSerializationCache cache = new ObjectSerializationCache();
            ByteBuffer target = ByteBuffer.allocate(message.size(cache, to));
            message.write(new ByteBufferAccessor(target), cache, to);
            encoded = target.array();
        } catch (Throwable error) {
            out.write(NOT_ENCODED);
            out.writeInt(buffer.position());
            put(out, error.toString().getBytes(StandardCharsets.UTF_8));
            return;
        }
        JsonNode json = (JsonNode) kind.toJson.invoke(null, message, to, false);
        out.write(TRANSCODED);
        out.writeInt(buffer.position());
        put(out, encoded);
        put(out, json.toString().getBytes(StandardCharsets.UTF_8));
    }

    static void check(Kind kind, short version, byte[] bytes, DataOutputStream out) throws Exception {
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        try {
            ((Message) kind.message.getConstructor().newInstance()).read(new ByteBufferAccessor(buffer), version);
            out.write(DECODED);
            out.writeInt(buffer.position());
        } catch (Throwable error) {
            out.write(NOT_DECODED);
            put(out, error.toString().getBytes(StandardCharsets.UTF_8));
        }
    }

    static void errorCounts(String name, short version, byte[] bytes, DataOutputStream out) throws Exception {
        for (ApiKeys key : ApiKeys.values()) {
            if (name.equals(key.name + "Response")) {
                Map<Errors, Integer> counts;
                try {
                    counts = AbstractResponse.parseResponse(key, new ByteBufferAccessor(ByteBuffer.wrap(bytes)), version).errorCounts();
                } catch (RuntimeException notAsTheBrokerMakesIt) {
                    out.writeInt(-1);
                    return;
                }
                out.writeInt(counts.size());
                for (Map.Entry<Errors, Integer> count : counts.entrySet()) {
                    out.writeInt(count.getKey().code());
                    out.writeInt(count.getValue());
                }
                return;
            }
        }
        throw new IOException("no API answers with " + name);
    }

    static void put(DataOutputStream out, byte[] bytes) throws IOException {
        out.writeInt(bytes.length);
        out.write(bytes);
    }

    static String errors() {
        StringBuilder text = new StringBuilder();
        for (Errors error : Errors.values()) {
            text.append(error.code()).append(' ').append(error.name())
                .append(error.exception() instanceof RetriableException ? " retriable" : "")
                .append(error.exception() instanceof InvalidMetadataException ? " metadata" : "").append('\n');
        }
        return text.toString();
    }

    static String keys() {
        StringBuilder text = new StringBuilder();
        for (ApiKeys key : ApiKeys.values()) {
            if (!key.hasValidVersion()) {
                continue;
            }
            short newest = key.latestVersion(true);
            text.append(key.id).append(' ').append(key.name).append(' ').append(key.oldestVersion()).append(' ')
                .append(newest).append(' ').append(key.latestVersion(false));
            for (int number = -1; number <= newest + 2; number++) {
                short version = (short) number;
                text.append(' ').append(key.requestHeaderVersion(version)).append('/').append(key.responseHeaderVersion(version));
            }
            text.append('\n');
        }
        return text.toString();
    }

    /** Every message that the jars have a schema of, with the versions of its class; other jars hold other messages. */
    static String messages() throws Exception {
        StringBuilder text = new StringBuilder();
        for (String jar : System.getProperty("java.class.path").split(File.pathSeparator)) {
            if (!jar.matches(".*/kafka-(clients|(group|share|transaction)-coordinator)-[0-9.]+jar")) {
                continue;
            }
            try (JarFile file = new JarFile(jar)) {
                for (JarEntry entry : Collections.list(file.entries())) {
                    if (!entry.getName().matches("common/message/.*[.]json")) {
                        continue;
                    }
                    String name = entry.getName().replaceAll(".*/|[.]json", "");
                    Kind kind = Kind.of(name);
                    // The class of a message that has left the protocol has no versions.
                    if (kind != null && kind.schemas.length > 0) {
                        text.append(name).append(' ').append(kind.message.getField("LOWEST_SUPPORTED_VERSION").get(null))
                            .append(' ').append(kind.message.getField("HIGHEST_SUPPORTED_VERSION").get(null)).append('\n');
                    }
                }
            }
        }
        return text.toString();
    }

    /** One message class with its JSON converter and its schemas. */
    static class Kind {
        static final Map<String, Kind> KNOWN = new HashMap<>();
        Class<?> message;
        Method toJson;
        Schema[] schemas;

        static Kind of(String name) throws Exception {
            if (!KNOWN.containsKey(name)) {
                KNOWN.put(name, find(name));
            }
            return KNOWN.get(name);
        }

        static Kind find(String name) throws Exception {
            for (String pattern : PACKAGES) {
                try {
                    Kind kind = new Kind();
                    kind.message = Class.forName(String.format(pattern, name));
                    Class<?> converter = Class.forName(kind.message.getName() + "JsonConverter");
                    kind.toJson = converter.getMethod("write", kind.message, short.class, boolean.class);
                    kind.schemas = (Schema[]) kind.message.getField("SCHEMAS").get(null);
                    return kind;
                } catch (ClassNotFoundException absent) {
                    continue;
                }
            }
            return null;
        }
    }

    // Random messages by Kafka's older, generic serialisation: schema and struct. It shares no code with the classes.

    static byte[] randomMessage(Kind kind, short version, Random random) {
        Schema schema = kind.schemas[version];
        Struct struct = struct(schema, random, 0);
        ByteBuffer buffer = ByteBuffer.allocate(struct.sizeOf());
        struct.writeTo(buffer);
        return buffer.array();
    }

    static Struct struct(Schema schema, Random random, int depth) {
        Struct struct = new Struct(schema);
        for (BoundField field : schema.fields()) {
            struct.set(field, value(field.def.type, random, depth));
        }
        return struct;
    }

    static Object value(Type type, Random random, int depth) {
        if (type.isNullable() && random.nextInt(4) == 0) {
            return null;
        }
        if (type instanceof Schema) {
            return struct((Schema) type, random, depth);
        }
        if (type instanceof TaggedFields) {
            return tags((TaggedFields) type, random, depth);
        }
        if (type.isArray()) {
            int length = depth == 0 && random.nextInt(10) == 0 ? 130 + random.nextInt(50) : random.nextInt(4);
            Object[] elements = new Object[length];
            for (int index = 0; index < length; index++) {
                elements[index] = value(type.arrayElementType().get(), random, depth + 1 + length / 100);
            }
            return elements;
        }
        String name = ((Type.DocumentedType) type).typeName();
        switch (name) {
            case "BOOLEAN": return random.nextBoolean();
            case "INT8": return (byte) random.nextInt();
            case "INT16": return (short) random.nextInt();
            case "UINT16": return random.nextInt(65536);
            case "INT32": return random.nextInt();
            case "UINT32": return random.nextLong() & 0xffffffffL;
            case "INT64": return random.nextLong();
            case "FLOAT64": return random.nextInt() / 64.0;
            case "UUID": return new Uuid(random.nextLong(), random.nextLong());
            default: break;
        }
        if (name.contains("STRING")) {
            return string(random);
        } else if (name.contains("BYTES")) {
            return ByteBuffer.wrap(bytes(random));
        } else if (name.contains("RECORDS")) {
            return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes(random)));
        }
        throw new IllegalStateException("type " + name);
    }

    static Map<Integer, Object> tags(TaggedFields type, Random random, int depth) {
        TreeMap<Integer, Object> tags = new TreeMap<>();
        for (Map.Entry<Integer, Field> known : type.fields().entrySet()) {
            Type inner = known.getValue().type;
            Object value = value(inner, random, depth + 1);
            // The two serialisations write a tagged null struct differently; the classes' one is tested from Rust.
            if (random.nextBoolean() && !(inner instanceof Schema && value == null)) {
                tags.put(known.getKey(), value);
            }
        }
        for (int count = random.nextInt(8) == 0 ? 1 + random.nextInt(3) : 0; count > 0; count--) {
            // Small tags may be known to another version, which the classes refuse in this one.
            int tag = (random.nextInt() >>> 1 + random.nextInt(20)) | 64;
            tags.put(tag, new RawTaggedField(tag, bytes(random)));
        }
        return tags;
    }

    static int length(Random random) {
        return random.nextInt(12) == 0 ? 125 + random.nextInt(80) : random.nextInt(20);
    }

    static String string(Random random) {
        String letters = "abZ09._-\"\\\u00e9\u6c34";
        StringBuilder text = new StringBuilder();
        for (int count = length(random); count > 0; count--) {
            text.append(letters.charAt(random.nextInt(letters.length())));
        }
        return text.toString();
    }

    static byte[] bytes(Random random) {
        byte[] bytes = new byte[length(random)];
        random.nextBytes(bytes);
        return bytes;
    }
}
