// What Apache Kafka says about values of topic configs: the truth behind `topic_configs.txt`, which the test
// `topic_configs.rs` holds our own answers against. To make that file anew, with Kafka's jars in $JARS:
//   java -cp "$JARS/*" TopicConfigs.java > topic_configs.txt
// For each config, in the order in which Kafka looks at them, a line `name kind default importance`, then a line for each
// answer with the values that have it. In an answer `{value}` is the value without spaces around, `{list}` the value as
// Java writes a list, `{first}` its first element, `{double}` as Java writes a double; `ok` is no complaint.
import java.util.List;
import java.util.Map;
import java.util.LinkedHashMap;
import java.util.TreeMap;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.storage.internals.log.LogConfig;

public class TopicConfigs {
    static final List<String> VALUES = List.of("", " ", "abc", "-131073", "-131072", "-3", "-2", "-1", "0", "1", "3",
        "4", "9", "10", "17", "18", "22", "23", "1.5", "1e3", "1048575", "1048576", "2147483639", "2147483640",
        "2147483647", "2147483648", "9223372036854775807", "9223372036854775808", " 5 ", "+5", "5L", "0x10", "5_000",
        "true", "TRUE", " false ", "yes", "compact", "delete", "compact,delete", "delete, compact", "delete,delete",
        "compact,,delete", "Delete", "keep", "gzip", "GZIP", "none", "uncompressed", "producer", "zstd", "CreateTime",
        "createtime", "LogAppendTime", "*", "0:1", "0:1,1:2", "0:1, 1:2", "0:1,", "a:b", "0:1:2", "*,0:1", "0.5", "1.0",
        "1.1", "-0.1", "NaN", "0.5f", "1d", "Infinity");

    public static void main(String[] arguments) throws Exception {
        var field = LogConfig.class.getDeclaredField("CONFIG");
        field.setAccessible(true);
        for (var key : ((ConfigDef) field.get(null)).configKeys().values()) {
            if (key.internalConfig) continue;
            var byDefault = ConfigDef.convertToString(key.defaultValue, key.type);
            System.out.println(key.name + " " + key.type + " " + byDefault + " " + key.importance);
            var answers = new LinkedHashMap<String, List<String>>();
            for (var value : VALUES) {
                var answer = answer(Map.of(key.name, value)).replace("value " + value.trim() + " for", "value {value} for");
                var list = List.of(value.split("\\s*,\\s*", -1)).stream().map(String::trim).toList();
                answer = answer.replace("value " + list + " for", "value {list} for");
                answer = answer.replace("value " + list.get(0) + " for", "value {first} for");
                if (answer.matches("Invalid value \\S+ for.*") && !answer.contains("{"))
                    answer = answer.replace("value " + Double.valueOf(value) + " for", "value {double} for");
                answers.computeIfAbsent(answer, ignored -> new java.util.ArrayList<>()).add("\"" + value + "\"");
            }
            answers.forEach((answer, values) -> System.out.println("  " + String.join(" ", values) + " -> " + answer));
        }
        System.out.println("together");
        for (var configs : List.of(
            "no.such.config=1", "min.compaction.lag.ms=5,max.compaction.lag.ms=4", "remote.storage.enable=true",
            "retention.ms=10,local.retention.ms=11", "retention.bytes=10,local.retention.bytes=11",
            "remote.storage.enable=false,remote.log.delete.on.disable=true", "remote.log.copy.disable=true",
            "remote.copy.lag.ms=5,local.retention.ms=3", "segment.bytes=1048576,max.message.bytes=2000000",
            "flush.messages=0,retention.ms=x", "internal.segment.bytes=10", "segment.ms=5,segment.jitter.ms=6",
            "cleanup.policy=compact,remote.storage.enable=true")) {
            var map = new TreeMap<String, String>();
            for (var config : configs.split(",")) map.put(config.split("=")[0], config.split("=", 2)[1]);
            System.out.println("  " + configs + " -> " + answer(map));
        }
    }

    static String answer(Map<String, String> configs) {
        try {
            // The broker's own values: an empty map would skip what is checked across configs.
            LogConfig.validate(Map.of(), new java.util.HashMap<>(configs), Map.of("retention.ms", 604800000L), false);
            return "ok";
        } catch (Exception error) {
            var kind = error.getClass().getSimpleName();
            return (kind.equals("ConfigException") ? "" : kind + " ") + error.getMessage();
        }
    }
}
