"""One aiomqtt client, driven by JSON commands on standard input: see README.md.

The library tells neither the flags of CONNACK nor the reason codes of acknowledgements.
"""

import asyncio
import json
import sys

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes

from driver import described, described_payload, emit, payload_of, properties, subscriptions

# QoS 1 and 2 publishes under way, at most.
IN_FLIGHT = 200

# Seconds between two attempts to connect again.
PAUSE = 0.1


class Driver:
    def __init__(self):
        self.client = None
        self.five = False
        self.connection = None
        self.stop = None
        self.is_connected = asyncio.Event()

    async def connect(self, command):
        self.five = command["version"] == 5
        arguments = {"protocol": aiomqtt.ProtocolVersion.V5 if self.five else aiomqtt.ProtocolVersion.V311}
        if self.five:
            arguments["clean_start"] = command.get("clean", True)
            arguments["properties"] = properties(PacketTypes.CONNECT, command.get("properties"))
        else:
            arguments["clean_session"] = command.get("clean", True)
        will = command.get("will")
        if will:
            more = properties(PacketTypes.WILLMESSAGE, will.get("properties")) if self.five else None
            arguments["will"] = aiomqtt.Will(
                will["topic"], payload_of(will), will.get("qos", 0), will.get("retain", False), more
            )
        self.client = aiomqtt.Client(
            command["host"],
            command["port"],
            identifier=command.get("client_id", ""),
            keepalive=command.get("keep_alive", 60),
            max_inflight_messages=IN_FLIGHT,
            max_queued_outgoing_messages=0,
            **arguments,
        )
        self.client.pending_calls_threshold = IN_FLIGHT
        self.stop = asyncio.Event()
        self.connection = asyncio.create_task(self.stay(command.get("reconnect", False)))

    async def stay(self, reconnects):
        """Connects, and connects again as the library's manual shows."""
        while True:
            code = None
            try:
                async with self.client:
                    emit("connack", code=0, session_present=None, properties={})
                    self.is_connected.set()
                    stop = asyncio.create_task(self.stop.wait())
                    messages = asyncio.create_task(self.receive())
                    await asyncio.wait([stop, messages], return_when=asyncio.FIRST_COMPLETED)
                    if messages.done():
                        stop.cancel()
                        messages.result()
                    messages.cancel()
                code = 0
            except MqttConnectError as error:
                code = getattr(error.rc, "value", error.rc)
                emit("connack", code=code, session_present=None, properties={})
            except aiomqtt.MqttError as error:
                cause = error.__cause__
                reason = getattr(cause, "rc", None)
                code = getattr(reason, "value", None)
            self.is_connected.clear()
            emit("closed", code=code)
            if not reconnects or self.stop.is_set():
                return
            await asyncio.sleep(PAUSE)

    async def receive(self):
        async for message in self.client.messages:
            emit(
                "message",
                topic=message.topic.value,
                qos=message.qos,
                retain=message.retain,
                dup=None,
                properties=described(message.properties),
                **described_payload(message.payload),
            )

    async def subscribe(self, command):
        filters, more = subscriptions(command, self.five)
        codes = await self.client.subscribe(filters, **more)
        emit("suback", codes=[getattr(code, "value", code) for code in codes])

    async def unsubscribe(self, command):
        await self.client.unsubscribe(command["filters"])
        emit("unsuback", codes=[])

    async def publish(self, command):
        more = properties(PacketTypes.PUBLISH, command.get("properties")) if self.five else None
        try:
            await self.client.publish(
                command["topic"], payload_of(command), command.get("qos", 0), command.get("retain", False), more
            )
        except aiomqtt.MqttError:
            # What became of it is not known; the end of the connection is told.
            return
        emit("published", code=0)

    async def publish_many(self, command):
        room = asyncio.Semaphore(IN_FLIGHT)

        async def one(number):
            async with room:
                while True:
                    await self.is_connected.wait()
                    try:
                        await self.client.publish(command["topic"], str(number), command.get("qos", 0))
                        return
                    except aiomqtt.MqttError:
                        await asyncio.sleep(PAUSE)

        await asyncio.gather(*(one(number) for number in range(command["count"])))
        emit("published_all", count=command["count"])

    async def disconnect(self, command):
        self.stop.set()


async def main():
    driver = Driver()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        act = getattr(driver, command["do"])(command)
        # A publish may outlast its connection; the next command must not wait for it.
        running = asyncio.create_task(act)
        if command["do"] == "connect":
            await running


asyncio.run(main())
