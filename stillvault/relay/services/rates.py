"""Counters in memory: calls of one peer in a minute, refused prompts that become one row of the audit log, sessions that were
used."""

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

    def count(self, kind: str, peer: str, limit: int, events: int = 1) -> None:
        """Counts one, or several at once. Raises `rate-limited` above the limit."""
        if self.add(kind, peer, events) > limit:
            raise ProblemError("rate-limited", field=kind if "." in kind else f"limits.{kind}", headers={"retry-after": "60"})


    def add(self, kind: str, peer: str, events: int) -> int:
        """Counts what turned out to be more than it looked, and refuses nothing: the next one is. How many there are by now."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute or len(self._counts) > MOST_PEERS:
            self._minute, self._counts = minute, Counter()
        self._counts[kind, peer] += events
        return self._counts[kind, peer]


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


class Seen:
    """When each session was used last. Written by the sweeper: a call that reads writes nothing to the disk."""

    def __init__(self) -> None:
        self._at: dict[bytes, int] = {}

    def note(self, session: bytes, now: int) -> None:
        self._at[session] = now

    def at(self, session: bytes, stored: int) -> int:
        """`stored` is what the database says."""
        return max(self._at.get(session, 0), stored)

    def take(self) -> dict[bytes, int]:
        """What was noted since the last call."""
        taken, self._at = self._at, {}
        return taken
