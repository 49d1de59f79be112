"""Which agent a caller is: the entries of `identities.toml`, held against what the kernel says.

1. Every condition of an entry must hold for one and the same process: the caller or any of its ancestors (`lineage`).
2. The first entry of the file that holds anywhere is the caller's. A later one of another client that holds too must be less
   specific (its conditions a part of the first one's); otherwise the file does not say which was meant, and the call is refused.
3. A program whose digest is not the one that the file gives, or whose file was replaced, moved or renamed while it runs, is
   refused where all else holds: an agent must not get what others may ask for by having been updated (`sight`). Unless the caller
   is that same agent by another process of its line: then nothing is gained or lost by it.
4. A caller that no entry names asks as the host. Nothing that it sends changes any of this.

The file is read again when it changes; one that cannot be used, says nothing or is gone leaves the last good one in force, and
`whoami` says so: a file that is being written must not make hosts of agents.

What this cannot tell: a process that left all its ancestors behind (two forks and a new session), or that became another program
itself, is no longer known to be theirs. Where that matters, name the agent by an account, a unit or a container of its own: those
are inherited.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stillvault.client import agentfile
from stillvault.client.agentfile import Entry
from stillvault.client.executable import Hasher, NotHashed
from stillvault.client.lineage import lineage
from stillvault.client.peer import Agent
from stillvault.client.process import Process, unknown
from stillvault.client.sight import Files, Sight
from stillvault.protocol.errors import Forbidden, StillvaultError

log = logging.getLogger("stillvault.daemon")

MAX_LINEAGE = 256  # ancestors looked at; a caller with more is refused
SHORT_LINEAGE = 32  # looked at without leaving the event loop


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
        self._files = Files()
        self._table = Table()
        self._seen = self._stamp()
        self._table = Table(entries=self._load())
        self.look()

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
                log.warning("%s: the %d identities of before stay in force", error, len(self._table.entries))
                self.refusal = error
                return
            self.refusal = None
            self._files.look(programs(entries))
            if entries != self._table.entries:
                self._table = Table(entries=entries, generation=self._table.generation + 1)
                log.info("%s: %d identities in force", self.path, len(entries))

    def look(self) -> None:
        """Remembers which files the programs of the entries are now; they may be renamed before one of them calls."""
        self._files.look(programs(self._table.entries))

    def _load(self) -> tuple[Entry, ...]:
        if not (self._required or self._seen or self._table.entries):
            return ()  # there is no file, and there was none
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
        lost: list[tuple[str, Forbidden]] = []  # the clients that changed programs would be (rule 3)
        with lineage(process, MAX_LINEAGE if wait else SHORT_LINEAGE) as line:
            if line[-1] is None:
                if not wait:
                    raise NotHashed
                raise unknown(f"it has more than {MAX_LINEAGE} ancestors")
            for step, place in enumerate(line):
                assert place is not None  # noqa: S101  only the last may be
                sight = Sight(place.process, uid, hasher, self._files, wait=wait)
                holding = [number for number, entry in enumerate(entries, 1) if sight.holds(entry)]
                if not holding:
                    lost += sight.changed(entries)
                for number in holding:
                    met.setdefault(number, sight.agent(entries[number - 1], number, step, place.distance))
            agent = chosen(entries, met)
            for client, refusal in lost:
                if agent is None or client != agent.client:
                    raise refusal
            if agent is None or agent.task is None:
                return agent, None
            named = line[agent.step]
            assert named is not None  # noqa: S101  as above
            return agent, Process(os.dup(named.process.pidfd))


def programs(entries: Sequence[Entry]) -> list[str]:
    """The paths that entries name."""
    return sorted({path for entry in entries for path in (entry.exe, entry.session) if path})


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
