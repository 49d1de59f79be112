"""A card begins to wait: who is told beside the console, and what the log says became of it.

The notices are made in the transaction that makes the prompt, so that no crash comes between. What each came to is one row
`prompted` for each request, by the name of the target and its channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from stillvault.relay.store import requests, targets
from stillvault.relay.store.requests import StoredRequest
from stillvault.relay.store.targets import Notice, StoredTarget
from stillvault.relay.store.transaction import Transaction

TOPIC = "notify"


def enqueue(
    tx: Transaction,
    people: Iterable[str],
    card: bytes,
    oids: Sequence[bytes],
    replaced: Sequence[StoredRequest],
    now: int,
    expires: int,
) -> None:
    """Notices of one card. A card that only moved makes no second alert (section 9); one that was not sent yet goes on."""
    if replaced:
        targets.move(tx.connection, {old.card for old in replaced}, card, oids, expires)
    elif targets.enqueue(tx.connection, people, card, oids, now, expires):
        tx.wake(TOPIC)


def settle(tx: Transaction, target: StoredTarget, notices: Sequence[Notice], outcome: str, now: int) -> None:
    """Ends notices with one row for each request that they told of. `outcome` is `sent`, `grouped`, `not needed`, or
    `failed: ` and why."""
    sent = outcome == "sent"
    for notice in notices:
        if not targets.end(tx.connection, notice.seq, now, sent=sent) and not sent:
            continue  # its target was removed meanwhile
        for oid in notice.requests:
            row = requests.get(tx.connection, oid)
            if row is None or target.person not in row.asked:
                continue
            if sent and not requests.first_prompt(tx.connection, oid, target.person, target.name, target.kind):
                continue
            rule = f"{'any' if row.threshold == 1 else row.threshold}-of-{len(row.people)}"
            people = f"{requests.people_prompted(tx.connection, oid)} of {rule}"
            facts: dict[str, Any] = {"secret": row.path, "host": row.host, "device": target.name, "channel": target.kind}
            facts |= {"people": people, "outcome": outcome, "count": notice.tries or None}
            tx.leaf("prompted", target.person, now, request=oid, **facts)
    if sent or outcome.startswith("failed"):
        targets.note(tx.connection, target.id, outcome.removeprefix("failed: "), now)
