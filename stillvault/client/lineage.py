"""The ancestors of a process, as far up as the kernel knows them, and the leaders of the sessions on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from stillvault.client.process import Process
from stillvault.protocol.errors import Refused

RETRIES = 4  # of a step whose process exits meanwhile


@dataclass(frozen=True)
class Place:
    """A process of a lineage. `distance` counts parents; -1 where it is known by its session alone."""

    process: Process
    distance: int


@contextmanager
def lineage(process: Process, most: int) -> Iterator[list[Place | None]]:
    """The process and its ancestors, nearest first, held as long as the block lasts; ends with None where there are more.

    Whoever was adopted, by init or by a subreaper, has lost its parents, but a session is inherited from its leader alone: there
    it goes on. A parent that cannot be seen is a refusal, never an end.
    """
    line: list[Place | None] = []
    held: list[Process] = []
    met: set[tuple[int, int]] = set()  # pid and start: before Linux 6.9 a pidfd has no inode of its own
    waiting = [Place(process, 0)]  # parents first, then leaders
    try:
        while waiting:
            place = waiting.pop(0)
            name = (place.process.pid, place.process.stat().started)
            if name in met:
                continue
            met.add(name)
            line.append(place if len(line) < most else None)
            if line[-1] is None:
                break
            parent, leader = _above(place.process)
            if leader is not None:
                held.append(leader)
                waiting.append(Place(leader, -1))
            if parent is not None:
                held.append(parent)
                waiting.insert(0, Place(parent, place.distance + 1 if place.distance >= 0 else -1))
        yield line
    finally:
        for one in held:
            one.close()


def _above(process: Process) -> tuple[Process | None, Process | None]:
    """Its parent, and the leader of its session where the parent may have adopted it."""
    for attempt in range(RETRIES):
        seen = process.stat()
        if seen.ppid <= 0:  # the first process, or one that was started from outside of this pid namespace
            break
        follows = seen.session != process.pid
        if seen.ppid == 1 and follows and (leader := leader_of(process)) is not None:
            return None, leader
        parent = None
        try:
            parent = Process.parent_of(process)
            # A parent of another session adopted it, or made that session later: both ways are looked at.
            adopted = follows and parent.stat().session != seen.session
            return parent, leader_of(process) if adopted else None
        except Refused:
            if parent is not None:
                parent.close()
            # The parent exited while we looked, and another one has taken its place; or it cannot be seen at all.
            if attempt == RETRIES - 1:
                raise
    return None, None


def leader_of(process: Process) -> Process | None:
    """The leader of its session, held, if it lives."""
    session = process.stat().session
    if session <= 0:
        return None
    try:
        leader = Process.of_pid(session)
    except Refused:
        return None
    with suppress(Refused):
        # A pid is not given out again while it names a session, so a leader of that number is the one that made it.
        if leader.stat().session == session and process.stat().session == session:
            return leader
    leader.close()
    return None
