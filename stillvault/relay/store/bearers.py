"""Setup tokens, login nonces and sessions: only their hashes, and each use of a single-use one is one DELETE that counts rows
(C8)."""

from __future__ import annotations

from typing import NamedTuple

from stillvault.relay.store.connection import Connection


class StoredSession(NamedTuple):
    person: str
    device: str
    client: bytes
    expires: int
    created: int = 0
    last_seen: int = 0
    label: str = ""  # what the browser calls itself; empty for the command line
    signer: str = ""  # hash of the key that signed in: one of several of a synced device may be revoked alone


_COLUMNS = ", ".join(StoredSession._fields)


def add_setup_token(db: Connection, hashed: bytes, expires: int) -> None:
    db.execute("INSERT OR REPLACE INTO setup_tokens (hash, expires) VALUES (?, ?)", (hashed, expires))


def has_setup_token(db: Connection, hashed: bytes, now: int) -> bool:
    return bool(db.execute("SELECT count(*) FROM setup_tokens WHERE hash = ? AND expires > ?", (hashed, now)).get)


def take_setup_tokens(db: Connection) -> None:
    """The organisation exists: no token is of use any more."""
    db.execute("DELETE FROM setup_tokens")


def add_session(db: Connection, hashed: bytes, session: StoredSession) -> None:
    query = f"INSERT INTO sessions (hash, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  constant names
    db.execute(query, (hashed, *session))


def session(db: Connection, hashed: bytes, now: int) -> StoredSession | None:
    query = f"SELECT {_COLUMNS} FROM sessions WHERE hash = ? AND expires > ?"  # noqa: S608  constant names
    row = db.execute(query, (hashed, now)).fetchone()
    return StoredSession(*row) if row else None


def sessions_of(db: Connection, person: str, now: int) -> list[tuple[bytes, StoredSession]]:
    """A person's sessions by their hash, the newest first."""
    query = f"SELECT hash, {_COLUMNS} FROM sessions WHERE person = ? AND expires > ? ORDER BY created DESC, hash"  # noqa: S608  constant columns
    return [(row[0], StoredSession(*row[1:])) for row in db.execute(query, (person, now))]


def seen(db: Connection, hashed: bytes, at: int) -> None:
    db.execute("UPDATE sessions SET last_seen = ? WHERE hash = ?", (at, hashed))


def end_session(db: Connection, hashed: bytes) -> None:
    db.execute("DELETE FROM sessions WHERE hash = ?", (hashed,))


def clear(db: Connection) -> None:
    """No bearer survives a restore."""
    for table in ("sessions", "setup_tokens"):
        db.execute(f"DELETE FROM {table}")  # noqa: S608  constant names


def sweep(db: Connection, now: int) -> None:
    for table in ("sessions", "setup_tokens"):
        db.execute(f"DELETE FROM {table} WHERE expires <= ?", (now,))  # noqa: S608  constant names
