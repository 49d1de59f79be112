"""A database that somebody made: what was planted is named and never acts; strange cells are said. B12, B13."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import apsw
import pytest

from stillvault.relay import backup as archive
from stillvault.relay import doctor, sealedfile, upgrade
from stillvault.relay.settings import BadSetting, Settings
from stillvault.relay.store import copying, schema
from stillvault.relay.store.connection import open_reader, open_writer
from tests.ops.golden.make import golden
from tests.reference.world import NOW
from tests.relay.process import RelayProcess

ACT = "BEGIN INSERT OR REPLACE INTO meta VALUES ('loot', 'taken'); END"
SESSION = "INSERT INTO sessions (hash, person, device, client, expires) VALUES (x'00', 'ana', 'ana-laptop', x'', 1)"
# Names that resemble those of SQLite's own statistics, which are no part of a relay's schema.
PLANTED = [
    ("trigger sqliteXstat_1", f"CREATE TRIGGER sqliteXstat_1 AFTER DELETE ON sessions {ACT}"),
    ("trigger sqlite_stat1", f"CREATE TRIGGER sqlite_stat1 AFTER DELETE ON sessions {ACT}"),
    ("trigger SQLITE_STAT9", f"CREATE TRIGGER SQLITE_STAT9 AFTER INSERT ON leaves {ACT}"),
    ("view sqliteXstatistics", "CREATE VIEW sqliteXstatistics AS SELECT * FROM secrets"),
    ("table sqlite_stat1", "CREATE TABLE sqlite_stat1(tbl,idx,stat DEFAULT (1))"),
]


def database(directory: Path, number: int = 0) -> Path:
    file = directory / "stillvault.db"
    file.write_bytes(gzip.decompress(golden(number or len(schema.migrations())).read_bytes()))
    file.chmod(0o600)
    (directory / "log.key").write_bytes(bytes(32))
    (directory / "log.key").chmod(0o600)
    return file


def edit(file: Path, *statements: str) -> None:
    """With every rule of SQLite's own out of the way, as somebody has it who writes the bytes."""
    with closing(apsw.Connection(str(file))) as connection:
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
        connection.execute("PRAGMA writable_schema=ON")
        for statement in statements:
            connection.execute(statement)


def loosely(file: Path, statement: str) -> None:
    """STRICT tables refuse such a cell, so their rule is taken away and put back around it."""
    loosen = "UPDATE sqlite_schema SET sql = replace(replace(sql, ') STRICT', ')'), ' NOT NULL', '') WHERE type = 'table'"
    with closing(apsw.Connection(str(file))) as connection:
        kept = connection.execute("SELECT rowid, sql FROM sqlite_schema").fetchall()
    edit(file, loosen)
    with closing(apsw.Connection(str(file))) as connection:
        connection.execute(statement.replace("UPDATE", "UPDATE OR REPLACE", 1))
    with closing(apsw.Connection(str(file))) as connection:
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
        connection.execute("PRAGMA writable_schema=ON")
        connection.executemany("UPDATE sqlite_schema SET sql = ? WHERE rowid = ?", [(sql, row) for row, sql in kept])


def plant(file: Path, name: str, text: str) -> None:
    kind, _, called = name.partition(" ")
    if not called.lower().startswith("sqlite_"):
        edit(file, SESSION, text)
        return
    table = called if kind != "trigger" else text.partition(" ON ")[2].split()[0]
    page = "(SELECT rootpage FROM sqlite_schema WHERE name = 'roots')" if kind == "table" else "0"
    quoted = text.replace("'", "''")
    edit(file, SESSION, f"INSERT INTO sqlite_schema VALUES ('{kind}', '{called}', '{table}', {page}, '{quoted}')")


def packed(file: Path) -> Path:
    """A backup whose digests are right."""
    members = {archive.DATABASE: file.read_bytes(), "log.key": bytes(32)}
    said = {"created": NOW, "schema": len(schema.migrations()), "rows": 1, "v": 1,
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}}
    made = file.with_name("made.backup")
    with tarfile.open(made, "w") as tar:
        for name, content in {archive.MANIFEST: json.dumps(said).encode(), **members}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return made


def complaints(directory: Path) -> dict[str, str]:
    return {name: found for name, well, found in doctor.look_inside(Settings(data=str(directory)), NOW) if not well}


