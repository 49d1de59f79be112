"""Decisions: approve, deny, freeze. An approve brings releases; a deny or freeze is a signature and nothing else.

Everything here is checked again by the client before it opens a release: the relay only keeps what cannot help from getting
that far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from stillvault.crypto import public
from stillvault.protocol import messages, objects
from stillvault.protocol.lifecycle import Event
from stillvault.relay.context import Call
from stillvault.relay.problems import ProblemError
from stillvault.relay.services import counters, limits, moving, sealing
from stillvault.relay.services.moving import Cause, Moved
from stillvault.relay.services.verified import read
from stillvault.relay.store import limits as counted
from stillvault.relay.store import requests, secrets
from stillvault.relay.store.requests import StoredRequest, Vote
from stillvault.relay.store.transaction import Transaction

Sealed = Mapping[bytes, tuple[bytes, bytes]]  # request oid -> (enc, ct)
LONGEST_HOLD = 86_400  # seconds: a freeze ends within a day (section 7.5)


@dataclass(frozen=True, slots=True)
class Verified:
    """A decision whose signature, person and device stand."""

    oid: bytes
    signed: bytes
    said: objects.Decision
    sealed: Sealed


async def decide(call: Call, body: messages.Decide) -> messages.Decided:
    """Takes a decision.

    1. signature of a rostered approver's device, in date
    2. an approve comes as a release, from a session of that very device; a deny or freeze needs no session, so that a person
       can say no when all else fails
    3. one sealed entry for each item of an approve, one item for each request
    4. in one transaction: each item fits its stored request, which moves; an item that comes too late changes nothing and takes
       nothing from the others
    """
    verified = _verify(call, body)
    if not call.who.person:
        call.relay.rates.count("open_decisions_per_minute", call.peer, call.relay.settings.limits.open_decisions_per_minute)
    essential = verified.said.verdict != "approve"
    moves = await call.relay.writer.write(lambda tx: _take(tx, call, verified), essential=essential)
    effects = sorted({effect for moved in moves for effect in moved.effects})
    late = [
        item.request for item, moved in zip(verified.said.items, moves, strict=True) if {"late", "repeat"} & set(moved.effects)
    ]
    return messages.Decided(public.b64encode(verified.oid), [moved.state for moved in moves], effects, late)


def _verify(call: Call, body: messages.Decide) -> Verified:
    standing = sealing.standing_of(call)
    release, decision = body.release, body.decision
    if isinstance(release, msgspec.Raw) and not isinstance(decision, msgspec.Raw):
        signed, entries = public.split_release(bytes(release))
    elif isinstance(decision, msgspec.Raw) and not isinstance(release, msgspec.Raw):
        signed, entries = bytes(decision), []
    else:
        raise ProblemError("body-form", "either a release or a decision", "release")
    # 1.
    checked = standing.trust.verify_decision(signed, call.now)
    said = read(objects.Decision, checked.payload)
    # 2.
    if (said.verdict == "approve") != bool(entries):
        raise ProblemError("body-form", "an approve comes as a release, anything else without one", "release")
    from_session = (call.who.person, call.who.device) == (said.person, said.device)
    if not from_session and (said.verdict == "approve" or call.who.person or call.who.cert):
        raise ProblemError(
            "sign-in" if not call.who.person else "forbidden", "the decision is another device's than the session's"
        )
    # 3.
    sealed = {oid: (enc, ct) for oid, enc, ct in entries}
    asked = [public.b64decode(item.request) for item in said.items]
    if len(set(asked)) != len(asked) or (entries and (len(sealed) != len(entries) or sealed.keys() != set(asked))):
        raise ProblemError("body-form", "one sealed entry for each item, one item for each request", "sealed")
    return Verified(checked.oid, signed, said, sealed)


def _take(tx: Transaction, call: Call, verified: Verified) -> list[Moved]:
    """4. A decision that does not fit is refused whole."""
    said, now = verified.said, call.now
    rows = [_row(tx, call, item, said) for item in said.items]
    if said.verdict == "approve" and all(_resealed(row, item) for row, item in zip(rows, said.items, strict=True)):
        raise ProblemError("conflict", "a newer version was sealed since the prompt", "items")
    if len({row.key for row in rows}) > 1:
        raise ProblemError("body-form", "the items are of more than one client", "items")
    fresh = requests.add_decision(tx.connection, verified.oid, verified.signed, now)
    note = counters.watch(tx, verified.signed) if fresh else ""
    moves = [_move(tx, row, item, verified, now, note) for row, item in zip(rows, said.items, strict=True)]
    if said.verdict != "approve" and any({"hold", "cool-down", "purge"} & set(moved.effects) for moved in moves):
        _hold(tx, call, rows[0], verified, now)
    return moves


def _row(tx: Transaction, call: Call, item: objects.Item, said: objects.Decision) -> StoredRequest:
    """The stored request of an item.

    a. it is there, and this person may decide it; anybody else learns nothing  # C5
    b. the item names its secret, path and version (A4)
    c. the person's own recipient stands behind the index, on a device of the policy's tier; the window is within the request's;
       an approve ends with its requests
    """
    # a.
    row = requests.get(tx.connection, public.b64decode(item.request))
    if row is None or said.person not in row.people:
        raise ProblemError("unknown")
    # b.
    stored = secrets.by_oid(tx.connection, public.b64decode(item.secret))
    if stored is None or (item.path, item.version, item.revision) != (stored.path, stored.version, stored.revision):
        raise ProblemError("conflict", "the item names another secret than is stored", "items")
    if said.verdict != "approve":
        return row  # a deny counts whatever secret it saw
    # c.
    core = read(objects.Secret, public.payload_of("secret", stored.signed)).core
    asked = read(objects.Request, public.payload_of("request", row.signed))
    own = (item.index, said.person, said.device)
    usable = sealing.standing_of(call).usable(core, row.purpose, call.now)
    if own not in usable or item.window > asked.window or said.expires > row.expires:
        raise ProblemError("conflict", "index, device, window or end do not fit the request", "items")
    return row


def _resealed(row: StoredRequest, item: objects.Item) -> bool:
    """The request went on with a newer seal than this item names."""
    return row.secret != public.b64decode(item.secret)


def _move(tx: Transaction, row: StoredRequest, item: objects.Item, verified: Verified, now: int, note: str) -> Moved:
    said = verified.said
    enc, ct = verified.sealed.get(row.oid, (b"", b""))
    vote = Vote(
        said.person,
        said.device,
        said.verdict,
        verified.oid,
        said.expires,
        item.window,
        public.b64encode(enc),
        public.b64encode(ct),
    )
    event = Event(said.verdict, now, oid=public.b64encode(verified.oid), person=said.person, expires=said.expires)
    fresh = requests.get(tx.connection, row.oid) or row
    if said.verdict == "approve" and _resealed(fresh, item):
        return Moved(fresh.state, ["late"])
    return moving.move(tx, fresh, event, Cause(oid=verified.oid, actor=said.person, vote=vote, note=note))


def _hold(tx: Transaction, call: Call, row: StoredRequest, verified: Verified, now: int) -> None:
    """A freeze that took effect holds the client until it ends, be the request pending or handed out; and three denied cards
    in an hour do, each of them signed by a person: nobody else can freeze an honest client (P6)."""
    said = verified.said
    if said.verdict == "freeze":
        tx.event("people", "state", now, request=row.oid, state="frozen")
        counted.add_hold(tx.connection, row.subject, min(said.expires, now + LONGEST_HOLD), verified.oid)
        moving.purge_client(tx, row, said.person, now)
    elif limits.freeze_after_denials(tx, call.relay.settings.limits, row.key, row.subject, now):
        tx.event("people", "state", now, request=row.oid, state="frozen")
        tx.leaf("frozen", "relay", now, request=row.oid, host=row.host, secret=row.path, outcome="denies_to_freeze")
        moving.purge_client(tx, row, "relay", now)
