"""Inviting and confirming: the administrator's half of protocol 11.

The nonce of an invite stays in this home (`invites/`) and in the join URL, and never reaches the relay; so do the roles and
scopes that were granted, for the relay's copy is not believed. Confirming compares the five words that the joiner's screen
shows, which bind the joiner's keys to the nonce: a relay that swaps a key changes the words (A20). A KEM key must prove
itself by opening a challenge before anything is signed.
"""

from __future__ import annotations

import hmac
import secrets
import time
from typing import Any

import msgspec
from msgspec import UNSET

from stillvault.admin import roster as rosters
from stillvault.admin.publish import admin_key, new_cert, publish, root_of, roster_of, sign_cert
from stillvault.approver.account import Account
from stillvault.crypto.private import SigningKey, enrol_words, invite_terms, kem_seal
from stillvault.crypto.public import Trust, b64decode, b64encode, oid_of, proof_info, sha256, verify_enrol
from stillvault.protocol import messages
from stillvault.protocol.errors import Failed, Refused, Unavailable, Usage
from stillvault.protocol.objects import Device, Enrol, Object, canonical
from stillvault.protocol.text import whole

INVITE_LIFE = 1800  # seconds
PROOF_WAIT = 60.0  # seconds
POLL = 0.25  # seconds
MOST_NAME = 64  # characters of a device's name


class Invitation(Object):
    """The content of a join URL's fragment."""

    org: str
    relay: str
    ca: str
    nonce: str


