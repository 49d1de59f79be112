"""Row P6: rows of the audit log acknowledged by the relay's writer, durable, by 64 tasks and by one; beside the bare database:
rows at 100 a transaction, and one row a transaction. Same file system, same pragmas, same leaves of the log; both logs of SQLite
have come round once before anything counts, since a file that still grows syncs slower.

A leaf that the writer acknowledges is canonical JSON, hashed into the tree with every subtree that it completes, in a savepoint
of its own; a bare row is the same bytes in one INSERT.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import uvloop

from bench.measure import Report, ratio
from stillvault.relay.store import schema
from stillvault.relay.store.connection import Connection, open_writer
from stillvault.relay.store.space import Space
from stillvault.relay.store.transaction import Mark, Transaction
from stillvault.relay.store.writer import Writer

ROUNDS = 15
WRITERS, EACH = 64, 30
ALONE = 300  # acknowledgements and commits one at a time, in turns
ROWS, BATCH = 3000, 100
LARGE = 7 << 20  # bytes: the log of SQLite begins anew soon after
LEAF = (
    b'{"actor":"host/db-1","detail":{"chain":["/bin/sh"],"exe":"/usr/bin/psql","host":"db-1","people":"0/1","secret":"prod/db",'
    b'"uid":1001,"user":"app","version":1,"window":600},"kind":"requested","oid":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",'
    b'"request":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU","time":1900000000}'
)


class Unmetered:
    """Counts nothing."""

    def committed(self, waits: Iterable[float], seconds: float) -> None: ...

    def happened(self, marks: Iterable[Mark]) -> None: ...


def append(tx: Transaction) -> None:
    """The use case: one leaf like that of a request."""
    tx.leaf("requested", "host/db-1", 1_900_000_000, oid=bytes(32), request=bytes(32), secret="prod/db", version=1, host="db-1",
            uid=1001, user="app", exe="/usr/bin/psql", chain=["/bin/sh"], window=600, people="0/1")


def bare(connection: Connection, rows: int, batch: int) -> float:
    """Rows a second."""
    began = time.perf_counter()
    for _ in range(rows // batch):
        connection.execute("BEGIN IMMEDIATE")
        for _ in range(batch):
            connection.execute("INSERT INTO bare (leaf) VALUES (?)", (LEAF,))
        connection.execute("COMMIT")
    return rows / (time.perf_counter() - began)


async def acknowledged(writer: Writer, writers: int, each: int) -> float:
    """Rows a second, each acknowledged to the task that wrote it before it writes the next."""

    async def task() -> None:
        for _ in range(each):
            await writer.write(append)

    began = time.perf_counter()
    await asyncio.gather(*(task() for _ in range(writers)))
    return writers * each / (time.perf_counter() - began)


async def measure(connection: Connection, own: Connection, folder: Path) -> dict[str, list[float]]:
    """Interleaved: rates of both for many, microseconds of both for one."""
    writer = Writer(own, Space(folder, 0), lambda _topics: None, Unmetered())
    found: dict[str, list[float]] = {name: [] for name in ("writers", "rows", "one", "commit")}
    while (folder / "bare.db-wal").stat().st_size < LARGE:
        bare(connection, ROWS, BATCH)
    while (folder / "stillvault.db-wal").stat().st_size < LARGE:
        await acknowledged(writer, WRITERS, EACH)
    for _ in range(ROUNDS):
        found["writers"].append(await acknowledged(writer, WRITERS, EACH))
        found["rows"].append(bare(connection, ROWS, BATCH))
    for _ in range(ALONE):
        found["one"].append(1e6 / await acknowledged(writer, 1, 1))
        found["commit"].append(1e6 / bare(connection, 1, 1))
    await writer.close()
    return found


def run(report: Report) -> None:
    """Row P6."""
    with tempfile.TemporaryDirectory(prefix="sv-p6-") as place:
        folder = Path(place)
        connection, own = open_writer(folder / "bare.db"), open_writer(folder / "stillvault.db")
        connection.execute("CREATE TABLE bare (position INTEGER PRIMARY KEY, leaf BLOB NOT NULL) STRICT")
        schema.migrate(own)
        found = uvloop.run(measure(connection, own, folder))
        connection.close()
    report.head(f"P6  durable acknowledgements, {ROUNDS} rounds of {WRITERS} x {EACH}, and {ALONE} one by one, interleaved")
    report.line("64 writers", "/s", found["writers"])
    report.line("bare rows, 100 a transaction", "/s", found["rows"])
    report.line("one writer", "us", found["one"])
    report.line("bare row and commit", "us", found["commit"])
    report.judge("P6 64 writers / rows at 100 a transaction", ratio(found["writers"], found["rows"]), 0.30, 0.6, least=True)
    report.judge("P6 one acknowledgement / a bare commit", ratio(found["one"], found["commit"]), 2.5, 1.3)
