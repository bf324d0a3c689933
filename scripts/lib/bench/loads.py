"""The loads, and how each is put on a server."""

import dataclasses
import json
import subprocess
import time

from servers import FLOOR_TOPIC, RELEASE, Failure

# How long a load may take beyond what it measures.
PATIENCE = 180


@dataclasses.dataclass(frozen=True)
class Load:
    """A load, with what is to be reached: CPU per message as a share of mosquitto's, messages a second."""

    name: str
    arguments: tuple
    ratio: float | None = None
    rate: int | None = None


def load(name, *arguments, ratio=None, rate=None):
    return Load(name, arguments, ratio, rate)


THROUGHPUT = (
    load("QoS 0, 50 pairs, window 50", "pairs", "--window", "50", ratio=0.7, rate=100_000),
    load("QoS 1, 50 pairs, window 20", "pairs", "--window", "20", "--qos", "1", ratio=0.6, rate=40_000),
    load("QoS 2, 50 pairs, window 20", "pairs", "--window", "20", "--qos", "2"),
    load("QoS 0, 50 pairs, window 1", "pairs"),
    load("QoS 1, 50 pairs, window 1", "pairs", "--qos", "1"),
    load("QoS 0, 1 pair, window 1", "pairs", "--pairs", "1"),
    load("QoS 1, 1 pair, window 1", "pairs", "--pairs", "1", "--qos", "1"),
    load("fan-out 1 to 1,000, window 1", "fan-out", ratio=0.85),
    load("fan-out 1 to 1,000, window 16", "fan-out", "--window", "16", ratio=0.15),
    load("fan-in 1,000 to 1, window 1", "fan-in", ratio=0.7),
    load("QoS 0, 50 pairs, beside 100,000 subscriptions", "pairs", "--window", "50",
         "--other-subscriptions", "100000"),
    load("1 publisher round 10,000 topics, 100,000 subscriptions", "subscriptions", "--window", "50"),
)
# The same load without and with many subscriptions of others.
ONE, MANY = THROUGHPUT[0].name, THROUGHPUT[10].name

LATENCY = (
    # The rate stands third.
    load("latency at 1,000 msg/s, QoS 0", "rate", "--rate", "1000"),
    load("latency at 10,000 msg/s, QoS 0", "rate", "--rate", "10000"),
    load("latency at 1,000 msg/s, QoS 1", "rate", "--rate", "1000", "--qos", "1"),
    load("latency at 10,000 msg/s, QoS 1", "rate", "--rate", "10000", "--qos", "1"),
)

# A million subscriptions, each load on a server of its own, so that what they take is told apart:
# without wildcards and with them; to as many topics as the memo of a worker has not; to few.
MILLION = ("subscriptions", "--subscriptions", "1000000", "--window", "50")
SUBSCRIPTIONS = (
    load("1,000 clients, 1,000 filters each, each topic published once", *MILLION, "--clients", "1000",
         "--topics", "1000000"),
    load("the same, 1,000 of the topics again and again", *MILLION, "--clients", "1000", "--topics", "1000000",
         "--round", "1000"),
    load("10,000 clients, 100 filters each, 100 clients to a topic", *MILLION, "--clients", "10000",
         "--topics", "10000"),
    load("filters with `+`, 1,000 clients, each topic published once", *MILLION, "--clients", "1000",
         "--topics", "1000000", "--wildcards"),
    load("filters with `+`, 16,000 topics again and again", *MILLION, "--clients", "1000", "--topics", "1000000",
         "--wildcards", "--round", "16000"),
    load("the same, while 10,000 filters with `+` come and go a second", *MILLION, "--clients", "1000",
         "--topics", "1000000", "--wildcards", "--round", "16000", "--churn", "10000"),
)

# Sessions whose clients are away, with a subscription each.
KEPT = load("kept sessions", "kept", "--sessions", "100000", "--version", "5.0", "--qos", "1")

# Messages a second of the plot: up to more than any of them takes.
SWEEP = (1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000)


class Generator:
    """zilla-load."""

    def __init__(self, seconds, warm_up):
        self.times = ("--duration", str(seconds), "--warm-up", str(warm_up))
        self.seconds = seconds + warm_up

    def run(self, *arguments):
        """Runs it to its end and returns what it printed, an object a line."""
        command = [RELEASE / "zilla-load", *arguments, "--json"]
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )
        try:
            out, error = child.communicate(timeout=PATIENCE + 10 * self.seconds)
        finally:
            child.kill()
        if child.returncode != 0:
            raise Failure(f"zilla-load {' '.join(map(str, arguments))}: {error.strip()}")
        return [json.loads(line) for line in out.splitlines()]

    def put(self, load, server):
        """Puts a load on a server."""
        target = ("--address", f"127.0.0.1:{server.port}", "--pid", str(server.process.pid))
        return self.run(*load.arguments, *target, *self.times)[0]

    def floor(self, kafka, rate):
        """The bare loop of librdkafka at each of its settings."""
        target = ("--bootstrap", kafka.address, "--topic", FLOOR_TOPIC, "--rate", str(rate))
        return self.run("floor", *target, *self.times)

    def idle(self, server, clients, between=None):
        """Connects clients, runs `between` while they are connected, and returns the report."""
        command = [
            RELEASE / "zilla-load", "idle", "--hold", "--json", "--clients", str(clients),
            "--address", f"127.0.0.1:{server.port}", "--pid", str(server.process.pid), *self.times,
        ]
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            if child.stdout.readline().strip() != "connected":
                raise Failure(f"zilla-load could not connect {clients} clients to {server.name} (see above)")
            extra = between() if between else {}
            out, _ = child.communicate(timeout=PATIENCE)
        finally:
            child.kill()
        return {**json.loads(out), **extra}


def reload(zilla):
    """Adds a route and returns how long putting it in force took."""
    seen = len(zilla.events())
    zilla.add_route()
    for _ in range(200):
        time.sleep(0.05)
        for line in zilla.events()[seen:]:
            event = json.loads(line) if line.startswith("{") else {}
            fields = event.get("fields", event)
            if fields.get("event") == "config.reload.applied":
                # A client that is dropped is to be seen as such.
                time.sleep(1)
                return {"reload_us": fields["duration_us"]}
            if "reload" in str(fields.get("event")):
                raise Failure(f"the reload was not applied: {line}")
    raise Failure("no reload within 10 s")
