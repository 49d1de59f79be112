"""Sealed secrets: every version and revision, the newest of each path marked."""

from __future__ import annotations

from typing import NamedTuple

from stillvault.relay.store.connection import Connection


class StoredSecret(NamedTuple):
    oid: bytes
    path: str
    version: int
    revision: int
    signed: bytes


_COLUMNS = "oid, path, version, revision, signed"


def newest(db: Connection, path: str) -> StoredSecret | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM secrets WHERE path = ? AND newest = 1", (path,)).fetchone()  # noqa: S608  constant columns
    return StoredSecret(*row) if row else None


def by_oid(db: Connection, oid: bytes) -> StoredSecret | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM secrets WHERE oid = ?", (oid,)).fetchone()  # noqa: S608  constant columns
    return StoredSecret(*row) if row else None


def ciphertext(db: Connection, oid: bytes) -> bytes:
    found: bytes | None = db.execute("SELECT ciphertext FROM secrets WHERE oid = ?", (oid,)).get
    if found is None:
        raise LookupError("no such secret")
    return found


def add(db: Connection, secret: StoredSecret, ciphertext: bytes, now: int) -> None:
    """Stores the next version or revision; it becomes the newest of its path."""
    db.execute("UPDATE secrets SET newest = 0 WHERE path = ? AND newest = 1", (secret.path,))
    query = (
        "INSERT INTO secrets (oid, path, version, revision, newest, stored, signed, ciphertext) VALUES (?, ?, ?, ?, 1, ?, ?, ?)"
    )
    db.execute(query, (secret.oid, secret.path, secret.version, secret.revision, now, secret.signed, ciphertext))


def listed(db: Connection, prefix: str, after: str, limit: int) -> list[StoredSecret]:
    """The newest of each path that is `prefix` or lies under it, in order of path, from behind `after`."""
    low = ">" if after >= prefix else ">="  # one bound below, or an index is read from its beginning
    query = f"SELECT {_COLUMNS} FROM secrets WHERE newest = 1 AND path {low} ?"  # noqa: S608
    bounds: tuple[object, ...] = (max(after, prefix),)
    if prefix:
        # '/' is followed by '0': everything that begins `prefix/` lies between the two.
        query += " AND path < ? AND (path = ? OR path >= ?)"
        bounds += (f"{prefix}0", prefix, f"{prefix}/")
    return [StoredSecret(*row) for row in db.execute(f"{query} ORDER BY path LIMIT ?", (*bounds, limit))]


def history(db: Connection, path: str, limit: int) -> list[StoredSecret]:
    """All seals of a path, the newest first."""
    query = f"SELECT {_COLUMNS} FROM secrets WHERE path = ? ORDER BY version DESC, revision DESC LIMIT ?"  # noqa: S608  constant columns
    return [StoredSecret(*row) for row in db.execute(query, (path, limit))]
