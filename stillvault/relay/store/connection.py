"""Opening the database, hardened. apsw brings a current SQLite with it: distribution builds before 3.51.3 have the WAL-reset bug.

Every connection: no trigger runs, no view is read, no trust in the schema's own functions (B12), cells checked as they are read
(B2, B13), deleted content overwritten (B1), no memory map, a size cap on every value. The writer's alone may write, with
synchronous=FULL: a row that was acknowledged survives power loss. Readers are query_only.
"""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from stillvault.relay.settings import BadSetting

Connection = apsw.Connection

LOWEST_SQLITE = (3, 51, 3)
LARGEST_VALUE = 4 * 1024 * 1024  # bytes; the largest body is 2 MiB
BUSY_MS = 5000
CHECKPOINT_PAGES = 2000  # 8 MiB: a log that grows without checkpoint doubles the time of a commit


def database_path(directory: Path) -> Path:
    return directory / "stillvault.db"


def open_writer(path: Path) -> Connection:
    """The connection that may write. Makes the file, mode 0600, when there is none."""
    _check_version()
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        connection = _harden(apsw.Connection(str(path)))
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.FullError) as error:
        rule = f"it cannot be written ({type(error).__name__})"
        raise BadSetting(str(path), "database", rule, "Check its mount, owner, mode and room.") from error
    except apsw.Error as error:
        fix = "Restore a backup: stillvault-relay restore."
        raise BadSetting(str(path), "database", "it is not a readable database", fix) from error
    return connection


def open_reader(path: Path) -> Connection:
    """A connection that cannot write. It makes no file where there is none: `apsw.Error` then, as for a damaged one."""
    _check_version()
    connection = _harden(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE))
    connection.execute("PRAGMA query_only=ON")
    return connection


def distrust(connection: Connection) -> None:
    """Whatever the file's schema holds, none of it acts: it is looked at only later, or never (B12)."""
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    for switch in (apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, apsw.SQLITE_DBCONFIG_ENABLE_VIEW):
        connection.config(switch, 0)


def _harden(connection: Connection) -> Connection:
    connection.set_busy_timeout(BUSY_MS)
    distrust(connection)
    connection.limit(apsw.SQLITE_LIMIT_LENGTH, LARGEST_VALUE)
    for pragma in ("foreign_keys=ON", "cell_size_check=ON", "secure_delete=ON", "mmap_size=0", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _check_version() -> None:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < LOWEST_SQLITE:
        raise BadSetting("apsw", "SQLite", f"{apsw.sqlite_lib_version()} is older than 3.51.3", "Install apsw 3.53 or newer.")
