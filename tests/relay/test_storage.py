"""The store itself: hardened connections, group commit, a use case that fails alone, a disk that is full. R3, R4, R20."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import apsw
import pytest

from stillvault.relay.problems import ProblemError
from stillvault.relay.store import events, schema, tree
from stillvault.relay.store.connection import Connection, open_reader, open_writer
from stillvault.relay.store.space import Space
from stillvault.relay.store.transaction import Transaction
from stillvault.relay.store.writer import Writer
from stillvault.relay.telemetry.metrics import Metrics
from tests.relay.parties import Organisation
from tests.relay.process import RelayProcess


def on_writer(directory: Path, work: Callable[[Writer, list[set[str]]], object], reserve: int = 0) -> Connection:
    """Runs `work` with a writer on a fresh database; returns a reader of what it left."""
    path = directory / "stillvault.db"

    async def run() -> None:
        connection = open_writer(path)
        schema.migrate(connection)
        woken: list[set[str]] = []

        def wake(topics: Iterable[str]) -> None:
            woken.append(set(topics))

        writer = Writer(connection, Space(directory, reserve), wake, Metrics())
        try:
            await work(writer, woken)  # type: ignore[misc]
        finally:
            await writer.close()

    asyncio.run(run())
    return open_reader(path)


def test_connections_are_hardened(directory: Path) -> None:
    writer = open_writer(directory / "x.db")
    reader = open_reader(directory / "x.db")
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "cell_size_check": 1,
        "secure_delete": 1,
        "foreign_keys": 1,
        "trusted_schema": 0,
    }
    assert {name: writer.execute(f"PRAGMA {name}").get for name in wanted} == wanted
    assert reader.execute("PRAGMA query_only").get == 1
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("CREATE TABLE a (b)")
    assert writer.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, -1) == 1
    with pytest.raises(apsw.TooBigError):
        writer.execute("SELECT zeroblob(?)", (10 * 1024 * 1024,))
    assert os.stat(directory / "x.db").st_mode & 0o777 == 0o600
    writer.close()
    reader.close()


def test_every_table_is_strict(directory: Path) -> None:
    connection = open_writer(directory / "x.db")
    schema.migrate(connection)
    loose = [row[1] for row in connection.execute("PRAGMA table_list") if not row[5] and not row[1].startswith("sqlite_")]
    assert loose == []
    connection.close()


def test_writers_share_a_commit_and_fail_alone(directory: Path) -> None:
    outcomes: list[object] = []

    async def work(writer: Writer, woken: list[set[str]]) -> None:
        def one(number: int) -> Callable[[Transaction], int]:
            def change(tx: Transaction) -> int:
                tx.leaf("config", "test", number)
                tx.event("all", "roster", number)
                if number % 3 == 0:
                    raise ProblemError("conflict")
                return number

            return change

        outcomes.extend(await asyncio.gather(*(writer.write(one(number)) for number in range(300)), return_exceptions=True))
        assert len(woken) < 300, "many writers, fewer commits"
        assert set().union(*woken) == {"all", "log"}

    reader = on_writer(directory, work)
    assert [isinstance(one, ProblemError) for one in outcomes] == [number % 3 == 0 for number in range(300)]
    assert tree.size(reader) == 200
    assert len(events.after(reader, ["all"], 0, 1000)) == 200
    # The tree that the failures were taken out of again is whole.
    leaves = tree.leaves(reader, 0, 1000)
    assert [tree.node(reader, 0, position) for position in range(200)] == [schema_hash(leaf) for leaf in leaves]
    reader.close()


def schema_hash(leaf: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(b"\x00" + leaf).digest()


def test_memory_learns_before_anybody_is_woken_and_though_the_caller_left(directory: Path) -> None:
    order: list[str] = []

    async def work(writer: Writer, woken: list[set[str]]) -> None:
        def change(tx: Transaction) -> None:
            tx.wake("t")

        task = asyncio.create_task(writer.write(change, on_durable=lambda _: order.append(f"durable, {len(woken)} woken")))
        await asyncio.sleep(0)
        task.cancel()
        await writer.write(change)

    on_writer(directory, work).close()
    assert order == ["durable, 0 woken"]


def fill(place: Path, leave: int) -> None:
    """Until `leave` bytes are free. The relay writes meanwhile, so the disk may be full before that."""
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    with open(place / "filler", "ab", buffering=0) as file, contextlib.suppress(OSError):
        left = memoryview(bytes(max(free - leave, 0)))
        while left:
            left = left[file.write(left):]


def test_a_full_disk_refuses_new_work_takes_denials_and_heals(small_disk: Path) -> None:  # R4
    relay = RelayProcess(small_disk / "data").start()
    org = Organisation(relay).create()
    ben = org.person("ben", "approver")
    db, secret = org.client(), org.seal()
    requests = [db.ask(exe=f"/bin/{number}")[0] for number in range(3)]
    for round_, request in enumerate(requests):
        leaves = len(org.leaves())
        fill(small_disk, 0)
        # Nothing new for as long as there is no room; what is known can still be read.
        codes = {db.ask(exe=f"/bin/x{number}")[2].code for number in range(20)}
        assert codes == {"storage-full"}, round_
        assert db.state(request)["state"] == "pending"
        assert org.deny(ben, (request, secret), session=False).ok()["states"] == ["denied"]
        (small_disk / "filler").unlink()
        healed = [db.ask(exe=f"/bin/y{round_}")[2] for _ in range(1)]
        while healed[-1].status != 201:
            assert healed[-1].code == "storage-full"
            healed.append(db.ask(exe=f"/bin/y{round_}")[2])
        assert len(org.leaves()) == leaves + 2, "what was refused left nothing behind"
    assert relay.command("doctor", "--data", str(relay.data)).returncode in (0, 1)
    assert relay.stop() == 0
