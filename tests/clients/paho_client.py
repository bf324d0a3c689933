"""One paho-mqtt client, driven by JSON commands on standard input: see README.md."""

import json
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from driver import described, described_payload, emit, payload_of, properties, subscriptions


class Client(mqtt.Client):
    """Where its connection is lost again before CONNACK, paho forgets that of a QoS 2 message only
    PUBREL is left, and publishes it anew."""

    def _messages_reconnect_reset_out(self):
        for message in self._out_messages.values():
            if message.state == mqtt.mqtt_ms_resend_pubrel:
                message.state = mqtt.mqtt_ms_wait_for_pubcomp
        super()._messages_reconnect_reset_out()


class Driver:
    def __init__(self):
        self.client = None
        self.five = False
        self.reconnects = False
        self.pending = {}
        self.many = None
        self.lock = threading.Lock()

    def connect(self, command):
        self.five = command["version"] == 5
        client_id = command.get("client_id", "")
        arguments = {"client_id": client_id, "protocol": mqtt.MQTTv5 if self.five else mqtt.MQTTv311}
        reconnect = command.get("reconnect", False)
        arguments["reconnect_on_failure"] = bool(reconnect)
        if not self.five:
            arguments["clean_session"] = command.get("clean", True)
        client = Client(mqtt.CallbackAPIVersion.VERSION2, **arguments)
        client.on_connect = self.on_connect
        client.on_message = self.on_message
        client.on_subscribe = lambda c, u, mid, codes, p: emit("suback", codes=[code.value for code in codes])
        client.on_unsubscribe = lambda c, u, mid, codes, p: emit("unsuback", codes=[code.value for code in codes])
        client.on_publish = self.on_publish
        client.on_disconnect = lambda c, u, flags, code, p: emit("closed", code=code.value)
        client.max_inflight_messages_set(1000)
        client.max_queued_messages_set(0)
        self.reconnects = not isinstance(reconnect, bool)
        if self.reconnects:
            client.reconnect_delay_set(reconnect / 1000, reconnect / 1000)
        will = command.get("will")
        if will:
            more = {"properties": properties(PacketTypes.WILLMESSAGE, will.get("properties"))} if self.five else {}
            client.will_set(will["topic"], payload_of(will), will.get("qos", 0), will.get("retain", False), **more)
        more = {}
        if self.five:
            more["clean_start"] = command.get("clean", True)
            more["properties"] = properties(PacketTypes.CONNECT, command.get("properties"))
        self.client = client
        client.connect(command["host"], command["port"], command.get("keep_alive", 60), **more)
        client.loop_start()

    def on_connect(self, client, userdata, flags, code, values):
        emit("connack", code=code.value, session_present=flags.session_present, properties=described(values))
        if code.is_failure and not self.reconnects:
            client.disconnect()

    def on_message(self, client, userdata, message):
        emit(
            "message",
            topic=message.topic,
            qos=message.qos,
            retain=message.retain,
            dup=message.dup,
            properties=described(message.properties),
            **described_payload(message.payload),
        )

    def on_publish(self, client, userdata, mid, code, values):
        with self.lock:
            if self.many is None:
                emit("published", code=code.value)
                return
            self.many[0] -= 1
            if self.many[0] > 0:
                return
            count = self.many[1]
            self.many = None
        emit("published_all", count=count)

    def subscribe(self, command):
        filters, more = subscriptions(command, self.five)
        self.client.subscribe(filters, **more)

    def unsubscribe(self, command):
        self.client.unsubscribe(command["filters"])

    def publish(self, command):
        more = {"properties": properties(PacketTypes.PUBLISH, command.get("properties"))} if self.five else {}
        self.client.publish(command["topic"], payload_of(command), command.get("qos", 0), command.get("retain", False), **more)

    def publish_many(self, command):
        with self.lock:
            self.many = [command["count"], command["count"]]
        for number in range(command["count"]):
            self.client.publish(command["topic"], str(number), command.get("qos", 0))

    def disconnect(self, command):
        if self.five:
            self.client.disconnect(reasoncode=ReasonCode(PacketTypes.DISCONNECT, identifier=command.get("reason", 0)))
        else:
            self.client.disconnect()


driver = Driver()
for line in sys.stdin:
    command = json.loads(line)
    getattr(driver, command["do"])(command)
