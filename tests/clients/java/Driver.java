import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.concurrent.Semaphore;

/** What the drivers of both Paho libraries share: see ../README.md. */
abstract class Driver {
    static final ObjectMapper JSON = new ObjectMapper();
    static final HexFormat HEX = HexFormat.of();

    /** Longer payloads are not printed, but held against the pattern. */
    private static final int LONGEST = 65536;

    /** QoS 1 and 2 publishes under way, at most. */
    static final int IN_FLIGHT = 200;

    /** Between two attempts, milliseconds. */
    private static final int PAUSE = 50;

    /** The libraries refuse more than they may have under way, rather than wait. */
    private final Semaphore room = new Semaphore(IN_FLIGHT / 2);
    private int left;
    private int of;

    abstract void connect(JsonNode command) throws Exception;

    abstract void subscribe(JsonNode command) throws Exception;

    abstract void unsubscribe(JsonNode command) throws Exception;

    abstract void publish(JsonNode command, byte[] payload) throws Exception;

    abstract void disconnect(JsonNode command) throws Exception;

    final void run() throws Exception {
        var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = input.readLine()) != null; ) {
            JsonNode command = JSON.readTree(line);
            switch (command.get("do").asText()) {
                case "connect" -> connect(command);
                case "subscribe" -> subscribe(command);
                case "unsubscribe" -> unsubscribe(command);
                case "publish" -> publish(command, payloadOf(command));
                case "publish_many" -> new Thread(() -> publishMany(command)).start();
                case "disconnect" -> disconnect(command);
                default -> throw new IllegalArgumentException(line);
            }
        }
        System.exit(0);
    }

    private void publishMany(JsonNode command) {
        int count = command.get("count").asInt();
        synchronized (this) {
            left = count;
            of = count;
        }
        try {
            for (int number = 0; number < count; number++) {
                room.acquire();
                byte[] payload = Integer.toString(number).getBytes(StandardCharsets.US_ASCII);
                while (!isPublished(command, payload)) {
                    Thread.sleep(PAUSE);
                }
            }
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }

    /** Publishes, unless the library refuses it since it is about to find its connection lost. */
    private boolean isPublished(JsonNode command, byte[] payload) {
        try {
            publish(command, payload);
            return true;
        } catch (Exception error) {
            return false;
        }
    }

    /** A publish is done. */
    final void done(int code) {
        int count;
        synchronized (this) {
            count = of;
            if (count > 0) {
                room.release();
                if (--left > 0) {
                    return;
                }
                of = 0;
            }
        }
        if (count > 0) {
            emit("published_all", JSON.createObjectNode().put("count", count));
        } else {
            emit("published", JSON.createObjectNode().put("code", code));
        }
    }

    static void emit(String name, ObjectNode event) {
        event.put("event", name);
        synchronized (System.out) {
            System.out.println(event);
            System.out.flush();
        }
    }

    /** The connection has ended: why, where the library tells. */
    static void closed(Integer code) {
        emit("closed", JSON.createObjectNode().put("code", code));
    }

    static void codes(String name, int[] codes) {
        ObjectNode event = JSON.createObjectNode();
        ArrayNode list = event.putArray("codes");
        Arrays.stream(codes).forEach(list::add);
        emit(name, event);
    }

    private static byte[] pattern(int size) {
        byte[] bytes = new byte[size];
        for (int at = 0; at < size; at++) {
            bytes[at] = (byte) (at % 251);
        }
        return bytes;
    }

    static byte[] payloadOf(JsonNode command) {
        return command.has("size")
                ? pattern(command.get("size").asInt())
                : HEX.parseHex(command.path("payload").asText());
    }

    /** The event of a message, without properties. */
    static ObjectNode message(String topic, byte[] payload, int qos, boolean retain, boolean dup) {
        ObjectNode event = JSON.createObjectNode();
        event.put("topic", topic).put("qos", qos).put("retain", retain).put("dup", dup);
        if (payload.length > LONGEST) {
            event.put("size", payload.length);
            event.put("is_pattern", Arrays.equals(payload, pattern(payload.length)));
        } else {
            event.put("payload", HEX.formatHex(payload));
        }
        event.putObject("properties");
        return event;
    }

    static String address(JsonNode command) {
        return "tcp://" + command.get("host").asText() + ":" + command.get("port").asInt();
    }
}
