"""Protocol sections 4, 7.1 and 8: the root chain, the roster, certificates. `verify` gives a `Trust` or raises."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import Any

from . import signed
from .encoding import Refused, b64
from .objects import TIERS
from .paths import select

SKEW = 300  # seconds that a clock may be behind the issuer's
LONGEST_WINDOW = 28800  # seconds
LONGEST_TTL = 3600  # seconds
MOST_PEOPLE = 127


@dataclass(frozen=True)
class Trust:
    """A verified root chain and roster."""

    pin: str
    root: dict[str, Any]
    roster: dict[str, Any]
    oid: str
    pair: list[int]

    @property
    def origins(self) -> list[str]:
        origins: list[str] = self.root["origins"]
        return origins

    def policy(self, path: str) -> dict[str, Any]:
        return select(self.roster["policies"], path)

    def person(self, person: str) -> dict[str, Any] | None:
        return next((entry for entry in self.roster["people"] if entry["id"] == person), None)

    def device(self, person: str, device: str) -> dict[str, Any] | None:
        entry = self.person(person)
        return next((item for item in entry["devices"] if item["id"] == device), None) if entry else None

    def has_role(self, person: str, role: str) -> bool:
        entry = self.person(person)
        return entry is not None and role in entry["roles"]

    def not_newer(self, pair: list[int]) -> None:
        """7.1, 8: whoever wrote `pair` saw no newer roster than this one."""
        if pair > self.pair:
            raise Refused("stale-roster", "this roster is older than the one that the signer saw")


def in_date(value: dict[str, Any], now: int, code: str = "future") -> None:
    """4: `issued <= now + 300`, `now < expires`."""
    if value["issued"] > now + SKEW:
        raise Refused(code, "issued in the future")
    if now >= value["expires"]:
        raise Refused("expired")


def device_in_date(device: dict[str, Any], now: int) -> bool:
    return bool(device["added"] <= now < device["expires"])


def tier_at_least(tier: str, wanted: str) -> bool:
    return TIERS.index(tier) >= TIERS.index(wanted)


def check_same_org(value: dict[str, Any], trust: Trust) -> None:
    if value["org"] != trust.pin:
        raise Refused("org", "of another organisation")


def _check_quorum(quorum: dict[str, Any]) -> None:
    distinct = {key["public"] for key in quorum["keys"]}
    if not 1 <= quorum["threshold"] <= len(distinct):
        raise Refused("root-invalid", "1 <= threshold <= distinct keys")


def verify_roots(pin: str, roots: list[Any]) -> tuple[dict[str, Any], str]:
    """8: the chain from version 1 without gaps. Returns the newest root and its oid; its dates are the caller's."""
    if not roots:
        raise Refused("root-chain", "no root")
    before: dict[str, Any] | None = None
    before_oid = ""
    for at, wrapper in enumerate(roots):
        # 8.1 the first is the pin, before anything in it is read
        signed.opened("root", wrapper)
        root_oid = b64(signed.oid_of(wrapper))
        if at == 0 and root_oid != pin:
            raise Refused("pin", "the first root is not the pinned one")
        root = signed.peek("root", wrapper)
        # 8.2 no gap, and each names the one before
        if root["version"] != at + 1 or root.get("previous", "") != before_oid:
            raise Refused("root-chain", "a gap, or another root before it")
        # 8.3 possible thresholds
        _check_quorum(root["root"])
        _check_quorum(root["admin"])
        # 8.4 signed by the thresholds of both neighbours; a passkey's origin is that of the root that lists it
        if before is not None:
            signed.by_threshold("root", wrapper, before["root"], before["origins"], "root-threshold")
        signed.by_threshold("root", wrapper, root["root"], root["origins"], "root-threshold")
        before, before_oid = root, root_oid
    assert before is not None
    return before, before_oid


def verify(pin: str, roots: list[Any], wrapper: Any, now: int, seen: dict[str, Any] | None = None) -> Trust:
    """8: root chain and roster, against the pin and what was accepted last."""
    root, root_oid = verify_roots(pin, roots)
    # 8.5 only the newest root must be in date
    in_date(root, now)
    # 8.6 the admin threshold of the newest root
    roster, raw_oid = signed.by_threshold("roster", wrapper, root["admin"], root["origins"], "roster-threshold")
    trust = Trust(pin, root, roster, b64(raw_oid), [root["version"], roster["version"]])
    check_same_org(roster, trust)
    # 8.7 names the newest root
    if roster["root"] != root_oid:
        raise Refused("roster-root", "made under another root")
    check_roster(roster)
    # 8.8 in date: an expired roster is a freeze
    in_date(roster, now)
    # 8.9 never below what was seen
    if seen is not None:
        check_seen(trust, seen)
    return trust


