// Writes broker-configs.tsv: the facts of every broker configuration, from Kafka's own classes.
// javac -cp 'JARS/*' BrokerConfigs.java && java -cp 'JARS/*:.' BrokerConfigs (JARS: tests-clients/java/poms/kafka-broker.xml)
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.server.config.AbstractKafkaConfig;
import org.apache.kafka.server.config.DynamicBrokerConfig;

public class BrokerConfigs {
    public static void main(String[] arguments) {
        Map<String, String> updateModes = DynamicBrokerConfig.dynamicConfigUpdateModes();
        for (ConfigDef.ConfigKey key : new TreeMap<>(AbstractKafkaConfig.CONFIG_DEF.configKeys()).values()) {
            String value = key.defaultValue == ConfigDef.NO_DEFAULT_VALUE ? "NO_DEFAULT"
                : key.defaultValue == null ? "null"
                : ConfigDef.convertToString(key.defaultValue, key.type);
            String validator = key.validator == null ? "-" : key.validator.toString();
            System.out.println(String.join("\t", key.name, key.type.toString(), value, validator, key.importance.toString(),
                updateModes.getOrDefault(key.name, "read-only"), String.valueOf(key.internalConfig)));
        }
    }
}
