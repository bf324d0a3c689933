"""The table."""

import statistics


def middle(values):
    return statistics.median(values)


def spread(values, form="{:.2f}"):
    """Median, with least and most where they differ in what is shown."""
    shown = [form.format(value) for value in (middle(values), min(values), max(values))]
    return shown[0] if shown[1] == shown[2] else f"{shown[0]} ({shown[1]}–{shown[2]})"


def of(runs, field):
    return [run[field] for run in runs]


def wrong(runs):
    """Messages that are missing, came twice, or belong to an earlier run."""
    return sum(run["missing"] + run["duplicates"] + run["stale"] for run in runs)


def mark(reached):
    return "yes" if reached else "no"


def ratios(runs, others, field):
    """By round: what was measured after each other is compared with each other."""
    return [run[field] / other[field] for run, other in zip(runs, others)]


def loads_table(loads, results, servers):
    """Throughput and CPU time of all loads on all servers."""
    rows = [["load", "server", "msg/s", "CPU µs/msg", "of mosquitto's", "to reach", "reached",
             "missing or wrong", "p50 / p99 ms", "generator, cores"]]
    for load in loads:
        for server in servers:
            runs = results.get(load.name, {}).get(server)
            if not runs:
                continue
            others = results[load.name].get("mosquitto", [])
            relative = ratios(runs, others, "server_us") if others and server != "mosquitto" else []
            goals, reached = [], []
            if server != "mosquitto":
                if load.ratio is not None:
                    goals.append(f"≤ {load.ratio}")
                    reached.append(middle(relative) <= load.ratio if relative else False)
                if load.rate is not None:
                    goals.append(f"≥ {load.rate:,}/s")
                    reached.append(middle(of(runs, "received_per_second")) >= load.rate)
            rows.append([
                load.name, server, spread(of(runs, "received_per_second"), "{:,.0f}"),
                spread(of(runs, "server_us")), spread(relative) if relative else "",
                ", ".join(goals), mark(all(reached)) if reached else "",
                str(wrong(runs)),
                quantiles(runs), spread(of(runs, "generator_cores"), "{:.1f}"),
            ])
    return rows


def quantiles(runs):
    latencies = [run["latency_ms"] for run in runs if run.get("latency_ms")]
    if not latencies:
        return ""
    return " / ".join(spread(of(latencies, field)) for field in ("p50", "p99"))


def best_floor(outcomes):
    """The best p50 and the best p99 of a round, of whichever settings, with those."""
    latencies = [(one["latency_ms"], one["setting"]) for one in outcomes if one["latency_ms"]]
    p50, p50_setting = min((latency["p50"], setting) for latency, setting in latencies)
    p99, p99_setting = min((latency["p99"], setting) for latency, setting in latencies)
    return {"p50": p50, "p99": p99, "p50_setting": p50_setting, "p99_setting": p99_setting}


def subscriptions_table(loads, results, servers):
    """What a million subscriptions cost, and publishing beside them."""
    rows = [["1,000,000 subscriptions", "server", "subscriptions/s", "CPU µs each", "memory each, B", "msg/s",
             "CPU µs/msg", "missing or wrong"]]
    for load in loads:
        for server in servers:
            runs = results.get(load.name, {}).get(server)
            if not runs:
                continue
            costs = of(runs, "subscribing")
            rows.append([
                load.name, server, spread(of(costs, "per_second"), "{:,.0f}"), spread(of(costs, "server_us")),
                spread(of(costs, "resident"), "{:.0f}"), spread(of(runs, "received_per_second"), "{:,.0f}"),
                spread(of(runs, "server_us")), str(wrong(runs)),
            ])
    return rows


def latency_table(loads, results, floors, servers):
    """Latency at fixed rates, beside the bare loop of librdkafka."""
    rows = [["load", "server", "p50 ms", "p99 ms", "p50 of the floor's", "p99 of the floor's", "to reach",
             "reached", "CPU µs/msg", "missing or wrong"]]
    for load in loads:
        rate = int(load.arguments[2])
        best = [best_floor(outcomes) for outcomes in floors.get(str(rate), [])]
        if best and "QoS 0" in load.name:
            settings = ", ".join(sorted({one["p50_setting"] for one in best}))
            rows.append([f"bare librdkafka at {rate:,}/s", f"linger {settings}",
                         spread(of(best, "p50")), spread(of(best, "p99")), "1", "1", "", "", "", ""])
        for server in servers:
            runs = results.get(load.name, {}).get(server)
            if not runs:
                continue
            latencies = of(runs, "latency_ms")
            relative = {field: [] for field in ("p50", "p99")}
            goal, reached = "", ""
            if server == "zilla-kafka" and best:
                relative = {field: ratios(latencies, best, field) for field in relative}
                goal = "≤ 1.3, ≤ 2"
                reached = mark(middle(relative["p50"]) <= 1.3 and middle(relative["p99"]) <= 2)
            if server == "zilla-embedded" and rate == 1000 and "QoS 0" in load.name:
                goal = "p50 ≤ 0.5 ms"
                reached = mark(middle(of(latencies, "p50")) <= 0.5)
            rows.append([
                load.name, server, spread(of(latencies, "p50")), spread(of(latencies, "p99")),
                *(spread(relative[field]) if relative[field] else "" for field in ("p50", "p99")),
                goal, reached, spread(of(runs, "server_us"), "{:.0f}"),
                str(wrong(runs)),
            ])
    return rows


