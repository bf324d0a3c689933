"""One gmqtt client, driven by JSON commands on standard input: see README.md.

The library tells no reason codes of acknowledgements.
"""

import asyncio
import json
import logging
import sys

import gmqtt

from driver import described_payload, emit, payload_of

NAMES = {
    "payload_format": "payload_format_id",
    "message_expiry": "message_expiry_interval",
    "content_type": "content_type",
    "response_topic": "response_topic",
    "correlation_data": "correlation_data",
    "user": "user_property",
    "identifiers": "subscription_identifier",
    "will_delay": "will_delay_interval",
    "session_expiry": "session_expiry_interval",
    "receive_maximum": "receive_maximum",
    "maximum_packet_size": "maximum_packet_size",
    "maximum_qos": "max_qos",
    "assigned_client_id": "assigned_client_identifier",
    "server_keep_alive": "server_keep_alive",
    "reason_string": "reason_string",
}

LISTS = ("user", "identifiers")

# Seconds between two attempts to connect again.
PAUSE = 0.1

logging.disable(logging.ERROR)


def properties(values):
    result = {}
    for name, value in (values or {}).items():
        if name == "correlation_data":
            value = bytes.fromhex(value)
        if name == "user":
            value = [tuple(pair) for pair in value]
        result[NAMES[name]] = value
    return result


def described(values):
    result = {}
    for name, word in NAMES.items():
        if word not in values:
            continue
        value = values[word]
        if name == "user":
            value = [list(pair) for pair in value]
        elif name not in LISTS:
            value = value[0] if isinstance(value, list) else value
        if isinstance(value, bytes):
            value = value.hex()
        result[name] = value
    return result


class Driver:
    def __init__(self):
        self.client = None
        self.five = False

    async def connect(self, command):
        self.five = command["version"] == 5
        arguments = properties(command.get("properties")) if self.five else {}
        will = command.get("will")
        if will:
            more = properties(will.get("properties")) if self.five else {}
            arguments["will_message"] = gmqtt.Message(
                will["topic"], payload_of(will), will.get("qos", 0), will.get("retain", False), **more
            )
        client = gmqtt.Client(command.get("client_id", ""), clean_session=command.get("clean", True), **arguments)
        # 0 would be one more attempt.
        retries = gmqtt.constants.UNLIMITED_RECONNECTS if command.get("reconnect") else -2
        client.set_config({"reconnect_retries": retries, "reconnect_delay": PAUSE})
        client.on_connect = self.on_connect
        client.on_message = self.on_message
        client.on_disconnect = self.on_disconnect
        client.on_subscribe = lambda c, mid, codes, p: emit("suback", codes=list(codes))
        client.on_unsubscribe = lambda c, mid, codes: emit("unsuback", codes=list(codes))
        self.client = client
        version = gmqtt.constants.MQTTv50 if self.five else gmqtt.constants.MQTTv311
        try:
            await client.connect(command["host"], command["port"], keepalive=command.get("keep_alive", 60), version=version)
        except gmqtt.MQTTConnectError as error:
            emit("connack", code=error._code, session_present=False, properties={})

    def on_connect(self, client, session_present, code, values):
        emit("connack", code=code, session_present=bool(session_present), properties=described(values))

    def on_disconnect(self, client, packet, exc=None):
        # The body of DISCONNECT, where there was one.
        code = packet[0] if isinstance(packet, bytes) and packet else None
        emit("closed", code=code)

    async def on_message(self, client, topic, payload, qos, values):
        emit(
            "message",
            topic=topic,
            qos=qos,
            retain=bool(values["retain"]),
            dup=bool(values["dup"]),
            properties=described(values),
            **described_payload(payload),
        )

    async def subscribe(self, command):
        subscriptions = [
            gmqtt.Subscription(
                each["filter"],
                qos=each.get("qos", 0),
                no_local=each.get("no_local", False),
                retain_as_published=each.get("retain_as_published", False),
                retain_handling_options=each.get("retain_handling", 0),
            )
            for each in command["filters"]
        ]
        more = {"subscription_identifier": command["identifier"]} if command.get("identifier") else {}
        self.client.subscribe(subscriptions, **more)

    async def unsubscribe(self, command):
        self.client.unsubscribe(command["filters"])

    async def publish(self, command):
        more = properties(command.get("properties")) if self.five else {}
        self.client.publish(
            command["topic"], payload_of(command), command.get("qos", 0), command.get("retain", False), **more
        )
        await self.client._persistent_storage.wait_empty()
        emit("published", code=0)

    async def publish_many(self, command):
        for number in range(command["count"]):
            # By itself the library does not keep to the server's Receive Maximum.
            while len(self.client._persistent_storage.get_all()) >= 200 or not self.client.is_connected:
                await asyncio.sleep(0.001)
            self.client.publish(command["topic"], str(number), command.get("qos", 0))
        await self.client._persistent_storage.wait_empty()
        emit("published_all", count=command["count"])

    async def disconnect(self, command):
        await self.client.disconnect(reason_code=command.get("reason", 0))


async def main():
    driver = Driver()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        running = asyncio.create_task(getattr(driver, command["do"])(command))
        if command["do"] == "connect":
            await running


asyncio.run(main())
