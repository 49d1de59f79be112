"""A histogram of microseconds: 128 steps to each doubling, so that a percentile is at most 0.8 % above the truth. Pure.

Locust keeps rounded milliseconds and no tail; this keeps every time, merges across processes, and stands in the result as
pairs of (microseconds, count).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate

STEPS = 7  # bits: 128 steps to each doubling


class Histogram:
    """Counts by step. A step is named by its upper edge in microseconds."""

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self._counts: Counter[int] = Counter()
        for edge, count in pairs:
            self._counts[edge] += count

    def record(self, seconds: float) -> None:
        """One time. Below zero is a fault of the caller: ValueError."""
        if seconds < 0:
            raise ValueError("a time is not below zero")
        self._counts[_edge(round(seconds * 1e6))] += 1

    def merge(self, other: Histogram) -> None:
        self._counts.update(other._counts)

    @property
    def count(self) -> int:
        return self._counts.total()

    def pairs(self) -> list[tuple[int, int]]:
        """(upper edge in microseconds, count), rising."""
        return sorted(self._counts.items())

    def percentile(self, percent: float) -> float:
        """Milliseconds that at least `percent` of the times do not exceed. ValueError when it is empty."""
        if not self._counts:
            raise ValueError("nothing was recorded")
        pairs = self.pairs()
        at = bisect_left(list(accumulate(count for _, count in pairs)), self.count * percent / 100)
        return pairs[at][0] / 1000


def _edge(microseconds: int) -> int:
    """The upper edge of the step that a time falls into."""
    shift = max(microseconds.bit_length() - STEPS - 1, 0)
    return (((microseconds - 1 >> shift) + 1) << shift) if microseconds else 0
