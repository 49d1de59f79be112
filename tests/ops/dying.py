"""Kills a migration at each of its statements, in turn, and looks at what it left.

    python -m tests.ops.dying PACKED DIRECTORY

Each time: a fresh copy of the database, a child that opens it as a relay does and dies by SIGKILL when it comes to statement k,
and a look at the file before and after the migration is made again. Prints one JSON object: how many statements there were, at
which of them the version had moved, and what was wrong. A process of its own, with one thread: it forks.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import signal
import sys
from contextlib import closing
from pathlib import Path

import apsw

from stillvault.relay.store import copying, schema
from stillvault.relay.store.connection import open_writer

Dump = dict[str, list[str]]


def dump(path: Path, like: Dump | None = None) -> Dump:
    """Every row of every table; of the columns that `like` has, where it is given."""
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as database:
        database.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        found: Dump = {}
        for table in names if like is None else [key.partition(" ")[0] for key in like]:
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            if like is not None:
                columns = next(key for key in like if key.startswith(table + " ")).split(" ")[1:]
            query = f"SELECT {', '.join(columns)} FROM {table}"
            found[" ".join([table, *columns])] = sorted(repr(row) for row in database.execute(query))
        return found


def die_at(path: Path, statement: int) -> None:
    """In the child: migrates, and is killed before it runs that statement. Ends with 0 when there was none."""
    connection = open_writer(path)
    seen = 0

    def count(_cursor: object, _sql: str, _bindings: object) -> bool:
        nonlocal seen
        seen += 1
        if seen == statement:
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    connection.exec_trace = count
    schema.migrate(connection)
    os._exit(0)


def run(packed: Path, directory: Path) -> dict[str, object]:
    whole = gzip.decompress(packed.read_bytes())
    reference = directory / "reference.db"
    reference.write_bytes(whole)
    before, version = dump(reference), schema.look(reference)[0]
    digest = hashlib.sha256(whole).digest()
    statement, wrong, versions = 0, [], []
    while True:
        statement += 1
        path = directory / str(statement) / "stillvault.db"
        path.parent.mkdir()
        path.write_bytes(whole)
        child = os.fork()
        if child == 0:
            die_at(path, statement)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            break
        left = schema.look(path)[0]
        versions.append(left)
        if dump(path, before) != before:
            wrong.append(f"{statement}: rows changed")
        if left == version and hashlib.sha256(path.read_bytes()).digest() != digest:
            wrong.append(f"{statement}: the file changed though its version did not")
        with closing(open_writer(path)) as connection:
            schema.migrate(connection)
            if not copying.whole(connection):
                wrong.append(f"{statement}: damaged")
        if dump(path, before) != before:
            wrong.append(f"{statement}: rows changed by the second try")
        shutil.rmtree(path.parent)
    return {"statements": statement - 1, "versions": versions, "wrong": wrong}


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), Path(sys.argv[2]))))
