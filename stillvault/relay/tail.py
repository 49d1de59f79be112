"""The newest events, read from the store once for everybody who is woken by them, each then given their own.

It is as new as the last wake-up: what is committed after that rings the bells of those whom it concerns, so that nobody who
listens first and reads after misses any. Who comes back from further behind than this reaches is answered from the store.
Belongs to the loop's thread.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from stillvault.protocol.messages import Event
from stillvault.relay.hub import Hub
from stillvault.relay.store import events
from stillvault.relay.store.connection import Connection

KEPT = 1000  # events; twice as many before the older half goes


class Tail:
    """All events behind `_start`, up to `_end`."""

    def __init__(self, reader: Connection, hub: Hub) -> None:
        self._reader, self._hub = reader, hub
        self._turn = -1
        self._start = self._end = 0
        self._ids: list[int] = []
        self._rows: list[tuple[str, Event]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, audiences: Sequence[str], cursor: int, limit: int) -> tuple[list[Event], int]:
        """The next events for any of `audiences`, at most `limit`, in order; and the cursor behind everything that was looked at:
        the last of them where there may be more."""
        self._refresh()
        if cursor < self._start:
            found = events.after(self._reader, audiences, cursor, limit)
        else:
            behind = self._rows[bisect_right(self._ids, cursor) :]
            found = [event for audience, event in behind if audience in audiences][:limit]
        last = found[-1].id if found else cursor
        return found, last if len(found) == limit else max(last, self._end)

    def _refresh(self) -> None:
        if self._turn == self._hub.turns:
            return
        self._turn = self._hub.turns
        rows = events.newest(self._reader, self._end, KEPT)
        if not rows:
            return
        if len(rows) == KEPT:  # there may be older ones between: those are for the store to give
            self._rows, self._ids, self._start = [], [], rows[0][1].id - 1
        elif len(self._rows) + len(rows) > 2 * KEPT:
            self._start = self._ids[-KEPT - 1]
            del self._rows[:-KEPT], self._ids[:-KEPT]
        self._rows += rows
        self._ids += [event.id for _, event in rows]
        self._end = self._ids[-1]
