// Writes broker-values.tsv: what Kafka's ConfigDef makes of the same values for every broker configuration.
// javac -cp 'JARS/*' BrokerValues.java && java -cp 'JARS/*:.' BrokerValues (JARS: tests-clients/java/poms/kafka-broker.xml)
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.server.config.AbstractKafkaConfig;

public class BrokerValues {
    static final String[] VALUES = {
        "", "x", "-2", "-1", "0", "1", "+7", "20", " 100 ", "40000", "1048576", "2147483647", "2147483648",
        "9223372036854775808", "0.3", "1e3", "true", "FALSE", "a,b", "a,,b", "a,a", "delete", "zstd"};

    public static void main(String[] arguments) {
        System.out.println("# What Apache Kafka 4.4.0 makes of values, written by BrokerValues.java: ! is refused, = is the same text.");
        System.out.println("#\t" + String.join("\t", VALUES));
        for (String name : new TreeMap<>(AbstractKafkaConfig.CONFIG_DEF.configKeys()).keySet()) {
            StringBuilder line = new StringBuilder(name);
            for (String value : VALUES) {
                Map<String, String> properties = new HashMap<>(
                    Map.of("node.id", "1", "process.roles", "broker", "controller.listener.names", "C"));
                properties.put(name, value);
                String made;
                try {
                    Object parsed = AbstractKafkaConfig.CONFIG_DEF.parse(properties).get(name);
                    ConfigDef.Type type = AbstractKafkaConfig.CONFIG_DEF.configKeys().get(name).type;
                    String text = type == ConfigDef.Type.PASSWORD
                        ? ((org.apache.kafka.common.config.types.Password) parsed).value() : ConfigDef.convertToString(parsed, type);
                    made = text.equals(value) ? "=" : text;
                } catch (Exception refused) {
                    made = "!";
                }
                line.append('\t').append(made);
            }
            System.out.println(line);
        }
    }
}
