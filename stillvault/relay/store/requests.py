"""Requests, the decisions on them, and what was said about them since."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from stillvault.protocol import lifecycle
from stillvault.relay.store.connection import Connection


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A row. `row()` is its part that the life-cycle table moves."""

    oid: bytes
    client: bytes
    key: bytes
    subject: str
    host: str
    id: str
    path: str
    purpose: str
    identity: bytes
    observed: bytes
    card: bytes
    secret: bytes
    state: lifecycle.State
    threshold: int
    deny: str
    people: list[str]
    asked: list[str]
    handed: int
    created: int
    expires: int
    lease_ends: int
    signed: bytes
    used: int = 0


class Vote(NamedTuple):
    person: str
    device: str
    verdict: str
    decision: bytes
    expires: int
    window: int
    enc: str
    ct: str


MOST_USES = 2**53 - 1

_FIELDS = tuple(StoredRequest.__dataclass_fields__)
_COLUMNS = ", ".join(_FIELDS)
_PEOPLE = (_FIELDS.index("people"), _FIELDS.index("asked"))


def _request(row: tuple[object, ...]) -> StoredRequest:
    values = list(row)
    for place in _PEOPLE:
        values[place] = json.loads(str(values[place]))
    return StoredRequest(*values)  # type: ignore[arg-type]  # STRICT columns


def add(db: Connection, request: StoredRequest) -> bool:
    """False when the client used this id before."""
    values = [getattr(request, name) for name in _FIELDS]
    for place in _PEOPLE:
        values[place] = json.dumps(values[place])
    marks = ", ".join("?" * len(_FIELDS))
    query = f"INSERT INTO requests ({_COLUMNS}) VALUES ({marks}) ON CONFLICT DO NOTHING RETURNING 1"  # noqa: S608  constant columns
    return db.execute(query, values).fetchone() is not None


def get(db: Connection, oid: bytes) -> StoredRequest | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM requests WHERE oid = ?", (oid,)).fetchone()  # noqa: S608  constant columns
    return _request(row) if row else None


def is_pending(db: Connection, oid: bytes) -> bool:
    return db.execute("SELECT 1 FROM requests WHERE oid = ? AND state = 'pending'", (oid,)).fetchone() is not None


def _where(db: Connection, condition: str, values: Iterable[object]) -> list[StoredRequest]:
    rows = db.execute(f"SELECT {_COLUMNS} FROM requests WHERE {condition}", tuple(values)).fetchall()  # noqa: S608  constant columns
    return [_request(row) for row in rows]


def pending(db: Connection, limit: int = 1000) -> list[StoredRequest]:
    return _where(db, "state = 'pending' ORDER BY seq LIMIT ?", (limit,))


def same(db: Connection, key: bytes, path: str, purpose: str, observed: bytes) -> list[StoredRequest]:
    """Pending ones that a newer request replaces (section 9)."""
    return _where(
        db, "state = 'pending' AND path = ? AND key = ? AND purpose = ? AND observed = ?", (path, key, purpose, observed)
    )


def due(db: Connection, now: int, limit: int = 200) -> list[StoredRequest]:
    """Pending or approved ones whose time is over."""
    return _where(db, "state IN ('pending', 'approved') AND expires <= ? LIMIT ?", (now, limit))


# Each in the words of an index, or all that was ever asked is looked through.
_LEASED = "lease_ends > 0 AND lease_ends > ?"
_LOST = "state = 'expired' AND handed = 1 AND expires > ?"
_OPEN = "state IN ('pending', 'approved')"
LOST_WITHIN = 3600  # seconds since a request expired whose release was handed over


def touched_by_path(db: Connection, path: str, now: int) -> list[StoredRequest]:
    """What a newer version of `path` concerns: pending ones, and those whose value may still be in use."""
    return _touched(db, now, " AND +path = ?", path)


def touched_by_roster(db: Connection, now: int) -> list[StoredRequest]:
    """What a new roster may concern: as above, of every path."""
    return _touched(db, now, "")


def _touched(db: Connection, now: int, only: str, *values: object) -> list[StoredRequest]:
    return [
        *_where(db, _OPEN + only, values),
        *_where(db, _LOST + only, (now - LOST_WITHIN, *values)),
        *_where(db, f"state = 'delivered' AND {_LEASED}{only}", (now, *values)),
    ]


def move(db: Connection, request: StoredRequest, after: lifecycle.Row) -> bool:
    """Compare and set: False when somebody moved it since it was read."""
    query = "UPDATE requests SET state = ?, handed = ?, people = ? WHERE oid = ? AND state = ? AND handed = ? RETURNING 1"
    people = json.dumps(sorted(after.people))
    values = (after.state, int(after.handed), people, request.oid, request.state, request.handed)
    return db.execute(query, values).fetchone() is not None


def set_lease(db: Connection, oid: bytes, ends: int) -> None:
    db.execute("UPDATE requests SET lease_ends = ? WHERE oid = ?", (ends, oid))


def leased(db: Connection, key: bytes, now: int) -> list[StoredRequest]:
    """What a client still keeps, as far as the relay knows."""
    return _where(db, f"{_LEASED} AND +key = ?", (now, key))


