"""The one event feed: rows with a cursor, each for an audience. Whoever hears of something fetches it."""

from __future__ import annotations

from collections.abc import Sequence

from stillvault.protocol.messages import Event
from stillvault.relay.store.connection import Connection


def add(db: Connection, audience: str, kind: str, at: int, oid: str, request: str, path: str, state: str) -> None:
    query = "INSERT INTO events (at, audience, kind, oid, request, path, state) VALUES (?, ?, ?, ?, ?, ?, ?)"
    db.execute(query, (at, audience, kind, oid, request, path, state))


def after(db: Connection, audiences: Sequence[str], cursor: int, limit: int) -> list[Event]:
    """The next events for any of `audiences`, in order."""
    marks = ", ".join("?" * len(audiences))
    query = (
        f"SELECT id, kind, oid, request, path, state FROM events WHERE audience IN ({marks}) AND id > ? "  # noqa: S608  marks only
        "ORDER BY id LIMIT ?"
    )
    return [Event(*row) for row in db.execute(query, (*audiences, cursor, limit))]


def newest(db: Connection, cursor: int, limit: int) -> list[tuple[str, Event]]:
    """The last events behind `cursor` with their audiences, in order; of more than `limit` the older ones are left out."""
    query = "SELECT audience, id, kind, oid, request, path, state FROM events WHERE id > ? ORDER BY id DESC LIMIT ?"
    return [(row[0], Event(*row[1:])) for row in db.execute(query, (cursor, limit))][::-1]


def cursor(db: Connection) -> int:
    """Where the feed stands. Never goes back, also when old events were swept."""
    newest: int | None = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").get
    return newest or 0


def sweep(db: Connection, before: int) -> None:
    """Forgets the oldest, up to the first that is to stay: what stays is not looked through."""
    kept = "SELECT id FROM events WHERE at >= ? ORDER BY id LIMIT 1"
    db.execute(f"DELETE FROM events WHERE id < coalesce(({kept}), 9223372036854775807)", (before,))  # noqa: S608  constant text
