"""Sealing a value: the newest seal looked at first, the roster's changes shown, the value never a Python object.

A relay that hides the newest version gains nothing: the highest version this home has seen is remembered and never gone
below (A11).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from stillvault.admin.publish import roster_of
from stillvault.admin.roster import changes
from stillvault.approver.account import Account
from stillvault.approver.memory import remember, remembered
from stillvault.crypto.private import Value, seal
from stillvault.crypto.public import Secret, Trust, b64decode, b64encode, payload_of
from stillvault.protocol import messages
from stillvault.protocol.errors import Failed, Forbidden, NoApprover, Refused, Unavailable
from stillvault.protocol.objects import Pair, Roster
from stillvault.protocol.objects import Secret as SecretPayload
from stillvault.transport.http import RelayRefused

PAGE = 200
LAST_SEAL = "last-seal.json"


class LastSeal(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """last-seal.json: the roster that stood when this sealer sealed last."""

    roster: Roster
    v: int = 1


def latest(account: Account, path: str) -> bytes | None:
    """The newest signed secret of a path as the relay has it, not verified; None where it knows none."""
    try:
        return bytes(account.call("GET", f"/v1/secrets/latest?path={path}", returns=messages.LatestSecret).secret)
    except RelayRefused as error:
        if error.status == 404:
            return None
        raise


def listed(account: Account, prefix: str = "") -> Iterator[bytes]:
    """The newest signed secret of every path below a prefix, in order of path, not verified."""
    after = ""
    while True:
        page = account.call("GET", f"/v1/secrets?prefix={prefix}&after={after}&limit={PAGE}", returns=messages.Secrets)
        yield from (bytes(one) for one in page.secrets)
        if not page.next or page.next <= after:
            return
        after = page.next


def roster_changes(account: Account, trust: Trust) -> list[str]:
    """What changed since this sealer's last seal (section 5.1)."""
    last = account.home.read(LAST_SEAL, LastSeal)
    return [] if last is None else changes(last.roster, roster_of(trust))


def seal_value(account: Account, path: str, value: Value, *, after_restore: bool = False) -> dict[str, Any]:
    """Seals a new version. Returns path, version and recipients, and who of the policy could not be sealed to.

    `after_restore`: the relay lost versions that this home has seen, and its owner accepted that. The value is sealed on from
    what it has, as often as it takes for the version to pass every one that was seen.
    """
    trust = account.trust()
    now = account.clock()
    check_sealer(account, trust)
    _policy(trust, path)
    highest = remembered(account.home).highest.get(path)
    newest = latest(account, path)
    lowest = [] if highest is None or after_restore else [highest]
    before = None if newest is None else trust.verify_secret(newest, path, lowest, now, reseal=True)
    if before is None and highest is not None and not after_restore:
        raise Refused("version", f"the relay knows no {path}, but this home has seen version {highest[0]}",
                      "the relay went back or hides it: ask an administrator")
    version = (1 if before is None else before.version[0] + 1, 0)
    sealed = upload(account, trust, path, value, version, None if before is None else before.oid, now)
    while highest is not None and sealed["version"] <= highest[0]:
        version = (sealed["version"] + 1, 0)
        sealed = upload(account, trust, path, value, version, b64decode(sealed["oid"]), now)
    account.home.write(LAST_SEAL, LastSeal(roster=roster_of(trust)))
    return sealed