def all_leased(db: Connection, now: int, limit: int | None) -> list[StoredRequest]:
    """What any client still keeps, as far as the relay knows; the first to end comes first."""
    return _where(db, f"{_LEASED} ORDER BY lease_ends, seq LIMIT ?", (now, -1 if limit is None else limit))


def granted_by(db: Connection, now: int, limit: int) -> dict[bytes, list[str]]:
    """Who approved each of `all_leased`."""
    first = f"SELECT oid FROM requests WHERE {_LEASED} ORDER BY lease_ends, seq LIMIT ?"  # noqa: S608  constant text
    query = f"SELECT request, person FROM votes WHERE verdict = 'approve' AND request IN ({first}) ORDER BY person"  # noqa: S608  likewise
    found: dict[bytes, list[str]] = {}
    for request, person in db.execute(query, (now, limit)):
        found.setdefault(request, []).append(person)
    return found


def add_uses(db: Connection, oid: bytes, count: int) -> None:
    """What a client reports is never more than a number can hold."""
    db.execute("UPDATE requests SET used = min(used + ?, ?) WHERE oid = ?", (min(count, MOST_USES), MOST_USES, oid))


def ended_leases(db: Connection, now: int, limit: int = 200) -> list[StoredRequest]:
    return _where(db, "lease_ends > 0 AND lease_ends <= ? LIMIT ?", (now, limit))


# ---- votes -------------------------------------------------------------------------------------------------------------

_VOTE = "person, device, verdict, decision, expires, window, enc, ct"


def votes(db: Connection, request: bytes) -> list[Vote]:
    query = f"SELECT {_VOTE} FROM votes WHERE request = ? ORDER BY person"  # noqa: S608  constant columns
    return [Vote(*row) for row in db.execute(query, (request,))]


def put_vote(db: Connection, request: bytes, vote: Vote) -> None:
    """One decision per request and person: a later one that counts replaces the earlier."""
    db.execute("INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (request, *vote))


def keep_votes(db: Connection, request: bytes, people: Iterable[str]) -> None:
    """Approvals of anybody else are void, and their releases gone."""
    standing = json.dumps(sorted(people))
    query = "DELETE FROM votes WHERE request = ? AND verdict = 'approve' AND person NOT IN (SELECT value FROM json_each(?))"
    db.execute(query, (request, standing))


def delete_releases(db: Connection, request: bytes) -> None:
    db.execute("UPDATE votes SET enc = '', ct = '' WHERE request = ? AND ct <> ''", (request,))


def add_decision(db: Connection, oid: bytes, signed: bytes, now: int) -> bool:
    """Whether it is new."""
    db.execute("INSERT INTO decisions (oid, signed, stored) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (oid, signed, now))
    return db.changes() > 0


def decision(db: Connection, oid: bytes) -> bytes:
    found: bytes | None = db.execute("SELECT signed FROM decisions WHERE oid = ?", (oid,)).get
    if found is None:
        raise LookupError("no such decision")
    return found


# ---- what was said about a request -------------------------------------------------------------------------------------


def was_seen(db: Connection, request: bytes, oid: bytes) -> bool:
    return bool(db.execute("SELECT count(*) FROM seen WHERE request = ? AND oid = ?", (request, oid)).get)


def see(db: Connection, request: bytes, oid: bytes) -> None:
    db.execute("INSERT INTO seen (request, oid) VALUES (?, ?) ON CONFLICT DO NOTHING", (request, oid))


def add_report(db: Connection, oid: bytes, request: bytes, signed: bytes, now: int) -> bool:
    """Keeps a signed receipt, use or cancel. False when it is known."""
    query = "INSERT INTO reports (oid, request, signed, stored) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1"
    return db.execute(query, (oid, request, signed, now)).fetchone() is not None


def reports_of(db: Connection, request: bytes, name: str, *, besides: bytes) -> int:
    """How many signed objects of this name a request has, without the one of that oid. The rest of a wrapper is base64, so the
    name of its type stands in it once."""
    query = "SELECT count(*) FROM reports WHERE request = ? AND oid <> ? AND instr(signed, ?)"
    count: int = db.execute(query, (request, besides, f"/vnd.stillvault.{name}.v1+json".encode())).get
    return count


def first_prompt(db: Connection, request: bytes, person: str, device: str, channel: str) -> bool:
    """True the first time that this device gets this request by this channel."""
    query = "INSERT INTO prompted VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1"
    return db.execute(query, (request, person, device, channel)).fetchone() is not None


def people_prompted(db: Connection, request: bytes) -> int:
    count: int = db.execute("SELECT count(DISTINCT person) FROM prompted WHERE request = ?", (request,)).get
    return count


def was_prompted(db: Connection, request: bytes, person: str, device: str, channel: str) -> bool:
    query = "SELECT count(*) FROM prompted WHERE request = ? AND person = ? AND device = ? AND channel = ?"
    return bool(db.execute(query, (request, person, device, channel)).get)


def retarget(db: Connection, oid: bytes, secret: bytes, threshold: int, deny: str, people: Iterable[str]) -> None:
    """A pending request goes on with a newer seal of its secret."""
    query = "UPDATE requests SET secret = ?, threshold = ?, deny = ?, people = ? WHERE oid = ? AND state = 'pending'"
    db.execute(query, (secret, threshold, deny, json.dumps(sorted(people)), oid))
