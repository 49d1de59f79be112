"""Makes a relay's database large, while the relay is stopped: secrets, rows of the audit log, releases of days ago.

What is filled in is there to be looked past, and to be paged through: a filled secret has the bytes of a real seal under another
path, a filled release the rows of a real one under other oids. Nobody opens them. The rows of the log are a whole tree: every
hash is that of its leaves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from stillvault.crypto.public import leaf_hash, node_hash
from stillvault.relay.store.connection import database_path

GROUP = 10  # secrets under one prefix
DAYS_AGO = 3 * 86_400
LEAF = (
    '{"actor":"host/db-1","detail":{"chain":["/bin/sh"],"exe":"/usr/bin/psql","host":"db-1","people":"0/1","secret":"few/db",'
    '"uid":1001,"user":"app","version":1,"window":600},"kind":"requested","oid":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",'
    '"request":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU","time":%d}'
)


@contextmanager
def opened(data: Path) -> Iterator[apsw.Connection]:
    """The database for filling: nothing is safe until the relay opens it again."""
    with closing(apsw.Connection(str(database_path(data)))) as db:
        db.execute("PRAGMA journal_mode=OFF")
        db.execute("PRAGMA synchronous=OFF")
        with db:
            yield db


def path(number: int) -> str:
    return f"fill/{number // GROUP:07d}/{number % GROUP}"


def secrets(data: Path, count: int) -> None:
    """So many more, each of one version."""
    columns = "oid, path, version, revision, newest, stored, signed, ciphertext"
    with opened(data) as db:
        like = db.execute("SELECT stored, signed, ciphertext FROM secrets LIMIT 1").fetchone()
        rows = ((hashlib.sha256(path(number).encode()).digest(), path(number), *like) for number in range(count))
        db.executemany(f"INSERT INTO secrets ({columns}) VALUES (?, ?, 1, 0, 1, ?, ?, ?)", rows)


def leaves(count: int) -> list[bytes]:
    return [(LEAF % (1_800_000_000 + number)).encode() for number in range(count)]


def log(data: Path, count: int) -> None:
    """The log continued to so many rows."""
    with opened(data) as db:
        known = [row[0] for row in db.execute("SELECT leaf FROM leaves ORDER BY position")]
        rows = known + leaves(count - len(known))
        db.executemany("INSERT INTO leaves (position, leaf) VALUES (?, ?)", list(enumerate(rows))[len(known) :])
        level, hashes = 0, [leaf_hash(leaf) for leaf in rows]
        while hashes:
            nodes = [(level, position, found) for position, found in enumerate(hashes)]
            db.executemany("INSERT OR IGNORE INTO nodes (level, position, hash) VALUES (?, ?, ?)", nodes)
            level, hashes = level + 1, [node_hash(*pair) for pair in zip(hashes[::2], hashes[1::2], strict=False)]


def past(data: Path, count: int) -> None:
    """So many releases like the one that is there, delivered days ago: request, vote, decision, receipt, what was seen and shown,
    events."""
    with opened(data) as db:
        db.create_scalar_function("other", lambda *what: hashlib.sha256(repr(what).encode()).digest(), 2)
        db.execute("CREATE TEMP TABLE numbers (n INTEGER PRIMARY KEY)")
        db.executemany("INSERT INTO numbers VALUES (?)", ((number,) for number in range(count)))
        one = db.execute("SELECT oid FROM requests WHERE state = 'delivered' LIMIT 1").get
        for table, changed in (
            ("requests", {"seq": "NULL", "oid": "other('request', n)", "id": "'past ' || n", "card": "other('card', n)",
                          "lease_ends": "0", "created": f"created - {DAYS_AGO}", "expires": f"expires - {DAYS_AGO}"}),
            ("votes", {"request": "other('request', n)", "decision": "other('decision', n)"}),
            ("seen", {"request": "other('request', n)", "oid": "other(hex(oid), n)"}),
            ("reports", {"request": "other('request', n)", "oid": "other('receipt', n)"}),
            ("prompted", {"request": "other('request', n)"}),
        ):  # fmt: skip
            copy(db, table, changed, "oid" if table == "requests" else "request", one)
        decision = db.execute("SELECT decision FROM votes WHERE request = ?", (one,)).get
        copy(db, "decisions", {"oid": "other('decision', n)"}, "oid", decision)
        columns = "at, audience, kind, oid, request, path, state"
        kinds = "kind IN ('prompt', 'state')"
        older = columns.replace("at,", f"at - {DAYS_AGO},")
        last = f"SELECT * FROM events WHERE {kinds} ORDER BY id DESC LIMIT 4"
        db.execute(f"INSERT INTO events ({columns}) SELECT {older} FROM numbers, ({last})")


def copy(db: apsw.Connection, table: str, changed: dict[str, str], key: str, value: bytes) -> None:
    """The rows of a table with this key, once for each number, with some columns changed."""
    names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    given = ", ".join(changed.get(name, name) for name in names)
    db.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {given} FROM numbers, {table} WHERE {key} = ?", (value,))
