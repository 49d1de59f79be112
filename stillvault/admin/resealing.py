"""Sealing again for other devices (protocol 6, 11): each value comes to this command by a logged `reseal` request.

The person's own certificate raises the requests, all of one run as one card; the person's own approval counts. A secret that
needs one approval is done at once; a quorum's waits for the others until the requests end. What was done stays done: running
the command again asks for the rest. Values live in the extension's secret memory and are wiped as soon as they are sealed.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET

from stillvault.admin.caller import observed_here
from stillvault.admin.organisation import PERSON_CERT
from stillvault.admin.sealing import check_sealer, listed, path_of, stale, upload, verified
from stillvault.approver import device
from stillvault.approver.account import Account
from stillvault.approver.decide import approve
from stillvault.approver.memory import remembered
from stillvault.crypto.private import Ephemeral, SigningKey, check_prompt, open_releases
from stillvault.crypto.public import Cert, Secret, Trust, b64decode, b64encode, oid_of
from stillvault.protocol import messages
from stillvault.protocol.errors import Failed, Forbidden, Refused, StillvaultError, Unavailable, Usage
from stillvault.protocol.objects import Claimed, Pair, Policy, Receipt, Request, canonical
from stillvault.protocol.objects import Secret as SecretPayload
from stillvault.transport.session import sign_in

CARD = 50  # requests of one card
POLL = 0.5  # seconds
ENDED = ("denied", "expired", "cancelled", "failed", "revoked")

Say = Callable[[str], None]


@dataclass
class Job:
    """One secret on its way to a new seal."""

    path: str
    signed: bytes
    secret: Secret
    payload: SecretPayload
    request: bytes = b""
    ephemeral: Ephemeral | None = None
    state: str = "pending"


@dataclass
class Raised:
    """The person's client: what raises and fetches."""

    cert: Cert
    raw: bytes
    key: SigningKey
    token: str


def find(account: Account, paths: Sequence[str], wanted: Callable[[Trust, SecretPayload], bool]) -> list[Job]:
    """The newest seals of these paths (none given: of all that `wanted` picks), verified."""
    trust = account.trust()
    now = account.clock()
    highest = remembered(account.home).highest
    jobs: list[Job] = []
    seen: set[str] = set()
    for signed in listed(account):
        if paths and path_of(signed) not in paths:
            continue
        secret, payload = verified(trust, signed, [], now)
        if secret.path in highest and secret.version < highest[secret.path]:
            raise Refused("version", f"the relay shows an older {secret.path} than this home has seen",
                          "the relay went back: ask an administrator")
        if secret.path in seen:
            raise Unavailable("bad-answer", f"the relay lists {secret.path} twice", "ask an administrator of the relay")
        seen.add(secret.path)
        if paths or wanted(trust, payload):
            jobs.append(Job(path=secret.path, signed=signed, secret=secret, payload=payload))
    hidden = [] if paths else sorted(highest.keys() - seen)
    if hidden:
        # A removal must not pass over what this home knows to exist (A11).
        raise Refused("version", f"the relay does not list {hidden[0]}, which this home has seen",
                      "the relay went back or hides it: ask an administrator")
    unknown = sorted(set(paths) - {one.path for one in jobs})
    if unknown:
        raise Usage("unknown-secret", f"there is no secret {unknown[0]}", "see `stillvault secrets`", "PATH")
    return jobs


def out_of_date(account: Account) -> Callable[[Trust, SecretPayload], bool]:
    """Picks the seals that a seal made now would differ from."""
    return lambda trust, payload: stale(trust, payload.core.path, payload, account.clock())


