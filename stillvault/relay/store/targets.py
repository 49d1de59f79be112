"""Notification targets, and the notices that wait to be sent to them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stillvault.relay.store.connection import Connection


class StoredTarget(NamedTuple):
    """A row. `address` is the JSON of an `Address`; it holds credentials and goes into no answer, log line or error."""

    id: str
    person: str
    name: str
    kind: str
    device: str
    address: str
    created: int
    last_at: int = 0
    last: str = ""

    def __repr__(self) -> str:
        return f"StoredTarget(kind={self.kind!r})"


class Notice(NamedTuple):
    """One card that a target is to hear of."""

    seq: int
    card: bytes
    requests: list[bytes]
    due: int
    expires: int
    tries: int
    said: str


_TARGET = ", ".join(StoredTarget._fields)


# ---- targets -----------------------------------------------------------------------------------------------------------


def add(db: Connection, target: StoredTarget) -> bool:
    """False when the person has a target of this name."""
    marks = ", ".join("?" * len(target))
    query = f"INSERT INTO targets ({_TARGET}) VALUES ({marks}) ON CONFLICT DO NOTHING RETURNING 1"  # noqa: S608  constant columns
    return db.execute(query, target).fetchone() is not None


def of_person(db: Connection, person: str) -> list[StoredTarget]:
    query = f"SELECT {_TARGET} FROM targets WHERE person = ? ORDER BY created, name"  # noqa: S608  constant columns
    return [StoredTarget(*row) for row in db.execute(query, (person,))]


def get(db: Connection, id: str) -> StoredTarget | None:
    row = db.execute(f"SELECT {_TARGET} FROM targets WHERE id = ?", (id,)).fetchone()  # noqa: S608  constant columns
    return StoredTarget(*row) if row else None


def remove(db: Connection, id: str) -> None:
    """With all that waits for it."""
    db.execute("DELETE FROM targets WHERE id = ?", (id,))


def note(db: Connection, id: str, outcome: str, now: int) -> None:
    db.execute("UPDATE targets SET last = ?, last_at = ? WHERE id = ?", (outcome, now, id))


def keep(db: Connection, people: Iterable[str], devices: Iterable[tuple[str, str]]) -> None:
    """Drops the targets of everybody else, and those that are a browser whose device is not listed any more."""
    db.execute("DELETE FROM targets WHERE person NOT IN (SELECT value FROM json_each(?))", (json.dumps(sorted(people)),))
    listed = json.dumps([f"{person}/{device}" for person, device in devices])
    query = (
        "DELETE FROM targets WHERE kind IN ('browser', 'webpush') "
        "AND person || '/' || device NOT IN (SELECT value FROM json_each(?))"
    )
    db.execute(query, (listed,))


# ---- notices -----------------------------------------------------------------------------------------------------------


def enqueue(db: Connection, people: Iterable[str], card: bytes, requests: Sequence[bytes], now: int, expires: int) -> int:
    """A notice of a card for each target of these people that is sent to. Returns how many were new."""
    query = (
        "INSERT INTO notices (target, card, requests, due, expires) SELECT id, ?, ?, ?, ? FROM targets "
        "WHERE kind <> 'browser' AND person IN (SELECT value FROM json_each(?)) ON CONFLICT DO NOTHING"
    )
    db.execute(query, (card, _oids(requests), now, expires, json.dumps(sorted(people))))
    return db.changes()


def move(db: Connection, before: Iterable[bytes], card: bytes, requests: Sequence[bytes], expires: int) -> None:
    """What still waits for cards that a newer one replaced is about the newer one."""
    query = "UPDATE OR IGNORE notices SET card = ?, requests = ?, expires = ? WHERE ended = 0 AND card = ?"
    for old in before:
        db.execute(query, (card, _oids(requests), expires, old))


def due(db: Connection, now: int) -> list[str]:
    """The targets that something is due for."""
    query = "SELECT target, min(due) AS first FROM notices WHERE ended = 0 AND due <= ? GROUP BY target ORDER BY first, target"
    return [row[0] for row in db.execute(query, (now,))]


def next_due(db: Connection) -> int | None:
    at: int | None = db.execute("SELECT min(due) FROM notices WHERE ended = 0").get
    return at


def waiting(db: Connection, target: str, now: int) -> list[Notice]:
    """What is due for a target, oldest first."""
    columns = "seq, card, requests, due, expires, tries, said"
    query = f"SELECT {columns} FROM notices WHERE target = ? AND ended = 0 AND due <= ? ORDER BY seq"  # noqa: S608  constant columns
    return [
        Notice(row[0], row[1], [bytes.fromhex(one) for one in json.loads(row[2])], *row[3:])
        for row in db.execute(query, (target, now))
    ]


def sent_since(db: Connection, target: str, since: int) -> tuple[int, int]:
    """(messages, when the last one went)."""
    query = "SELECT count(DISTINCT sent), coalesce(max(sent), 0) FROM notices WHERE target = ? AND sent > ?"
    count, last = db.execute(query, (target, since)).fetchone()
    return count, last


def postpone(db: Connection, seq: int, due: int, tries: int, said: str) -> None:
    db.execute("UPDATE notices SET due = ?, tries = ?, said = ? WHERE seq = ? AND ended = 0", (due, tries, said, seq))


def end(db: Connection, seq: int, now: int, *, sent: bool) -> bool:
    """False when it had ended already."""
    query = "UPDATE notices SET ended = ?, sent = ? WHERE seq = ? AND ended = 0 RETURNING 1"
    return db.execute(query, (now, now if sent else 0, seq)).fetchone() is not None


def sweep(db: Connection, before: int) -> None:
    db.execute("DELETE FROM notices WHERE ended > 0 AND ended < ?", (before,))


def _oids(requests: Sequence[bytes]) -> str:
    return json.dumps([oid.hex() for oid in requests])


# ---- what a message says -----------------------------------------------------------------------------------------------

_OPEN = (
    "FROM requests, json_each(requests.asked) AS asked WHERE requests.state = 'pending' AND asked.value = ? AND expires > ? "
    "AND NOT EXISTS (SELECT 1 FROM votes WHERE votes.request = requests.oid AND votes.person = asked.value)"
)


def cards_waiting(db: Connection, person: str, now: int) -> set[bytes]:
    """The cards that wait for a decision of this person."""
    return {row[0] for row in db.execute(f"SELECT DISTINCT card {_OPEN}", (person, now))}
