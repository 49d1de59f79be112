"""Wakes who waits. It carries no content: the events are rows of the store, read again by cursor, so that a wake-up that gets
lost on a dead connection loses nothing.

A topic is an audience of the event feed (`person/alice`, `client/<key>`, `people`, `all`) or one enrolment (`enrol/<invite>`).
Belongs to the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from stillvault.relay.problems import ProblemError


class Hub:
    """Topics and who listens to them. After `close` everybody is woken, and nobody waits any more."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self._closed = False
        self.turns = 0  # how often anybody was woken

    @property
    def closed(self) -> bool:
        return self._closed

    def listeners(self, kind: str) -> int:
        """How many listen to topics of this kind: the part before the slash."""
        return sum(len(bells) for topic, bells in self._listeners.items() if topic.partition("/")[0] == kind)

    def listening(self, topic: str) -> int:
        """How many listen to this topic."""
        return len(self._listeners.get(topic, ()))

    def wake(self, topics: Iterable[str]) -> None:
        self.turns += 1
        for topic in topics:
            for bell in self._listeners.get(topic, ()):
                bell.set()

    @contextmanager
    def listen(self, topics: Iterable[str]) -> Iterator[asyncio.Event]:
        """A bell that rings for any of `topics`. Listen first, read the store after: nothing falls between."""
        if self._closed:
            raise ProblemError("stopping")
        bell = asyncio.Event()
        names = tuple(topics)
        for topic in names:
            self._listeners.setdefault(topic, set()).add(bell)
        try:
            yield bell
        finally:
            for topic in names:
                listeners = self._listeners[topic]
                listeners.discard(bell)
                if not listeners:
                    del self._listeners[topic]

    async def wait(self, bell: asyncio.Event, seconds: float) -> bool:
        """True when the bell rang within `seconds`. Returns at once when the hub is closed."""
        if self._closed or seconds <= 0:
            return bell.is_set()
        try:
            async with asyncio.timeout(seconds):
                await bell.wait()
        except TimeoutError:
            return False
        return not self._closed

    def close(self) -> None:
        """End every stream and long poll: SIGTERM must not wait for them."""
        self._closed = True
        for listeners in self._listeners.values():
            for bell in listeners:
                bell.set()
