"""Which agent a caller is: the entries of `identities.toml`, held against what the kernel says.

1. Every condition of an entry must hold for one and the same process: the caller or any of its ancestors (`lineage`).
2. The first entry of the file that holds anywhere is the caller's. A later one of another client that holds too must be less
   specific (its conditions a part of the first one's); otherwise the file does not say which was meant, and the call is refused.
3. A program whose digest is not the one that the file gives, or whose file was replaced while it runs, is refused where all else
   holds: an agent must not get what others may ask for by having been updated.
4. A caller that no entry names asks as the host. Nothing that it sends changes any of this.

The file is read again when it changes; one that cannot be used leaves the last good one in force, and `whoami` says so.

What this cannot tell: a process that left all its ancestors behind (two forks and a new session) is no longer known to be theirs.
Where that matters, name the agent by an account, a unit or a container of its own: those are inherited.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from stillvault.client import agentfile
from stillvault.client.agentfile import Entry
from stillvault.client.executable import GONE, FileKey, Hasher, NotHashed
from stillvault.client.peer import Agent
from stillvault.client.process import Process, unknown
from stillvault.crypto.public import b64decode
from stillvault.protocol.errors import Forbidden, Refused, StillvaultError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

log = logging.getLogger("stillvault.daemon")

MAX_LINEAGE = 256  # ancestors looked at; a caller with more is refused
SHORT_LINEAGE = 32  # looked at without leaving the event loop
RETRIES = 4  # of a step whose process exits meanwhile


@dataclass(frozen=True)
class Table:
    """The entries in force, in their order."""

    entries: tuple[Entry, ...] = ()
    generation: int = 0


class Agents:
    """The table, kept new, and the way from a caller to its entry. Safe to use from several threads."""

    def __init__(self, path: Path, *, required: bool) -> None:
        """`required`: the file was named, so it must be there. Raises `Usage` where it cannot be used."""
        self.path = path
        self.refusal: StillvaultError | None = None  # why the file of now is not in force
        self._required = required
        self._lock = threading.Lock()
        self._seen = self._stamp()
        self._table = Table(entries=self._load())

    def table(self) -> Table:
        """The entries in force; reads the file again where it changed."""
        if self._stamp() != self._seen:
            self.reload()
        return self._table

    def reload(self) -> None:
        """Reads the file again. One that cannot be used changes nothing."""
        with self._lock:
            self._seen = self._stamp()
            try:
                entries = self._load()
            except StillvaultError as error:
                log.warning("%s: the identities of before stay in force", error)
                self.refusal = error
                return
            self.refusal = None
            if entries != self._table.entries:
                self._table = Table(entries=entries, generation=self._table.generation + 1)
                log.info("%s: %d identities in force", self.path, len(entries))

    def _load(self) -> tuple[Entry, ...]:
        if not self._required and not os.path.lexists(self.path):
            return ()
        return agentfile.parse(agentfile.read(self.path))

    def _stamp(self) -> tuple[int, ...]:
        try:
            status = os.lstat(self.path)
        except OSError:
            return ()
        return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)

    def generation(self) -> int:
        """Grows with every change of the table."""
        return self.table().generation

    def find(self, process: Process, uid: int, hasher: Hasher, *, wait: bool) -> tuple[Agent | None, Process | None]:
        """The caller's entry, and the process that it names: held, and for the caller to close.

        Raises `Forbidden` where the file does not say which agent it is. With `wait` false, `NotHashed` where that needs waiting.
        """
        entries = self.table().entries
        if not entries:
            return None, None
        met: dict[int, Agent] = {}  # number of an entry to where it holds nearest
        with lineage(process, MAX_LINEAGE if wait else SHORT_LINEAGE) as line:
            if line[-1] is None:
                if not wait:
                    raise NotHashed
                raise unknown(f"it has more than {MAX_LINEAGE} ancestors")
            for step, place in enumerate(line):
                assert place is not None  # noqa: S101  only the last may be
                sight = Sight(place.process, uid, hasher, wait=wait)
                holding = [number for number, entry in enumerate(entries, 1) if sight.holds(entry)]
                if not holding:
                    sight.check_changed(entries)
                for number in holding:
                    met.setdefault(number, sight.agent(entries[number - 1], number, step, place.distance))
            agent = chosen(entries, met)
            if agent is None or agent.task is None:
                return agent, None
            named = line[agent.step]
            assert named is not None  # noqa: S101
            return agent, Process(os.dup(named.process.pidfd))


def chosen(entries: Sequence[Entry], met: dict[int, Agent]) -> Agent | None:
    """Rule 2, for the entries that hold by number. The task is the nearest program that an entry of the same client names."""
    if not met:
        return None
    number = min(met)
    first = entries[number - 1]
    for other in sorted(met):
        entry = entries[other - 1]
        if entry.client != first.client and not entry.conditions < first.conditions:
            raise Forbidden("identity-ambiguous", f"the caller is {first.client} by identity {number} and {entry.client} by "
                            f"identity {other}", "an administrator makes the one that is meant the more specific, and the first")
    named = [one for one in met.values() if one.client == first.client and one.task is not None]
    nearest = min(named, key=lambda one: one.step, default=met[number])
    return replace(nearest, entry=number)


# ---- one process ---------------------------------------------------------------------------------------------------------------


class Sight:
    """What one process of a lineage is. What cannot be seen holds for nothing."""

    def __init__(self, process: Process, uid: int, hasher: Hasher, *, wait: bool) -> None:
        self._process = process
        self._uid = uid
        self._hasher = hasher
        self._wait = wait

    def holds(self, entry: Entry, *, program: bool = True) -> bool:
        """Whether every condition holds; with `program` false, all but the executable and its digest."""
        if entry.uid is not None and (self._uid != entry.uid or self._euid != entry.uid):
            return False
        if (entry.unit and self._place[0] != entry.unit) or (entry.container and self._place[1] != entry.container):
            return False
        if entry.session and not is_file(self._leader, entry.session):
            return False
        if not program:
            return True
        return (not entry.exe or is_file(self._key, entry.exe)) and (not entry.sha256 or self._digest == entry.sha256)

    def check_changed(self, entries: Sequence[Entry]) -> None:
        """Rule 3. Raises `Forbidden`."""
        for entry in entries:
            if not entry.exe or not self.holds(entry, program=False):
                continue
            if is_file(self._key, entry.exe):
                raise Forbidden("identity-changed", f"{entry.exe} is not the program whose digest identities.toml gives for "
                                f"{entry.client}", "an administrator looks at it and writes the new digest")
            if self._link.endswith(GONE) and os.fsdecode(self._link[: -len(GONE)]) in (entry.exe, os.path.realpath(entry.exe)):
                raise Forbidden("identity-changed", f"{entry.exe} was replaced while it runs, so it is not known to be "
                                f"{entry.client} any more", "start the agent again")

    def agent(self, entry: Entry, number: int, step: int, distance: int) -> Agent:
        """The agent that an entry which holds makes of the caller."""
        task = (self._process.pid, self._process.stat().started, self._process.inode) if entry.exe or entry.sha256 else None
        return Agent(client=entry.client, entry=number, exe=entry.exe, task=task, step=step, distance=distance)

    @cached_property
    def _key(self) -> FileKey | None:
        with suppress(Refused):
            return self._process.exe_key()
        return None

    @cached_property
    def _digest(self) -> str:
        with suppress(Refused):
            return b64decode(self._process.executable(self._hasher, wait=self._wait).sha256).hex()
        return ""

    @cached_property
    def _link(self) -> bytes:
        with suppress(Refused):
            return self._process.exe_link()
        return b""

    @cached_property
    def _euid(self) -> int:
        with suppress(Refused):
            return self._process.euid()
        return -1

    @cached_property
    def _place(self) -> tuple[str, str]:
        with suppress(Refused):
            return self._process.place()
        return "", ""

    @cached_property
    def _leader(self) -> FileKey | None:
        leader = leader_of(self._process)
        if leader is None:
            return None
        try:
            return leader.exe_key()
        except Refused:
            return None
        finally:
            leader.close()


def is_file(key: FileKey | None, path: str) -> bool:
    """Whether an executable is the very file that a path leads to here, whatever a caller names, links or mounts."""
    if key is None:
        return False
    try:
        status = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and (status.st_dev, status.st_ino) == (key.device, key.inode)


# ---- the lineage -------------------------------------------------------------------------------------------------------------


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
