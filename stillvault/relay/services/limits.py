"""Prompt limits (threats, "Prompt bombing"): what may reach a person's screen. They count cards, per measured identity, which
is the client, the uid and the executable, so that one bad program does not exhaust a host. An approved card gives its budget
back.

The approver's device has limits of its own, because this relay may be hostile. A refusal here is one number in the audit log,
not a row: `suppressed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import UNSET

from stillvault.crypto import public
from stillvault.protocol import messages, objects
from stillvault.protocol.errors import RateLimited
from stillvault.relay.context import Call
from stillvault.relay.problems import ProblemError
from stillvault.relay.services.verified import raw, read
from stillvault.relay.settings import Limits
from stillvault.relay.store import limits as store
from stillvault.relay.store import requests
from stillvault.relay.store.connection import Connection
from stillvault.relay.store.transaction import Transaction

HOUR = 3600
TEN_MINUTES = 600


@dataclass(frozen=True, slots=True)
class Card:
    """All requests of one command. `key` is the client's, `identity` who asks on it."""

    card: bytes
    key: bytes
    identity: bytes
    subject: str
    purpose: str
    paths: Sequence[str]
    trusted: bool  # a person approved this client before


def refuse(limit: str, wait: int = 0) -> RateLimited:
    remedy = (
        f"Wait {wait} s, or raise limits.{limit} at the relay."
        if wait
        else f"Answer what waits, or raise limits.{limit} at the relay."
    )
    return RateLimited("rate-limited", "A limit on prompts was reached", remedy, f"limits.{limit}")


def check(tx: Transaction, limits: Limits, card: Card, now: int) -> None:
    """Raises `hold`, or `RateLimited` naming the limit, before anybody is asked."""
    db = tx.connection
    if store.held_until(db, card.subject, now):
        raise ProblemError("hold")
    if more_of_a_reseal(tx, card):
        return
    # After a deny the same client stays away from the same secret: five minutes, then an hour.  # C19
    for path in card.paths:
        denied = store.denials(db, card.key, path, now - HOUR)
        pause = limits.cool_down_seconds if len(denied) == 1 else limits.cool_down_again_seconds
        if denied and now < denied[0] + pause:
            raise refuse("cool_down_seconds", denied[0] + pause - now)
        if store.pending_of(db, card.identity, path) >= limits.pending_per_secret:
            raise refuse("pending_per_secret")
    if store.pending_cards(db, card.identity) >= limits.pending_per_client:
        raise refuse("pending_per_client")
    # A host whose programs all ask, or that names a new program each time, leaves half of a person's screen to the others.
    if store.pending_of_client(db, card.key) >= max(limits.pending_per_approver // 2, 1):
        raise refuse("pending_per_approver")
    if store.pending_cards(db) >= limits.pending_per_org:
        raise refuse("pending_per_org")
    if store.cards_since(db, card.identity, now - TEN_MINUTES) >= limits.prompts_per_10_minutes:
        raise refuse("prompts_per_10_minutes", TEN_MINUTES)
    if store.cards_since(db, card.identity, now - HOUR) >= limits.prompts_per_hour:
        raise refuse("prompts_per_hour", HOUR)
    new = card.purpose == "use" and not card.trusted
    if new and store.cards_of_client(db, card.key, now - limits.first_prompt_seconds):
        raise refuse("first_prompt_seconds", limits.first_prompt_seconds)


def more_of_a_reseal(tx: Transaction, card: Card) -> bool:
    """A re-seal of many secrets comes in several calls and counts once. Any other command is one call: who repeats the tuple of a
    card to get more prompts through is counted each time."""
    return card.purpose == "reseal" and store.has_card(tx.connection, card.card)


def askable(tx: Transaction, limits: Limits, people: Sequence[str], card: Card, threshold: int, now: int) -> list[str]:
    """Who of `people` has room for one more card. Fewer than the threshold: nobody is asked.

    The others may still answer; they are only not bothered.
    """
    db = tx.connection
    if more_of_a_reseal(tx, card):
        return list(people)
    free = [
        person
        for person in people
        if store.pending_for(db, person, card.card) < limits.pending_per_approver
        and store.asks_since(db, person, now - HOUR) < limits.prompts_per_approver_hour
    ]
    if len(free) < threshold:
        raise refuse("pending_per_approver")
    return free


def freeze_after_denials(tx: Transaction, limits: Limits, key: bytes, subject: str, now: int) -> bool:
    """Denied cards in an hour, each by a signed decision, put the client on hold. True when this one did."""
    if store.denials_of_client(tx.connection, key, now - HOUR) < limits.denies_to_freeze or store.held_until(
        tx.connection, subject, now
    ):
        return False
    store.add_hold(tx.connection, subject, now + limits.freeze_seconds, None)
    return True


def freezes(call: Call) -> list[messages.Freeze]:
    """What freezes put on clients. Each comes with the signed decision and a request that it names, so that a reader need not
    believe this relay who froze whom; the relay's own word stands without."""
    return [_freeze(call.relay.reader, one) for one in store.holds(call.relay.reader, call.now)]


def _freeze(db: Connection, hold: store.StoredHold) -> messages.Freeze:
    if not hold.decision:
        return messages.Freeze(hold.subject, hold.until)
    said = read(objects.Decision, public.payload_of("decision", hold.decision))
    found = (requests.get(db, public.b64decode(item.request)) for item in said.items)
    asked = next((one.signed for one in found if one is not None and one.subject == hold.subject), None)
    return messages.Freeze(hold.subject, hold.until, raw(hold.decision), UNSET if asked is None else raw(asked))


async def lift(call: Call, subject: str) -> int:
    """Ends what freezes put on a client: the word of an administrator (P4). Holds of the roster end with a roster."""
    public.check_path(subject)

    def change(tx: Transaction) -> int:
        count = store.lift_holds(tx.connection, subject, call.now)
        if count:
            tx.leaf("config", call.who.actor, call.now, outcome=f"freeze lifted: {subject}")
            tx.event("people", "state", call.now, state="lifted")
        return count

    return await call.relay.writer.write(change)
