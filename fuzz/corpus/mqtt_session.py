#!/usr/bin/env python3
"""Writes the seeds of the fuzz target mqtt_session: connections written out step by step.

    fuzz/corpus/mqtt_session.py

A seed begins with a byte of flags; then each step is a byte that chooses it and the bytes that it
reads, as `act` of fuzz/fuzz_targets/mqtt_session.rs has them. Where `act` changes, so does this.
"""

from pathlib import Path

# Flags: the version, an exit that answers when it is told to, a will, a keep alive of 2 s.
V311, V5, HELD, WILL, KEEP_ALIVE = 0, 1, 2, 4, 8

DUP, QOS1, QOS2, RETAIN = 8, 2, 4, 1
EMPTY, ONE, MEDIUM, LARGE = 0, 1, 4, 5  # payloads: 0, 1, 300 and 8000 bytes
REFUSED = 2  # a payload that the exit refuses
FILTERS = ["t", "#", "+/t", "t#", "$share/g/t", ""]
PUBACK, PUBREC, PUBREL, PUBCOMP = range(4)

flush, read, ping, ready = [16], [19], [12], [23]


def publish(flags=0, id=1, length=ONE, payload=0):
    ids = [id - 1] if flags & (QOS1 | QOS2) else []
    return [0, flags, *ids, length, payload]


def subscribe(*filters, id=1):
    each = [byte for filter, qos in filters for byte in (FILTERS.index(filter), qos)]
    return [5, id - 1, len(filters) - 1, *each]


def unsubscribe(id=1):
    return [7, id - 1]


def acknowledge(packet, version, id=1, fails=False):
    return [8, packet, id - 1] + ([0 if fails else 1] if version & V5 else [])


def disconnect(reason=0):
    """0: without a reason, 1: with the will, 2: 0x00."""
    return [13, reason]


def raw(data):
    return [14, len(data), *data]


def connect(flags):
    return [15, flags]


def some(count):
    """Sends so many bytes."""
    return [18, count - 1]


def answer(count):
    """The exit answers so many requests."""
    return [20, count - 1]


def messages(qos, count, length):
    """Another client's."""
    return [21, qos, count - 1, length >> 8, length & 255]


def wait(milliseconds):
    return [22, (milliseconds - 1) >> 8, (milliseconds - 1) & 255]


def ends():
    """The exit ends the session."""
    return [24, 0]


def seeds(version):
    ack = lambda packet, **how: acknowledge(packet, version, **how)
    yield "qos_0_1_2", version, [
        subscribe(("t", 2)), flush, read,
        publish(), publish(QOS1, 2), publish(QOS2, 3), flush, read,
        ack(PUBREL, id=3), flush, read, flush, read, disconnect(), flush,
    ]
    yield "held_answers", version | HELD, [
        subscribe(("t", 1), ("#", 2), ("+/t", 0)), publish(QOS1, 1), publish(QOS2, 2),
        publish(QOS1 | DUP, 1), publish(QOS2 | DUP, 2), unsubscribe(4), ping, flush,
        answer(1), read, answer(4), read, ack(PUBREL, id=2), flush, answer(4), read,
    ]
    yield "filters_that_are_wrong", version, [
        subscribe(("t#", 0), ("t", 0)), subscribe(("$share/g/t", 1), id=2),
        subscribe(("", 2), id=3), flush, read, unsubscribe(), flush, read,
    ]
    yield "deliveries", version, [
        subscribe(("#", 2)), flush, read, messages(1, 32, 100), read, flush, read,
        messages(2, 8, 0), read, flush, read, flush, read, messages(0, 4, 8000), read,
    ]
    yield "acknowledgements_that_fail", version, [
        subscribe(("#", 2)), flush, messages(2, 6, 1), [17], ack(PUBREC, fails=True),
        ack(PUBREC, id=2), ack(PUBCOMP, id=2), ack(PUBACK, id=3), ack(PUBREL, id=7), flush, read,
    ]
    yield "refused_publishes", version, [
        publish(QOS1, 1, ONE, REFUSED), publish(QOS2, 2, ONE, REFUSED), publish(0, 1, ONE, REFUSED),
        flush, read,
    ]
    yield "large_and_cut", version, [
        publish(QOS1, 1, LARGE), some(1), some(2), some(16), read, flush, publish(QOS2, 2, MEDIUM),
        some(9), flush, publish(RETAIN, 1, EMPTY), flush, read,
    ]
    yield "an_exit_that_is_not_ready", version, [
        ready, publish(QOS1, 1, LARGE), publish(QOS1, 2, LARGE), publish(QOS1, 3, LARGE), flush,
        ping, flush, ready, read, flush, read,
    ]
    yield "does_not_read", version, [
        subscribe(("t", 0)), flush, messages(0, 32, 8000), wait(2000), messages(1, 32, 8000), read,
        flush, read,
    ]
    yield "keep_alive", version | KEEP_ALIVE | WILL, [
        ping, flush, wait(1500), ping, flush, wait(2000), wait(2000), read,
    ]
    yield "takes_the_will_back", version | WILL, [flush, disconnect(2), flush, read]
    yield "leaves_the_will", version | WILL, [flush, disconnect(1), flush, read]
    yield "a_second_connect", version, [publish(QOS1), flush, connect(version), flush, read]
    yield "other_bytes", version, [raw(b"\xc0\x00\x30\x80\x80\x80\x80\x01"), flush, read]
    yield "a_packet_of_servers", version, [raw(b"\xd0\x00"), flush, read]
    yield "the_exit_ends_it", version, [
        subscribe(("t", 1)), publish(QOS1), flush, messages(1, 3, 10), ends(), read,
    ]


folder = Path(__file__).parent / "mqtt_session"
folder.mkdir(exist_ok=True)
for prefix, version in ("v311", V311), ("v5", V5):
    for name, flags, steps in seeds(version):
        (folder / f"{prefix}_{name}").write_bytes(bytes([flags, *sum(steps, [])]))
