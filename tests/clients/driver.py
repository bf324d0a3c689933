"""What the Python drivers share: events out, payloads, and properties as paho-mqtt names them.

The commands and events of all drivers are described in README.md.
"""

import json
import threading

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

NAMES = {
    "payload_format": "PayloadFormatIndicator",
    "message_expiry": "MessageExpiryInterval",
    "content_type": "ContentType",
    "response_topic": "ResponseTopic",
    "correlation_data": "CorrelationData",
    "user": "UserProperty",
    "identifiers": "SubscriptionIdentifier",
    "will_delay": "WillDelayInterval",
    "session_expiry": "SessionExpiryInterval",
    "receive_maximum": "ReceiveMaximum",
    "maximum_packet_size": "MaximumPacketSize",
    "maximum_qos": "MaximumQoS",
    "assigned_client_id": "AssignedClientIdentifier",
    "server_keep_alive": "ServerKeepAlive",
    "reason_string": "ReasonString",
}

# Longer payloads are not printed, but held against the pattern.
LONGEST = 65536

output = threading.Lock()


def emit(event, **fields):
    with output:
        print(json.dumps({"event": event, **fields}), flush=True)


def pattern(size):
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def payload_of(command):
    """The payload of a publish or a will."""
    if "size" in command:
        return pattern(command["size"])
    return bytes.fromhex(command.get("payload", ""))


def described_payload(payload):
    """The payload of a message as its event has it."""
    if len(payload) > LONGEST:
        return {"size": len(payload), "is_pattern": bytes(payload) == pattern(len(payload))}
    return {"payload": bytes(payload).hex()}


def properties(packet, values):
    """Properties of paho-mqtt."""
    result = Properties(packet)
    for name, value in (values or {}).items():
        if name == "correlation_data":
            value = bytes.fromhex(value)
        if name == "user":
            value = [tuple(pair) for pair in value]
        setattr(result, NAMES[name], value)
    return result


def described(values):
    """Properties of paho-mqtt as events have them."""
    result = {}
    for name, word in NAMES.items():
        value = getattr(values, word, None) if values is not None else None
        if value is None:
            continue
        if isinstance(value, bytes):
            value = value.hex()
        result[name] = value
    return result


def subscriptions(command, is_five):
    """The filters of a subscribe as paho-mqtt takes them, and what else it is to be given."""
    filters = []
    for each in command["filters"]:
        if is_five:
            options = SubscribeOptions(
                qos=each.get("qos", 0),
                noLocal=each.get("no_local", False),
                retainAsPublished=each.get("retain_as_published", False),
                retainHandling=each.get("retain_handling", 0),
            )
        else:
            options = each.get("qos", 0)
        filters.append((each["filter"], options))
    more = {}
    if command.get("identifier"):
        more["properties"] = properties(PacketTypes.SUBSCRIBE, {"identifiers": command["identifier"]})
    return filters, more
