"""Leases as far as the relay knows of them, from receipts and reports, and orders to end them. It may shorten a lease and never
lengthen it: what a client keeps is the client's own book."""

from __future__ import annotations

from collections.abc import Sequence

from stillvault.crypto import public
from stillvault.protocol import messages, objects
from stillvault.relay.context import Call, client_audience
from stillvault.relay.problems import ProblemError
from stillvault.relay.services.sign_in import oid
from stillvault.relay.services.verified import read
from stillvault.relay.store import requests
from stillvault.relay.store.requests import StoredRequest
from stillvault.relay.store.transaction import Transaction

MOST = 1000  # that are listed, and ended at a time


def listed(call: Call) -> messages.Leases:
    """What is warm, the one that ends first at the head."""
    db = call.relay.reader
    lines: list[messages.Lease] = []
    granted = requests.granted_by(db, call.now, MOST)
    for row in requests.all_leased(db, call.now, MOST):
        seen = read(objects.Request, public.payload_of("request", row.signed)).observed
        name, caller, people = public.b64encode(row.oid), (seen.uid, seen.user, seen.exe), granted.get(row.oid, [])
        lines.append(messages.Lease(name, row.path, row.host, row.subject, *caller, people, row.lease_ends, row.used))
    return messages.Leases(lines)


async def end(call: Call, body: messages.EndLeases) -> int:
    """Orders clients to drop leases: those of the named requests, or whatever any client keeps, known here or not.

    1. either names or all; every name is of a stored request
    2. one transaction: the order goes into the client's feed, the lease is over for the relay too, with its row in the log
    """
    # 1.
    if body.all == bool(body.requests) or len(body.requests) > MOST:
        raise ProblemError("body-form", f"either `all`, or 1 to {MOST} requests", "requests")
    named = [oid(one) for one in dict.fromkeys(body.requests)]
    now, actor = call.now, call.who.actor

    def change(tx: Transaction) -> int:
        rows = _rows(tx, named) if named else requests.all_leased(tx.connection, now, None)
        # 2.
        for row in rows:
            if named:
                tx.event(client_audience(row.key), "purge", now, request=row.oid, path=row.path)
            if row.lease_ends > now:
                requests.set_lease(tx.connection, row.oid, 0)
                tx.leaf("lease-ended", actor, now, request=row.oid, secret=row.path, host=row.host, outcome="purge")
        if not named:
            tx.event("clients", "purge", now)
            tx.leaf("lease-ended", actor, now, outcome="purge of all")
        return sum(row.lease_ends > now for row in rows)

    return await call.relay.writer.write(change, essential=True)


def _rows(tx: Transaction, named: Sequence[bytes]) -> list[StoredRequest]:
    found = [requests.get(tx.connection, one) for one in named]
    rows = [row for row in found if row is not None]
    if len(rows) != len(named):
        raise ProblemError("unknown")
    return rows
