"""scripts/bench, once everything is built."""

import argparse
import collections
import json
import os
import pathlib
import platform
import resource
import signal
import subprocess
import sys
import time

import loads
import plot
import report
from servers import OUTPUT, RELEASE, WORK, Failure, Kafka, Mosquitto, Zilla, has_embedded_log, remove_work

# Open files of a server beside its clients.
SPARE_FILES = 300


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--only", default="")
    parser.add_argument("--no-plot", action="store_true")
    parser.add_argument("--beside", type=pathlib.Path)
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (1 if options.quick else 3)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < options.clients + SPARE_FILES:
        options.clients = limit - SPARE_FILES
        say(f"a process may have {limit} open files here: {options.clients} idle clients instead of 10,000")
    return options


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        names = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30),
        "kernel": platform.release(),
        "load_average_before": os.getloadavg()[0],
    }


def versions():
    def first_line(*command):
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        return (run.stdout + run.stderr).strip().splitlines()[0]

    return {"zilla": first_line(RELEASE / "zilla", "--version"), "mosquitto": first_line("mosquitto", "-h")}


class Bench:
    """All servers and what was measured."""

    def __init__(self, options):
        self.options = options
        self.generator = loads.Generator(options.seconds, 0.5 if options.quick else 1)
        self.kafka = Kafka()
        self.servers = [Zilla("zilla-kafka", kafka=self.kafka), Mosquitto()]
        if has_embedded_log():
            log = WORK / "embedded"
            self.servers.insert(1, Zilla("zilla-embedded", ("--kafka", f"embedded:{log}")))
        else:
            say("this zilla has no embedded log: left out")
        if options.beside:
            other = [Zilla("other-kafka", kafka=self.kafka, program=options.beside)]
            if has_embedded_log(options.beside):
                log = WORK / "other"
                other.append(Zilla("other-embedded", ("--kafka", f"embedded:{log}"), program=options.beside))
            self.servers[-1:-1] = other
        self.running = []
        lists = collections.defaultdict(list)
        self.results = {
            "machine": machine(), "versions": versions(), "rounds": options.rounds,
            "seconds": options.seconds, "start": lists, "idle": collections.defaultdict(list),
            "loads": collections.defaultdict(lambda: collections.defaultdict(list)),
            "floors": collections.defaultdict(list),
            "subscriptions": collections.defaultdict(lambda: collections.defaultdict(list)),
            "kept": collections.defaultdict(list),
            "sweep": collections.defaultdict(lambda: collections.defaultdict(list)),
        }

    def start(self, server):
        self.running.append(server)
        self.results["start"][server.name].append(server.start())

    def stop(self, server):
        server.stop()
        self.running.remove(server)

    def turns(self, number):
        """The servers, each round beginning with another one."""
        at = number % len(self.servers)
        return self.servers[at:] + self.servers[:at]

    def run(self):
        say("starting Kafka")
        self.running.append(self.kafka)
        self.kafka.start()
        self.warm_kafka()
        for number in range(self.options.rounds):
            say(f"round {number + 1} of {self.options.rounds}: start, idle clients, reload")
            for server in self.turns(number):
                self.rest(server)
            for server in self.servers:
                self.start(server)
            chosen = [load for load in loads.THROUGHPUT + loads.LATENCY if self.options.only in load.name]
            for load in chosen:
                self.load(load, number)
                if load in loads.LATENCY:
                    self.floor(load.arguments[2], number)
            if number == 0 and not self.options.no_plot and not self.options.only:
                self.sweep()
            for server in self.servers:
                self.stop(server)
            self.subscriptions(number)
            self.kept(number)

    def warm_kafka(self):
        """Kafka's own compiler has the first seconds, which are not measured."""
        say("warming Kafka up")
        server = self.servers[0]
        self.running.append(server)
        server.start()
        for load in loads.THROUGHPUT[:1] * (1 if self.options.quick else 3):
            self.generator.put(load, server)
        self.stop(server)

    def rest(self, server):
        """A fresh server and its idle clients."""
        self.start(server)
        between = (lambda: loads.reload(server)) if isinstance(server, Zilla) else None
        if not self.options.only:
            run = self.generator.idle(server, self.options.clients, between)
            self.results["idle"][server.name].append(run)
        self.stop(server)

    def load(self, load, number):
        say(f"  {load.name}")
        for server in self.turns(number):
            run = self.generator.put(load, server)
            self.results["loads"][load.name][server.name].append(run)
            say(f"    {server.name:15} {run['received_per_second']:11,.0f} msg/s {run['server_us']:8.2f} µs/msg"
                f"  missing or wrong {report.wrong([run])}")

    def subscriptions(self, number):
        """A million of them, on a fresh server each: once, or where they are asked for in each round."""
        chosen = [load for load in loads.SUBSCRIPTIONS if self.options.only in load.name]
        if self.options.quick or (number > 0 and not self.options.only):
            return
        for load in chosen:
            say(f"  a million subscriptions: {load.name}")
            for server in self.turns(number):
                self.start(server)
                run = self.generator.put(load, server)
                self.stop(server)
                self.results["subscriptions"][load.name][server.name].append(run)
                costs = run["subscribing"]
                say(f"    {server.name:15} {costs['per_second']:9,.0f} subscriptions/s {costs['server_us']:6.2f} µs"
                    f" {costs['resident']:5.0f} B each {run['received_per_second']:9,.0f} msg/s"
                    f" {run['server_us']:7.2f} µs/msg")

    def kept(self, number):
        """Sessions whose clients are away, on a fresh server, once."""
        if self.options.quick or number > 0 or self.options.only not in loads.KEPT.name:
            return
        say(f"  {loads.KEPT.name}")
        for server in self.servers:
            self.start(server)
            self.results["kept"][server.name].append(self.generator.put(loads.KEPT, server)["keeping"])
            self.stop(server)

    def floor(self, rate, number):
        """The floor of a rate, once a round, beside the first load that has it."""
        floors = self.results["floors"][rate]
        if len(floors) == number:
            say(f"    bare librdkafka at {rate}/s")
            floors.append(self.generator.floor(self.kafka, rate))

    def sweep(self):
        """What the plot shows: one round of it."""
        say("  throughput and latency against load")
        for rate in loads.SWEEP:
            load = loads.load("", "rate", "--rate", str(rate), "--pairs", "20")
            for server in self.servers:
                self.results["sweep"][server.name][str(rate)].append(self.generator.put(load, server))

    def end(self):
        for server in reversed(self.running):
            server.stop()
        remove_work()

    def write(self):
        results = self.results
        results["machine"]["load_average_after"] = os.getloadavg()[0]
        names = [server.name for server in self.servers]
        tables = [
            report.loads_table(loads.THROUGHPUT, results["loads"], names),
            report.latency_table(loads.LATENCY, results["loads"], results["floors"], names),
            report.subscriptions_table(loads.SUBSCRIPTIONS, results["subscriptions"], names),
            report.others_table(results, loads.ONE, loads.MANY, self.options.clients),
        ]
        text = "\n\n".join(report.markdown(table) for table in tables if len(table) > 1)
        OUTPUT.mkdir(parents=True, exist_ok=True)
        (OUTPUT / "results.json").write_text(json.dumps(results, indent=1))
        (OUTPUT / "table.md").write_text(text + "\n")
        summary = report.summary(results, loads.THROUGHPUT, loads.LATENCY)
        (OUTPUT / "summary.md").write_text(summary + "\n")
        written = ["results.json", "table.md", "summary.md"]
        if results["sweep"]:
            (OUTPUT / "load.svg").write_text(plot.svg(results["sweep"], loads.SWEEP))
            written.append("load.svg")
        info = results["machine"]
        print(f"\n{info['cores']} × {info['cpu']}, {info['memory_gib']} GiB, Linux {info['kernel']}; "
              f"load average {info['load_average_before']:.1f} before, {info['load_average_after']:.1f} after; "
              f"{results['rounds']} rounds of {results['seconds']:g} s: median (least–most)\n")
        print(text)
        say(f"written to {OUTPUT}: {', '.join(written)}")


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(143))
    remove_work()
    bench = Bench(options)
    began = time.monotonic()
    try:
        bench.run()
        bench.write()
    except Failure as failure:
        sys.exit(f"error: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        # Once more Ctrl-C must not leave a server behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        bench.end()
    say(f"took {time.monotonic() - began:.0f} s")


main()
