"""Upgrades: from every schema there was, with a backup before, killed at every statement; a newer file is kept. R18, B14."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from importlib import resources
from pathlib import Path

import apsw
import pytest

import stillvault
from stillvault.relay import backup, doctor, rowcheck
from stillvault.relay.settings import Settings
from stillvault.relay.store import copying, schema
from stillvault.relay.store.connection import open_writer
from tests.ops.dying import dump
from tests.ops.golden.make import ORIGIN, golden
from tests.reference.world import NOW
from tests.relay.process import PATIENCE, RelayProcess

NEWEST = len(schema.migrations())
OLDER = range(1, NEWEST)


def relay_on(directory: Path, number: int) -> RelayProcess:
    """A data directory with the golden database of a schema."""
    data = directory / "data"
    data.mkdir(mode=0o700)
    file = data / "stillvault.db"
    file.touch(mode=0o600)
    file.write_bytes(gzip.decompress(golden(number).read_bytes()))
    (data / "log.key").touch(mode=0o600)
    (data / "log.key").write_bytes(bytes(32))
    return RelayProcess(data, public_url=ORIGIN)


def upgraded(relay: RelayProcess, *arguments: str) -> dict[str, object]:
    done = relay.command("--format", "json", "upgrade", "--data", str(relay.data), *arguments)
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


def test_every_migration_has_its_golden() -> None:
    """A migration without one fails here: python -m tests.ops.golden.make"""
    folder = resources.files("stillvault.relay.store") / "migrations"
    numbers = sorted(int(file.name.removesuffix(".sql")) for file in folder.iterdir() if file.name.endswith(".sql"))
    assert numbers == list(range(1, NEWEST + 1))
    assert [number for number in numbers if not golden(number).exists()] == []


@pytest.mark.parametrize("number", range(1, NEWEST + 1))
def test_a_golden_database_becomes_the_present_one(directory: Path, number: int) -> None:
    """No row is lost, and every signed one verifies at the time that the golden was made for."""
    path = directory / "stillvault.db"
    path.write_bytes(gzip.decompress(golden(number).read_bytes()))
    before = dump(path)
    with closing(open_writer(path)) as connection:
        empty = [key for key, rows in before.items() if not rows and not key.startswith("sqlite_")]
        assert empty == [], "a golden has rows in every table"
        assert schema.migrate(connection) == (number, NEWEST)
        assert copying.whole(connection)
        assert list(rowcheck.damaged(connection, NOW)) == []
    assert dump(path, before) == before


@pytest.mark.parametrize("number", range(1, NEWEST + 1))
def test_doctor_finds_an_older_database_well(directory: Path, number: int) -> None:
    """What stands before an upgrade, and the backup of it, is not damaged; what was added to it is named all the same."""
    settings = Settings(data=str(relay_on(directory, number).data))
    found = list(doctor.look_inside(settings, NOW))
    assert [name for name, well, _ in found if not well] == []
    assert ("when it starts" in found[0][2]) == (number < NEWEST)
    with closing(apsw.Connection(str(Path(settings.data) / "stillvault.db"))) as connection:
        connection.execute("CREATE TABLE added (a)")
    (database, *_) = doctor.look_inside(settings, NOW)
    assert database[1:] == (
        False, "schema: the object table added is not as the migrations made it. Somebody changed the file: restore a backup."
    )  # fmt: skip


@pytest.mark.parametrize("version", [NEWEST + 1, 0])
def test_doctor_names_a_database_that_is_not_this_programs(directory: Path, version: int) -> None:
    """A newer one wants the newer program, and no backup."""
    settings = Settings(data=str(relay_on(directory, NEWEST).data))
    with closing(apsw.Connection(str(Path(settings.data) / "stillvault.db"))) as connection:
        connection.execute(f"PRAGMA user_version={version}")
    (database, *_) = doctor.look_inside(settings, NOW)
    newer = f"schema: version {NEWEST + 1} is newer than {NEWEST}, which this program knows. Run the newer program."
    assert database[1:] == (False, newer if version else "schema: this is no database of a relay. Name another data directory.")


def test_doctor_without_a_directory_says_that_alone(directory: Path) -> None:
    relay = RelayProcess(directory / "none")
    done = relay.command("doctor", "--data", str(relay.data))
    assert done.returncode == 1
    assert done.stdout.decode().splitlines() == [
        f"FAIL directory: data: {relay.data} is no directory. Name the relay's with --data, or start the relay once."
    ]


def test_doctor_makes_no_database_where_there_is_none(directory: Path) -> None:
    relay = RelayProcess(directory / "data")
    relay.data.mkdir(mode=0o700)
    done = relay.command("doctor", "--data", str(relay.data))
    assert done.returncode == 1
    fix = "Name the relay's directory with --data, start the relay once, or restore a backup."
    assert done.stdout.decode().splitlines()[1:] == [f"FAIL database: data: there is no stillvault.db in it. {fix}"]
    assert list(relay.data.iterdir()) == []


@pytest.mark.parametrize("number", OLDER)
def test_a_relay_upgrades_when_it_starts_after_a_backup(directory: Path, number: int) -> None:
    relay = relay_on(directory, number)
    before = dump(relay.data / "stillvault.db")
    process = subprocess.Popen(
        [sys.executable, "-m", relay.module, "serve", "--data", str(relay.data), "--listen", "127.0.0.1:0"],
        env=relay.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "ready"
    process.terminate()
    said = process.communicate(timeout=PATIENCE)[1].decode()
    assert process.returncode == 0
    (told,) = [json.loads(line) for line in said.splitlines() if '"migrated"' in line]
    assert (told["before"], told["after"]) == (number, NEWEST)
    # The backup is the database as it was, but for bearers; the program of that time would restore it.
    (file,) = (relay.data / "backups").iterdir()
    assert told["backup"] == str(file)
    assert file.name.startswith(f"before-upgrade-{number}-")
    folder = directory / "unpacked"
    folder.mkdir()
    assert backup.unpack(file, None, folder).schema == number
    kept = {key: [] if key.startswith(("sessions ", "setup_tokens ")) else rows for key, rows in before.items()}
    assert dump(folder / "stillvault.db") == kept


def test_an_upgrade_by_hand_tried_first(directory: Path) -> None:
    relay = relay_on(directory, 1)
    file = relay.data / "stillvault.db"
    before = file.read_bytes()
    assert upgraded(relay, "--check") == {"v": 1, "before": 1, "after": NEWEST, "changed": False, "backup": ""}
    assert file.read_bytes() == before
    assert {one.name for one in relay.data.iterdir()} <= {"log.key", "stillvault.db", "stillvault.db-shm", "stillvault.db-wal"}
    told = upgraded(relay)
    assert (told["before"], told["after"], told["changed"]) == (1, NEWEST, True)
    assert Path(str(told["backup"])).is_file()
    assert upgraded(relay)["changed"] is False
    assert len(list((relay.data / "backups").iterdir())) == 1


@pytest.mark.parametrize("verb", [["serve", "--listen", "127.0.0.1:0"], ["upgrade"]])
def test_without_a_backup_there_is_no_upgrade(directory: Path, verb: list[str]) -> None:
    relay = relay_on(directory, 1)
    file = relay.data / "stillvault.db"
    before = file.read_bytes()
    relay.settings["backup.directory"] = str(directory / "no" / "where")
    done = relay.command(verb[0], "--data", str(relay.data), *verb[1:])
    assert done.returncode == 78
    assert b"Traceback" not in done.stderr
    assert file.read_bytes() == before


@pytest.mark.parametrize("number", OLDER)
def test_a_migration_killed_at_any_statement_leaves_the_database_as_it_was_or_goes_on(directory: Path, number: int) -> None:
    program = [sys.executable, "-m", "tests.ops.dying", str(golden(number)), str(directory)]
    done = subprocess.run(program, capture_output=True, timeout=10 * PATIENCE, check=True, cwd=Path(__file__).parents[2])
    told = json.loads(done.stdout)
    assert told["wrong"] == []
    assert told["statements"] >= 4 * (NEWEST - number)
    assert sorted(told["versions"]) == told["versions"]
    assert set(told["versions"]) >= set(range(number, NEWEST))


def files(data: Path) -> dict[str, str]:
    found = [data / "stillvault.db", data / "stillvault.db-wal"]
    return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in found if one.exists()}


@pytest.mark.parametrize("verb", ["serve", "upgrade", "upgrade --check"])
def test_a_newer_database_is_left_byte_for_byte_also_its_log(directory: Path, verb: str) -> None:
    """The newer program was killed: what it wrote last stands in the write-ahead log alone, and stays there."""
    relay = relay_on(directory, NEWEST)
    newer = directory / "newer"
    newer.mkdir()
    path = newer / "stillvault.db"
    path.write_bytes((relay.data / "stillvault.db").read_bytes())
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE to_come (a)")
    connection.execute(f"PRAGMA user_version={NEWEST + 1}")
    for name in ("stillvault.db", "stillvault.db-wal"):
        (relay.data / name).write_bytes((newer / name).read_bytes())
        (relay.data / name).chmod(0o600)
    connection.close()
    before = files(relay.data)
    assert len(before) == 2
    done = relay.command(*verb.split()[:1], "--data", str(relay.data), *verb.split()[1:])
    assert done.returncode == 78
    assert f"version {NEWEST + 1} is newer than {NEWEST}".encode() in done.stderr
    assert files(relay.data) == before


class OlderRelay(RelayProcess):
    """The program as it is, but for the newest migration: to it, a database that this one upgraded is a newer one."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, public_url=ORIGIN)
        self.place = data.parent / "older"
        here, package = Path(stillvault.__file__).parent, self.place / "stillvault"
        shutil.copytree(here, package, ignore=shutil.ignore_patterns("*.so", "console", "__pycache__"))
        for library in here.glob("*.so"):
            (package / library.name).symlink_to(library)
        (package / "relay" / "store" / "migrations" / f"{NEWEST:04}.sql").unlink()

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "PYTHONPATH": str(self.place), "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def test_the_way_back_is_the_backup_from_before_with_the_older_program(directory: Path) -> None:
    """As docs/operations/upgrade.md has it. The newer directory is set aside and not touched."""
    newer = relay_on(directory, NEWEST - 1)
    older = OlderRelay(newer.data)
    before = dump(newer.data / "stillvault.db")
    file = Path(str(upgraded(newer)["backup"]))
    refused = older.command("serve", "--data", str(older.data), "--listen", "127.0.0.1:0")
    assert refused.returncode == 78
    assert f"version {NEWEST} is newer than {NEWEST - 1}".encode() in refused.stderr
    aside = directory / "data.newer"
    os.rename(newer.data, aside)
    kept = files(aside)
    done = older.command("restore", "--data", str(older.data), str(aside / "backups" / file.name))
    assert done.returncode == 0, done.stderr
    assert files(aside) == kept
    # What it was, but for bearers; with one row of the log, which says so.
    after = dump(older.data / "stillvault.db")
    gone = [key for key, rows in before.items() if not set(rows) <= set(after[key])]
    assert {key.partition(" ")[0] for key in gone} == {"sessions", "setup_tokens"}
    assert {len(after[key]) - len(rows) for key, rows in before.items() if key.startswith("leaves ")} == {1}
    told = json.loads(older.command("--format", "json", "doctor", "--data", str(older.data)).stdout)
    found = {one["check"]: one["found"] for one in told["checks"] if one["ok"]}
    assert found["database"] == f"schema {NEWEST - 1}, pages intact"
    assert "every hash recomputed" in found["log"]
    # And forward again, whenever somebody wants to.
    assert upgraded(newer)["changed"] is True
