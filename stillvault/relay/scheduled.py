"""The backups that a running relay writes by itself: every so many seconds, the newest few kept, told in the audit log.

The work is done in a thread with connections of its own, so the relay goes on. A stop of the relay ends it early and leaves
nothing behind. What fails is tried again, and said in both logs; it never stops the relay.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
import time
from pathlib import Path

from stillvault.relay import backup
from stillvault.relay.context import Relay
from stillvault.relay.problems import ProblemError
from stillvault.relay.settings import BadSetting, Settings
from stillvault.relay.store import trust
from stillvault.relay.store.transaction import Transaction

ROUND = 1.0  # seconds between two looks at the clock
RETRY = 300  # seconds after a failure, or the interval where that is less
SCRATCH_KEPT = 86_400  # seconds: what a killed backup left in the data directory
OURS = re.compile(r"stillvault-[0-9]{8}T[0-9]{6}Z\.backup(\.age)?")  # nothing else is ever deleted


def folder_of(settings: Settings) -> Path:
    """Where scheduled backups, and those before an upgrade, go."""
    return Path(settings.backup.directory) if settings.backup.directory else settings.directory / "backups"


def make_folder(settings: Settings) -> Path:
    """The folder, made where its parent exists. Raises `BadSetting`."""
    folder = folder_of(settings)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        rule = f"the directory cannot be made ({error.strerror})"
        raise BadSetting(str(folder), "backup.directory", rule, "Make it, for the relay alone.") from None
    return folder


def stamp(now: int) -> str:
    """A time as it stands in a file's name."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))


class Backups:
    """Runs beside the server. `stop` is what a copy under way looks at."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._every = relay.settings.backup.every_seconds
        self._tried = 0
        self._stop = threading.Event()

    async def run(self) -> None:
        """Until `stop`."""
        while self._every and not self._stop.is_set():
            now = self._relay.clock()
            if self._due(now):
                self._tried = now
                await self._one(now)
            await asyncio.sleep(ROUND)

    def stop(self) -> None:
        self._stop.set()

    def _due(self, now: int) -> bool:
        """A clock that went back must not put the next one off."""
        last = int(trust.fact(self._relay.reader, backup.LAST) or 0)
        waited = now - last >= self._every or last > now
        return waited and (abs(now - self._tried) >= min(RETRY, self._every))

    async def _one(self, now: int) -> None:
        try:
            name = await asyncio.to_thread(self._write, now)
        except BadSetting as error:
            if not self._stop.is_set():
                self._relay.journal.warning("backup", place=error.where, rule=error.rule, fix=error.fix)
                await self._tell(now, f"backup failed: {error.rule}", done=False)
        except Exception as error:  # noqa: BLE001  a round that failed must not be the last one
            self._relay.journal.failure("backup", error)
            await self._tell(now, "backup failed", done=False)
        else:
            self._relay.journal.info("backup", file=name)
            await self._tell(now, f"backup written: {name}", done=True)

    def _write(self, now: int) -> str:
        """In the thread. The name of the file."""
        settings = self._relay.settings
        folder = make_folder(settings)
        _clear_scratch(settings.directory, now)
        target = folder / f"stillvault-{stamp(now)}.backup{'.age' if settings.backup.recipients else ''}"
        backup.backup(settings, target, now, settings.backup.recipients, self._stop.is_set)
        for one in sorted((one for one in folder.iterdir() if OURS.fullmatch(one.name)), reverse=True)[settings.backup.keep :]:
            one.unlink()
        return target.name

    async def _tell(self, now: int, outcome: str, *, done: bool) -> None:
        def change(tx: Transaction) -> None:
            if done:
                trust.set_fact(tx.connection, backup.LAST, str(now))
            tx.leaf("config", "relay", now, outcome=outcome)

        try:
            await self._relay.writer.write(change, essential=True)
        except ProblemError as error:
            self._relay.journal.warning("backup", code=error.code)


def _clear_scratch(directory: Path, now: int) -> None:
    """Removes what a killed backup left beside the database."""
    for one in directory.glob(".backup-*"):
        if one.is_dir() and now - one.stat().st_mtime > SCRATCH_KEPT:
            shutil.rmtree(one, ignore_errors=True)
