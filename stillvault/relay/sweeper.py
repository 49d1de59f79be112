"""What time does by itself: requests expire, bearers and invites run out, leases end, old rows of counters and events go.

Each round is one transaction. A request expires at its deadline within a second, whether or not anybody asks.
"""

from __future__ import annotations

import asyncio

from stillvault.protocol.lifecycle import Event
from stillvault.relay.context import Relay
from stillvault.relay.problems import ProblemError
from stillvault.relay.services import enrolment, moving
from stillvault.relay.store import bearers, events, invites, limits, requests, targets
from stillvault.relay.store.transaction import Transaction

ROUND = 0.5  # seconds between two looks
CLEANING = 60  # seconds between two rounds that also clean and report
EVENTS_KEPT = 7 * 86_400  # seconds
COUNTERS_KEPT = 2 * 3600  # seconds: no limit looks back further than an hour


async def sweep(relay: Relay) -> None:
    """Runs until cancelled."""
    cleaned = 0
    while True:
        await asyncio.sleep(ROUND)
        now = relay.clock()
        try:
            if requests.due(relay.reader, now, 1) or requests.ended_leases(relay.reader, now, 1):
                await relay.writer.write(lambda tx: expire(tx, now), essential=True)  # noqa: B023  awaited in this round
            if now - cleaned >= CLEANING:
                cleaned = now
                await clean(relay, now)
        except ProblemError as error:
            relay.journal.warning("sweep", code=error.code)
        except Exception as error:  # noqa: BLE001  a round that failed must not be the last one
            relay.journal.failure("sweep", error)


def expire(tx: Transaction, now: int) -> None:
    """Section 9: `now >= expires`; section 10: windows that have passed."""
    for request in requests.due(tx.connection, now):
        moving.move(tx, request, Event("tick", now))
    for request in requests.ended_leases(tx.connection, now):
        requests.set_lease(tx.connection, request.oid, 0)
        tx.leaf("lease-ended", request.subject, now, request=request.oid, secret=request.path, outcome="window")


async def clean(relay: Relay, now: int) -> None:
    """Bearers, invites, counters, old events; and what was suppressed, as one row a client and limit."""
    suppressed, seen = relay.suppressed.take(), relay.seen.take()

    def change(tx: Transaction) -> None:
        for session, at in seen.items():
            bearers.seen(tx.connection, session, at)
        bearers.sweep(tx.connection, now)
        events.sweep(tx.connection, now - EVENTS_KEPT)
        limits.sweep(tx.connection, now - COUNTERS_KEPT, now)
        targets.sweep(tx.connection, now - COUNTERS_KEPT)
        for invite in invites.sweep(tx.connection, now):
            tx.wake(enrolment.topic(invite))
        for subject, limit, count in suppressed:
            tx.leaf("suppressed", subject, now, outcome=limit, count=count)

    await relay.writer.write(change, essential=True)
