import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.Utils;

/**
 * Reads and writes Kafka records for the tests with Kafka's own client, which shares no code with
 * what they test.
 *
 * <p>{@code java -cp KAFKA_JARS Records.java HOST:PORT} listens on a free port of loopback and prints
 * it. Each connection sends one JSON command a line and gets one JSON answer a line. Bytes are
 * hexadecimal; null is null. Ends with standard input.
 *
 * <ul>
 *   <li>{"do": "create", "topics": [{"name", "partitions", "config": {}}]}
 *   <li>{"do": "delete", "topics": [NAME]}
 *   <li>{"do": "delete records", "topics": [NAME]}: all that they have
 *   <li>{"do": "topics"}: the names of all
 *   <li>{"do": "produce", "records": [{"topic", "partition", "timestamp", "key", "value", "headers":
 *       [[NAME, VALUE]]}]}: answered when all are written by acks=all
 *   <li>{"do": "read", "topics": [NAME], "at_least": N, "timeout_ms": M}: everything from the
 *       first offset to the end at the time of the question, and on until there are N records or M
 *       has passed; a line for each, and one with "end"
 *   <li>{"do": "partition", "topic": NAME, "partition": N}: its leader (-1: none), the replica that
 *       is preferred as the leader, and how many are in sync
 *   <li>{"do": "controller"}: the node that leads the quorum of controllers
 *   <li>{"do": "permit", "principal", "topics": [NAME], "operations": ["READ"]}: adds access control
 *       lists; "forbid" takes them away; answered when the broker goes by it
 *   <li>{"do": "elect"}: gives all partitions to their preferred leaders
 * </ul>
 */
public final class Records {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final HexFormat HEX = HexFormat.of();

    private final String servers;
    private final Admin admin;
    private final KafkaProducer<byte[], byte[]> producer;

