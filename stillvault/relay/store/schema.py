"""Numbered migrations, and a schema that is exactly ours or refused.

`PRAGMA user_version` is the number of the last migration. A database of a newer program is refused and not touched (B14). At
every start the whole schema is compared with the one that the migrations make: an added trigger, view, table or index is
named, and the relay does not start (B12). So it is before a migration: what somebody added has no part in one.
"""

from __future__ import annotations

from contextlib import closing
from importlib import resources
from pathlib import Path

import apsw

from stillvault.relay.settings import BadSetting
from stillvault.relay.store.connection import BUSY_MS, Connection

APPLICATION_ID = 0x53565231  # "SVR1"
# What ANALYZE makes, exactly so: nothing else passes because of its name.
STATISTICS = {
    "table sqlite_stat1": "CREATE TABLE sqlite_stat1(tbl,idx,stat)",
    "table sqlite_stat4": "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
}


def migrations() -> list[str]:
    """The texts of migrations/NNNN.sql in order; number 1 first."""
    folder = resources.files("stillvault.relay.store") / "migrations"
    return [
        file.read_text(encoding="utf-8") for file in sorted(folder.iterdir(), key=lambda f: f.name) if file.name.endswith(".sql")
    ]


def look(path: Path) -> tuple[int, int]:
    """The version of a database and that of this program. Reads alone: neither the file nor its log changes. 0 for no file.

    Raises:
        BadSetting: the file is newer than this program, is no database, or not a relay's.
    """
    newest = len(migrations())
    if not path.exists():
        return 0, newest
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        with closing(connection):
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            connection.set_busy_timeout(BUSY_MS)
            before = version_of(connection)
            tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
    except apsw.Error as error:
        raise BadSetting(
            str(path), "database", "it is not a readable database", "Restore a backup: stillvault-relay restore."
        ) from error
    if before > newest:
        raise _too_new(str(path), before, newest)
    if before == 0 and tables:
        raise _foreign(str(path))
    return before, newest


def version_of(connection: Connection) -> int:
    number: int = connection.execute("PRAGMA user_version").get
    return number


def migrate(connection: Connection) -> tuple[int, int]:
    """Brings the schema up to date, each migration in one transaction. Returns the version before and after.

    Raises:
        BadSetting: as `look`; or its schema was changed.
    """
    before, newest = look(Path(connection.db_filename("main")))
    if before:
        check(connection)
    for number, text in enumerate(migrations()[before:], before + 1):
        with connection:
            connection.execute(text)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={number}")
    check(connection)
    return before, newest


def check(connection: Connection) -> None:
    """Refuses a schema that differs from what the migrations make up to its version, naming the first object that differs. An
    older database is held against the schema of its own time: it is not damaged, and an upgrade changes it.
    """
    known, version = migrations(), version_of(connection)
    if version > len(known):
        raise _too_new(connection.db_filename("main"), version, len(known))
    if version < 1:
        raise _foreign(connection.db_filename("main"))
    expected_in = apsw.Connection(":memory:")
    for text in known[:version]:
        expected_in.execute(text)
    expected, found = _objects(expected_in), _objects(connection)
    expected_in.close()
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            rule = f"the object {name} is not as the migrations made it"
            raise BadSetting(connection.db_filename("main"), "schema", rule, "Somebody changed the file: restore a backup.")


def _too_new(where: str, version: int, newest: int) -> BadSetting:
    rule = f"version {version} is newer than {newest}, which this program knows"
    return BadSetting(where, "schema", rule, "Run the newer program.")


def _foreign(where: str) -> BadSetting:
    return BadSetting(where, "schema", "this is no database of a relay", "Name another data directory.")


def _objects(connection: Connection) -> dict[str, str]:
    query = "SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema"
    found = {str(name): str(sql) for name, sql in connection.execute(query)}
    return {name: sql for name, sql in found.items() if STATISTICS.get(name) != sql}
