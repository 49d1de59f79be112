"""How everything here is measured: interleaved, so that whatever else the machine does meets both sides alike; medians and the
spread between the 10th and the 90th percentile; ratios against a floor of the same run. Best pinned, one side a core.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

CORES = sorted(os.sched_getaffinity(0))
FIRST, LAST = CORES[0], CORES[-1]  # the two sides of a test of two processes


@dataclass
class Verdict:
    """One budget of docs/performance.md, as it was met."""

    row: str
    ratio: float
    budget: float
    stretch: float
    least: bool = False  # the ratio must not be below the budget, rather than not above it

    @property
    def word(self) -> str:
        def holds(bound: float) -> bool:
            return self.ratio >= bound if self.least else self.ratio <= bound

        return "stretch" if holds(self.stretch) else "met" if holds(self.budget) else "MISSED"

    def __str__(self) -> str:
        sign = ">=" if self.least else "<="
        return f"{self.row:58}{self.ratio:8.2f}   {sign} {self.budget:<5g} (stretch {self.stretch:g})   {self.word}"


@dataclass
class Report:
    """Prints as it goes, and keeps the verdicts for the end."""

    verdicts: list[Verdict] = field(default_factory=list)

    def head(self, text: str) -> None:
        print(f"\n{text}", flush=True)

    def line(self, name: str, unit: str, found: Sequence[float], note: str = "") -> None:
        low, median, high = spread(found)
        print(f"    {name:52}{median:11.2f} {unit:6}  p10 {low:9.2f}  p90 {high:9.2f}  {note}".rstrip(), flush=True)

    def say(self, text: str) -> None:
        print(f"    {text}", flush=True)

    def judge(self, row: str, ratio: float, budget: float, stretch: float, *, least: bool = False) -> None:
        verdict = Verdict(row, ratio, budget, stretch, least)
        self.verdicts.append(verdict)
        print(f"  = {verdict}", flush=True)


def spread(found: Sequence[float]) -> tuple[float, float, float]:
    """10th percentile, median, 90th percentile."""
    if len(found) < 2:
        return found[0], found[0], found[0]
    low, *_, high = statistics.quantiles(found, n=10, method="inclusive")
    return low, statistics.median(found), high


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Median over median."""
    return statistics.median(one) / statistics.median(other)


def interleaved(jobs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Each job once a round; a job returns its own figure. One round ahead warms up and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for job in jobs.values():
        job()
    for _ in range(rounds):
        for name, job in jobs.items():
            times[name].append(job())
    return times


def rotated(names: Iterable[str], turn: int) -> list[str]:
    """In another order each turn, so that nobody is always the first after a pause."""
    order = list(names)
    at = turn % len(order)
    return order[at:] + order[:at]


def each(job: Callable[[], object], unit: float = 1e9) -> Callable[[], float]:
    """Times one call: nanoseconds, or what `unit` says (1e6 is microseconds)."""

    def timed() -> float:
        began = time.perf_counter_ns()
        job()
        return (time.perf_counter_ns() - began) * unit / 1e9

    return timed


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Keeps this thread and what it starts meanwhile on one core."""
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, CORES)


def _spin(seconds: float) -> int:
    end, count = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        count += 1
    return count


def two_cores(rounds: int = 7, seconds: float = 0.15) -> list[float]:
    """How much more two processes get done than one, in as much time: 2.0 where there are two whole cores, and they are idle."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        gains = []
        for _ in range(rounds):
            alone = pool.apply(_spin, (seconds,))
            gains.append(sum(pool.map(_spin, [seconds, seconds], chunksize=1)) / alone)
        return gains


def steal() -> tuple[int, int]:
    """Clock ticks that a hypervisor gave to others, and all ticks, since boot."""
    with open("/proc/stat") as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    return ticks[7], sum(ticks)


def processor_seconds(pid: int) -> float:
    """User and system time of a process and its threads."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
