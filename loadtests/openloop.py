"""Arrivals that nobody's answer holds back, timed from when they were meant to begin.

A closed loop asks again when it was answered: while a server stalls, nobody asks, and the stall is counted once. Here starts
are drawn beforehand (arrivals.py), and a time runs from the start that was drawn, whether or not somebody was free to begin
then. `python -m loadtests.selftest` shows the difference against a server that
stalls.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import gevent
from gevent.pool import Pool

from loadtests.arrivals import Plan
from loadtests.histogram import Histogram


@dataclass
class OpenLoop:
    """Carries out `work` at each start of a plan. `failed` are the reasons of those that raised."""

    work: Callable[[], None]
    times: Histogram = field(default_factory=Histogram)
    lag: Histogram = field(default_factory=Histogram)  # of this program itself: how late it came to a start
    offered: int = 0
    completed: int = 0
    failed: list[str] = field(default_factory=list)
    ended: bool = False

    def run(self, plan: Plan, began: float, drain: float) -> None:
        """Until the plan is done, then at most `drain` seconds for those under way. `began` is on time.monotonic's clock."""
        pool = Pool()
        for start in plan.starts():
            intended = began + start
            gevent.sleep(max(intended - time.monotonic(), 0))
            self.lag.record(max(time.monotonic() - intended, 0))
            self.offered += 1
            pool.spawn(self._one, intended)
        pool.join(timeout=drain)
        pool.kill()
        self.ended = True

    def _one(self, intended: float) -> None:
        try:
            self.work()
        except Exception as error:  # noqa: BLE001  each is counted and shown, whatever it was
            self.failed.append(f"{type(error).__name__}: {error}")
        else:
            self.completed += 1
            self.times.record(time.monotonic() - intended)