class Granted(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """invites/<invite>.json: what this administrator granted, and the nonce."""

    nonce: str
    kind: str
    subject: str
    created: int
    roles: list[str] = []
    scopes: list[str] = []
    host: str = ""
    grade: str = ""
    v: int = 1


def invite(account: Account, *, kind: str, subject: str, roles: list[str], scopes: list[str], host: str,
           grade: str) -> dict[str, Any]:
    """Opens an invite for half an hour. Returns the join URL, whose fragment is the only copy of the nonce outside."""
    trust = account.trust()
    admin_key(account, trust)
    if kind == "person" and not roles:  # a further device of somebody who is here: their roles stay
        roles = next((one.roles for one in roster_of(trust).people if one.id == subject), [])
    if kind == "person" and not roles:
        raise Usage("roles", f"{subject} is new and has no role", "give --role, at least once", "--role")
    nonce = secrets.token_bytes(32)
    name, bearer = invite_terms(account.org, nonce)
    granted = Granted(nonce=b64encode(nonce), kind=kind, subject=subject, created=account.clock(), roles=roles, scopes=scopes,
                      host=host, grade=grade)
    account.home.write(f"invites/{b64encode(name)}.json", granted)
    body = messages.NewInvite(invite=b64encode(name), bearer_hash=b64encode(sha256(bearer.encode())),
                              kind="person" if kind == "person" else "client", subject=subject, roles=roles, scopes=scopes,
                              host=host, grade=grade)
    try:
        account.call("POST", "/v1/invites", body, returns=messages.Nothing)
    except BaseException:
        account.home.remove(f"invites/{b64encode(name)}.json")
        raise
    organisation = account.organisation
    fragment = canonical(Invitation(org=organisation.org_id, relay=organisation.relay, ca=organisation.fingerprint,
                                    nonce=b64encode(nonce)))
    return {"url": f"{organisation.relay}/join/{kind}#{b64encode(fragment)}", "subject": subject, "kind": kind,
            "expires": granted.created + INVITE_LIFE}


def pending(account: Account) -> list[messages.Invite]:
    """The relay's list of invites. Names and states only; never the words."""
    return account.call("GET", "/v1/invites", returns=messages.Invites).invites


def confirm(account: Account, who: str, words: list[str]) -> dict[str, Any]:
    """Checks the words and the proof, then signs the roster or the certificate."""
    trust = account.trust()
    key = admin_key(account, trust)
    for found, granted, signed in _joined(account, who):
        # 1. The enrolment is of this organisation and of this invite, signed by its own key.
        verified = verify_enrol(account.org, root_of(trust).origins, signed, b64decode(found.invite))
        # 2. The words: they bind every key of the enrolment to the nonce that the relay never saw.
        expected = enrol_words(verified.oid, b64decode(granted.nonce))
        if hmac.compare_digest(" ".join(expected).encode(), " ".join(words).encode()):
            break
    else:
        raise Refused("words", "the five words are not those of the keys that arrived here",
                      "read them again from the joiner's own screen; if they still differ, somebody swapped the keys: "
                      "invite them anew")
    enrol = msgspec.json.decode(verified.payload, type=Enrol)
    if granted.kind == "person":
        return _confirm_person(account, key, found, granted, enrol, verified.oid)
    return _confirm_client(account, key, trust, granted, enrol, verified.oid, found.invite)


def _joined(account: Account, who: str) -> list[tuple[messages.Invite, Granted, bytes]]:
    """Every answered invite for WHO that this home made, with what it granted and the signed answer.

    An invite that was made anew may stand beside the one that it replaces: the words say which is meant.
    """
    names = [one for one in pending(account) if who in (one.subject, one.invite) and one.state not in ("confirmed", "expired")]
    if not names:
        raise Usage("no-invite", f"no invite for {who} waits", "see `stillvault invites`", "WHO")
    made = [(one, account.home.read(f"invites/{_grammar(one.invite)}.json", Granted)) for one in names]
    ours = [(one, granted) for one, granted in made if granted is not None]
    if not ours:
        raise Usage("no-invite", f"the invite for {who} was not made in this home", "confirm in the home that made it", "WHO")
    if any(who not in (granted.subject, one.invite) for one, granted in ours):
        raise Refused("invite", "the relay gave another subject to this invite", "invite them anew")
    answered = [(one, granted, bytes(one.enrol)) for one, granted in ours if one.enrol is not UNSET]
    if not answered:
        raise Failed("not-joined", f"{who} has not opened the join URL yet", "wait until their screen shows five words", "WHO")
    return answered


def _grammar(invite_name: str) -> str:
    if len(b64decode(invite_name)) != 32:
        raise Refused("invite", "the relay named an invite in an unknown form")
    return invite_name


def _confirm_person(account: Account, key: SigningKey, found: messages.Invite, granted: Granted, enrol: Enrol,
                    oid: bytes) -> dict[str, Any]:
    if enrol.kem is UNSET:
        raise Refused("enrol", "the joiner sent no key to seal to", "join with the URL as it was printed")
    # 3. The KEM key proves itself.
    _prove(account, found.invite, enrol.kem.public)
    now = account.clock()
    roster = roster_of(account.trust())
    # A passkey without attestation may be copied by its platform, and the KEM key is wrapped under it: no more than `synced`.
    tier = "synced" if enrol.auth.alg == "webauthn-es256" else "soft"
    # The joiner chose the name, and everybody reads the roster.
    name = enrol.name[: whole(enrol.name, MOST_NAME)]
    device = Device(id=rosters.device_id(roster, granted.subject, name), name=name, tier=tier, kem=enrol.kem,
                    auth=[enrol.auth], deny=enrol.deny, added=now, expires=now + rosters.DEVICE_LIFE)
    certs = []
    if enrol.client is not UNSET:
        cert = new_cert(account.org, f"person/{granted.subject}", device.id, enrol.client, ["**"], "user", now)
        certs.append(sign_cert(account.home, key, cert))
    trust = publish(account, rosters.with_device(granted.subject, granted.roles, device), certs=certs, enrol=b64encode(oid))
    account.home.remove(f"invites/{found.invite}.json")
    return {"confirmed": granted.subject, "kind": "person", "device": device.id, "roles": granted.roles,
            "roster_version": trust.pair[1]}


def _confirm_client(account: Account, key: SigningKey, trust: Trust, granted: Granted, enrol: Enrol, oid: bytes,
                    name: str) -> dict[str, Any]:
    cert = new_cert(account.org, granted.subject, granted.host, enrol.auth, granted.scopes, granted.grade, account.clock())
    signed = sign_cert(account.home, key, cert)
    trust.verify_cert(signed, account.clock())
    body = messages.NewClient(cert=msgspec.Raw(signed), enrol=b64encode(oid))
    account.call("POST", "/v1/clients", body, returns=messages.Nothing)
    account.home.remove(f"invites/{name}.json")
    return {"confirmed": granted.subject, "kind": "client",
            "host": granted.host, "grade": granted.grade,
            "scopes": granted.scopes, "cert": b64encode(oid_of(signed)), "expires": cert.expires}


def _prove(account: Account, name: str, kem_public: str) -> None:
    """Seals 32 random bytes to the joiner's KEM key and wants them back."""
    challenge = secrets.token_bytes(32)
    enc, ct = kem_seal(b64decode(kem_public), proof_info(), challenge)
    body = messages.Challenge(enc=b64encode(enc), ct=b64encode(ct))
    account.call("POST", f"/v1/invites/{name}/challenge", body, returns=messages.Nothing)
    deadline = time.monotonic() + PROOF_WAIT
    while time.monotonic() < deadline:
        for one in pending(account):
            if one.invite == name and one.proof:
                if hmac.compare_digest(b64decode(one.proof), challenge):
                    return
                raise Refused("proof", "the joiner could not open what was sealed to its key", "begin anew with a new invite")
        time.sleep(POLL)
    raise Unavailable("proof", "the joiner's program does not answer", "keep `stillvault join` running, then confirm again")
