"""Keys of devices, wrapped under their passkeys: ciphertext that the relay keeps and cannot open (protocol 11)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from stillvault.relay.store.connection import Connection


class StoredKey(NamedTuple):
    credential: str
    kind: str
    public: str
    blob: str
    stored: int


def put(db: Connection, person: str, device: str, key: StoredKey) -> None:
    """One of each credential and kind."""
    db.execute("INSERT OR REPLACE INTO wrapped VALUES (?, ?, ?, ?, ?, ?, ?)", (person, device, *key))


def of_device(db: Connection, person: str, device: str) -> list[StoredKey]:
    query = (
        "SELECT credential, kind, public, blob, stored FROM wrapped WHERE person = ? AND device = ? "
        "ORDER BY stored, credential, kind"
    )
    return [StoredKey(*row) for row in db.execute(query, (person, device))]


def keep_devices(db: Connection, devices: Iterable[tuple[str, str]]) -> None:
    """What is wrapped for any other device is of no use any more."""
    standing = set(devices)
    for person, device in db.execute("SELECT DISTINCT person, device FROM wrapped").fetchall():
        if (person, device) not in standing:
            db.execute("DELETE FROM wrapped WHERE person = ? AND device = ?", (person, device))
