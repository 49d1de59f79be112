"""Editing a roster: pure functions from a verified roster to the next one's content.

Each refuses, with the field and the remedy, what every reader of the roster would refuse later (protocol section 4). Nothing
is signed here; `successor` numbers and dates the result. Times are unix seconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from stillvault.protocol.errors import Failed, Forbidden, Usage
from stillvault.protocol.objects import (
    LEASE_SCOPES,
    ROLES,
    TIERS,
    Device,
    Hold,
    Key,
    Person,
    Policy,
    Recovery,
    Roster,
)

DAY = 86400
ROSTER_LIFE = 90 * DAY
DEVICE_LIFE = 365 * DAY
CERT_LIFE = 365 * DAY
ROOT_LIFE = 5 * 365 * DAY
MAX_WINDOW = 28800
MAX_TTL = 3600
MAX_PEOPLE = 127

DEFAULT_WINDOW = 900  # seconds
DEFAULT_TTL = 300  # seconds

T = TypeVar("T")
Edit = Callable[[Roster], Roster]


def successor(edited: Roster, previous: str, root: str, now: int) -> Roster:
    """The edited roster as the next version: `previous` is the oid of the one before, `root` that of the newest root."""
    return msgspec.structs.replace(edited, version=edited.version + 1, previous=previous, root=root, issued=now,
                                   expires=now + ROSTER_LIFE, holds=[one for one in edited.holds if now < one.until],
                                   floors=sorted(edited.floors), revoked=sorted(set(edited.revoked)))


def person_of(roster: Roster, name: str) -> Person:
    """The person, or a refusal that says who is there."""
    for one in roster.people:
        if one.id == name:
            return one
    known = ", ".join(one.id for one in roster.people)
    raise Usage("unknown-person", f"nobody is called {name}", f"known are: {known}", "WHO")


def with_device(person: str, roles: Sequence[str], device: Device) -> Edit:
    """Adds a device, and the person where they are new; roles are joined."""
    def edit(roster: Roster) -> Roster:
        people = list(roster.people)
        for at, one in enumerate(people):
            if one.id == person:
                joined = [role for role in ROLES if role in one.roles or role in roles]
                people[at] = msgspec.structs.replace(one, roles=joined, devices=[*one.devices, device])
                break
        else:
            people.append(Person(id=person, name=person, roles=[role for role in ROLES if role in roles], devices=[device]))
        return msgspec.structs.replace(roster, people=people)
    return edit


def device_id(roster: Roster, person: str, label: str) -> str:
    """A device id that is not taken: a new KEM key always means a new id."""
    taken = {one.id for everyone in roster.people for one in everyone.devices}
    slug = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:24] or "device"
    base = f"{person}-{slug}"[:58].rstrip("-")
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name


def with_roles(person: str, roles: Sequence[str], seen: Sequence[str] | None = None) -> Edit:
    """Sets the roles exactly. Refuses to take the role of approver from someone whom a policy names.

    `seen`: the roles that stood where the edit began. Another administrator's change of them is not undone unseen.
    """
    def edit(roster: Roster) -> Roster:
        before = person_of(roster, person)
        if seen is not None and set(seen) != set(before.roles):
            raise Failed("roles-changed", f"somebody else changed the roles of {person} meanwhile: they are "
                         f"{', '.join(before.roles)} now", "look at `stillvault org show`, then run this again", "--role")
        named = [policy.id for policy in roster.policies if person in policy.people]
        if "approver" not in roles and named:
            raise Forbidden("in-policy", f"{person} is an approver of the policies {', '.join(named)}",
                            f"take {person} out with `stillvault policy set` first", "--role")
        if "admin" in before.roles and "admin" not in roles and not _other_admins(roster, person):
            raise Forbidden("last-admin", f"{person} is the only administrator", "give another person the role first", "--role")
        people = [msgspec.structs.replace(one, roles=[role for role in ROLES if role in roles]) if one.id == person else one
                  for one in roster.people]
        return msgspec.structs.replace(roster, people=people)
    return edit


def _other_admins(roster: Roster, person: str) -> list[str]:
    return [one.id for one in roster.people if one.id != person and "admin" in one.roles]


def retired(person: str, device: str, now: int) -> Edit:
    """Removal (b): the devices end now and stay listed; the whole person leaves every policy."""
    def edit(roster: Roster) -> Roster:
        person_of(roster, person)
        people = []
        for one in roster.people:
            if one.id == person:
                devices = [msgspec.structs.replace(each, expires=now) if device in ("", each.id) and now < each.expires else each
                           for each in one.devices]
                one = msgspec.structs.replace(one, devices=devices)
            people.append(one)
        policies = list(roster.policies)
        if not device:
            policies = [msgspec.structs.replace(one, people=[each for each in one.people if each != person]) for one in policies]
        return msgspec.structs.replace(roster, people=people, policies=policies)
    return edit


def dropped(person: str, device: str, floors: Iterable[tuple[str, int, int]]) -> Edit:
    """Removal (d): floors rise to the new seals, and the person (or the one device) is gone."""
    def edit(roster: Roster) -> Roster:
        raised = {path: (version, revision) for path, version, revision in roster.floors}
        for path, version, revision in floors:
            raised[path] = max(raised.get(path, (0, 0)), (version, revision))
        people = []
        for one in roster.people:
            if one.id != person:
                people.append(one)
            elif device:
                people.append(msgspec.structs.replace(one, devices=[each for each in one.devices if each.id != device]))
        return msgspec.structs.replace(roster, people=people, floors=[(path, *pair) for path, pair in sorted(raised.items())])
    return edit


@dataclass(frozen=True)
class Rule:
    """What `policy set` was told; None keeps what stands, or takes the default where nothing does."""

    id: str
    match: Sequence[str] = ()
    people: Sequence[str] = ()
    threshold: int | None = None
    window: int | None = None
    scope: str | None = None
    tier: str | None = None
    uses: int | None = None
    ttl: int | None = None
    deny: str | None = None
    code: bool | None = None


def with_policy(rule: Rule, recovery: Recovery | None) -> Edit:
    """Adds or replaces a policy. `recovery` stands in every policy of an organisation that has recovery keys."""
    def edit(roster: Roster) -> Roster:
        before = next((one for one in roster.policies if one.id == rule.id), None)
        policy = _policy(rule, before, recovery)
        _check_policy(roster, policy)
        others = [one for one in roster.policies if one.id != rule.id]
        return msgspec.structs.replace(roster, policies=[*others, policy])
    return edit


def without_policy(standing: Policy, governed: Sequence[str]) -> Edit:
    """Takes a policy out, as it was read. `governed`: paths of secrets that it governs; while there are any it stays."""
    def edit(roster: Roster) -> Roster:
        found = next((one for one in roster.policies if one.id == standing.id), None)
        if found != standing:
            raise Failed("policy-changed", f"somebody else changed or removed the policy {standing.id} meanwhile",
                         "look at `stillvault policy list`, then run this again", "NAME")
        if governed:
            more = f" and {len(governed) - 5} more" if len(governed) > 5 else ""
            raise Forbidden("policy-used", f"the policy {standing.id} governs {', '.join(governed[:5])}{more}",
                            "let another policy match these first and seal them again: stillvault policy set, "
                            "stillvault reseal --needed", "NAME")
        return msgspec.structs.replace(roster, policies=[one for one in roster.policies if one.id != standing.id])
    return edit


def _policy(rule: Rule, before: Policy | None, recovery: Recovery | None) -> Policy:
    return Policy(
        id=rule.id,
        match=list(rule.match) or (before.match if before else []),
        people=list(rule.people) or (before.people if before else []),
        threshold=_pick(rule.threshold, before.threshold if before else None, 1),
        window=_pick(rule.window, before.window if before else None, DEFAULT_WINDOW),
        scope=_pick(rule.scope, before.scope if before else None, "process"),
        tier=_pick(rule.tier, before.tier if before else None, "soft"),
        uses=_pick(rule.uses, before.uses if before else None, 0),
        ttl=_pick(rule.ttl, before.ttl if before else None, DEFAULT_TTL),
        deny=_pick(rule.deny, before.deny if before else None, "veto"),
        code=_pick(rule.code, before.code if before else None, False),
        recovery=recovery if recovery is not None else before.recovery if before else UNSET,
    )


def _pick(given: T | None, stands: T | None, default: T) -> T:
    return given if given is not None else stands if stands is not None else default


def _check_policy(roster: Roster, policy: Policy) -> None:
    if not policy.match:
        raise Usage("policy", "the policy matches nothing", "give --match PATTERN, at least once", "--match")
    if not policy.people:
        raise Usage("policy", "the policy names nobody", "give --people alice,bob", "--people")
    if len(set(policy.people)) != len(policy.people) or len(set(policy.match)) != len(policy.match):
        raise Usage("policy", "a person or a pattern stands twice in the policy", "name each once")
    for name in policy.people:
        if "approver" not in person_of(roster, name).roles:
            raise Usage("policy", f"{name} is no approver", f"stillvault person set {name} --role approver ..", "--people")
    if not 1 <= policy.threshold <= len(policy.people) <= MAX_PEOPLE:
        raise Usage("policy", f"a threshold of {policy.threshold} does not fit {len(policy.people)} people",
                    "1 <= threshold <= people <= 127", "--threshold")
    for other in roster.policies:
        twice = set(other.match) & set(policy.match) if other.id != policy.id else set()
        if twice:
            raise Usage("policy", f"policy {other.id} matches {sorted(twice)[0]} already", "a pattern belongs to one policy",
                        "--match")
    if not 0 <= policy.window <= MAX_WINDOW:
        raise Usage("policy", "a window is at most 8 hours", "give --window between 0s and 8h", "--window")
    if not 1 <= policy.ttl <= MAX_TTL:
        raise Usage("policy", "a request lives at most one hour", "give --ttl between 1s and 1h", "--ttl")
    if policy.tier not in TIERS or policy.scope not in LEASE_SCOPES or policy.deny not in ("veto", "count") or policy.uses < 0:
        raise Usage("policy", "the policy has an unknown tier, scope or deny rule", "see `stillvault policy set --help`")


def with_holds(holds: Sequence[Hold]) -> Edit:
    """Adds holds, in the place of older ones on the same targets."""
    def edit(roster: Roster) -> Roster:
        return msgspec.structs.replace(roster, holds=[*_other_holds(roster, holds), *holds])
    return edit


def without_holds(holds: Sequence[Hold]) -> Edit:
    """Lifts the holds on those targets."""
    def edit(roster: Roster) -> Roster:
        left = _other_holds(roster, holds)
        if len(left) == len(roster.holds):
            raise Usage("no-hold", "nothing is held by that name", "see `stillvault org show`")
        return msgspec.structs.replace(roster, holds=left)
    return edit


def _other_holds(roster: Roster, holds: Sequence[Hold]) -> list[Hold]:
    targets = [(hold.subject, hold.match) for hold in holds]
    return [one for one in roster.holds if (one.subject, one.match) not in targets]


def with_revoked(oids: Iterable[str]) -> Edit:
    """Revokes client certificates."""
    added = list(oids)

    def edit(roster: Roster) -> Roster:
        return msgspec.structs.replace(roster, revoked=[*roster.revoked, *added])
    return edit


def with_fresh_devices(now: int) -> Edit:
    """Renewal: devices that live but have used up half their year get another."""
    def edit(roster: Roster) -> Roster:
        people = [msgspec.structs.replace(one, devices=[
            msgspec.structs.replace(each, expires=now + DEVICE_LIFE) if now < each.expires < now + DEVICE_LIFE // 2 else each
            for each in one.devices]) for one in roster.people]
        return msgspec.structs.replace(roster, people=people)
    return edit


def unchanged(roster: Roster) -> Roster:
    """No edit: a new number and new dates."""
    return roster


def auth_keys(roster: Roster, person: str) -> list[Key]:
    """The authentication keys of a person's devices: what a root names as an admin's."""
    return [key for device in person_of(roster, person).devices for key in device.auth]


def changes(before: Roster, after: Roster) -> list[str]:
    """What changed between two rosters, a line each: shown to a sealer since their last seal (section 5.1)."""
    lines = []
    old_people, new_people = {one.id: one for one in before.people}, {one.id: one for one in after.people}
    for name in sorted(old_people.keys() | new_people.keys()):
        old, new = old_people.get(name), new_people.get(name)
        if old is None and new is not None:
            lines.append(f"new person {name}: {', '.join(new.roles)}")
        elif new is None:
            lines.append(f"person {name} is gone")
        elif old is not None and old.roles != new.roles:
            lines.append(f"{name} is now {', '.join(new.roles)}")
        old_devices = {one.id: one for one in old.devices} if old else {}
        new_devices = {one.id: one for one in new.devices} if new else {}
        added = sorted(new_devices.keys() - old_devices.keys())
        lines += [f"new device {one} of {name} ({new_devices[one].tier})" for one in added]
        lines += [f"device {one} of {name} is gone" for one in sorted(old_devices.keys() - new_devices.keys()) if new]
        for device in sorted(old_devices.keys() & new_devices.keys()):
            lines += _device_changes(name, old_devices[device], new_devices[device])
    old_policies, new_policies = {one.id: one for one in before.policies}, {one.id: one for one in after.policies}
    for name in sorted(old_policies.keys() | new_policies.keys()):
        if name not in new_policies:
            lines.append(f"policy {name} is gone")
        elif old_policies.get(name) != new_policies[name]:
            one = new_policies[name]
            lines.append(f"policy {name}: {one.threshold} of {', '.join(one.people)} for {', '.join(one.match)}, tier {one.tier}")
            lines += _recovery_changes(old_policies.get(name), one)
    return lines


def _device_changes(person: str, old: Device, new: Device) -> list[str]:
    """Of a device that stays under its id. Another KEM key there is against the rules (section 4): told of all the more."""
    lines = []
    if new.kem != old.kem:
        lines.append(f"device {new.id} of {person} has another key: what is sealed now opens with that one")
    if new.tier != old.tier:
        lines.append(f"device {new.id} of {person} counts as {new.tier} now")
    if new.expires < old.expires:
        lines.append(f"device {new.id} of {person} was retired")
    if new.auth != old.auth:
        count = len(new.auth)
        lines.append(f"device {new.id} of {person} has now {count} {'key' if count == 1 else 'keys'} to sign with")
    return lines


def _recovery_changes(old: Policy | None, new: Policy) -> list[str]:
    if new.recovery == (old.recovery if old else UNSET):
        return []
    if isinstance(new.recovery, UnsetType):
        return [f"policy {new.id} has no recovery keys any more"]
    keys = ", ".join(key.id for key in new.recovery.keys)
    return [f"the recovery keys of policy {new.id} are now {new.recovery.threshold} of {keys}"]
