"""Requests: a client asks, people are prompted. Section 6 and the first line of section 9."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from stillvault.crypto import public
from stillvault.protocol import cards, messages, objects
from stillvault.protocol.errors import RateLimited, Refused
from stillvault.protocol.lifecycle import Event
from stillvault.protocol.objects import canonical
from stillvault.relay.context import Call
from stillvault.relay.problems import ProblemError
from stillvault.relay.services import limits, moving, notifying, sealing
from stillvault.relay.services.organisation import Standing, key_hash
from stillvault.relay.services.verified import claimed, raw, read
from stillvault.relay.store import limits as counted
from stillvault.relay.store import requests, secrets
from stillvault.relay.store import trust as store
from stillvault.relay.store.requests import StoredRequest
from stillvault.relay.store.transaction import Transaction

TRIES = 3  # to check against a roster and a secret that stay as they are


class Overtaken(Exception):
    """A new roster, or a newer seal, came between the check and the transaction."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that passed every check that a relay can make."""

    oid: bytes
    signed: bytes
    said: objects.Request
    cert: public.Cert
    secret: objects.Secret
    secret_oid: bytes
    people: list[str]
    deny: str


async def ask(call: Call, signed: Sequence[bytes]) -> list[messages.RequestState]:
    """Takes the requests of one command: all or none. The same request again is answered as it stands."""
    relay = call.relay
    most = relay.settings.limits.requests_per_card
    if not 1 <= len(signed) <= most:
        raise ProblemError("body-form", f"1 to {most} requests", "requests")
    for _ in range(TRIES):
        standing = sealing.standing_of(call)
        asked = [_check(call, standing, one) for one in signed]
        if (
            len({(one.said.path, one.said.purpose) for one in asked}) != len(asked)
            or len({card_of(one.said) for one in asked}) != 1
        ):
            raise ProblemError("body-form", "the requests are not one card, or name a secret twice", "requests")
        try:
            await relay.writer.write(partial(_take, call=call, standing=standing, asked=asked))
        except Overtaken:
            continue
        except RateLimited as error:
            relay.suppressed.add(call.who.actor, error.field)
            relay.metrics.suppressed(error.field)
            raise
        return [state(call, one.oid, mine=True) for one in asked]
    raise ProblemError("conflict")


def _check(call: Call, standing: Standing, signed: bytes) -> Asked:
    """What the relay can check of a request (7.1 to 7.3 without memory).

    1. it names a certificate of the key that signed in; certificate, signature, dates, grade, holds
    2. path in scope, and there: one answer for both failures  # C2
    3. the stored secret stands under the present roster
    4. enough people could answer
    """
    now, reader = call.now, call.relay.reader
    # 1.
    oid = public.b64decode(claimed(objects.Request, signed).client)
    cert = standing.cert(reader, oid, now)
    if cert is None or key_hash(cert) != call.who.key:
        raise ProblemError("forbidden", "the request names another certificate than the session's")
    try:
        request = standing.trust.verify_request(signed, cert, now)
    except Refused as error:
        # 2.
        if error.code in ("scope", "no-policy", "no-match"):
            raise ProblemError("unknown") from None
        if error.code == "hold":
            raise ProblemError("hold") from None
        raise
    said = read(objects.Request, request.payload)
    stored = secrets.newest(reader, said.path)
    if stored is None:
        raise ProblemError("unknown")
    # 3.
    secret = sealing.verify(standing, stored, said.minimum, now, reseal=said.purpose == "reseal")
    # 4.
    people = standing.answerers(secret, said.purpose, now)
    if len(people) < secret.core.policy.threshold:
        raise ProblemError("no-approver")
    policy = secret.core.policy if said.purpose == "reseal" else standing.policy(said.path)
    return Asked(request.oid, signed, said, cert, secret, stored.oid, people, policy.deny)


def card_of(said: objects.Request) -> bytes:
    """The card: with the client, the tuple that a person sees and decides at once (section 6)."""
    return public.sha256(cards.key(said))


def _take(tx: Transaction, call: Call, standing: Standing, asked: Sequence[Asked]) -> None:
    db, now = tx.connection, call.now
    fresh = [one for one in asked if requests.get(db, one.oid) is None]
    if not fresh:
        return  # asked before: nothing changes
    present = store.newest_roster(db)
    seals = [secrets.newest(db, one.said.path) for one in fresh]
    moved_on = any(seal is None or seal.oid != one.secret_oid for one, seal in zip(fresh, seals, strict=True))
    if present is None or present.oid != standing.trust.oid or moved_on:
        raise Overtaken
    replaced = [
        old for one in fresh for old in requests.same(db, call.who.key, one.said.path, one.said.purpose, _observed(one.said))
    ]
    for old in replaced:
        moving.move(tx, old, Event("newer-request", now))
    first = fresh[0]
    cert = store.cert(db, first.cert.oid)
    card = limits.Card(
        card=card_of(first.said),
        key=call.who.key,
        identity=_identity(call.who.key, first.said.observed),
        subject=first.cert.subject,
        purpose=first.said.purpose,
        paths=[one.said.path for one in fresh],
        trusted=cert is not None and bool(cert.trusted),
    )
    settings = call.relay.settings.limits
    limits.check(tx, settings, card, now)
    told: set[str] = set()
    for one in fresh:
        told |= set(_add(tx, call, one, card, moved=bool(replaced)))
    if not limits.more_of_a_reseal(tx, card):
        counted.add_card(db, card.card, card.key, card.identity, card.purpose, now)
        for person in told:
            counted.add_ask(db, person, card.card, now)
        notifying.enqueue(tx, told, card.card, [one.oid for one in fresh], replaced, now, first.said.expires)