def upload(account: Account, trust: Trust, path: str, value: Value, version: Pair, previous: bytes | None,
           now: int) -> dict[str, Any]:
    """Seals and uploads one version or revision, and remembers it."""
    keys = account.keys()
    try:
        made = seal(trust, keys.auth, account.own, path, value, version, previous, now)
    except Refused as error:
        if error.code != "recipients":
            raise
        raise NoApprover("no-approver", error.message, "an administrator enrols a device of theirs that the policy's tier takes, "
                         "or changes the policy: stillvault policy set", "PATH") from None
    try:
        stored = account.call("POST", "/v1/secrets", messages.NewSecret(secret=msgspec.Raw(made.secret),
                                                                        ciphertext=b64encode(made.ciphertext)),
                              returns=messages.Stored)
    except RelayRefused as error:
        if error.status == 409:
            raise Failed("conflict", f"somebody else sealed {path} meanwhile", "look at it, then seal again") from None
        raise
    with account.home.lock():
        remember(account.home, remembered(account.home).with_highest([(path, version)]))
    if stored.oid != b64encode(made.oid):
        raise Unavailable("bad-answer", f"the relay says that it stored another seal of {path} than it was sent",
                          "look at `stillvault secrets`, then seal again")
    return {"path": path, "version": version[0], "revision": version[1], "oid": stored.oid,
            "recipients": [{"person": person, "device": device, "index": index} for index, person, device in made.recipients],
            "missing": made.missing}


def check_sealer(account: Account, trust: Trust) -> None:
    """The roster must say that this person seals: others would refuse what they sealed."""
    roles = next((one.roles for one in roster_of(trust).people if one.id == account.person.person), [])
    if "sealer" not in roles:
        raise Forbidden("not-sealer", f"{account.person.person} does not have the role sealer",
                        f"an administrator gives it: stillvault person set {account.person.person} --role sealer ..")


def check_no_seals(account: Account, person: str) -> None:
    """Who sealed what stands must stay a sealer: a seal by anybody else is refused by every reader (7.3)."""
    cores = (msgspec.json.decode(payload_of("secret", one), type=SecretPayload).core for one in listed(account))
    paths = [core.path for core in cores if core.by.person == person]
    if paths:
        raise Forbidden("sealed-by", f"{person} sealed {paths[0]}" + (f" and {len(paths) - 1} more" if paths[1:] else ""),
                        f"let another sealer seal them again first: stillvault reseal {' '.join(paths[:5])}", "--role")


def _policy(trust: Trust, path: str) -> bytes:
    try:
        return trust.select_policy(path)
    except Refused as error:
        if error.code not in ("no-policy", "no-match"):
            raise
        raise Forbidden("no-policy", f"no policy says who may release {path}",
                        "an administrator makes one: stillvault policy set ID --match PATTERN --people ..", "PATH") from None


def describe(trust: Trust, signed: bytes, now: int) -> dict[str, Any]:
    """One secret for `secrets`: facts of the verified seal, or the check that refused it. Never a value."""
    core = msgspec.json.decode(payload_of("secret", signed), type=SecretPayload).core
    state = "ok"
    try:
        trust.verify_secret(signed, core.path, [], now, reseal=True)
        if stale(trust, core.path, msgspec.json.decode(payload_of("secret", signed), type=SecretPayload), now):
            state = "reseal-needed"
    except Refused as error:
        state = error.code
    return {"path": core.path, "version": core.version, "revision": core.revision, "sealed": core.sealed,
            "sealed_by": core.by.person, "policy": core.policy.id, "state": state,
            "recipients": [{"person": person, "device": device} for _, person, device in core.recipients]}


def stale(trust: Trust, path: str, secret: SecretPayload, now: int) -> bool:
    """Whether a seal made now would have other recipients or another policy."""
    try:
        policy = msgspec.json.decode(trust.select_policy(path), type=type(secret.core.policy))
    except Refused:
        return False
    return sorted(map(tuple, secret.core.recipients)) != sorted(trust.recipients(path, now)) or secret.core.policy != policy


def path_of(signed: bytes) -> str:
    """The path that a seal claims, not verified: to choose it by."""
    return msgspec.json.decode(payload_of("secret", signed), type=SecretPayload).core.path


def verified(trust: Trust, signed: bytes, lowest: list[Pair], now: int) -> tuple[Secret, SecretPayload]:
    """A seal as it verifies for opening by a reseal."""
    secret = trust.verify_secret(signed, path_of(signed), lowest, now, reseal=True)
    return secret, msgspec.json.decode(secret.payload, type=SecretPayload)
