import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.eclipse.paho.client.mqttv3.DisconnectedBufferOptions;
import org.eclipse.paho.client.mqttv3.IMqttActionListener;
import org.eclipse.paho.client.mqttv3.IMqttDeliveryToken;
import org.eclipse.paho.client.mqttv3.IMqttToken;
import org.eclipse.paho.client.mqttv3.MqttAsyncClient;
import org.eclipse.paho.client.mqttv3.MqttCallbackExtended;
import org.eclipse.paho.client.mqttv3.MqttConnectOptions;
import org.eclipse.paho.client.mqttv3.MqttException;
import org.eclipse.paho.client.mqttv3.MqttMessage;
import org.eclipse.paho.client.mqttv3.persist.MemoryPersistence;

/**
 * One client of Eclipse Paho Java, MQTT 3.1.1. The library does not tell the flags of a CONNACK that
 * it got when it connected again by itself.
 */
public final class PahoV3 extends Driver implements MqttCallbackExtended {
    private MqttAsyncClient client;

    public static void main(String[] arguments) throws Exception {
        new PahoV3().run();
    }

    private interface Told {
        void with(IMqttToken token);
    }

    private static IMqttActionListener listener(Told success, Told failure) {
        return new IMqttActionListener() {
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

    @Override
    void connect(JsonNode command) throws MqttException {
        var options = new MqttConnectOptions();
        options.setMqttVersion(MqttConnectOptions.MQTT_VERSION_3_1_1);
        options.setCleanSession(command.path("clean").asBoolean(true));
        options.setKeepAliveInterval(command.path("keep_alive").asInt(60));
        options.setMaxInflight(IN_FLIGHT);
        options.setAutomaticReconnect(command.path("reconnect").asBoolean(false));
        options.setMaxReconnectDelay(1000);
        JsonNode will = command.path("will");
        if (will.isObject()) {
            options.setWill(
                    will.get("topic").asText(),
                    payloadOf(will),
                    will.path("qos").asInt(),
                    will.path("retain").asBoolean());
        }
        var persistence = new MemoryPersistence();
        client = new MqttAsyncClient(address(command), command.path("client_id").asText(), persistence);
        client.setCallback(this);
        var buffer = new DisconnectedBufferOptions();
        buffer.setBufferEnabled(true);
        client.setBufferOpts(buffer);
        client.connect(options, null, listener(
                token -> connack(0, token.getSessionPresent()),
                token -> connack(token.getException().getReasonCode(), false)));
    }

    private static void connack(int code, Boolean isPresent) {
        ObjectNode event = JSON.createObjectNode().put("code", code).put("session_present", isPresent);
        event.putObject("properties");
        emit("connack", event);
    }

    @Override
    void subscribe(JsonNode command) throws MqttException {
        JsonNode filters = command.get("filters");
        String[] names = new String[filters.size()];
        int[] qos = new int[filters.size()];
        for (int at = 0; at < names.length; at++) {
            names[at] = filters.get(at).get("filter").asText();
            qos[at] = filters.get(at).path("qos").asInt();
        }
        client.subscribe(names, qos, null, listener(
                token -> codes("suback", token.getGrantedQos()),
                token -> codes("suback", new int[] {0x80})));
    }

    @Override
    void unsubscribe(JsonNode command) throws MqttException {
        String[] names = JSON.convertValue(command.get("filters"), String[].class);
        client.unsubscribe(names, null, listener(token -> codes("unsuback", new int[0]), token -> {}));
    }

    @Override
    void publish(JsonNode command, byte[] payload) throws MqttException {
        var message = new MqttMessage(payload);
        message.setQos(command.path("qos").asInt());
        message.setRetained(command.path("retain").asBoolean());
        // The end of the connection is told by itself.
        client.publish(command.get("topic").asText(), message, null, listener(token -> done(0), token -> {}));
    }

    @Override
    void disconnect(JsonNode command) throws MqttException {
        client.disconnect(null, listener(token -> closed(0), token -> closed(null)));
    }

    @Override
    public void connectComplete(boolean isAgain, String address) {
        if (isAgain) {
            connack(0, null);
        }
    }

    @Override
    public void connectionLost(Throwable error) {
        closed(null);
    }

    @Override
    public void messageArrived(String topic, MqttMessage message) {
        emit("message", message(
                topic, message.getPayload(), message.getQos(), message.isRetained(), message.isDuplicate()));
    }

    @Override
    public void deliveryComplete(IMqttDeliveryToken token) {}
}
