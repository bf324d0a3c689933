#!/usr/bin/env python3
"""Stands where mosquitto's tests expect mosquitto: takes its arguments, starts zilla in its place.

ZILLA is the program; ZILLA_INTEROP_KAFKA the Kafka, by default an embedded log.
"""

import os
import re
import subprocess
import sys
import tempfile

CONFIG = """\
name: interop
bindings:
  tcp:
    type: tcp
    kind: server
    options: {host: 127.0.0.1, port: PORT}
    exit: mqtt
  mqtt:
    type: mqtt
    kind: server
    options: {limits: {LIMITS}}
    exit: mapping
  mapping:
    type: mqtt-kafka
    kind: proxy
    options:
      topics: {sessions: RUN-sessions, messages: RUN-messages, retained: RUN-retained}
    exit: cache
  cache: {type: kafka, kind: cache_client, exit: log}
  log: {type: kafka, kind: cache_server, options: {bootstrap: [RUN-messages, RUN-retained]}, exit: kafka}
  kafka: {type: kafka, kind: client, options: {servers: ["KAFKA"]}, exit: kafka_tcp}
  kafka_tcp: {type: tcp, kind: client}
"""


def setting(text, name):
    found = re.search(rf"^{name} (\S+)", text, re.MULTILINE)
    return found and found.group(1)


def start(port, mosquitto_conf=""):
    """Becomes zilla, on this port, as this file of mosquitto's asks for."""
    directory = tempfile.mkdtemp(prefix="zilla-interop-")
    kafka = os.environ.get("ZILLA_INTEROP_KAFKA")
    limits = ["topic-levels: 201"]
    if size := setting(mosquitto_conf, "max_packet_size"):
        limits.append(f"packet-size: {size}")
    # mosquitto's.
    properties = ["-Pzilla.binding.mqtt.topic.alias.maximum=10"]
    for name, ours in [
        ("retain_available", "retain.available"),
        ("max_keepalive", "keep.alive.maximum"),
    ]:
        if value := setting(mosquitto_conf, name):
            properties.append(f"-Pzilla.binding.mqtt.{ours}={value}")
    if qos := setting(mosquitto_conf, "maximum_qos"):
        properties.append(f"-Pzilla.binding.mqtt.kafka.publish.qos.max={qos}")
    text = CONFIG.replace("PORT", str(port)).replace("LIMITS", ", ".join(limits))
    text = text.replace("RUN", f"interop-{os.getpid()}").replace("KAFKA", kafka or "127.0.0.1:9092")
    file = os.path.join(directory, "zilla.yaml")
    with open(file, "w") as out:
        out.write(text)
    zilla = os.environ["ZILLA"]
    arguments = [zilla, "start", "-c", file, *properties]
    if kafka:
        subprocess.run([zilla, "topics", "-c", file, "--create"], check=True, stdout=subprocess.DEVNULL)
    else:
        arguments += ["--kafka", f"embedded:{directory}/kafka"]
    os.execv(zilla, arguments)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    conf = ""
    if "-c" in arguments:
        with open(arguments[arguments.index("-c") + 1]) as file:
            conf = file.read()
    port = arguments[arguments.index("-p") + 1] if "-p" in arguments else None
    start(port or setting(conf, "(?:port|listener)"), conf)
