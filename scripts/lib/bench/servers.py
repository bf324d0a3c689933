"""The servers that are measured: how each is started, and ended."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(os.environ["BENCH_ROOT"])
TARGET = pathlib.Path(os.environ["BENCH_TARGET"])
RELEASE = TARGET / "release"
OUTPUT = TARGET / "bench"
WORK = OUTPUT / "work"
TOPICS = {"mqtt-messages": "delete", "mqtt-retained": "compact", "mqtt-sessions": "compact"}
# The topic of the bare loop of librdkafka, with as many partitions as that of the messages.
FLOOR_TOPIC = "bench-floor"
PARTITIONS = 2


class Failure(Exception):
    """What went wrong, for people."""


def free_port():
    """A port below those that the kernel gives to outgoing connections."""
    for port in range(20000 + os.getpid() % 8000, 32000):
        with contextlib.closing(socket.socket()) as probe:
            # Not one of a connection that has just ended either.
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise Failure("no free port on 127.0.0.1")


def answers(port):
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A program in a session of its own, so that Ctrl-C reaches who ends it."""

    def __init__(self, name, command, **options):
        WORK.mkdir(parents=True, exist_ok=True)
        self.log = WORK / f"{name}.log"
        self.name = name
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=log, start_new_session=True, **options
            )

    @property
    def pid(self):
        return self.child.pid

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        if self.child.stdout:
            self.child.stdout.close()

    def failed(self):
        tail = self.log.read_text(errors="replace").splitlines()[-15:]
        return Failure("\n".join([f"{self.name} did not start:", *tail]))


class Kafka:
    """A broker of scripts/kafka/kafka.sh, with the topics of zilla.yaml.example."""

    def __init__(self):
        self.script = ROOT / "scripts/kafka/kafka.sh"
        self.directory = WORK / "kafka"

    def start(self):
        run = subprocess.run(
            [self.script, "start", self.directory], stdout=subprocess.PIPE, text=True, check=False,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )
        if run.returncode != 0:
            raise Failure("Kafka did not start (see above)")
        self.address = run.stdout.strip()
        for topic, policy in {**TOPICS, FLOOR_TOPIC: "delete"}.items():
            self.create(topic, policy)

    def create(self, topic, policy):
        command = [
            self.script, "cli", "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", self.address,
            "--create", "--if-not-exists", "--topic", topic, "--partitions", str(PARTITIONS),
            "--replication-factor", "1", "--config", f"cleanup.policy={policy}",
            # What was read once is read no more; the disk is not filled.
            "--config", "segment.bytes=67108864", "--config", "retention.bytes=268435456",
        ]
        run = subprocess.run(
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        if run.returncode != 0:
            raise Failure(f"Kafka refused the topic {topic}: {run.stdout}{run.stderr}")

    def stop(self):
        subprocess.run([self.script, "stop", self.directory], check=False, start_new_session=True)


class Mosquitto:
    """mosquitto as Debian has it, without persistence; nothing else differs from its defaults."""

    name = "mosquitto"

    def start(self):
        self.port = free_port()
        WORK.mkdir(parents=True, exist_ok=True)
        config = WORK / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type error\n"
        )
        began = time.monotonic()
        self.process = Process(self.name, ["mosquitto", "-c", str(config)], stdout=subprocess.DEVNULL)
        while not answers(self.port):
            if self.process.child.poll() is not None or time.monotonic() - began > 10:
                raise self.process.failed()
            time.sleep(0.005)
        return time.monotonic() - began

    def stop(self):
        self.process.stop()


class Zilla:
    """zilla on zilla.yaml.example, with another port."""

    def __init__(self, name, arguments=(), kafka=None, program=RELEASE / "zilla"):
        self.name = name
        self.program = program
        self.arguments = arguments
        self.kafka = kafka
        self.config = WORK / f"{name}.yaml"

    def start(self):
        """Starts it and returns how long it took until it said that it is ready, in seconds."""
        self.port = free_port()
        WORK.mkdir(parents=True, exist_ok=True)
        text = (ROOT / "zilla.yaml.example").read_text()
        self.config.write_text(text.replace("7183", str(self.port)))
        address = self.kafka.address if self.kafka else "127.0.0.1:9"
        command = [self.program, "start", "-c", self.config, "--log-format", "json", *self.arguments]
        began = time.monotonic()
        self.process = Process(
            self.name, command, stdout=subprocess.PIPE,
            env={**os.environ, "KAFKA_BOOTSTRAP_SERVER": address},
        )
        for line in self.process.child.stdout:
            if line.strip() == b"zilla: ready":
                return time.monotonic() - began
        raise self.process.failed()

    def add_route(self):
        """Gives the running configuration a further route of messages."""
        lines = self.config.read_text().splitlines(keepends=True)
        route = (
            "    routes:\n      - when:\n          - publish:\n              - topic: bench/reload\n"
            "          - subscribe:\n              - topic: bench/reload\n"
            "        exit: north_kafka_cache_client\n"
        )
        at = next(at for at, line in enumerate(lines) if line.strip() == "kind: proxy")
        changed = self.config.with_suffix(".new")
        changed.write_text("".join([*lines[: at + 1], route, *lines[at + 1 :]]))
        changed.replace(self.config)

    def events(self):
        return self.process.log.read_text(errors="replace").splitlines()

    def stop(self):
        self.process.stop()


def has_embedded_log(program=RELEASE / "zilla"):
    """Whether `zilla start` knows the embedded log."""
    run = subprocess.run(
        [program, "start", "--help"], capture_output=True, text=True, check=False
    )
    return "--kafka" in run.stdout


def remove_work():
    shutil.rmtree(WORK, ignore_errors=True)
