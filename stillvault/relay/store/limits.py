"""What the prompt limits count, and the holds that a freeze makes."""

from __future__ import annotations

from typing import NamedTuple

from stillvault.relay.store.connection import Connection

MOST_HOLDS = 500


class StoredHold(NamedTuple):
    subject: str
    until: int
    decision: bytes  # signed; empty where the relay froze



def has_card(db: Connection, card: bytes) -> bool:
    return bool(db.execute("SELECT count(*) FROM cards WHERE card = ?", (card,)).get)


def add_card(db: Connection, card: bytes, key: bytes, identity: bytes, purpose: str, now: int) -> None:
    db.execute("INSERT INTO cards (card, key, identity, purpose, at) VALUES (?, ?, ?, ?, ?)", (card, key, identity, purpose, now))


def refund(db: Connection, card: bytes) -> None:
    """An approved card gives its budget back."""
    db.execute("UPDATE cards SET refunded = 1 WHERE card = ?", (card,))


def cards_since(db: Connection, identity: bytes, since: int) -> int:
    """Cards of a measured identity that count against its budget."""
    count: int = db.execute("SELECT count(*) FROM cards WHERE identity = ? AND at > ? AND refunded = 0", (identity, since)).get
    return count


def cards_of_client(db: Connection, key: bytes, since: int) -> int:
    count: int = db.execute("SELECT count(*) FROM cards WHERE key = ? AND at > ? AND purpose = 'use'", (key, since)).get
    return count


def pending_cards(db: Connection, identity: bytes | None = None) -> int:
    """Cards that wait, of everybody or of one identity."""
    query = "SELECT count(DISTINCT card) FROM requests WHERE state = 'pending'"
    if identity is None:
        count: int = db.execute(query).get
    else:
        count = db.execute(f"{query} AND identity = ?", (identity,)).get
    return count


def pending_of_client(db: Connection, key: bytes) -> int:
    """Cards of one client that wait, whichever program asked. Looks through what waits, and not through all that this client ever
    asked: the plus sign keeps that index out."""
    query = "SELECT count(DISTINCT card) FROM requests WHERE state = 'pending' AND +key = ?"
    count: int = db.execute(query, (key,)).get
    return count


def pending_of(db: Connection, identity: bytes, path: str) -> int:
    query = "SELECT count(*) FROM requests WHERE state = 'pending' AND path = ? AND identity = ?"
    count: int = db.execute(query, (path, identity)).get
    return count


def pending_for(db: Connection, person: str, besides: bytes) -> int:
    """Cards that wait for a person, besides one."""
    tables = "requests, json_each(requests.asked) AS asked"
    query = f"SELECT count(DISTINCT card) FROM {tables} WHERE requests.state = 'pending' AND asked.value = ? AND card <> ?"  # noqa: S608  constant names
    count: int = db.execute(query, (person, besides)).get
    return count


def add_ask(db: Connection, person: str, card: bytes, now: int) -> None:
    db.execute("INSERT INTO asks (person, at, card) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (person, now, card))


def asks_since(db: Connection, person: str, since: int) -> int:
    count: int = db.execute("SELECT count(*) FROM asks WHERE person = ? AND at > ?", (person, since)).get
    return count


def add_denial(db: Connection, request: bytes, key: bytes, identity: bytes, path: str, now: int) -> None:
    query = "INSERT INTO denials (request, key, identity, path, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
    db.execute(query, (request, key, identity, path, now))


def denials(db: Connection, key: bytes, path: str, since: int) -> list[int]:
    """When this client was denied this secret, the last first."""
    query = "SELECT at FROM denials WHERE key = ? AND path = ? AND at > ? ORDER BY at DESC"
    return [row[0] for row in db.execute(query, (key, path, since))]


def denials_of_client(db: Connection, key: bytes, since: int) -> int:
    """Denied cards are what counts: a card of ten secrets is one no."""
    tables = "denials JOIN requests ON requests.oid = denials.request"
    query = f"SELECT count(DISTINCT card) FROM {tables} WHERE denials.key = ? AND denials.at > ?"  # noqa: S608  constant names
    count: int = db.execute(query, (key, since)).get
    return count


def add_hold(db: Connection, subject: str, until: int, decision: bytes | None) -> None:
    db.execute("INSERT INTO holds (subject, until, decision) VALUES (?, ?, ?)", (subject, until, decision))


def held_until(db: Connection, subject: str, now: int) -> int:
    """When the last hold on a subject ends; 0 when there is none."""
    until: int | None = db.execute("SELECT max(until) FROM holds WHERE subject = ? AND until > ?", (subject, now)).get
    return until or 0


def holds(db: Connection, now: int, limit: int = MOST_HOLDS) -> list[StoredHold]:
    """The holds in force, by subject; of more than the limit those that end first are left out."""
    query = (
        "SELECT holds.subject, holds.until, coalesce(decisions.signed, x'') FROM holds "
        "LEFT JOIN decisions ON decisions.oid = holds.decision WHERE holds.until > ? ORDER BY holds.until DESC, holds.seq LIMIT ?"
    )
    return sorted(StoredHold(*row) for row in db.execute(query, (now, limit)))


def lift_holds(db: Connection, subject: str, now: int) -> int:
    """Ends the holds on a subject. Returns how many there were."""
    db.execute("DELETE FROM holds WHERE subject = ? AND until > ?", (subject, now))
    return db.changes()


def sweep(db: Connection, before: int, now: int) -> None:
    for table in ("cards", "asks", "denials"):
        db.execute(f"DELETE FROM {table} WHERE at < ?", (before,))  # noqa: S608  constant names
    db.execute("DELETE FROM holds WHERE until < ?", (now,))
