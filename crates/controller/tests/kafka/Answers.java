// Sends the requests of `script.txt` to an Apache Kafka and prints each with its answers: the truth behind
// `answers.txt`, which the test `kafka_answers.rs` holds our controller against. With a fresh Kafka 4.4 (one node,
// node.id=1, num.partitions=2, everything else by default) and its jars in $JARS:
//   java -cp "$JARS/*" Answers.java 9092 < script.txt > answers.txt
// Format it with `--feature eligible.leader.replicas.version=0`: with that feature, min.insync.replicas is set for the
// whole cluster from the first day.
// A request is a line of words: the kind, `validate` perhaps, and items between ` ; `. `~` is null, `%` a space, `@name`
// the id of a topic; a name `x*250` is x 250 times.
import java.io.*;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.*;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.requests.RequestUtils;

public class Answers {
    static Socket socket;
    static final Map<String, Uuid> ids = new HashMap<>();

    public static void main(String[] arguments) throws Exception {
        socket = new Socket("127.0.0.1", Integer.parseInt(arguments[0]));
        for (var line : new BufferedReader(new InputStreamReader(System.in)).lines().toList()) {
            System.out.println(line);
            if (line.isBlank() || line.startsWith("#")) continue;
            var answers = answer(line);
            answers.forEach(answer -> System.out.println("> " + answer));
        }
    }

    static <T> T call(ApiKeys key, short version, ApiMessage request, java.util.function.BiFunction<org.apache.kafka.common.protocol.Readable, Short, T> read)
            throws Exception {
        var header = new RequestHeaderData().setRequestApiKey(key.id).setRequestApiVersion(version).setClientId("answers");
        ByteBuffer bytes = RequestUtils.serialize(header, key.requestHeaderVersion(version), request, version);
        var out = new DataOutputStream(socket.getOutputStream());
        out.writeInt(bytes.remaining());
        out.write(bytes.array(), bytes.arrayOffset() + bytes.position(), bytes.remaining());
        out.flush();
        var in = new DataInputStream(socket.getInputStream());
        var frame = new byte[in.readInt()];
        in.readFully(frame);
        var accessor = new ByteBufferAccessor(ByteBuffer.wrap(frame));
        new ResponseHeaderData(accessor, key.responseHeaderVersion(version));
        return read.apply(accessor, version);
    }

    static String text(String word) {
        if (word.equals("~")) return null;
        var times = word.lastIndexOf('*');
        if (times > 0 && word.substring(times + 1).matches("\\d+")) word = word.substring(0, times).repeat(Integer.parseInt(word.substring(times + 1)));
        return word.replace('%', ' ');
    }

    static Uuid id(String word) {
        return word.startsWith("@") ? ids.get(word.substring(1)) : word.equals("zero") ? Uuid.ZERO_UUID : Uuid.fromString(word);
    }

    static List<Integer> numbers(String word) {
        var numbers = new ArrayList<Integer>();
        for (var number : word.split("\\+")) if (!number.isEmpty()) numbers.add(Integer.parseInt(number));
        return numbers;
    }

    static String one(String name, short code, String message) {
        return (name == null ? "~" : name.isEmpty() ? "''" : name) + " " + Errors.forCode(code) + (message == null ? "" : " " + message);
    }

    /** The items of a request as maps; a key that comes again is kept as `key`, `key2`, ... */
    static List<List<Map.Entry<String, String>>> items(String rest) {
        var items = new ArrayList<List<Map.Entry<String, String>>>();
        for (var item : rest.split(" ; ")) {
            var fields = new ArrayList<Map.Entry<String, String>>();
            for (var word : item.trim().split(" ")) {
                if (word.isEmpty()) continue;
                var at = word.indexOf('=');
                fields.add(Map.entry(at < 0 ? word : word.substring(0, at), at < 0 ? "" : word.substring(at + 1)));
            }
            items.add(fields);
        }
        return items;
    }