@pytest.mark.parametrize(("name", "text"), PLANTED, ids=[name for name, _ in PLANTED])
def test_what_is_named_like_statistics_is_named_and_never_acts(directory: Path, name: str, text: str) -> None:
    file = database(directory)
    plant(file, name, text)
    settings = Settings(data=str(directory))
    made = packed(file)
    said = complaints(directory)["database"]
    assert f"the object {name} is not as the migrations made it" in said
    new = Settings(data=str(directory / "new"))
    uses: list[Callable[[], object]] = [
        lambda: archive.restore(new, made),
        lambda: sealedfile.write(directory / "out", NOW, sealedfile.of_directory(settings)),
        lambda: sealedfile.write(directory / "out", NOW, sealedfile.of_backup(made, None, directory)),
        lambda: upgrade.upgrade(settings, NOW),
        lambda: upgrade.check(settings),
    ]
    for use in uses:
        with pytest.raises(BadSetting, match=name):
            use()
    assert [one.name for one in (directory / "new").iterdir()] == ["relay.lock"]
    assert not (directory / "out").exists()
    # A copy deletes sessions and a relay writes leaves: neither wakes what was planted.
    with suppress(copying.Damaged):
        copying.copy(file, directory / "copy", archive.never)
        with closing(open_reader(directory / "copy")) as copy:
            assert copy.execute("SELECT count(*) FROM sessions").get == 0
            assert copy.execute("SELECT count(*) FROM meta WHERE name = 'loot'").get == 0
    with closing(open_writer(file)) as writing, suppress(apsw.Error):
        writing.execute("DELETE FROM sessions")
        writing.execute("INSERT INTO leaves VALUES (1000, x'00')")
        assert writing.execute("SELECT count(*) FROM meta WHERE name = 'loot'").get == 0


def test_what_was_planted_has_no_part_in_a_migration(directory: Path) -> None:
    file = database(directory, 1)
    edit(file, SESSION, f"CREATE TRIGGER planted AFTER UPDATE ON sessions {ACT}")
    before = file.read_bytes()
    with closing(open_writer(file)) as connection, pytest.raises(BadSetting, match="trigger planted"):
        schema.migrate(connection)
    with closing(open_reader(file)) as reading:
        assert schema.version_of(reading) == 1
    assert file.read_bytes() == before


def test_statistics_of_sqlite_itself_are_no_change(directory: Path) -> None:
    file = database(directory)
    with closing(apsw.Connection(str(file))) as connection:
        connection.execute("ANALYZE")
    assert complaints(directory) == {}


@pytest.mark.parametrize(
    ("statement", "checks"),
    [
        ("UPDATE leaves SET leaf = zeroblob(9000000) WHERE position = 3", {"log"}),
        ("UPDATE decisions SET signed = zeroblob(5000000)", {"objects"}),
        ("UPDATE secrets SET ciphertext = 17 WHERE seq = 1", {"database", "objects"}),
        ("UPDATE secrets SET path = x'ff00' WHERE seq = 1", {"database", "objects"}),
        ("UPDATE requests SET signed = 2000000000000 WHERE seq = 1", {"database", "objects"}),
        ("UPDATE requests SET oid = 2000000000000 WHERE seq = 1", {"database", "objects"}),
        ("UPDATE requests SET signed = cast(replace(hex(zeroblob(200000)), '0', '[') AS BLOB) WHERE seq = 1", {"objects"}),
        ("UPDATE certs SET issued = 'x'", {"database", "objects"}),
        ("UPDATE rosters SET signed = NULL", {"database", "objects"}),
        ("UPDATE votes SET person = x'fe', window = 'x'", {"database", "objects"}),
        ("UPDATE leaves SET leaf = 3000000000000 WHERE position = 3", {"database", "log"}),
        ("UPDATE leaves SET position = 9007199254740993 WHERE position = 20", {"log"}),
        ("UPDATE nodes SET level = -1 WHERE level = 0 AND position = 3", {"log"}),
    ],
)
def test_cells_that_no_relay_writes_are_said(directory: Path, statement: str, checks: set[str]) -> None:
    file = database(directory)
    loosely(file, statement)
    said = complaints(directory)
    assert checks <= said.keys(), said


@pytest.mark.parametrize("cell", ["NULL", "2000000000000", "'text'", "x'5b5b'"])
def test_a_relay_with_such_a_roster_serves_nobody(directory: Path, cell: str) -> None:
    loosely(database(directory), f"UPDATE rosters SET signed = {cell}")
    words = ("--data", str(directory), "--listen", "127.0.0.1:0", "--public-url", "https://vault.example.org")
    done = RelayProcess(directory).command("serve", *words)
    said = done.stderr.decode()
    assert (done.returncode, "Traceback" in said) == (78, False), said
    assert "the stored root chain or roster does not verify" in said
