"""Bringing a database to this program's schema: never without a backup of what stood before, and tried on a copy where asked.

A database of a newer program is refused before it is opened for writing: neither the file nor its log changes (B14). Each
migration is one transaction, so a program that dies in one leaves the database as it was; the next start goes on (R18).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from stillvault.relay import backup
from stillvault.relay.directory import lock, prepare_directory
from stillvault.relay.scheduled import make_folder, stamp
from stillvault.relay.settings import BadSetting, Settings
from stillvault.relay.store import copying, schema
from stillvault.relay.store.connection import Connection, database_path, open_writer
from stillvault.relay.store.space import RESERVE


def open_current(settings: Settings, now: int) -> tuple[Connection, int, int, Path | None]:
    """The writing connection on a database of this program's schema; the versions before and after, and the backup that was
    written in between. Whoever calls holds the directory's lock.

    Raises:
        BadSetting: a newer or foreign database, untouched; no backup could be written, untouched; none where there was one.
    """
    path = database_path(settings.directory)
    before, newest = schema.look(path)
    if not before and (settings.directory / RESERVE).exists():  # which is made after the database
        fix = "Restore a backup into an empty directory: stillvault-relay restore. To begin anew, name an empty directory."
        raise BadSetting(str(path), "data", "a relay worked here, and its database is gone or empty", fix)
    written = _before_upgrade(settings, now, before) if 0 < before < newest else None
    connection = open_writer(path)
    try:
        return connection, *schema.migrate(connection), written
    except BaseException:
        connection.close()
        raise


def _before_upgrade(settings: Settings, now: int, version: int) -> Path:
    """A backup that no schedule deletes. The upgrade does not begin without it."""
    ending = ".backup.age" if settings.backup.recipients else ".backup"
    target = make_folder(settings) / f"before-upgrade-{version}-{stamp(now)}{ending}"
    try:
        backup.backup(settings, target, now, settings.backup.recipients)
    except BadSetting as error:
        rule = f"no backup could be written before the upgrade: {error.rule}"
        raise BadSetting(error.where, error.field, rule, f"Nothing was changed. {error.fix}") from None
    return target


def upgrade(settings: Settings, now: int) -> tuple[int, int, Path | None]:
    """Migrates the database of a relay that does not run. The versions before and after, and the backup."""
    directory = settings.directory
    prepare_directory(directory)
    held = lock(directory)
    try:
        _require_database(settings)
        connection, before, after, written = open_current(settings, now)
        connection.close()
    finally:
        os.close(held)
    return before, after, written


def check(settings: Settings) -> tuple[int, int]:
    """Tries the migrations on a copy, beside a relay that may run; the database itself is only read. The two versions.

    Raises:
        BadSetting: what an upgrade would end with.
    """
    _require_database(settings)
    path = database_path(settings.directory)
    before, newest = schema.look(path)
    with migrated_copy(settings) as connection:
        if not copying.whole(connection):
            raise BadSetting(str(path), "database", "it would be damaged", "Run: stillvault-relay doctor")
    return before, newest


@contextmanager
def migrated_copy(settings: Settings) -> Iterator[Connection]:
    """The database as this program will have it, in a file that is gone afterwards; the database itself is only read.

    Raises:
        BadSetting: no room for a copy; what an upgrade would end with.
    """
    path = database_path(settings.directory)
    backup.require_room(settings)
    try:
        with tempfile.TemporaryDirectory(dir=settings.directory, prefix=".backup-") as scratch:
            copy = Path(scratch) / backup.DATABASE
            copying.copy(path, copy, backup.never)
            with closing(open_writer(copy)) as connection:
                schema.migrate(connection)
                yield connection
    except copying.Damaged as error:
        fix = "Stay with the present program, and run: stillvault-relay doctor"
        raise BadSetting(str(path), "schema", f"a migration fails ({type(error).__name__})", fix) from None


def _require_database(settings: Settings) -> None:
    if not database_path(settings.directory).exists():
        raise BadSetting(str(settings.directory), "data", "there is no database", "Name the data directory of a relay.")
