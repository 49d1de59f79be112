"""Rows P1 to P9 of docs/performance.md, each beside its floor or peer in the same run.

    python -m bench [ROW ..]        all rows, or those named: p1 p2 p3 p4 p5 p6 p7 fanout p8 p9 agents

Measures the wheel that `make wheel` built last, in an environment of its own (environment.py). Ends with every budget and whether
it was met; a budget that was missed is no failure of the run. Needs a C compiler for the floors, and nobody else on the machine:
the first lines say how far that holds.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from bench import environment
from bench.measure import CORES, Report, spread, steal, two_cores

ROWS = {"p1": "bench.lookup", "p2": "bench.hits", "p3": "bench.front", "p4": "bench.releases", "p5": "bench.sealing",
        "p6": "bench.acknowledging", "p7": "bench.streaming", "fanout": "bench.fanout", "p8": "bench.starting",
        "p9": "bench.growth", "agents": "bench.running"}


def machine(report: Report) -> None:
    """What this machine gives at the moment."""
    report.head("The machine")
    report.say(f"{len(CORES)} cores, load {', '.join(f'{one:.1f}' for one in os.getloadavg())} (1, 5, 15 minutes)")
    low, median, high = spread(two_cores())
    report.say(f"two processes get x{median:.2f} of the work of one done (p10 {low:.2f}, p90 {high:.2f}): 2.0 is two whole cores")


def main(arguments: list[str]) -> int:
    """Runs the rows that are named, or all."""
    wanted = arguments or list(ROWS)
    if unknown := set(wanted) - set(ROWS):
        print(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}", file=sys.stderr)
        return 2
    if not environment.entered():
        environment.enter(arguments)
    report, began, before = Report(), time.monotonic(), steal()
    machine(report)
    with tempfile.TemporaryDirectory(prefix="sv-bench-") as place:
        os.chdir(place)  # nothing is imported from where this was started
        for row in wanted:
            cast(Callable[[Report], None], import_module(ROWS[row]).run)(report)
        os.chdir(Path("/"))
    machine(report)
    stolen, ticks = (after - earlier for after, earlier in zip(steal(), before, strict=True))
    report.say(f"{100 * stolen / max(ticks, 1):.1f} % of the time went to other guests of this host")
    report.head("Budgets")
    for verdict in report.verdicts:
        print(f"    {verdict}")
    missed = sum(verdict.word == "MISSED" for verdict in report.verdicts)
    print(f"\n{len(report.verdicts) - missed} of {len(report.verdicts)} budgets met, in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
