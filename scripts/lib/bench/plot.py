"""Throughput and latency against load, as SVG."""

import math
import statistics

WIDTH, HEIGHT, LEFT, TOP, GAP = 420, 300, 70, 40, 90
COLOURS = {"zilla-kafka": "#1f77b4", "zilla-embedded": "#2ca02c", "mosquitto": "#d62728"}


def ticks(low, high):
    """Powers of ten and their doubles and fivefolds."""
    return [
        factor * 10.0**power
        for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for factor in (1, 2, 5)
        if low * 0.999 <= factor * 10.0**power <= high * 1.001
    ]


def panel(at, title, label, lines):
    """A panel with logarithmic axes; `lines` are (name, colour, dash, points)."""
    points = [point for *_, line in lines for point in line]
    (x0, x1), (y0, y1) = ((min(values), max(values)) for values in zip(*points))
    y0, y1 = y0 / 1.3, y1 * 1.3
    left = LEFT + at * (WIDTH + GAP)

    def place(x, y):
        across = math.log(x / x0) / math.log(x1 / x0)
        up = math.log(y / y0) / math.log(y1 / y0)
        return left + across * WIDTH, TOP + (1 - up) * HEIGHT

    out = [f'<rect x="{left}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#888"/>',
           f'<text x="{left + WIDTH / 2}" y="{TOP - 14}" text-anchor="middle" font-weight="bold">{title}</text>',
           f'<text x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 38}" text-anchor="middle">published, msg/s</text>',
           f'<text transform="translate({left - 52},{TOP + HEIGHT / 2}) rotate(-90)" text-anchor="middle">{label}</text>']
    for value in ticks(x0, x1):
        x, _ = place(value, y0)
        out.append(f'<text x="{x:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{value:,.0f}</text>')
    for value in ticks(y0, y1):
        _, y = place(x0, value)
        out.append(f'<path d="M{left} {y:.1f}h{WIDTH}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:,g}</text>')
    for row, (name, colour, dash, line) in enumerate(lines):
        path = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in line)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
        y = TOP + 18 + 16 * row
        out.append(f'<path d="M{left + 10} {y - 4}h24" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
        out.append(f'<text x="{left + 40}" y="{y}">{name}</text>')
    return out


def svg(sweep, rates):
    """`sweep` is server → rate → runs."""
    throughput, latency = [], []
    for server, by_rate in sweep.items():
        colour = COLOURS.get(server, "#555")

        def line(value):
            return [
                (rate, max(statistics.median(value(run) for run in by_rate[str(rate)]), 0.001))
                for rate in rates
                if by_rate.get(str(rate))
            ]

        throughput.append((server, colour, "0", line(lambda run: run["received_per_second"])))
        latency.append((f"{server} p50", colour, "0", line(lambda run: run["latency_ms"]["p50"])))
        latency.append((f"{server} p99", colour, "5 4", line(lambda run: run["latency_ms"]["p99"])))
    body = panel(0, "Throughput", "received, msg/s", throughput) + panel(1, "Latency", "ms", latency)
    width, height = LEFT + 2 * WIDTH + GAP + 30, TOP + HEIGHT + 60
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>')
    return "\n".join([head, *body, "</svg>", ""])
