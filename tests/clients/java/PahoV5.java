import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import org.eclipse.paho.mqttv5.client.DisconnectedBufferOptions;
import org.eclipse.paho.mqttv5.client.IMqttToken;
import org.eclipse.paho.mqttv5.client.MqttActionListener;
import org.eclipse.paho.mqttv5.client.MqttAsyncClient;
import org.eclipse.paho.mqttv5.client.MqttCallback;
import org.eclipse.paho.mqttv5.client.MqttClientException;
import org.eclipse.paho.mqttv5.client.MqttConnectionOptions;
import org.eclipse.paho.mqttv5.client.MqttDisconnectResponse;
import org.eclipse.paho.mqttv5.client.persist.MemoryPersistence;
import org.eclipse.paho.mqttv5.common.MqttException;
import org.eclipse.paho.mqttv5.common.MqttMessage;
import org.eclipse.paho.mqttv5.common.MqttSubscription;
import org.eclipse.paho.mqttv5.common.packet.MqttProperties;
import org.eclipse.paho.mqttv5.common.packet.UserProperty;

/**
 * One client of Eclipse Paho Java, MQTT 5.0. The library does not tell the flags of a CONNACK that
 * it got when it connected again by itself.
 */
public final class PahoV5 extends Driver implements MqttCallback {
    private MqttAsyncClient client;

    public static void main(String[] arguments) throws Exception {
        new PahoV5().run();
    }

    private interface Told {
        void with(IMqttToken token);
    }

    private static MqttActionListener listener(Told success, Told failure) {
        return new MqttActionListener() {
            @Override
            public void onSuccess(IMqttToken token) {
                success.with(token);
            }

            @Override
            public void onFailure(IMqttToken token, Throwable error) {
                failure.with(token);
            }
        };
    }

    private static MqttProperties properties(JsonNode from) {
        var result = new MqttProperties();
        if (from.has("payload_format")) {
            result.setPayloadFormat(from.get("payload_format").asInt() == 1);
        }
        if (from.has("message_expiry")) {
            result.setMessageExpiryInterval(from.get("message_expiry").asLong());
        }
        if (from.has("content_type")) {
            result.setContentType(from.get("content_type").asText());
        }
        if (from.has("response_topic")) {
            result.setResponseTopic(from.get("response_topic").asText());
        }
        if (from.has("correlation_data")) {
            result.setCorrelationData(HEX.parseHex(from.get("correlation_data").asText()));
        }
        if (from.has("will_delay")) {
            result.setWillDelayInterval(from.get("will_delay").asLong());
        }
        result.setUserProperties(user(from));
        return result;
    }

    private static List<UserProperty> user(JsonNode from) {
        List<UserProperty> all = new ArrayList<>();
        from.path("user").forEach(pair -> all.add(new UserProperty(pair.get(0).asText(), pair.get(1).asText())));
        return all;
    }

    private static void describe(MqttProperties from, ObjectNode result) {
        if (from == null) {
            return;
        }
        if (from.getPayloadFormat()) {
            result.put("payload_format", 1);
        }
        put(result, "message_expiry", from.getMessageExpiryInterval());
        put(result, "content_type", from.getContentType());
        put(result, "response_topic", from.getResponseTopic());
        if (from.getCorrelationData() != null) {
            result.put("correlation_data", HEX.formatHex(from.getCorrelationData()));
        }
        put(result, "session_expiry", from.getSessionExpiryInterval());
        put(result, "receive_maximum", from.getReceiveMaximum());
        put(result, "maximum_packet_size", from.getMaximumPacketSize());
        put(result, "assigned_client_id", from.getAssignedClientIdentifier());
        put(result, "server_keep_alive", from.getServerKeepAlive());
        put(result, "reason_string", from.getReasonString());
        if (!from.getUserProperties().isEmpty()) {
            ArrayNode list = result.putArray("user");
            from.getUserProperties().forEach(pair -> list.addArray().add(pair.getKey()).add(pair.getValue()));
        }
        if (!from.getSubscriptionIdentifiers().isEmpty()) {
            ArrayNode list = result.putArray("identifiers");
            from.getSubscriptionIdentifiers().forEach(list::add);
        }
    }

    private static void put(ObjectNode result, String name, Object value) {
        if (value != null) {
            result.set(name, JSON.valueToTree(value));
        }
    }

    private static int code(IMqttToken token) {
        int[] codes = token.getReasonCodes();
        return codes == null || codes.length == 0 ? 0 : codes[0];
    }

