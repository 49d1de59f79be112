"""Backups that a relay writes by itself, backups for an age recipient, and looking into one. R7, B1."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from stillvault.relay import backup as archive
from stillvault.relay.settings import BadSetting, Settings
from stillvault.relay.store import copying, schema
from stillvault.relay.store.connection import open_reader, open_writer
from tests.ops import crafted
from tests.relay.parties import Organisation
from tests.relay.process import PATIENCE, RelayProcess

CONTENTS = {"database", "log", "objects"}


def identity(directory: Path, name: str = "operator") -> tuple[Path, str]:
    """An age identity of the real tool: its file, and the recipient."""
    file = directory / f"{name}.key"
    subprocess.run(["age-keygen", "-o", str(file)], check=True, capture_output=True)
    return file, subprocess.run(["age-keygen", "-y", str(file)], check=True, capture_output=True, text=True).stdout.strip()


def written(relay: RelayProcess, *arguments: str) -> Path:
    file = relay.data.parent / "relay.backup"
    done = relay.command("backup", "--data", str(relay.data), *arguments, str(file))
    assert done.returncode == 0, done.stderr
    return file


def verified(relay: RelayProcess, file: Path, *arguments: str) -> tuple[int, str, dict[str, bool]]:
    done = relay.command("--format", "json", "backup", "verify", *arguments, str(file))
    assert b"Traceback" not in done.stderr
    checks = json.loads(done.stdout)["checks"] if done.stdout else []
    return done.returncode, done.stdout.decode() + done.stderr.decode(), {one["check"]: one["ok"] for one in checks}


def refused(relay: RelayProcess, *arguments: str) -> str:
    done = relay.command(*arguments)
    assert done.returncode == 78, done.stdout + done.stderr
    assert b"Traceback" not in done.stderr
    return done.stderr.decode()


def test_a_relay_writes_backups_by_itself_and_keeps_the_newest(directory: Path) -> None:
    relay = RelayProcess(directory / "data", **{"backup.every_seconds": "1", "backup.keep": "2"}).start()
    org = Organisation(relay).create()
    org.seal()
    folder = relay.data / "backups"
    (folder / "mine.backup").write_bytes(b"kept")
    outcomes: list[str] = []
    until = time.monotonic() + PATIENCE
    while len(outcomes) < 4 and time.monotonic() < until:
        outcomes = [leaf["detail"]["outcome"] for leaf in org.leaves("config")]
    assert len(outcomes) >= 4
    assert {one.partition(": ")[0] for one in outcomes} == {"backup written"}
    assert relay.stop() == 0
    names = sorted(one.name for one in folder.iterdir())
    assert names[0] == "mine.backup"
    assert len(names) == 3
    assert names[1] < names[2]
    for name in names[1:]:
        assert (folder / name).stat().st_mode & 0o777 == 0o600
        code, said, checks = verified(relay, folder / name)
        assert code == 0, said
        assert checks.keys() == CONTENTS
    assert not list(relay.data.glob(".backup-*"))
    relay.settings["backup.every_seconds"] = "3600"
    assert b"ok   backup: the last one was written 0 hours ago" in relay.command("doctor", "--data", str(relay.data)).stdout
    assert archive.last(Settings(data=str(relay.data))) > 0


def test_a_backup_without_a_file_asks_for_one(directory: Path) -> None:
    for words in ([], ["--data", str(directory)]):
        done = RelayProcess(directory / "data").command("backup", *words)
        assert done.returncode == 2
        assert b"Missing argument 'FILE'." in done.stderr


def test_a_backup_takes_the_place_of_nothing_but_a_backup(relay: RelayProcess, directory: Path) -> None:
    """A mistyped name, or a script that was pointed at the wrong file, must not cost a database or a key."""
    text, folder = directory / "text", directory / "folder"
    text.write_text("mine\n")
    folder.mkdir()
    data = relay.data
    (data / "link").symlink_to(data / "log.key")
    own = [*archive.DATABASES, "log.key", "tls/ca.key", "relay.lock", "reserve", "config.toml", "link"]
    before = {path: path.read_bytes() for path in [data / "log.key", data / "tls" / "ca.key", text]}
    for target in [*(data / one for one in own), text, Path("/dev/null")]:
        assert "another file is there" in refused(relay, "backup", "--data", str(data), str(target)), target
    assert "another file is there" in refused(relay, "backup", "--data", str(data), "")
    assert relay.command("backup", "--data", str(data), str(folder)).returncode == 2
    assert {path: path.read_bytes() for path in before} == before
    assert Path("/dev/null").is_char_device()
    assert relay.call("GET", "/readyz").status == 200
    (directory / "empty").touch()  # as mktemp leaves it
    for name in ("new", "new", "empty"):
        done = relay.command("backup", "--data", str(data), str(directory / name))
        assert done.returncode == 0, done.stderr
        assert verified(relay, directory / name)[0] == 0


def test_nobody_reads_along_in_a_file_that_they_put_there(relay: RelayProcess, directory: Path) -> None:
    """What a backup is written into first has a name that can be guessed."""
    part = directory / "relay.backup.part"
    part.touch()
    part.chmod(0o666)
    with open(part, "rb") as theirs:
        file = written(relay)
        assert theirs.read() == b""
    assert file.stat().st_mode & 0o777 == 0o600
    (directory / "elsewhere").touch()
    part.symlink_to(directory / "elsewhere")
    assert written(relay).stat().st_mode & 0o777 == 0o600
    assert (directory / "elsewhere").read_bytes() == b""


def test_a_log_that_a_database_left_is_not_played_into_a_restored_one(relay: RelayProcess, directory: Path) -> None:
    file = written(relay)
    new = directory / "new"
    new.mkdir(mode=0o700)
    for name in ("stillvault.db-wal", "stillvault.db-journal"):
        (new / name).write_bytes(b"x")
        assert "there is a database already, or what one left" in refused(relay, "restore", "--data", str(new), str(file))
        (new / name).unlink()
    assert relay.command("restore", "--data", str(new), str(file)).returncode == 0


def test_a_backup_that_fails_is_said_and_the_relay_goes_on(directory: Path) -> None:
    settings = {"backup.every_seconds": "1", "backup.directory": str(directory / "no" / "where")}
    relay = RelayProcess(directory / "data", **settings).start()
    org = Organisation(relay).create()
    until = time.monotonic() + PATIENCE
    while not org.leaves("config") and time.monotonic() < until:
        pass
    assert org.leaves("config")[0]["detail"]["outcome"].startswith("backup failed: the directory cannot be made")
    org.seal()
    report = relay.command("doctor", "--data", str(relay.data))
    assert report.returncode == 1
    assert b"FAIL backup" in report.stdout
    assert b"none was ever written" in report.stdout
    assert relay.stop() == 0
    assert any(b'"event": "backup"' in line and b"no/where" in line for line in relay.stderr)


def test_a_backup_for_a_recipient(org: Organisation, directory: Path) -> None:
    """The relay writes what it cannot read; `age` opens what it wrote, and it restores what `age` wrote."""
    key, recipient = identity(directory)
    other, _ = identity(directory, "other")
    org.seal()
    relay = org.relay
    file = written(relay, "--recipient", recipient)
    content = file.read_bytes()
    assert content.startswith(b"age-encryption.org/v1\n")
    assert file.stat().st_mode & 0o777 == 0o600
    for told in (b"manifest.json", b"SQLite format 3", (relay.data / "log.key").read_bytes()):
        assert told not in content
    assert "Add --identity FILE" in refused(relay, "backup", "verify", str(file))
    assert "does not open it" in refused(relay, "backup", "verify", "--identity", str(other), str(file))
    assert "not an age identity file" in refused(relay, "backup", "verify", "--identity", str(file), str(file))
    code, said, checks = verified(relay, file, "--identity", str(key))
    assert code == 0, said
    assert checks.keys() == CONTENTS
    plain = directory / "plain.backup"
    subprocess.run(["age", "-d", "-i", str(key), "-o", str(plain), str(file)], check=True)
    assert verified(relay, plain)[0] == 0
    again = directory / "again.age"
    subprocess.run(["age", "-r", recipient, "-o", str(again), str(plain)], check=True)
    new = RelayProcess(directory / "new")
    done = new.command("restore", "--data", str(new.data), "--identity", str(key), str(again))
    assert done.returncode == 0, done.stderr
    assert new.command("doctor", "--data", str(new.data)).returncode == 0
    assert [one.name for one in new.data.iterdir() if one.name.startswith(".")] == []
    # Two recipients, one of them from the settings: either opens it.
    relay.settings["backup.recipients"] = identity(directory, "third")[1]
    file = written(relay, "--recipient", recipient)
    for one in (key, directory / "third.key"):
        assert verified(relay, file, "--identity", str(one))[0] == 0


def test_what_is_no_recipient_is_refused(relay: RelayProcess, directory: Path) -> None:
    target = directory / "x.backup"
    said = refused(relay, "backup", "--data", str(relay.data), "--recipient", "age1" + "q" * 58, str(target))
    assert "not an age recipient" in said
    relay.settings["backup.recipients"] = "AGE-SECRET-KEY-1" + "Q" * 58
    said = refused(relay, "backup", "--data", str(relay.data), str(target))
    assert "backup.recipients" in said
    assert "SECRET" not in said
    assert not target.exists()


def test_a_damaged_backup_is_found_and_never_restored(org: Organisation, directory: Path) -> None:
    """One byte changed anywhere: verify or restore refuses, and the directory stays empty."""
    org.seal()
    file = written(org.relay)
    whole = file.read_bytes()
    draw = random.Random(5)
    with tarfile.open(file) as tar:
        contents = [(one.offset_data, one.size) for one in tar.getmembers()]
    places = [start + draw.randrange(size) for start, size in contents] + [draw.randrange(contents[1][1]) for _ in range(8)]
    bad = directory / "bad.backup"
    settings = Settings(data=str(directory / "new"))
    for place in places:
        bad.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :])
        with pytest.raises(BadSetting):
            archive.restore(settings, bad)
        assert [one.name for one in settings.directory.iterdir()] == ["relay.lock"]
    for length in (0, 100, 512, 2000, len(whole) // 2):
        bad.write_bytes(whole[:length])
        with pytest.raises(BadSetting):
            archive.restore(settings, bad)
    assert archive.restore(settings, file).rows > 0


def test_a_manifest_that_says_something_else_is_refused(relay: RelayProcess, directory: Path) -> None:
    file = written(relay)
    unpacked = directory / "unpacked"
    with tarfile.open(file) as tar:
        tar.extractall(unpacked, filter="data")
    manifest = json.loads((unpacked / "manifest.json").read_text())
    cases = [
        ({**manifest, "schema": 99}, "newer than"),
        ({**manifest, "v": 2, "more": 1}, "not a backup"),
        ({**manifest, "files": {**manifest["files"], "tls/other.key": "0" * 64}}, "not a backup"),
        ({**manifest, "files": {"log.key": manifest["files"]["log.key"]}}, "not a backup"),
        ([], "not a backup"),
    ]
    for number, (said, named) in enumerate(cases):
        (unpacked / "manifest.json").write_text(json.dumps(said))
        bad = directory / f"bad-{number}.backup"
        with tarfile.open(bad, "w") as tar:
            for name in ("manifest.json", *manifest["files"]):
                tar.add(unpacked / name, name)
        assert named in refused(relay, "restore", "--data", str(directory / "new"), str(bad))


@pytest.mark.parametrize("lie", crafted.LIES)
def test_headers_that_lie_are_refused(directory: Path, lie: str) -> None:
    file = directory / "lie.backup"
    file.write_bytes(crafted.LIES[lie])
    with pytest.raises(BadSetting, match="not a backup"):
        archive.restore(Settings(data=str(directory / "new")), file)


def test_a_hole_is_no_file_of_a_backup(directory: Path) -> None:
    """Two kilobytes that would be gigabytes on the disk: nothing of them is unpacked."""
    said = json.dumps({"v": 1, "created": 1, "schema": 1, "rows": 0, "files": {"stillvault.db": "0" * 64, "log.key": "0" * 64}})
    holes = crafted.sparse("stillvault.db", 1 << 32) + crafted.sparse("log.key", 1 << 32)
    file = directory / "hole.backup"
    file.write_bytes(crafted.head("manifest.json", len(said)) + said.encode().ljust(512, b"\0") + holes + crafted.END)
    with pytest.raises(BadSetting, match="not a backup"):
        archive.restore(Settings(data=str(directory / "new")), file)


@pytest.fixture
def database(directory: Path) -> Iterator[Path]:
    """A database of some megabytes, which a relay has open."""
    path = directory / "stillvault.db"
    connection = open_writer(path)
    schema.migrate(connection)
    with connection:
        for number in range(3000):
            connection.execute("INSERT INTO leaves (position, leaf) VALUES (?, zeroblob(1000))", (number,))
    yield path
    connection.close()


def test_a_copy_ends_though_somebody_writes_all_the_time(database: Path, directory: Path) -> None:
    """A commit between any two steps of the copy: it ends, and holds what was there when it began."""
    writer = apsw.Connection(str(database))
    steps = 0

    def commit() -> bool:
        nonlocal steps
        writer.execute("INSERT INTO leaves (position, leaf) VALUES (?, zeroblob(1000))", (10_000 + steps,))
        steps += 1
        assert steps < 100, "it begins again and again"
        return False

    copying.copy(database, directory / "copy.db", commit)
    assert steps > 2
    copy = open_reader(directory / "copy.db")
    assert copying.whole(copy)
    assert copy.execute("SELECT count(*), max(position) FROM leaves").fetchone() == (3000, 2999)
    copy.close()
    writer.close()


def test_a_copy_that_is_stopped_leaves_nothing(relay: RelayProcess, directory: Path) -> None:
    relay.stop()
    target = directory / "target"
    target.mkdir()
    with pytest.raises(BadSetting, match="the relay stops"):
        archive.backup(Settings(data=str(relay.data)), target / "x.backup", 1, stop=lambda: True)
    assert list(target.iterdir()) == []
    assert not list(relay.data.glob(".backup-*"))


def test_a_backup_takes_no_room_that_the_relay_needs(small_disk: Path, directory: Path) -> None:  # R4
    relay = RelayProcess(small_disk / "data").start()
    assert relay.stop() == 0
    free = shutil.disk_usage(small_disk).free
    with open(small_disk / "filler", "wb") as file:
        file.write(b"x" * (free - 700_000))
    said = refused(relay, "backup", "--data", str(relay.data), str(directory / "elsewhere.backup"))
    assert "there is no room for a copy" in said
    (small_disk / "filler").unlink()
    (small_disk / "full").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small_disk / "full")], check=True)
    try:
        said = refused(relay, "backup", "--data", str(relay.data), str(small_disk / "full" / "x.backup"))
        assert "it cannot be written (No space left on device)" in said
        assert list((small_disk / "full").iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", str(small_disk / "full")], check=True)
