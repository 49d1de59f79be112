"""Who may call a route. Deny by default: every route names one `Rule`, and a route without one cannot be built.

A bearer is looked up by its hash, and what it stands for is checked at each call against the roster of this moment: a person
who was dropped, a device that ended, a client that was revoked is out at once, whatever their session says.  # C7, C16, N9
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from stillvault.crypto import public
from stillvault.relay.context import Principal, Relay
from stillvault.relay.problems import ProblemError
from stillvault.relay.services.organisation import key_hash
from stillvault.relay.store import bearers, invites


class Rule(Enum):
    """Each rule says in words who passes; the text stands in /openapi.json."""

    ANYONE = "anyone"
    SETUP = "the setup token"
    INVITE = "the bearer of an open invite"
    TICKET = "the ticket of an enrolment"
    TRUST = "any session, an open invite, or a ticket"
    SESSION = "any session"
    PERSON = "a person"
    ADMIN = "a person with the role admin"
    APPROVER = "a person with the role approver"
    APPROVER_OR_ADMIN = "a person with the role approver or admin"
    SEALER = "a person with the role sealer"
    CLIENT = "a client"
    REQUESTER_OR_ASKED = "the client that raised it, or a person; the use case checks which"
    PERSON_OR_CLIENT_IN_SCOPE = "a person, or a client within its scopes"
    DECIDER = "the device that decided; a deny or freeze needs no session, for its signature is its authority"


_ROLE = {
    Rule.ADMIN: frozenset({"admin"}),
    Rule.APPROVER: frozenset({"approver"}),
    Rule.APPROVER_OR_ADMIN: frozenset({"admin", "approver"}),
    Rule.SEALER: frozenset({"sealer"}),
}
_PEOPLE = frozenset({Rule.PERSON, *_ROLE})
_CLIENTS = frozenset({Rule.CLIENT})
_SESSIONS = frozenset({Rule.TRUST, Rule.SESSION, Rule.REQUESTER_OR_ASKED, Rule.PERSON_OR_CLIENT_IN_SCOPE, Rule.DECIDER})


COOKIE = "__Host-stillvault"  # the prefix binds it to this very host, to TLS and to every path


def bearer_hash(authorization: str) -> bytes:
    """The hash of a bearer, or nothing where none was sent. A malformed header is no bearer."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.isascii() or not 16 <= len(token) <= 256:
        return b""
    return public.sha256(token.encode())


def cookie_hash(cookies: str) -> bytes:
    """The hash of the session cookie, or nothing. It is of another kind than a bearer's: neither works as the other."""
    named = [part.strip().partition("=") for part in cookies.split(";")]
    found = [value for name, _, value in named if name == COOKIE]
    if len(found) != 1 or not found[0].isascii() or not 16 <= len(found[0]) <= 256:
        return b""
    return public.sha256(b"cookie:" + found[0].encode())


def is_same_origin(method: str, origin: str, site: str) -> bool:
    """Whether the console itself sent this: a browser says so. The edge has refused every foreign Origin before.  # C15

    A POST names its origin. Where Sec-Fetch-Site is sent it says `same-origin`; or `none`, an address that a person typed.
    """
    return bool(origin or method != "POST") and site in ("same-origin", "") + (() if method == "POST" else ("none",))


def admit(relay: Relay, rule: Rule, bearer: bytes, now: int) -> Principal:
    """The caller, if the rule lets it pass. Raises `sign-in` (401) or `forbidden` (403)."""
    if rule is Rule.ANYONE or (rule is Rule.DECIDER and not bearer):
        return Principal()
    if not bearer:
        raise ProblemError("sign-in", headers={"www-authenticate": "Bearer"})
    special = _SPECIAL.get(rule)
    if special:
        return special(relay, bearer, now)
    try:
        principal = session(relay, bearer, now)
    except ProblemError as error:
        if rule is not Rule.TRUST or error.code == "revoked":
            raise
        return _invite_or_ticket(relay, bearer, now)
    if principal.person and rule in _PEOPLE | _SESSIONS and (rule not in _ROLE or _ROLE[rule] & principal.roles):
        return principal
    if principal.cert and rule in _CLIENTS | _SESSIONS:
        return principal
    raise ProblemError("forbidden")


def session(relay: Relay, bearer: bytes, now: int) -> Principal:
    """The person or client behind a session, if it stands at this moment."""
    found = bearers.session(relay.reader, bearer, now)
    standing = relay.organisation.standing
    if found is None or standing is None:
        raise ProblemError("sign-in")
    if found.person:
        if not standing.signs(found.person, found.device, found.signer, now):
            raise ProblemError("sign-in")
        relay.seen.note(bearer, now)
        roles = standing.roles(found.person)
        return Principal(person=found.person, device=found.device, roles=roles, bearer=bearer, expires=found.expires)
    if standing.is_revoked(found.client):
        raise ProblemError("revoked")  # unsigned, and it only ever shortens: the daemon ends its leases on this word
    cert = standing.cert(relay.reader, found.client, now)
    if cert is None:
        raise ProblemError("sign-in")
    return Principal(cert=cert, key=key_hash(cert), bearer=bearer)


def _setup(relay: Relay, bearer: bytes, now: int) -> Principal:
    if relay.organisation.standing is not None:
        raise ProblemError("organisation-exists")
    if not bearers.has_setup_token(relay.reader, bearer, now):
        raise ProblemError("sign-in")
    return Principal(bearer=bearer)


def _invite(relay: Relay, bearer: bytes, now: int) -> Principal:
    found = invites.by_bearer(relay.reader, bearer)
    if found is None or found.state != "open" or found.expires <= now:
        raise ProblemError("sign-in")
    return Principal(invite=found, bearer=bearer)


def _ticket(relay: Relay, bearer: bytes, _now: int) -> Principal:
    found = invites.by_ticket(relay.reader, bearer)
    if found is None:
        raise ProblemError("sign-in")
    return Principal(invite=found, bearer=bearer)


def _invite_or_ticket(relay: Relay, bearer: bytes, now: int) -> Principal:
    try:
        return _invite(relay, bearer, now)
    except ProblemError:
        return _ticket(relay, bearer, now)


_SPECIAL: dict[Rule, Callable[[Relay, bytes, int], Principal]] = {Rule.SETUP: _setup, Rule.INVITE: _invite, Rule.TICKET: _ticket}