def _add(tx: Transaction, call: Call, one: Asked, card: limits.Card, *, moved: bool) -> list[str]:
    now, said, seen = call.now, one.said, one.said.observed
    threshold = one.secret.core.policy.threshold
    people = limits.askable(tx, call.relay.settings.limits, one.people, card, threshold, now)
    row = StoredRequest(
        oid=one.oid,
        client=one.cert.oid,
        key=call.who.key,
        subject=one.cert.subject,
        host=one.cert.host,
        id=said.id,
        path=said.path,
        purpose=said.purpose,
        identity=card.identity,
        observed=_observed(said),
        card=card.card,
        secret=one.secret_oid,
        state="pending",
        threshold=threshold,
        deny=one.deny,
        people=one.people,
        asked=people,
        handed=0,
        created=now,
        expires=said.expires,
        lease_ends=0,
        signed=one.signed,
    )
    if not requests.add(tx.connection, row):
        raise ProblemError("conflict", "the client used this request id before", "id")
    core = one.secret.core
    tx.leaf(
        "requested",
        one.cert.subject,
        now,
        oid=one.oid,
        request=one.oid,
        secret=said.path,
        version=core.version,
        host=one.cert.host,
        uid=seen.uid,
        user=seen.user,
        exe=seen.exe,
        chain=[ancestor.exe for ancestor in seen.chain],
        window=said.window,
        people=f"0/{threshold}",
        outcome="reseal" if said.purpose == "reseal" else "",
    )
    for person in people:
        # A prompt that only moved makes no second alert (section 9).
        tx.event(f"person/{person}", "prompt", now, request=one.oid, path=said.path, state="moved" if moved else "")
    return people


def _observed(said: objects.Request) -> bytes:
    return public.sha256(canonical(said.observed))


def _identity(key: bytes, observed: objects.Observed) -> bytes:
    return public.sha256(canonical([public.b64encode(key), observed.uid, observed.exe]))


# ---- what can be read --------------------------------------------------------------------------------------------------


def state(call: Call, oid: bytes, *, mine: bool) -> messages.RequestState:
    """What the row says. Releases, secret and ciphertext go to the client that raised it, and only while it may open them."""
    db = call.relay.reader
    row = requests.get(db, oid)
    if row is None:
        raise ProblemError("unknown")
    votes = requests.votes(db, oid)
    approvals = [vote for vote in votes if vote.verdict == "approve"]
    denials = [raw(requests.decision(db, vote.decision)) for vote in votes if vote.verdict != "approve"]
    answer = messages.RequestState(
        public.b64encode(oid),
        row.state,
        len(approvals),
        row.threshold,
        row.asked,
        denials if mine or row.state != "pending" else [],
    )
    if not (mine and row.state == "approved" and row.expires > call.relay.clock()):
        return answer
    releases = [_release(requests.decision(db, vote.decision), row.oid, vote) for vote in approvals if vote.ct]
    sealed = secrets.by_oid(db, row.secret)
    if sealed is None:
        return answer
    text = public.b64encode(secrets.ciphertext(db, row.secret))
    return msgspec.structs.replace(answer, releases=releases, secret=raw(sealed.signed), ciphertext=text)


def _release(decision: bytes, request: bytes, vote: requests.Vote) -> msgspec.Raw:
    """The requester's own entry, and no other (section 4)."""
    return raw(public.join_release(decision, [(request, public.b64decode(vote.enc), public.b64decode(vote.ct))]))


def one_state(call: Call, oid: bytes) -> messages.RequestState:
    """For the client that raised it, or a person who may decide it; for anybody else there is no such request.  # C5"""
    row = requests.get(call.relay.reader, oid)
    mine = row is not None and row.key == call.who.key and call.who.cert is not None
    if row is None or not (mine or call.who.person in row.people or "auditor" in call.who.roles or "admin" in call.who.roles):
        raise ProblemError("unknown")
    return state(call, oid, mine=mine)


def waiting(call: Call) -> list[messages.RequestState]:
    return [state(call, row.oid, mine=False) for row in requests.pending(call.relay.reader)]


def prompts(call: Call) -> tuple[list[bytes], list[messages.Prompt]]:
    """What waits for this person's decision, with all that a device verifies before it shows anything; and the oids."""
    db = call.relay.reader
    oids: list[bytes] = []
    found: list[messages.Prompt] = []
    for row in requests.pending(db):
        if call.who.person not in row.people or row.expires <= call.now:
            continue
        votes = requests.votes(db, row.oid)
        if any(vote.person == call.who.person for vote in votes):
            continue
        cert, secret = store.cert(db, row.client), secrets.by_oid(db, row.secret)
        if cert is not None and secret is not None:
            approvals = [raw(requests.decision(db, vote.decision)) for vote in votes if vote.verdict == "approve"]
            oids.append(row.oid)
            found.append(messages.Prompt(raw(row.signed), raw(cert.signed), raw(secret.signed), approvals))
    return oids, found
