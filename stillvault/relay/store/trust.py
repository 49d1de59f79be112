"""Roots, rosters, certificates, and the few facts about the relay itself."""

from __future__ import annotations

from typing import NamedTuple

from stillvault.relay.store.connection import Connection


class StoredRoster(NamedTuple):
    root: int
    version: int
    oid: bytes
    signed: bytes
    stored: int


class StoredCert(NamedTuple):
    oid: bytes
    subject: str
    key: bytes
    signed: bytes
    issued: int
    last_seen: int
    trusted: int


_CERT = "oid, subject, key, signed, issued, last_seen, trusted"


def fact(db: Connection, name: str) -> str:
    value: str | None = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).get
    return value or ""


def set_fact(db: Connection, name: str, value: str) -> None:
    db.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
    )


def add_root(db: Connection, version: int, oid: bytes, signed: bytes) -> None:
    db.execute("INSERT INTO roots (version, oid, signed) VALUES (?, ?, ?)", (version, oid, signed))


def roots(db: Connection) -> list[tuple[int, bytes, bytes]]:
    """(version, oid, signed), from version 1."""
    return [(row[0], row[1], row[2]) for row in db.execute("SELECT version, oid, signed FROM roots ORDER BY version")]


def add_roster(db: Connection, roster: StoredRoster) -> None:
    db.execute("INSERT INTO rosters (root, version, oid, signed, stored) VALUES (?, ?, ?, ?, ?)", roster)


def newest_roster(db: Connection) -> StoredRoster | None:
    row = db.execute("SELECT root, version, oid, signed, stored FROM rosters ORDER BY root DESC, version DESC LIMIT 1").fetchone()
    return StoredRoster(*row) if row else None


def add_cert(db: Connection, oid: bytes, subject: str, key: bytes, signed: bytes, issued: int, now: int) -> None:
    """Stores a certificate once. A renewed one inherits that a person has approved its key before."""
    query = (
        "INSERT INTO certs (oid, subject, key, signed, issued, stored, trusted) VALUES (?, ?, ?, ?, ?, ?, "
        "coalesce((SELECT max(trusted) FROM certs WHERE key = ?), 0)) ON CONFLICT (oid) DO NOTHING"
    )
    db.execute(query, (oid, subject, key, signed, issued, now, key))


def cert(db: Connection, oid: bytes) -> StoredCert | None:
    row = db.execute(f"SELECT {_CERT} FROM certs WHERE oid = ?", (oid,)).fetchone()  # noqa: S608  constant columns
    return StoredCert(*row) if row else None


def newest_cert(db: Connection, key: bytes, subject: str) -> StoredCert | None:
    query = f"SELECT {_CERT} FROM certs WHERE key = ? AND subject = ? ORDER BY issued DESC LIMIT 1"  # noqa: S608  constant columns
    row = db.execute(query, (key, subject)).fetchone()
    return StoredCert(*row) if row else None


def certs(db: Connection) -> list[StoredCert]:
    query = f"SELECT {_CERT} FROM certs ORDER BY subject, issued"  # noqa: S608  constant columns
    return [StoredCert(*row) for row in db.execute(query)]


def seen_cert(db: Connection, oid: bytes, now: int) -> None:
    db.execute("UPDATE certs SET last_seen = ? WHERE oid = ?", (now, oid))


def trust_key(db: Connection, key: bytes) -> None:
    """A person approved a request of this key: it is no longer brand-new to the limits."""
    db.execute("UPDATE certs SET trusted = 1 WHERE key = ? AND trusted = 0", (key,))
