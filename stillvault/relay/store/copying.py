"""A consistent copy of a database that is in use, and whether a database's pages are whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import apsw

from stillvault.relay.store import bearers
from stillvault.relay.store.connection import Connection, distrust, open_reader

Damaged = apsw.Error  # what reading a damaged file raises
PAGES = 256  # copied between two looks at `stop`


class Stopped(Exception):
    """The copy was ended before it was whole."""


def copy(source: Path, target: Path, stop: Callable[[], bool]) -> None:
    """SQLite's online backup: the writer goes on meanwhile. No bearer goes with it, also not in freed pages (B1).

    The whole copy reads one snapshot: without that, each commit of the relay would make it begin again. Raises `Stopped`.
    """
    reading, writing = open_reader(source), apsw.Connection(str(target))
    try:
        distrust(writing)
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        with writing.backup("main", reading, "main") as copying:
            while not copying.done:
                if stop():
                    raise Stopped
                copying.step(PAGES)
        bearers.clear(writing)
        writing.execute("VACUUM")
    finally:
        reading.close()
        writing.close()


def whole(connection: Connection) -> bool:
    """integrity_check: finds torn pages and broken indexes. What signatures and the log cover is looked at elsewhere."""
    found: str = connection.execute("PRAGMA integrity_check").get
    return found == "ok"
