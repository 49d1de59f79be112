"""Sealed secrets: taken from a sealer, handed out as they came. The relay never sees a value, nor a key that opens one."""

from __future__ import annotations

from stillvault.crypto import public
from stillvault.protocol import messages, objects
from stillvault.protocol.errors import Refused
from stillvault.protocol.lifecycle import Event
from stillvault.relay.context import Call
from stillvault.relay.problems import ProblemError
from stillvault.relay.services import moving
from stillvault.relay.services.organisation import Standing
from stillvault.relay.services.verified import raw, read
from stillvault.relay.store import requests, secrets, trust
from stillvault.relay.store.requests import StoredRequest
from stillvault.relay.store.secrets import StoredSecret
from stillvault.relay.store.transaction import Transaction

PAGE = 200


async def store(call: Call, body: messages.NewSecret) -> messages.Stored:
    """Takes a sealed secret.

    1. signature of a rostered sealer, who is the one that calls; form; ciphertext; policy and recipients of the present
       roster (5.6)
    2. version and revision follow the newest of the path, and `previous` is its oid
    3. requests for the path: approvals of the older one are void, leases are purged (section 9)
    """
    relay, now = call.relay, call.now
    standing = standing_of(call)
    signed = bytes(body.secret)
    ciphertext = public.b64decode(body.ciphertext)
    # 1.
    secret = standing.trust.verify_new_secret(signed, ciphertext, now)
    core = read(objects.Secret, secret.payload).core
    if core.by.person != call.who.person:
        raise ProblemError("forbidden", "sealed by somebody else than the caller")
    stored = StoredSecret(secret.oid, core.path, core.version, core.revision, signed)

    def change(tx: Transaction) -> None:
        known = secrets.by_oid(tx.connection, secret.oid)
        if known is not None:
            return  # said before: changes nothing
        present = trust.newest_roster(tx.connection)
        if present is None or present.oid != standing.trust.oid:
            raise ProblemError("conflict", "a new roster was published meanwhile", "secret")
        # 2.
        newest = secrets.newest(tx.connection, core.path)
        if not follows(core, newest):
            raise ProblemError("conflict", "the version does not follow the newest one", "version")
        secrets.add(tx.connection, stored, ciphertext, now)
        tx.leaf(
            "sealed", call.who.actor, now, oid=secret.oid, secret=core.path, version=core.version, device=core.by.device,
            outcome=f"revision {core.revision}",
        )  # fmt: skip
        tx.event("people", "secret", now, oid=secret.oid, path=core.path)
        # 3.
        if newest is not None:
            new_content = core.version > newest.version
            for request in requests.touched_by_path(tx.connection, core.path, now):
                _follow(tx, standing, request, stored, core, new_content=new_content, now=now)

    await relay.writer.write(change)
    return messages.Stored(public.b64encode(secret.oid), core.path, core.version, core.revision)


def follows(core: objects.Core, newest: StoredSecret | None) -> bool:
    """Versions begin at 1 and revisions at 0; one of the two grows by one; `previous` is the seal before."""
    pair = (core.version, core.revision)
    if newest is None:
        return pair == (1, 0) and not isinstance(core.previous, str)
    nexts = ((newest.version + 1, 0), (newest.version, newest.revision + 1))
    return pair in nexts and core.previous == public.b64encode(newest.oid)


def _follow(
    tx: Transaction,
    standing: Standing,
    request: StoredRequest,
    stored: StoredSecret,
    core: objects.Core,
    *,
    new_content: bool,
    now: int,
) -> None:
    """A pending request goes on with the newer seal. A value that was handed out is called back only when there is a newer
    value."""
    if request.state != "pending":
        if new_content:
            moving.move(tx, request, Event("newer-version", now))
        return
    secret = read(objects.Secret, public.payload_of("secret", stored.signed))
    people = standing.answerers(secret, request.purpose, now)
    policy = core.policy if request.purpose == "reseal" else standing.policy(core.path)
    requests.retarget(tx.connection, request.oid, stored.oid, core.policy.threshold, policy.deny, people)
    fresh = requests.get(tx.connection, request.oid)
    if fresh is not None:
        moving.move(tx, fresh, Event("newer-version", now))


def newest(call: Call, path: str) -> messages.LatestSecret:
    """The newest seal of a path. A client sees what its scopes cover; all else is `unknown`, be it there or not.  # C2"""
    cert = call.who.cert
    public.check_path(path)
    if cert and not any(matches(pattern, path) for pattern in cert.scopes):
        raise ProblemError("unknown")
    found = secrets.newest(call.relay.reader, path)
    if found is None:
        raise ProblemError("unknown")
    return messages.LatestSecret(raw(found.signed))


def history(call: Call, path: str) -> messages.Secrets:
    public.check_path(path)
    return messages.Secrets([raw(one.signed) for one in secrets.history(call.relay.reader, path, PAGE)])


def listed(call: Call, prefix: str, after: str, limit: int) -> messages.Secrets:
    for path in (prefix, after):
        if path:
            public.check_path(path)
    found = secrets.listed(call.relay.reader, prefix, after, limit + 1)
    page = found[:limit]
    return messages.Secrets([raw(one.signed) for one in page], page[-1].path if len(found) > limit else "")


def matches(pattern: str, path: str) -> bool:
    return public.pattern_matches(pattern, path)


def standing_of(call: Call) -> Standing:
    if call.relay.organisation.standing is None:
        raise ProblemError("no-organisation")
    return call.relay.organisation.standing


def verify(standing: Standing, stored: StoredSecret, minimum: tuple[int, int], now: int, *, reseal: bool) -> objects.Secret:
    """A stored secret as the present roster judges it. Raises `stale-secret` where nobody would accept it any more."""
    try:
        verified = standing.trust.verify_secret(stored.signed, stored.path, [minimum], now, reseal=reseal)
    except Refused as error:
        raise ProblemError("stale-secret", f"the check {error.code} refuses it") from error
    return read(objects.Secret, verified.payload)
