"""Counters in memory: calls of one peer in a minute, and refused prompts that become one row of the audit log."""

from __future__ import annotations

import time
from collections import Counter

from stillvault.relay.problems import ProblemError

MOST_PEERS = 10_000


class Rates:
    """At most N events of a kind and peer in each minute. Forgets when the relay starts anew: it only dampens noise."""

    def __init__(self) -> None:
        self._minute = 0
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, kind: str, peer: str, limit: int) -> None:
        """Counts one. Raises `rate-limited` above the limit."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute or len(self._counts) > MOST_PEERS:
            self._minute, self._counts = minute, Counter()
        self._counts[kind, peer] += 1
        if self._counts[kind, peer] > limit:
            raise ProblemError("rate-limited", field=f"limits.{kind}", headers={"retry-after": "60"})


class Suppressed:
    """Prompts that never reached a person, by client. The sweeper writes them as one row with a count (P1)."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, subject: str, limit: str) -> None:
        self._counts[subject, limit] += 1

    def take(self) -> list[tuple[str, str, int]]:
        """(subject, limit, count) of all since the last call."""
        taken = [(subject, limit, count) for (subject, limit), count in sorted(self._counts.items())]
        self._counts.clear()
        return taken
