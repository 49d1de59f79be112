"""Saying yes or no: memory first, then the signature, then the relay (protocol 7.5).

The order is the point. What is about to be answered is on disk, fsynced, before a signature over it exists, so that no crash
and no relay can get a second one. The very same bytes may be sent again when the network fails: an oid that the relay knows
changes nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import msgspec
from msgspec import UNSET

from stillvault.approver import budget, device
from stillvault.approver.account import Account
from stillvault.approver.device import Card
from stillvault.approver.memory import Answer, Memory, remember, remembered
from stillvault.crypto.private import release
from stillvault.crypto.public import Trust, b64decode, b64encode, oid_of
from stillvault.protocol import messages
from stillvault.protocol.errors import Failed, Refused, Unavailable, Usage
from stillvault.protocol.objects import Item
from stillvault.transport.http import RelayRefused

ATTEMPTS = 4
PAUSE = 0.5  # seconds, doubled each time


@dataclass(frozen=True)
class Outcome:
    """What was signed, and what the relay made of it."""

    decision: str  # oid
    states: list[str]
    late: list[str]  # oids of requests that were decided, ended or sealed again before: the decision changed nothing there


def approve(account: Account, card: Card, *, window: int | None = None, uses: int = 0) -> Outcome:
    """Releases every secret of the card to its requester. Window and uses (0: no limit of one's own) may only shrink."""
    keys = account.keys()
    trust = account.trust()
    head = _compare_heads(account, trust, card)
    now = account.clock()
    if now >= card.expires:
        raise Failed("expired", "the card has expired", "the program must ask again")
    items = device.items_of(card, "approve", window, uses)
    _remember(account, card, "approve", items, now)
    payload = device.decision(org=account.organisation.org_id, verdict="approve", own=account.own, items=items, issued=now,
                              expires=card.expires, roster=trust.pair, log_head=head)
    signed = keys.auth.sign("decision", payload)
    sealed = release(trust, [one.prompt for one in card.facts], signed, keys.kem, now)
    outcome = _send(account, signed, messages.Decide(release=msgspec.Raw(sealed)))
    with account.home.lock():
        remember(account.home, budget.approved(card.id, remembered(account.home), now))
    return outcome


def refuse(account: Account, card: Card, verdict: str, *, note: str = "", until: int | None = None) -> Outcome:
    """Denies or freezes: with the key that needs no passphrase. `until`: end of a freeze's hold."""
    now = account.clock()
    items = device.items_of(card, verdict, None)
    _remember(account, card, verdict, items, now)
    return _refuse(account, items, verdict, note, card.expires if until is None else until, now)


def take_back(account: Account, card_id: str, verdict: str, *, note: str = "",
              until: int | None = None) -> tuple[Outcome, list[Item]]:
    """Denies or freezes a card that this device approved before: ends its leases (section 9)."""
    now = account.clock()
    with account.home.lock():
        memory = remembered(account.home)
        cards = {one.card for one in memory.answers if card_id in (one.card, one.item.request)}  # as `choose`
        own = [one for one in memory.answers if one.card in cards and one.verdict == "approve"]
        if not own:
            raise Failed("no-card", "no such card waits for you, and you approved none of that id",
                         "it may be decided, cancelled or expired: see `stillvault inbox`")
        again = [msgspec.structs.replace(one, verdict=verdict) for one in own]
        remember(account.home, memory.with_answers(again, now))
    items = [msgspec.structs.replace(one.item, window=0, uses=0) for one in own]
    ends = max(now + budget.TEN_MINUTES, max(one.expires for one in own)) if until is None else until
    return _refuse(account, items, verdict, note, ends, now), items


def _refuse(account: Account, items: list[Item], verdict: str, note: str, expires: int, now: int) -> Outcome:
    if verdict == "freeze" and not now < expires <= now + device.MAX_FREEZE:
        raise Usage("freeze", "a freeze ends within 24 hours", "give --for between 1s and 24h", "--for")
    trust = account.store.current(now)
    payload = device.decision(org=account.organisation.org_id, verdict=verdict, own=account.own, items=items, issued=now,
                              expires=expires, roster=trust.pair, log_head=account.store.log_head(), note=note)
    signed = account.deny_key().sign("decision", payload)
    return _send(account, signed, messages.Decide(decision=msgspec.Raw(signed)))


def _remember(account: Account, card: Card, verdict: str, items: list[Item], now: int) -> None:
    """7.2 and 7.3: on disk before a signature exists. Refuses what was answered before, and to approve a seal that this device
    knows to be old by now: the card may have been on the screen for a while."""
    with account.home.lock():
        memory: Memory = remembered(account.home)
        answers = []
        for one, item in zip(card.facts, items, strict=True):
            core = one.secret.core
            if verdict == "approve" and (core.version, core.revision) < memory.highest.get(core.path, (0, 0)):
                raise Refused("version", f"a newer seal of {core.path} was seen since it was shown", "see `stillvault inbox`")
            if memory.decided(one.request.client, one.request.id):
                raise Failed("already-decided", "this device has answered the card before", "see `stillvault inbox`")
            answers.append(Answer(client=one.request.client, request_id=one.request.id, verdict=verdict,
                                  expires=one.request.expires + item.window, card=card.id, item=item))
        seen = [(one.request.path, (one.secret.core.version, one.secret.core.revision)) for one in card.facts]
        remember(account.home, memory.with_answers(answers, now).with_highest(seen))


def _compare_heads(account: Account, trust: Trust, card: Card) -> tuple[int, bytes]:
    """The log head to carry, after comparing with those that the requests carry (A14)."""
    heads = [(one.request.log_head[0], b64decode(one.request.log_head[1]))
             for one in card.facts if one.request.log_head is not UNSET]
    return account.store.agree(account.relay, account.token(), trust, heads)


def _send(account: Account, signed: bytes, body: messages.Decide) -> Outcome:
    pause = PAUSE
    for attempt in range(ATTEMPTS):
        try:
            answer = account.call("POST", "/v1/decisions", body, returns=messages.Decided)
            break
        except RelayRefused as error:
            if error.status in (404, 409, 410) or error.code == "expired":
                raise Failed("already-decided", "the card was decided, cancelled or expired elsewhere",
                             "see `stillvault audit tail`") from None
            raise
        except Unavailable:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(pause)
            pause *= 2
    if answer.late and len(answer.late) >= len(answer.states):
        raise Failed("already-decided", "the answer came too late: the card was decided, cancelled or expired",
                     "see `stillvault audit tail`")
    return Outcome(decision=b64encode(oid_of(signed)), states=answer.states, late=answer.late)
