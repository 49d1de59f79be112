"""Signing in: a signed `login` over a nonce of the relay, for people's devices and clients alike. No passwords anywhere.

The nonce is single use and taken first, so that a captured login is worth nothing: not now, not after a restart (N5).
"""

from __future__ import annotations

import secrets as randomness

import msgspec
from msgspec.structs import replace

from stillvault.crypto import public
from stillvault.protocol import messages, objects
from stillvault.protocol.errors import Refused
from stillvault.relay.context import Call
from stillvault.relay.guards import cookie_hash
from stillvault.relay.problems import ProblemError
from stillvault.relay.services import counters
from stillvault.relay.services.organisation import Standing, key_hash
from stillvault.relay.services.sessions import set_cookie
from stillvault.relay.services.verified import raw, signature
from stillvault.relay.store import bearers, events
from stillvault.relay.store import trust as store
from stillvault.relay.store.bearers import StoredSession
from stillvault.relay.store.transaction import Transaction

TOKEN_BYTES = 32
LONGEST_LABEL = 80
CLOCK_SKEW = 300  # seconds that a signer's clock may be off


class SignedLogin(objects.Object):
    """The payload of a `login`."""

    org: str
    origin: str
    nonce: str
    issued: int


async def nonce(call: Call) -> messages.Nonce:
    """A fresh nonce."""
    limits = call.relay.settings.limits
    call.relay.rates.count("nonces_per_minute", call.peer, limits.nonces_per_minute)
    return messages.Nonce(call.relay.nonces.give(call.now + limits.login_seconds, call.now))


async def passkey(call: Call, body: messages.Credential) -> messages.Passkey:
    """Whose passkey has this id. The ids are random and as good as secret: who asks has just used the passkey."""
    call.relay.rates.count("nonces_per_minute", call.peer, call.relay.settings.limits.nonces_per_minute)
    standing = call.relay.organisation.standing
    if standing is None:
        raise ProblemError("no-organisation")
    for person in standing.roster.people:
        for device in person.devices:
            for key in device.auth:
                if key.credential is not msgspec.UNSET and key.credential == body.credential and call.now < device.expires:
                    return messages.Passkey(person.id, device.id, key.public)
    raise ProblemError("unknown")


async def sign_in(call: Call, body: messages.Login) -> messages.Session:
    """A session for whoever signed the login.

    1. the nonce is ours, unused and in time; it is used up by the attempt
    2. who claims to have signed is one person's device, or one client certificate that stands
    3. signature; organisation, origin and time are ours

    A cookie is set for the console alone, which the browser names.  # C15
    """
    relay = call.relay
    if body.cookie and not call.same_origin:
        raise ProblemError("origin")
    signed = bytes(body.login)
    try:
        return await _sign_in(call, body, signed)
    except (Refused, ProblemError):
        limit = relay.settings.limits.login_failures_per_minute
        relay.rates.count("login_failures_per_minute", call.peer, limit)
        raise


async def _sign_in(call: Call, body: messages.Login, signed: bytes) -> messages.Session:
    relay, now = call.relay, call.now
    standing = relay.organisation.standing
    if standing is None:
        raise ProblemError("no-organisation")
    said = msgspec.json.decode(public.payload_of("login", signed), type=SignedLogin)
    # 1.
    if not relay.nonces.take(said.nonce, now):
        raise ProblemError("sign-in", "the nonce is unknown, used or too old")
    # 2. and 3.: the payload that counts is the verified one, and it is the same bytes
    verified, session, cert = _verify(call, standing, body, signed)
    if verified.org != standing.pin or verified.origin != relay.origin or abs(verified.issued - now) > CLOCK_SKEW:
        raise ProblemError("sign-in", "the login names another organisation, origin or time")
    token = public.b64encode(randomness.token_bytes(TOKEN_BYTES))
    cookie = set_cookie(token, session.expires - now) if body.cookie else ""
    hashed = cookie_hash(cookie.partition(";")[0]) if cookie else public.sha256(token.encode())

    def change(tx: Transaction) -> int:
        bearers.add_session(tx.connection, hashed, session)
        actor = session.person or (cert.subject if cert else "")
        if cert:
            store.seen_cert(tx.connection, cert.oid, now)
        host, back = cert.host if cert else "", counters.watch(tx, signed)
        tx.leaf("signed-in", actor, now, oid=public.oid_of(signed), device=session.device, host=host, outcome=back)
        return events.cursor(tx.connection)

    feed = await relay.writer.write(change, essential=True)
    newest = store.newest_cert(relay.reader, key_hash(cert), cert.subject) if cert else None
    if cookie:
        call.reply["set-cookie"] = cookie
    answer = messages.Session("" if cookie else token, session.expires, feed)
    return replace(answer, cert=raw(newest.signed)) if newest else answer


def _verify(
    call: Call, standing: Standing, body: messages.Login, signed: bytes
) -> tuple[SignedLogin, StoredSession, public.Cert | None]:
    limits, now = call.relay.settings.limits, call.now
    ends = now + (limits.console_session_seconds if body.cookie else limits.session_seconds)
    if body.client and not body.person and not body.device and not body.cookie:
        if standing.is_revoked(oid(body.client)):
            raise ProblemError("revoked")
        cert = standing.cert(call.relay.reader, oid(body.client), now)
        if cert is None:
            raise ProblemError("sign-in", "the certificate is unknown, ended or revoked")
        payload = standing.trust.verify_by_client("login", signed, cert, now)
        return msgspec.json.decode(payload, type=SignedLogin), StoredSession("", "", cert.oid, ends, now, now), cert
    if body.person and body.device and not body.client:
        payload = standing.trust.verify_by_device("login", signed, body.person, body.device, now)
        made = StoredSession(body.person, body.device, b"", ends, now, now, _label(body.label), signature(signed).key)
        return msgspec.json.decode(payload, type=SignedLogin), made, None
    raise ProblemError("body-form", "a login is of a person's device, or of a client", "client")


def _label(text: str) -> str:
    if len(text) > LONGEST_LABEL or not text.isascii() or not text.isprintable():
        raise ProblemError("body-form", f"a label is at most {LONGEST_LABEL} printable ASCII characters", "label")
    return text


def oid(text: str) -> bytes:
    """An oid out of a body: 32 bytes in base64url. Raises `body-form`."""
    try:
        raw_oid = public.b64decode(text)
    except Refused:
        raw_oid = b""
    if len(raw_oid) != 32:
        raise ProblemError("body-form", "an oid is 32 bytes in base64url")
    return raw_oid