def others_table(results, one, many, clients):
    """What is no load: start, reload, memory; and what many subscriptions cost."""
    rows = [["what", "server", "measured", "to reach", "reached"]]

    def add(what, server, values, form, goal="", reached=None):
        if values:
            shown = "" if reached is None or server == "mosquitto" else mark(reached(middle(values)))
            rows.append([what, server, spread(values, form), "" if server == "mosquitto" else goal, shown])

    for server, starts in results["start"].items():
        add("start to ready", server, [seconds * 1000 for seconds in starts], "{:,.0f} ms", "< 200 ms",
            lambda millis: millis < 200)
    for server, runs in results["idle"].items():
        for field, goal in (("anonymous_per_client", "≤ 3,072 B"), ("resident_per_client", "")):
            add(f"idle client, of {clients:,}: {field.split('_')[0]} memory", server, of(runs, field),
                "{:,.0f} B", goal, (lambda size: size <= 3072) if goal else None)
        reloads = [run for run in runs if "reload_us" in run]
        add(f"reload of a route with {clients:,} clients", server,
            [run["reload_us"] / 1000 for run in reloads], "{:.1f} ms", "< 50 ms", lambda millis: millis < 50)
        add(f"of {clients:,} clients dropped by it", server, of(reloads, "dropped"), "{:.0f}", "0",
            lambda count: count == 0)
    for server, runs in results["kept"].items():
        sessions = f"of {runs[0]['sessions']:,} kept sessions"
        add(f"{sessions}: memory each", server, of(runs, "resident"), "{:,.0f} B")
        add(f"{sessions}: made", server, of(runs, "kept_per_second"), "{:,.0f}/s")
        add(f"{sessions}: resumed", server, of(runs, "resumed_per_second"), "{:,.0f}/s")
        add(f"{sessions}: found again", server, of(runs, "present"), "{:,.0f}", f"{runs[0]['sessions']:,}",
            lambda present: present == runs[0]["sessions"])
    for server in results["loads"].get(many, {}):
        alone = results["loads"].get(one, {}).get(server)
        if alone:
            add("throughput beside 100,000 subscriptions, of that without", server,
                ratios(results["loads"][many][server], alone, "received_per_second"), "{:.2f}", "≥ 0.9",
                lambda ratio: ratio >= 0.9)
    return rows


def markdown(rows):
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in rows]
    rule = "|".join("-" * (width + 2) for width in widths)
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])])


def summary(results, loads, latencies):
    """One line a load, for the README: medians, and the ratio's least and most."""
    ours = {"zilla-kafka": "zilla on Kafka", "zilla-embedded": "zilla, embedded log"}
    ours = {server: title for server, title in ours.items() if server in results["start"]}
    heads = [head for title in ours.values() for head in (title, "CPU ÷ mosquitto's")]
    rows = [["load, payload 64 B", *heads, "mosquitto", "missing or wrong"]]
    for load in loads:
        found = results["loads"].get(load.name)
        if not found:
            continue

        def both(server):
            runs = found[server]
            return f"{middle(of(runs, 'received_per_second')):,.0f}/s, {middle(of(runs, 'server_us')):.1f} µs"

        cells = []
        for server in ours:
            cells += [both(server), spread(ratios(found[server], found["mosquitto"], "server_us"))]
        rows.append([load.name, *cells, both("mosquitto"), str(sum(map(wrong, found.values())))])
    text = markdown(rows)
    rows = [["latency p50 / p99, ms", *ours.values(), "mosquitto", "bare librdkafka"]]
    for load in latencies:
        found = results["loads"].get(load.name)
        if not found:
            continue
        floors = [best_floor(outcomes) for outcomes in results["floors"].get(load.arguments[2], [])]
        cells = [of(found[server], "latency_ms") for server in [*ours, "mosquitto"]] + [floors]
        shown = [f"{middle(of(cell, 'p50')):.2f} / {middle(of(cell, 'p99')):.1f}" if cell else "" for cell in cells]
        rows.append([load.name.removeprefix("latency at "), *shown])
    return f"{text}\n\n{markdown(rows)}" if len(rows) > 1 else text
