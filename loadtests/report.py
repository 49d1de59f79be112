"""The result as one page: figures, percentiles of each open loop, releases a second, the relay's memory. Nothing is fetched."""

from __future__ import annotations

import html
from collections.abc import Sequence

from loadtests.check import figures, judged, least_ms, warnings
from loadtests.histogram import Histogram
from loadtests.running import Loop, Result

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 220, 60, 24
PERCENTS = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100)
COLOURS = ("#1f5fa8", "#b4561d", "#2c7a4b", "#7a3b8f")
HEAD = ("", "releases/s", "lost", "failed", "processor ms", "p50 ms", "p95 ms", "p99 ms", "longest ms")
Line = tuple[str, Sequence[tuple[float, float]]]
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:720px;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #d8dde3}
td.n{text-align:right;font-variant-numeric:tabular-nums}svg{width:100%;height:auto}.missed{color:#a4262c;font-weight:600}"""


def plot(title: str, across: str, lines: Sequence[Line]) -> str:
    """Lines over a common scale that begins at zero."""
    points = [point for _, line in lines for point in line]
    if not points:
        return ""
    low, high, top = min(x for x, _ in points), max(x for x, _ in points), max(max(y for _, y in points), 1e-9)
    wide, tall = WIDTH - LEFT - 10, HEIGHT - BOTTOM - 24

    def at(x: float, y: float) -> str:
        return f"{LEFT + wide * (x - low) / max(high - low, 1e-9):.1f},{24 + tall * (1 - y / top):.1f}"

    drawn = [f'<text x="0" y="12" font-size="13">{html.escape(title)}</text>']
    for part in (0, 0.5, 1):
        _, y = at(low, top * part).split(",")
        drawn.append(f'<path d="M{LEFT} {y}H{WIDTH - 10}" stroke="#d8dde3"/><text x="{LEFT - 6}" y="{float(y) + 4}" '
                     f'text-anchor="end" font-size="11">{top * part:.4g}</text>')
    for x in (low, (low + high) / 2, high):
        drawn.append(f'<text x="{at(x, 0).split(",")[0]}" y="{HEIGHT - 8}" text-anchor="middle" font-size="11">{x:.4g}</text>')
    drawn.append(f'<text x="{WIDTH - 10}" y="12" text-anchor="end" font-size="11">{html.escape(across)}</text>')
    for number, (name, line) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        points_of = " ".join(at(x, y) for x, y in line)
        drawn.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{points_of}"/>'
                     f'<text x="{LEFT + 8 + 150 * number}" y="{HEIGHT - BOTTOM - 4}" font-size="11" fill="{colour}">'
                     f"{html.escape(name)}</text>")
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">{"".join(drawn)}</svg>'


def rows(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    def cells(line: Sequence[str]) -> str:
        return f"<td>{html.escape(line[0])}</td>" + "".join(f'<td class="n">{html.escape(one)}</td>' for one in line[1:])

    titles = "".join(f"<th>{html.escape(one)}</th>" for one in head)
    return f"<table><tr>{titles}</tr>{''.join(f'<tr>{cells(line)}</tr>' for line in body)}</table>"


def loop_row(loop: Loop) -> list[str]:
    """A closed loop has no times: a dash stands there."""
    times = Histogram(loop.times)
    shown = [f"{times.percentile(percent):.1f}" if times.count else "-" for percent in (50, 95, 99, 100)]
    processor = f"{loop.processor * 1000 / loop.releases:.2f}" if loop.processor is not None and loop.releases else "-"
    return [loop.name, f"{loop.rate:.1f}", f"{loop.offered - loop.completed}", f"{loop.failures}", processor, *shown]


def page(result: Result) -> str:
    """The whole page."""
    verdicts = "".join(f'<li class="{"met" if one.met else "missed"}">{html.escape(str(one))}</li>' for one in judged(result))
    opened = result.loops[1:]
    tails: list[Line] = [(loop.name, [(percent, Histogram(loop.times).percentile(percent)) for percent in PERCENTS])
                         for loop in opened if loop.times]
    pace: list[Line] = [(loop.name, [(float(second), float(count)) for second, count in loop.finished.items()])
                        for loop in result.loops]
    memory: list[Line] = [(loop.name, [(one.at, one.memory / 1e6) for one in loop.samples])
                          for loop in result.loops if loop.samples]
    floor = result.floors[0]
    doubts = "".join(f"<p>{html.escape(one)}</p>" for one in warnings(result))
    name = html.escape(result.scenario)
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Load: {name}</title><style>{STYLE}</style>
<h1>{name}</h1>
<p>{html.escape(result.when)}, against {html.escape(result.target)}; {result.cores} cores, load {result.load} before it began.
A POST that does nothing takes {floor.post_ms:.2f} ms here and {floor.post_processor_ms:.3f} ms of the processor, an fdatasync
{floor.sync_ms:.2f} ms; so a release takes {least_ms(result):.1f} ms at least.</p>{doubts}<ul>{verdicts}</ul>
<h2>Loops</h2>{rows(HEAD, [loop_row(loop) for loop in result.loops])}
<p>Times run from the instant at which a release was meant to begin. The closed loop has none: who asks only after an answer
does not see what a stall costs.</p>
{plot("Milliseconds by percentile, open loops", "percent of releases", tails)}{plot("Releases by second", "seconds", pace)}
{plot("Memory of the relay, MB", "seconds", memory)}
<h2>Ratios</h2>{rows(("", ""), [(name, f"{value:.3g}") for name, value in figures(result).items()])}</html>
"""