    @Override
    void connect(JsonNode command) throws MqttException {
        var options = new MqttConnectionOptions();
        JsonNode properties = command.path("properties");
        options.setCleanStart(command.path("clean").asBoolean(true));
        options.setKeepAliveInterval(command.path("keep_alive").asInt(60));
        options.setAutomaticReconnect(command.path("reconnect").asBoolean(false));
        options.setAutomaticReconnectDelay(1, 1);
        if (properties.has("session_expiry")) {
            options.setSessionExpiryInterval(properties.get("session_expiry").asLong());
        }
        if (properties.has("receive_maximum")) {
            options.setReceiveMaximum(properties.get("receive_maximum").asInt());
        }
        if (properties.has("maximum_packet_size")) {
            options.setMaximumPacketSize(properties.get("maximum_packet_size").asLong());
        }
        options.setUserProperties(user(properties));
        JsonNode will = command.path("will");
        if (will.isObject()) {
            var message = new MqttMessage(payloadOf(will));
            message.setQos(will.path("qos").asInt());
            message.setRetained(will.path("retain").asBoolean());
            options.setWill(will.get("topic").asText(), message);
            options.setWillMessageProperties(properties(will.path("properties")));
        }
        var persistence = new MemoryPersistence();
        client = new MqttAsyncClient(address(command), command.path("client_id").asText(), persistence);
        client.setCallback(this);
        var buffer = new DisconnectedBufferOptions();
        buffer.setBufferEnabled(true);
        client.setBufferOpts(buffer);
        client.connect(options, null, listener(
                token -> connack(0, token.getSessionPresent(), token.getResponseProperties()),
                token -> connack(token.getException().getReasonCode(), false, null)));
    }

    private static void connack(int code, Boolean isPresent, MqttProperties properties) {
        ObjectNode event = JSON.createObjectNode().put("code", code).put("session_present", isPresent);
        describe(properties, event.putObject("properties"));
        emit("connack", event);
    }

    @Override
    void subscribe(JsonNode command) throws MqttException {
        JsonNode filters = command.get("filters");
        var subscriptions = new MqttSubscription[filters.size()];
        for (int at = 0; at < subscriptions.length; at++) {
            JsonNode each = filters.get(at);
            var subscription = new MqttSubscription(each.get("filter").asText(), each.path("qos").asInt());
            subscription.setNoLocal(each.path("no_local").asBoolean());
            subscription.setRetainAsPublished(each.path("retain_as_published").asBoolean());
            subscription.setRetainHandling(each.path("retain_handling").asInt());
            subscriptions[at] = subscription;
        }
        var properties = new MqttProperties();
        if (command.path("identifier").asInt() > 0) {
            properties.setSubscriptionIdentifier(command.get("identifier").asInt());
        }
        client.subscribe(subscriptions, null, listener(
                token -> codes("suback", token.getReasonCodes()),
                token -> codes("suback", token.getReasonCodes())), properties);
    }

    @Override
    void unsubscribe(JsonNode command) throws MqttException {
        String[] names = JSON.convertValue(command.get("filters"), String[].class);
        client.unsubscribe(names, null, listener(
                token -> codes("unsuback", token.getReasonCodes()),
                token -> codes("unsuback", token.getReasonCodes())), new MqttProperties());
    }

    @Override
    void publish(JsonNode command, byte[] payload) throws MqttException {
        var message = new MqttMessage(payload);
        message.setQos(command.path("qos").asInt());
        message.setRetained(command.path("retain").asBoolean());
        message.setProperties(properties(command.path("properties")));
        client.publish(command.get("topic").asText(), message, null, listener(
                token -> done(code(token)),
                token -> {
                    // The end of the connection is told by itself.
                    if (code(token) >= 0x80) {
                        done(code(token));
                    }
                }));
    }

    @Override
    void disconnect(JsonNode command) throws MqttException {
        int reason = command.path("reason").asInt();
        client.disconnect(
                10_000, null, listener(token -> closed(0), token -> closed(null)), reason, new MqttProperties());
    }

    @Override
    public void connectComplete(boolean isAgain, String address) {
        if (isAgain) {
            connack(0, null, null);
        }
    }

    @Override
    public void disconnected(MqttDisconnectResponse response) {
        int code = response.getReturnCode();
        closed(code >= 0x80 && code <= 0xff ? code : null);
    }

    @Override
    public void mqttErrorOccurred(MqttException error) {
        if (error.getReasonCode() == MqttClientException.REASON_CODE_OUTGOING_PACKET_TOO_LARGE) {
            emit("refused", JSON.createObjectNode());
        }
    }

    @Override
    public void messageArrived(String topic, MqttMessage message) {
        ObjectNode event = message(
                topic, message.getPayload(), message.getQos(), message.isRetained(), message.isDuplicate());
        describe(message.getProperties(), (ObjectNode) event.get("properties"));
        emit("message", event);
    }

    @Override
    public void deliveryComplete(IMqttToken token) {}

    @Override
    public void authPacketArrived(int reason, MqttProperties properties) {}
}