    static List<String> answer(String line) throws Exception {
        var words = line.split(" ", 2);
        var rest = words.length > 1 ? words[1] : "";
        var validate = rest.startsWith("validate ");
        if (validate) rest = rest.substring(9);
        var answers = new ArrayList<String>();
        switch (words[0]) {
            case "create", "create-show" -> {
                var request = new CreateTopicsRequestData().setTimeoutMs(30000).setValidateOnly(validate);
                for (var item : items(rest)) {
                    var topic = new CreateTopicsRequestData.CreatableTopic().setNumPartitions(1).setReplicationFactor((short) 1);
                    for (var field : item) {
                        var value = field.getValue();
                        if (field.getKey().equals("name")) topic.setName(text(value));
                        else if (field.getKey().equals("p")) topic.setNumPartitions(Integer.parseInt(value));
                        else if (field.getKey().equals("rf")) topic.setReplicationFactor(Short.parseShort(value));
                        else if (field.getKey().startsWith("a:")) topic.assignments().mustAdd(new CreateTopicsRequestData.CreatableReplicaAssignment()
                            .setPartitionIndex(Integer.parseInt(field.getKey().substring(2))).setBrokerIds(numbers(value)));
                        else topic.configs().mustAdd(new CreateTopicsRequestData.CreatableTopicConfig().setName(field.getKey()).setValue(text(value)));
                    }
                    request.topics().mustAdd(topic);
                }
                var response = call(ApiKeys.CREATE_TOPICS, (short) 7, request, CreateTopicsResponseData::new);
                for (var topic : response.topics()) {
                    if (topic.errorCode() == 0) ids.put(topic.name(), topic.topicId());
                    answers.add(one(topic.name(), topic.errorCode(), topic.errorMessage()) + " p=" + topic.numPartitions() + " rf="
                        + topic.replicationFactor() + " configs=" + (topic.configs() == null ? "~" : topic.configs().size() > 0 ? "some" : "none")
                        + " id=" + (topic.topicId().equals(Uuid.ZERO_UUID) ? "zero" : "given") + " " + topic.topicConfigErrorCode());
                    if (words[0].equals("create-show")) for (var config : topic.configs()) answers.add(topic.name() + " " + config.name() + "="
                        + config.value() + " source=" + config.configSource() + (config.readOnly() ? " read-only" : "") + (config.isSensitive() ? " sensitive" : ""));
                }
            }
            case "delete" -> {
                var request = new DeleteTopicsRequestData().setTimeoutMs(30000);
                for (var item : items(rest)) {
                    var topic = new DeleteTopicsRequestData.DeleteTopicState();
                    for (var field : item) {
                        if (field.getKey().equals("name")) topic.setName(text(field.getValue()));
                        else if (field.getKey().equals("id")) topic.setTopicId(id(field.getValue()));
                    }
                    request.topics().add(topic);
                }
                var response = call(ApiKeys.DELETE_TOPICS, (short) 6, request, DeleteTopicsResponseData::new);
                for (var topic : response.responses()) {
                    var known = ids.entrySet().stream().filter(entry -> entry.getValue().equals(topic.topicId())).map(Map.Entry::getKey).findFirst();
                    answers.add(one(topic.name(), topic.errorCode(), topic.errorMessage()) + " id=" + (topic.topicId().equals(Uuid.ZERO_UUID) ? "zero"
                        : known.map(name -> "@" + name).orElse(topic.topicId().toString())));
                }
            }
            case "partitions" -> {
                var request = new CreatePartitionsRequestData().setTimeoutMs(30000).setValidateOnly(validate);
                for (var item : items(rest)) {
                    var topic = new CreatePartitionsRequestData.CreatePartitionsTopic().setAssignments(null);
                    for (var field : item) {
                        if (field.getKey().equals("name")) topic.setName(text(field.getValue()));
                        else if (field.getKey().equals("count")) topic.setCount(Integer.parseInt(field.getValue()));
                        else {
                            topic.setAssignments(new ArrayList<>());
                            for (var one : field.getValue().split("\\|")) topic.assignments().add(new CreatePartitionsRequestData.CreatePartitionsAssignment().setBrokerIds(numbers(one)));
                        }
                    }
                    request.topics().mustAdd(topic);
                }
                var response = call(ApiKeys.CREATE_PARTITIONS, (short) 3, request, CreatePartitionsResponseData::new);
                for (var topic : response.results()) answers.add(one(topic.name(), topic.errorCode(), topic.errorMessage()));
            }
            case "alter" -> {
                var request = new AlterConfigsRequestData().setValidateOnly(validate);
                for (var item : items(rest)) {
                    var resource = new AlterConfigsRequestData.AlterConfigsResource();
                    for (var field : item) {
                        if (field.getKey().equals("type")) resource.setResourceType(Byte.parseByte(field.getValue()));
                        else if (field.getKey().equals("name")) resource.setResourceName(text(field.getValue()));
                        else resource.configs().mustAdd(new AlterConfigsRequestData.AlterableConfig().setName(field.getKey()).setValue(text(field.getValue())));
                    }
                    request.resources().mustAdd(resource);
                }
                var response = call(ApiKeys.ALTER_CONFIGS, (short) 2, request, AlterConfigsResponseData::new);
                for (var resource : response.responses()) answers.add(resource.resourceType() + " " + one(resource.resourceName(), resource.errorCode(), resource.errorMessage()));
            }
            case "incremental" -> {
                var request = new IncrementalAlterConfigsRequestData().setValidateOnly(validate);
                for (var item : items(rest)) {
                    var resource = new IncrementalAlterConfigsRequestData.AlterConfigsResource();
                    for (var field : item) {
                        if (field.getKey().equals("type")) resource.setResourceType(Byte.parseByte(field.getValue()));
                        else if (field.getKey().equals("name")) resource.setResourceName(text(field.getValue()));
                        else {
                            var parts = field.getKey().split(":", 2);
                            resource.configs().mustAdd(new IncrementalAlterConfigsRequestData.AlterableConfig().setConfigOperation(
                                (byte) (parts[0].matches("\\d+") ? Integer.parseInt(parts[0]) : List.of("set", "delete", "append", "subtract").indexOf(parts[0])))
                                .setName(parts[1]).setValue(text(field.getValue())));
                        }
                    }
                    request.resources().mustAdd(resource);
                }
                var response = call(ApiKeys.INCREMENTAL_ALTER_CONFIGS, (short) 1, request, IncrementalAlterConfigsResponseData::new);
                for (var resource : response.responses()) answers.add(resource.resourceType() + " " + one(resource.resourceName(), resource.errorCode(), resource.errorMessage()));
            }
            case "describe" -> {
                Thread.sleep(700); // A broker follows its controller a little later.
                var request = new DescribeConfigsRequestData().setIncludeSynonyms(true);
                for (var item : items(rest)) {
                    var resource = new DescribeConfigsRequestData.DescribeConfigsResource().setConfigurationKeys(null);
                    for (var field : item) {
                        if (field.getKey().equals("type")) resource.setResourceType(Byte.parseByte(field.getValue()));
                        else if (field.getKey().equals("name")) resource.setResourceName(text(field.getValue()));
                        else resource.setConfigurationKeys(List.of(field.getValue().split(",")));
                    }
                    request.resources().add(resource);
                }
                var response = call(ApiKeys.DESCRIBE_CONFIGS, (short) 4, request, DescribeConfigsResponseData::new);
                for (var result : response.results()) {
                    answers.add(result.resourceType() + " " + one(result.resourceName(), result.errorCode(), result.errorMessage()));
                    for (var config : result.configs()) {
                        var synonyms = new StringJoiner(" ");
                        for (var synonym : config.synonyms()) synonyms.add(synonym.name() + "=" + synonym.value() + ":" + synonym.source());
                        answers.add("  " + config.name() + "=" + config.value() + " source=" + config.configSource() + " type=" + config.configType()
                            + (config.readOnly() ? " read-only" : "") + (config.isSensitive() ? " sensitive" : "") + " [" + synonyms + "]");
                    }
                }
            }
            default -> throw new IllegalArgumentException(line);
        }
        // Kafka keeps no order where it has gone through a hash map.
        Collections.sort(answers);
        return answers;
    }
}
