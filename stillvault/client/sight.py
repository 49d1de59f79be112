"""What one process of a lineage is, held against the conditions of an entry of `identities.toml`.

A condition on a program is met, is not met, or was met by the file that the process runs and is not any more: its path leads
elsewhere by now, or its digest is another one. The last is a refusal (`agents`, rule 3): no agent gets what others may ask for
by having its own file renamed, moved or updated.

A path stands for the files that it was seen to lead to since the daemon started: it is looked at when the file of identities is
read, when anybody calls, and by `Files.look` in between. A file is known again by device, inode and size: nobody can change the
size of one that is being executed, and a file that was given the number of one long gone is rarely as large.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import IntEnum
from functools import cached_property

from stillvault.client.agentfile import Entry
from stillvault.client.executable import GONE, FileKey, Hasher
from stillvault.client.lineage import leader_of
from stillvault.client.peer import Agent
from stillvault.client.process import Process
from stillvault.crypto.public import b64decode
from stillvault.protocol.errors import Forbidden, Refused

MAX_FORMER = 64  # files that a path is remembered to have led to

FileId = tuple[int, int, int]  # device, inode, size


class Met(IntEnum):
    """How far a condition is met."""

    NO = 0
    CHANGED = 1
    YES = 2


class Files:
    """The files that paths lead to, and led to before. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._led: dict[str, list[FileId]] = {}

    def look(self, paths: Iterable[str]) -> None:
        """Remembers where these paths lead now."""
        for path in paths:
            self._now(path)

    def match(self, key: FileKey | None, path: str) -> Met:
        """Whether an executable is the very file that a path leads to here, whatever a caller names, links or mounts; or was."""
        if key is None:
            return Met.NO
        ran = (key.device, key.inode, key.size)
        if self._now(path) == ran:
            return Met.YES
        with self._lock:
            return Met.CHANGED if ran in self._led.get(path, ()) else Met.NO

    def _now(self, path: str) -> FileId | None:
        try:
            status = os.stat(path)
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        found = (status.st_dev, status.st_ino, status.st_size)
        with self._lock:
            led = self._led.setdefault(path, [])
            if not led or led[-1] != found:
                if found in led:
                    led.remove(found)
                led.append(found)
                del led[:-MAX_FORMER]
        return found


class Sight:
    """One process. What cannot be seen of it meets nothing."""

    def __init__(self, process: Process, uid: int, hasher: Hasher, files: Files, *, wait: bool) -> None:
        self._process = process
        self._uid = uid
        self._hasher = hasher
        self._files = files
        self._wait = wait

    def holds(self, entry: Entry) -> bool:
        """Whether every condition is met."""
        return self._place_holds(entry) and self._session(entry) is Met.YES and self._program(entry) is Met.YES

    def changed(self, entries: Iterable[Entry]) -> Iterator[tuple[str, Forbidden]]:
        """The agents that the process would be, had its program not been replaced, moved or changed, each with its refusal."""
        for entry in entries:
            if not self._place_holds(entry):
                continue
            session, program = self._session(entry), self._program(entry)
            if Met.NO in (session, program) or session is program is Met.YES:
                continue
            if program is Met.CHANGED and entry.sha256 and self._files.match(self._key, entry.exe) is Met.YES:
                why = f"{entry.exe} is not the program whose digest identities.toml gives for {entry.client}"
                remedy = "an administrator looks at it and writes the new digest"
            else:
                path = entry.exe if program is Met.CHANGED else entry.session
                why = (f"{path} was replaced while it runs, or moved, or runs as a copy, so it is not known to be {entry.client} "
                       "any more")
                remedy = "start the agent again, from the path that the file names"
            yield entry.client, Forbidden("identity-changed", why, remedy)

    def agent(self, entry: Entry, number: int, step: int, distance: int) -> Agent:
        """The agent that an entry which holds makes of the caller."""
        task = (self._process.pid, self._process.stat().started, self._process.inode) if entry.exe or entry.sha256 else None
        return Agent(client=entry.client, entry=number, exe=entry.exe, task=task, step=step, distance=distance)

    # ---- the conditions --------------------------------------------------------------------------------------------------

    def _place_holds(self, entry: Entry) -> bool:
        """Account, unit and container."""
        if entry.uid is not None and (self._uid != entry.uid or self._euid != entry.uid):
            return False
        return (not entry.unit or self._place[0] == entry.unit) and (not entry.container or self._place[1] == entry.container)

    def _session(self, entry: Entry) -> Met:
        """The program of the session's leader."""
        return self._files.match(self._leader, entry.session) if entry.session else Met.YES

    def _program(self, entry: Entry) -> Met:
        """Executable and digest. One of both: it was the program, or it is the program in another place."""
        same = self._runs(entry.exe) if entry.exe else Met.YES
        if not entry.sha256:
            return same
        if self._digest == entry.sha256:
            return Met.YES if same is Met.YES else Met.CHANGED
        return Met.CHANGED if entry.exe and same is not Met.NO else Met.NO

    def _runs(self, path: str) -> Met:
        found = self._files.match(self._key, path)
        if found is Met.NO and self._link.endswith(GONE):
            # A file that nobody looked at while it was there: the kernel says what its name was.
            return Met.CHANGED if os.fsdecode(self._link[: -len(GONE)]) in (path, os.path.realpath(path)) else Met.NO
        return found

    # ---- what the kernel says, once ----------------------------------------------------------------------------------------

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