def reseal(account: Account, jobs: Sequence[Job], say: Say) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Seals every job again. Returns what was sealed and what was not, with its state."""
    done: list[dict[str, Any]] = []
    left: list[dict[str, str]] = []
    if not jobs:
        return done, left
    client = _client(account)
    for start in range(0, len(jobs), CARD):
        card = jobs[start : start + CARD]
        expires = _raise(account, client, card)
        _approve_own(account, client, card)
        _collect(account, client, card, expires, done, say)
        left += [{"path": one.path, "state": one.state} for one in card if one.state != "sealed"]
    return done, left


def _client(account: Account) -> Raised:
    check_sealer(account, account.trust())
    keys = account.keys()
    raw = account.home.read_bytes(PERSON_CERT)
    if raw is None or keys.client is None:
        raise Forbidden("no-certificate", "this device has no certificate for re-sealing",
                        "an administrator gives one: join again as a device of a person with the role `sealer`")
    cert = account.trust().verify_cert(raw, account.clock())
    client_key = keys.client
    session = sign_in(account.relay, lambda payload: client_key.sign("login", payload), org=account.org,
                      client=b64encode(cert.oid), now=account.clock())
    if session.cert is not UNSET and bytes(session.cert) != raw:
        raw = bytes(session.cert)
        cert = account.trust().verify_cert(raw, account.clock())
        if (cert.public, cert.subject) != (client_key.public, f"person/{account.person.person}"):
            raise Refused("cert", "the relay renewed the certificate of another key than this device's",
                          "nothing was kept; run the command again, and ask an administrator if it stays so")
        account.home.write_bytes(PERSON_CERT, raw)
    return Raised(cert=cert, raw=raw, key=client_key, token=session.token)


def _raise(account: Account, client: Raised, jobs: Sequence[Job]) -> int:
    """Posts one card of `reseal` requests. Returns when it ends."""
    trust = account.trust()
    now = account.clock()
    ttl = min(msgspec.json.decode(trust.select_policy(one.path), type=Policy).ttl for one in jobs)
    head = account.store.check(account.relay, account.token(), trust)
    observed = observed_here(client.cert.host)
    for job in jobs:
        job.ephemeral = Ephemeral.generate()
        request = Request(
            org=account.organisation.org_id, id=b64encode(secrets.token_bytes(16)), client=b64encode(client.cert.oid),
            path=job.path, minimum=job.secret.version, suite="p256", ephemeral=b64encode(job.ephemeral.public),
            issued=now, expires=now + ttl,
            window=0, uses=0, roster=trust.pair, purpose="reseal", observed=observed,
            claimed=Claimed(reason="seal again for the devices of the present roster"), log_head=(head[0], b64encode(head[1])))
        job.request = client.key.sign("request", canonical(request))
    body = messages.NewRequests(requests=[msgspec.Raw(one.request) for one in jobs])
    account.relay.call("POST", "/v1/requests", body, returns=messages.RequestStates, token=client.token)
    return now + ttl


def _approve_own(account: Account, client: Raised, jobs: Sequence[Job]) -> None:
    """This device's own approval, where it has a stanza. It counts (section 6)."""
    trust = account.trust()
    now = account.clock()
    highest = remembered(account.home).highest
    facts = []
    for job in jobs:
        try:
            prompt = check_prompt(trust, account.own, client.raw, job.request, job.signed, False, highest.get(job.path), now)
        except Refused as error:
            if error.code in ("not-recipient", "not-approver", "tier", "device"):
                continue  # others must release it to us
            raise
        facts.append(device.facts_of(prompt, trust.select_policy(job.path), ()))
    for card in device.make_cards(facts):
        try:
            approve(account, card)
        except Failed as error:
            if error.code != "already-decided":  # others were faster: just as well
                raise


def _collect(account: Account, client: Raised, jobs: Sequence[Job], expires: int, done: list[dict[str, Any]], say: Say) -> None:
    """Takes each approved value and seals it, until all are done or the card ends."""
    told = False
    while True:
        for job in jobs:
            if job.state != "pending":
                continue
            state = account.relay.call("GET", f"/v1/requests/{b64encode(oid_of(job.request))}", returns=messages.RequestState,
                                       token=client.token)
            if state.state in ("approved", "delivered") and state.releases:
                done.append(_seal_again(account, client, job, state))
                job.state = "sealed"
            elif state.state in ENDED:
                job.state = state.state
        left = [one for one in jobs if one.state == "pending"]
        if not left or account.clock() >= expires:
            for job in left:
                job.state = "expired"
            return
        if not told:
            say(f"{len(left)} secrets wait for the approval of others, until the request ends; this command may be run again")
            told = True
        time.sleep(POLL)


def _seal_again(account: Account, client: Raised, job: Job, state: messages.RequestState) -> dict[str, Any]:
    trust = account.trust(fresh=True)
    now = account.clock()
    if state.secret is UNSET or job.ephemeral is None:
        raise Failed("bad-answer", "the relay approved without the secret")
    result = "failed"
    try:
        opened = open_releases(trust, job.request, job.ephemeral, bytes(state.secret), b64decode(state.ciphertext),
                               [bytes(one) for one in state.releases], remembered(account.home).highest.get(job.path), now)
        version: Pair = (opened.secret.version[0], opened.secret.version[1] + 1)
        try:
            made = upload(account, trust, job.path, opened.value, version, opened.secret.oid, now)
        finally:
            opened.value.wipe()
        result = "delivered"
        return made
    finally:
        job.ephemeral.erase()
        _receipt(account, client, job, result)


def _receipt(account: Account, client: Raised, job: Job, result: str) -> None:
    receipt = Receipt(org=account.organisation.org_id, request=b64encode(oid_of(job.request)), secret=b64encode(job.secret.oid),
                      result=result, issued=account.clock(), reason=UNSET)
    signed = client.key.sign("receipt", canonical(receipt))
    try:
        body = messages.SignedList(objects=[msgspec.Raw(signed)])
        account.relay.call("POST", "/v1/receipts", body, returns=messages.Nothing, token=client.token)
    except StillvaultError:
        pass  # the seal stands; the request ends by itself
