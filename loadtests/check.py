"""Holds a result against budgets.toml. Pure.

    python -m loadtests.check DIR/result.json        0 when every budget is met, 1 when one is missed

A release needs six calls of its parties and four commits, whoever serves it; so its least is six POSTs and four syncs, one after
another, as `floors` measured them in this run. The open loops are held against that least; the closed loop, which knows nothing
of times, against the processor's time of a POST.
"""

from __future__ import annotations

import statistics
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from loadtests.histogram import Histogram
from loadtests.running import Loop, Result

CALLS, COMMITS = 6, 4  # request, poll, prompts, decision, outcome, receipt; request, prompted, decision, receipt
GROWTH_SECONDS = 600  # memory's growth is told for so long
SEEN_BY_PID = ("processor", "growth")  # figures that a run has only where the relay is a process of this machine
LATE_MS = 10.0  # a start this late is the load's own doing: the times of its loop are doubtful


@dataclass(frozen=True)
class Verdict:
    """One budget: the figure, its bound, whether it is met."""

    name: str
    found: float
    sign: str
    bound: float
    goal: float | None = None

    @property
    def met(self) -> bool:
        return self._holds(self.bound)

    def _holds(self, bound: float) -> bool:
        return self.found <= bound if self.sign == "<=" else self.found >= bound

    def __str__(self) -> str:
        aim = "" if self.goal is None else f", goal {self.goal:g} {'reached' if self._holds(self.goal) else 'not reached'}"
        return f"{self.name:20}{self.found:10.4g} {self.sign} {self.bound:<8g} {'met' if self.met else 'MISSED'}{aim}"


def least_ms(result: Result) -> float:
    """What a release takes at least on this machine, one call after another: milliseconds, by the medians before and after."""
    post, sync = (statistics.mean(getattr(one, name) for one in result.floors) for name in ("post_ms", "sync_ms"))
    return CALLS * post + COMMITS * sync


def growth_mib(loop: Loop) -> float | None:
    """MiB by which the relay's memory grew in ten minutes, late in a loop: by the medians of its third and its last quarter. None
    where nobody looked."""
    late = loop.samples[len(loop.samples) // 2 :]
    if len(late) < 4:
        return None
    parts = late[: len(late) // 2], late[len(late) // 2 :]
    (began, before), (ended, after) = (
        (statistics.median(one.at for one in part), statistics.median(one.memory for one in part)) for part in parts
    )
    return (after - before) / 2**20 / (ended - began) * GROWTH_SECONDS


def figures(result: Result) -> dict[str, float]:
    """Every figure that a budget may name."""
    post = statistics.mean(one.post_processor_ms for one in result.floors)
    closed, *opened = result.loops
    found = {
        "failed": float(sum(loop.failures for loop in result.loops)),
        "lost": float(sum(loop.offered - loop.completed for loop in opened)),
        "capacity": closed.rate * post / 1000,  # of the POSTs that one core could answer
    }
    if closed.processor is not None and closed.releases:
        found["processor"] = closed.processor * 1000 / closed.releases / post  # POSTs that one release costs
    if opened and (growth := growth_mib(opened[-1])) is not None:
        found["growth"] = growth
    for loop in opened:
        times = Histogram(loop.times)
        for percent in (50, 95, 99):
            if times.count:
                found[f"{loop.name}: p{percent}"] = times.percentile(percent) / least_ms(result)
    if result.hits is not None:
        found["hits"] = statistics.median(result.hits.daemon) / statistics.median(result.hits.echo)
    return found


def verdicts(result: Result, budgets: dict[str, dict[str, dict[str, float]]]) -> list[Verdict]:
    """Those of every scenario, then those of this one. Raises ValueError for a budget whose figure this run does not have."""
    found, made = figures(result), []
    for name, bound in {**budgets["all"], **budgets.get(result.scenario, {})}.items():
        if name not in found and name in SEEN_BY_PID:
            continue  # the relay ran elsewhere
        if name not in found:
            raise ValueError(f"budgets.toml: {name}: this run has no such figure; it has {', '.join(found)}")
        sign, limit = ("<=", bound["at_most"]) if "at_most" in bound else (">=", bound["at_least"])
        made.append(Verdict(name, found[name], sign, limit, bound.get("goal")))
    return made


def warnings(result: Result) -> list[str]:
    """What makes the figures doubtful, whatever they are."""
    said = []
    for loop in result.loops:
        if loop.lag and (late := Histogram(loop.lag).percentile(95)) > LATE_MS:
            said.append(f"{loop.name}: 5 % of the starts came {late:.0f} ms late or later: whatever makes the load is the limit")
        if any(busy > 0.9 for busy in loop.drivers):
            said.append(f"{loop.name}: a process of Locust was busy all the time: it, and not the relay, may be the limit")
        if loop.reasons:
            said.append(f"{loop.name}: {loop.failures} failed, the first: {loop.reasons[0]}")
    return said


def load(path: Path) -> Result:
    return msgspec.json.decode(path.read_bytes(), type=Result)


def judged(result: Result) -> list[Verdict]:
    """By the budgets of this tree."""
    return verdicts(result, tomllib.loads((Path(__file__).parent / "budgets.toml").read_text()))


def main(path: Path) -> int:
    result = load(path)
    found = judged(result)
    print("\n".join([*map(str, found), *warnings(result)]))
    return int(not all(one.met for one in found))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
