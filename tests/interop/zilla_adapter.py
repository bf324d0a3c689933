"""What takes the place of some functions of mosq_test.py, the library of mosquitto's tests.

They compare the bytes of each packet. Here packets are compared by what they mean, since servers may
differ in what the specifications leave to them:

- what CONNACK announces of the server's own limits;
- Reason Strings, and that nobody subscribes (0x10), which a log cannot know;
- what comes first, an acknowledgement or a message that is delivered: the one is Kafka's answer, the
  other a record that is read;
- whether a reason (CONNACK, DISCONNECT) comes before the connection is closed, and by which of 0x81,
  0x82 and 0x90 a packet is refused that cannot be, which tests/wire and docs/conformance.md say;
- MQTT 3.1, which is asked for as 3.1.1.
"""

import socket
import struct
import subprocess
import time
import weakref

import mosq_test

__all__ = ["do_send_receive", "expect_packet", "gen_connect", "receive_unordered", "start_broker"]

# How long a server may take to start: theirs is two seconds, which a busy machine passes.
PATIENCE = 30

plain_connect = mosq_test.gen_connect

CONNACK, PUBLISH, PUBACK, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT = 2, 3, 4, 7, 9, 11, 14
ACKNOWLEDGEMENTS = range(PUBACK, PUBCOMP + 1)

# Session Expiry Interval, Receive Maximum, Topic Alias Maximum and Maximum Packet Size.
OWN_LIMITS = {0x11, 0x21, 0x22, 0x27}
REASON_STRING = 0x1F
NO_MATCHING_SUBSCRIBERS = 0x10
CANNOT_BE = {0x81, 0x82, 0x90}

# Deliveries that came where an acknowledgement was expected, and the other way round.
early = weakref.WeakKeyDictionary()
is_5_0 = False


def receive(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            break
        data += more
    return data


def variable(data, at=0):
    """A Variable Byte Integer, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        shift += 7
        at += 1
        if byte < 128:
            return value, at


def read_packet(sock):
    """The next packet, or nothing where the connection has ended."""
    data = receive(sock, 2)
    if len(data) < 2:
        return b""
    while data[-1] >= 128:
        data += receive(sock, 1)
    length, _ = variable(data, 1)
    return data + receive(sock, length)


def packets(data):
    while data:
        length, begin = variable(data, 1)
        yield data[: begin + length]
        data = data[begin + length :]


def properties(data):
    """The properties, in whatever order, and what comes behind them."""
    length, at = variable(data)
    end, found = at + length, []
    sizes = {1: 1, 0x17: 1, 0x19: 1, 0x24: 1, 0x25: 1, 0x28: 1, 0x29: 1, 0x2A: 1}
    sizes |= {0x13: 2, 0x21: 2, 0x22: 2, 0x23: 2, 2: 4, 0x11: 4, 0x18: 4, 0x27: 4}
    while at < end:
        name, at = data[at], at + 1
        if name == 0x0B:
            size = variable(data, at)[1] - at
        elif name == 0x26:
            key = struct.unpack_from("!H", data, at)[0]
            size = key + 4 + struct.unpack_from("!H", data, at + key + 2)[0]
        else:
            size = sizes.get(name) or 2 + struct.unpack_from("!H", data, at)[0]
        found.append((name, bytes(data[at : at + size])))
        at += size
    return sorted(found), bytes(data[end:])


def meaning(packet):
    """What is compared of a packet."""
    if not packet:
        return None
    kind = packet[0] >> 4
    _, begin = variable(packet, 1)
    body = packet[begin:]
    if kind == CONNACK:
        announced = properties(body[2:])[0] if len(body) > 2 else []
        asked_for = [one for one in announced if one[0] not in OWN_LIMITS | {REASON_STRING}]
        return (kind, body[0], body[1], asked_for)
    if kind in ACKNOWLEDGEMENTS:
        reason = body[2] if len(body) > 2 else 0
        return (kind, packet[0], body[:2], 0 if reason == NO_MATCHING_SUBSCRIBERS else reason)
    if kind in (SUBACK, UNSUBACK) and is_5_0:
        return (kind, body[:2], properties(body[2:])[1])
    if kind == DISCONNECT:
        reason = body[0] if body else 0
        return (kind, 0x81 if reason in CANNOT_BE else reason)
    if kind == PUBLISH and is_5_0:
        topic = 2 + struct.unpack_from("!H", body)[0]
        begin = topic + (2 if packet[0] & 6 else 0)
        return (kind, packet[0], body[:begin], *properties(body[begin:]))
    return (kind, packet)


def is_refusal(packet):
    """A reason that comes before the end."""
    seen = meaning(packet)
    return seen and (seen[0] == CONNACK and seen[2] != 0 or seen[0] == DISCONNECT and seen[1] >= 0x80)


def next_like(sock, expected):
    waiting = early.setdefault(sock, [])
    for packet in waiting:
        if packet[0] >> 4 == expected[0]:
            waiting.remove(packet)
            return packet
    while True:
        packet = read_packet(sock)
        kinds = {packet[0] >> 4 if packet else None, expected[0]}
        if PUBLISH in kinds and len(kinds) == 2 and kinds & set(ACKNOWLEDGEMENTS):
            waiting.append(packet)
        else:
            return packet


def expect_packet(sock, name, expected):
    if not expected:
        packet = read_packet(sock)
        if is_refusal(packet):
            packet = read_packet(sock)
        if packet:
            print(f"FAIL: {name}: the end was expected, and {meaning(packet)} came")
            raise mosq_test.TestError
    for packet in packets(expected):
        wanted = meaning(packet)
        seen = meaning(next_like(sock, wanted))
        if seen != wanted:
            print(f"FAIL: {name}: {wanted} was expected, and {seen} came")
            raise mosq_test.TestError
    return True


def receive_unordered(sock, first, second, name):
    wanted = [meaning(packet) for packet in packets(first + second)]
    waiting = early.pop(sock, [])
    waiting += [read_packet(sock) for _ in wanted[len(waiting) :]]
    seen = [meaning(packet) for packet in waiting]
    if sorted(map(repr, wanted)) != sorted(map(repr, seen)):
        print(f"FAIL: {name}: {wanted} were expected, and {seen} came")
        raise ValueError(name)


def do_send_receive(sock, send_packet, receive_packet, error_string="send receive error"):
    global is_5_0
    if send_packet[:1] == b"\x10":
        _, begin = variable(send_packet, 1)
        is_5_0 = send_packet[begin : begin + 7] == b"\x00\x04MQTT\x05"
    sock.sendall(send_packet)
    expect_packet(sock, error_string, receive_packet)
    return sock


def gen_connect(*arguments, **named):
    if named.get("proto_ver") == 3:
        named["proto_ver"] = 4
    return plain_connect(*arguments, **named)


def start_broker(filename, cmd=None, port=0, use_conf=False, expect_fail=False):
    port = port or 1888
    conf = ["-c", filename.replace(".py", ".conf")] if use_conf else ["-p", str(port)]
    broker = subprocess.Popen(cmd or ["../../src/mosquitto", *conf], stderr=subprocess.PIPE)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and broker.poll() is None:
        try:
            socket.create_connection(("localhost", port)).close()
            return broker
        except ConnectionRefusedError:
            time.sleep(0.05)
    broker.kill()
    if not expect_fail:
        raise OSError(f"the server did not start: {broker.communicate()[1]}")