def check_seen(trust: Trust, seen: dict[str, Any]) -> None:
    """8: rollback, fork. A new root version undoes a fast-forward: below it the roster's number may start again."""
    last = seen["roster"]
    if trust.pair < last:
        raise Refused("rollback")
    if trust.pair == last and trust.oid != seen["oid"]:
        raise Refused("fork", "two rosters of one number")
    if trust.pair == [last[0], last[1] + 1] and trust.roster.get("previous") != seen["oid"]:
        raise Refused("fork", "the next roster does not follow the one seen")


def _once(what: str, items: list[Any]) -> None:
    if any(times > 1 for times in Counter(items).values()):
        raise Refused("roster-invalid", f"a {what} stands twice")


def check_roster(roster: dict[str, Any]) -> None:
    """4, last bullets: what makes a roster unusable."""
    people, policies = roster["people"], roster["policies"]
    devices = [device for person in people for device in person["devices"]]
    _once("person", [person["id"] for person in people])
    _once("device", [device["id"] for device in devices])
    _once("policy", [policy["id"] for policy in policies])
    _once("pattern", [pattern for policy in policies for pattern in policy["match"]])
    keys = [device["kem"]["public"] for device in devices]
    keys += [key["public"] for device in devices for key in device["auth"]]
    keys += [device["deny"]["public"] for device in devices if "deny" in device]
    _once("public key", keys + recovery_keys(policies))
    if any(person["id"] == "recovery" for person in people):
        raise Refused("roster-invalid", "`recovery` is no person")
    for device in devices:
        if len(device["auth"]) != 1 and not (device["tier"] == "synced" and device["auth"]):
            raise Refused("roster-invalid", "one auth key; several for tier synced alone")
        if "deny" in device and device["deny"]["alg"] != "es256":
            raise Refused("roster-invalid", "a deny key is es256")
    floors = [floor[0] for floor in roster["floors"]]
    if any(second <= first for first, second in itertools.pairwise(floors)):
        raise Refused("roster-invalid", "floors are not sorted by path")
    approvers = {person["id"] for person in people if "approver" in person["roles"]}
    for policy in policies:
        check_policy(policy, "roster-invalid")
        if not set(policy["people"]) <= approvers:
            raise Refused("roster-invalid", "a policy names somebody who is no approver")


def recovery_keys(policies: list[dict[str, Any]]) -> list[str]:
    """Each recovery key once. The same key under the same id may stand in several policies (one recovery group for the
    organisation); one id with two keys, or one key with two ids, may not."""
    groups = [policy["recovery"]["keys"] for policy in policies if "recovery" in policy]
    distinct = {(key["id"], key["kem"]["public"]) for group in groups for key in group}
    _once("recovery id", [name for name, _ in distinct])
    for group in groups:
        _once("recovery key", [key["id"] for key in group])
    return [public for _, public in distinct]


def check_policy(policy: dict[str, Any], code: str) -> None:
    """4: the bounds of a policy by itself; a sealed one is held to them as well."""
    people = policy["people"]
    if len(set(people)) != len(people) or not 1 <= policy["threshold"] <= len(people) <= MOST_PEOPLE:
        raise Refused(code, "1 <= threshold <= people <= 127")
    if policy["window"] > LONGEST_WINDOW or policy["ttl"] > LONGEST_TTL:
        raise Refused(code, "window or ttl too long")
    if "recovery" in policy:
        keys = policy["recovery"]["keys"]
        if not 2 <= policy["recovery"]["threshold"] <= len(keys) <= MOST_PEOPLE:
            raise Refused(code, "2 <= recovery.threshold <= keys <= 127")


def verify_cert(trust: Trust, wrapper: Any, now: int) -> dict[str, Any]:
    """7.1: a client certificate under the newest root, unrevoked, in date."""
    cert, oid = signed.by_threshold("client-cert", wrapper, trust.root["admin"], trust.origins, "cert-threshold")
    check_same_org(cert, trust)
    if b64(oid) in trust.roster["revoked"]:
        raise Refused("revoked")
    in_date(cert, now)
    return cert
