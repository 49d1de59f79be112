"""Numbers for the metrics, each from an index: a look costs as much as there is open, not as much as there was ever."""

from __future__ import annotations

from stillvault.relay.store.connection import Connection


def waiting(db: Connection) -> int:
    """Requests that wait for people."""
    number: int = db.execute("SELECT count(*) FROM requests WHERE state = 'pending'").get
    return number


def leases(db: Connection, now: int) -> int:
    """Leases that the relay knows of."""
    number: int = db.execute("SELECT count(*) FROM requests WHERE lease_ends > 0 AND lease_ends > ?", (now,)).get
    return number