    private Records(String servers) {
        this.servers = servers;
        Properties properties = new Properties();
        properties.put("bootstrap.servers", servers);
        admin = Admin.create(properties);
        properties.put("acks", "all");
        properties.put("linger.ms", "0");
        producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    public static void main(String[] arguments) throws IOException {
        Records records = new Records(arguments[0]);
        ServerSocket listener = new ServerSocket(0, 64, InetAddress.getLoopbackAddress());
        Thread input = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {}
            } catch (IOException e) {
                // Ends as well.
            }
            Runtime.getRuntime().halt(0);
        });
        input.start();
        System.out.println(listener.getLocalPort());
        System.out.flush();
        while (true) {
            Socket socket = listener.accept();
            Thread thread = new Thread(() -> records.serve(socket));
            thread.setDaemon(true);
            thread.start();
        }
    }

    private void serve(Socket socket) {
        try (socket;
                KafkaConsumer<byte[], byte[]> consumer = consumer();
                BufferedReader in = new BufferedReader(
                        new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
                PrintWriter out = new PrintWriter(socket.getOutputStream(), true, StandardCharsets.UTF_8)) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                ObjectNode answer = JSON.createObjectNode();
                try {
                    JsonNode command = JSON.readTree(line);
                    switch (command.get("do").asText()) {
                        case "create" -> create(command);
                        case "delete" -> delete(names(command));
                        case "delete records" -> deleteRecords(names(command));
                        case "topics" -> answer.set("topics", JSON.valueToTree(admin.listTopics().names().get()));
                        case "produce" -> answer.set("offsets", produce(command));
                        case "read" -> {
                            read(consumer, command, out);
                            answer.put("end", true);
                        }
                        case "partition" -> answer.setAll(partition(command));
                        case "controller" ->
                            answer.put("controller", admin.describeMetadataQuorum().quorumInfo().get().leaderId());
                        case "permit" -> permit(acls(command));
                        case "forbid" -> forbid(acls(command));
                        case "elect" -> admin.electLeaders(ElectionType.PREFERRED, null).partitions().get();
                        default -> throw new IllegalArgumentException("unknown command: " + line);
                    }
                } catch (Exception e) {
                    answer.put("error", e.toString());
                }
                out.println(JSON.writeValueAsString(answer));
            }
        } catch (IOException e) {
            // The test has ended.
        }
    }

    private KafkaConsumer<byte[], byte[]> consumer() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", servers);
        properties.put("enable.auto.commit", "false");
        properties.put("allow.auto.create.topics", "false");
        properties.put("fetch.max.wait.ms", "50");
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private void create(JsonNode command) throws Exception {
        List<NewTopic> topics = new ArrayList<>();
        for (JsonNode topic : command.get("topics")) {
            Map<String, String> config = new HashMap<>();
            topic.get("config").properties().forEach(e -> config.put(e.getKey(), e.getValue().asText()));
            // As many replicas as the brokers have it by default.
            topics.add(new NewTopic(
                            topic.get("name").asText(),
                            Optional.of(topic.get("partitions").asInt()),
                            Optional.empty())
                    .configs(config));
        }
        admin.createTopics(topics).all().get();
        List<String> names = topics.stream().map(NewTopic::name).toList();
        await(() -> isThere(names));
    }

    private void delete(List<String> topics) throws Exception {
        admin.deleteTopics(topics).all().get();
        for (String topic : topics) {
            await(() -> !isThere(List.of(topic)));
        }
    }

    /** Whether the broker knows all these topics. */
    private boolean isThere(List<String> topics) throws Exception {
        try {
            admin.describeTopics(topics).allTopicNames().get();
            return true;
        } catch (ExecutionException e) {
            if (e.getCause() instanceof UnknownTopicOrPartitionException) {
                return false;
            }
            throw e;
        }
    }

    private ArrayNode produce(JsonNode command) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (JsonNode record : command.get("records")) {
            List<Header> headers = new ArrayList<>();
            if (record.has("headers")) {
                for (JsonNode header : record.get("headers")) {
                    headers.add(new RecordHeader(header.get(0).asText(), bytes(header.get(1))));
                }
            }
            Integer partition = record.hasNonNull("partition") ? record.get("partition").asInt() : null;
            Long timestamp = record.hasNonNull("timestamp") ? record.get("timestamp").asLong() : null;
            sent.add(producer.send(new ProducerRecord<>(record.get("topic").asText(), partition, timestamp,
                    bytes(record.get("key")), bytes(record.get("value")), headers)));
        }
        ArrayNode offsets = JSON.createArrayNode();
        for (Future<RecordMetadata> future : sent) {
            offsets.add(future.get().offset());
        }
        return offsets;
    }

    private static List<AclBinding> acls(JsonNode command) {
        List<AclBinding> bindings = new ArrayList<>();
        for (String topic : names(command)) {
            for (JsonNode operation : command.get("operations")) {
                bindings.add(new AclBinding(
                        new ResourcePattern(ResourceType.TOPIC, topic, PatternType.LITERAL),
                        new AccessControlEntry(
                                command.get("principal").asText(),
                                "*",
                                AclOperation.valueOf(operation.asText()),
                                AclPermissionType.ALLOW)));
            }
        }
        return bindings;
    }

    private void permit(List<AclBinding> bindings) throws Exception {
        admin.createAcls(bindings).all().get();
        await(() -> lists().containsAll(bindings));
    }

    private void forbid(List<AclBinding> bindings) throws Exception {
        admin.deleteAcls(bindings.stream().map(AclBinding::toFilter).toList()).all().get();
        await(() -> Collections.disjoint(lists(), bindings));
    }

    /** The access control lists that the broker goes by. */
    private Collection<AclBinding> lists() throws Exception {
        return admin.describeAcls(AclBindingFilter.ANY).values().get();
    }

    /** The controller has changed something; the broker hears of it a little later. */
    private static void await(Callable<Boolean> hasHeard) throws Exception {
        for (long deadline = System.nanoTime() + 30_000_000_000L; !hasHeard.call(); Thread.sleep(5)) {
            if (System.nanoTime() > deadline) {
                throw new TimeoutException("the broker does not follow the controller");
            }
        }
    }

    private ObjectNode partition(JsonNode command) throws Exception {
        String topic = command.get("topic").asText();
        TopicPartitionInfo info = admin.describeTopics(List.of(topic))
                .allTopicNames()
                .get()
                .get(topic)
                .partitions()
                .get(command.get("partition").asInt());
        ObjectNode node = JSON.createObjectNode();
        node.put("leader", info.leader() == null ? -1 : info.leader().id());
        node.put("preferred", info.replicas().get(0).id());
        node.put("in_sync", info.isr().size());
        return node;
    }

    private static void read(KafkaConsumer<byte[], byte[]> consumer, JsonNode command, PrintWriter out)
            throws IOException {
        List<TopicPartition> partitions = new ArrayList<>();
        Map<String, Integer> counts = new HashMap<>();
        for (String topic : names(command)) {
            List<PartitionInfo> infos = consumer.partitionsFor(topic);
            counts.put(topic, infos.size());
            for (PartitionInfo info : infos) {
                partitions.add(new TopicPartition(topic, info.partition()));
            }
        }
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        int wanted = command.path("at_least").asInt(0);
        long deadline = System.nanoTime() + command.path("timeout_ms").asLong(10_000) * 1_000_000;
        int records = 0;
        while (System.nanoTime() < deadline) {
            boolean complete = records >= wanted
                    && ends.entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
            if (complete) {
                break;
            }
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                out.println(JSON.writeValueAsString(describe(record, counts.get(record.topic()))));
                records++;
            }
        }
    }

    private static ObjectNode describe(ConsumerRecord<byte[], byte[]> record, int partitions) {
        ObjectNode node = JSON.createObjectNode();
        node.put("topic", record.topic());
        node.put("partition", record.partition());
        node.put("offset", record.offset());
        node.put("timestamp", record.timestamp());
        node.put("timestamp_type", record.timestampType().toString());
        node.put("key", hex(record.key()));
        node.put("value", hex(record.value()));
        if (record.key() != null) {
            // What Kafka's own producer would choose for the key.
            node.put("partition_of_key", Utils.toPositive(Utils.murmur2(record.key())) % partitions);
        }
        ArrayNode headers = node.putArray("headers");
        for (Header header : record.headers()) {
            headers.addArray().add(header.key()).add(hex(header.value()));
        }
        return node;
    }

    private void deleteRecords(List<String> topics) throws Exception {
        Map<TopicPartition, RecordsToDelete> all = new HashMap<>();
        for (var topic : admin.describeTopics(topics).allTopicNames().get().values()) {
            for (TopicPartitionInfo partition : topic.partitions()) {
                // Before the end.
                all.put(new TopicPartition(topic.name(), partition.partition()), RecordsToDelete.beforeOffset(-1));
            }
        }
        admin.deleteRecords(all).all().get();
    }

    private static List<String> names(JsonNode command) {
        List<String> names = new ArrayList<>();
        command.get("topics").forEach(name -> names.add(name.asText()));
        return names;
    }

    private static byte[] bytes(JsonNode node) {
        return node == null || node.isNull() ? null : HEX.parseHex(node.asText());
    }

    private static String hex(byte[] bytes) {
        return bytes == null ? null : HEX.formatHex(bytes);
    }
}
