"""Removing a person or a device (protocol 11, (a) to (e)): what was begun is written down and resumes.

(a) blocked where a secret would keep fewer people than its threshold. (b) a roster in which the devices end now and leave
every policy, still listed, so that what they sealed stays readable. (c) everything they can open or have sealed is sealed
again. (d) a roster with raised floors, without them. (e) the list of what they have known: rotate it at its source, for a
removal does not make anyone forget.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from stillvault.admin import resealing
from stillvault.admin import roster as rosters
from stillvault.admin.organisation import rotate
from stillvault.admin.publish import admin_key, certs_of, publish, root_of, roster_of
from stillvault.approver.account import Account
from stillvault.approver.logbook import sealed_secrets, verified_leaves
from stillvault.crypto.public import Trust
from stillvault.protocol.errors import Expired, Forbidden, Refused, Usage
from stillvault.protocol.objects import Roster
from stillvault.protocol.objects import Secret as SecretPayload


class Removal(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """removal.json: a removal under way."""

    person: str
    device: str
    known: list[str]  # paths that the removed could open: (e)
    paths: list[str]  # to be sealed again: (c)
    floors: list[tuple[str, int, int]] = []  # sealed again already
    v: int = 1


RECORD = "removal.json"


def remove(account: Account, person: str, device: str, say: resealing.Say) -> dict[str, Any]:
    """Runs or resumes a removal. Raises `Expired` while a quorum is still awaited: run it again."""
    trust = account.trust()
    admin_key(account, trust)
    record = account.home.read(RECORD, Removal)
    if record is not None and (record.person, record.device) != (person, device):
        what = f"{record.person} --device {record.device}" if record.device else record.person
        raise Usage("removal", f"the removal of {record.person} is not finished", f"stillvault person remove {what}", "WHO")
    if record is None:
        record = _begin(account, trust, person, device, say)
    else:
        say(f"resuming the removal of {person}")
        if not _is_retired(roster_of(trust), person, device, account.clock()):
            # (b) never reached the relay: without it, (c) would seal for them again
            _retire_or_forget(account, trust, person, device, _seals(account))
    record = _reseal(account, record, say)
    trust = publish(account, rosters.dropped(person, device, record.floors))  # (d)
    account.home.remove(RECORD)
    return {"removed": person, **({"device": device} if device else {}), "roster_version": trust.pair[1],
            "resealed": [path for path, _, _ in record.floors], "rotate": record.known}  # (e)


def _begin(account: Account, trust: Trust, person: str, device: str, say: resealing.Say) -> Removal:
    roster = roster_of(trust)
    found = rosters.person_of(roster, person)
    if device and device not in {one.id for one in found.devices}:
        raise Usage("unknown-device", f"{person} has no device {device}",
                    f"known are: {', '.join(one.id for one in found.devices)}", "--device")
    if person == account.person.person and device in ("", account.person.device):
        raise Forbidden("own-device", "a device cannot remove itself", "let another administrator do it", "WHO")
    going = {one.id for one in found.devices if device in ("", one.id)}
    jobs = resealing.find(account, [], lambda _, __: True)
    _check_listing(account, jobs)
    seals = [one.payload for one in jobs]
    for line in unblocked(roster, person, device, seals, account.clock()):
        say(line)
    affected = [one for one in jobs if _concerns(one.payload, going)]
    known = sorted(one.path for one in affected if _opens(one.payload, going))
    record = Removal(person=person, device=device, known=known, paths=sorted(one.path for one in affected))
    _outlive(account, [one.payload.core.sealed for one in jobs if one.payload.core.by.device in going], say)
    # (b) Written down first: if the answer is lost, the second run finds the devices retired and goes on.
    account.home.write(RECORD, record)
    _retire_or_forget(account, trust, person, device, seals)
    say(f"{len(record.paths)} secrets to seal again")
    return record


def _outlive(account: Account, sealed: list[int], say: resealing.Say) -> None:
    """What a device sealed must lie before its end, or nobody could open it to seal it again (7.3).

    A clock that is ahead costs at most the five minutes that a seal may lie in the future.
    """
    latest = max(sealed, default=0)
    if account.clock() < latest:
        say(f"waiting {latest + 1 - account.clock()} seconds: a seal of theirs is dated in the future")
    while account.clock() <= latest:
        time.sleep(0.1)


def _check_listing(account: Account, jobs: list[resealing.Job]) -> None:
    """The list is the relay's: one that leaves out a secret would leave it open to whoever goes. The log names them all."""
    listed = {one.path: one.secret.version[0] for one in jobs}
    for path, version in sorted(sealed_secrets(verified_leaves(account)[0]).items()):
        if listed.get(path, 0) < version:
            raise Refused("version", f"the log has a seal of {path} that the relay does not list",
                          "the relay went back or hides it: nothing was changed; ask whoever runs it")


def _seals(account: Account) -> list[SecretPayload]:
    return [one.payload for one in resealing.find(account, [], lambda _, __: True)]


def _retire_or_forget(account: Account, trust: Trust, person: str, device: str, seals: list[SecretPayload]) -> None:
    """(b). What cannot be done is not resumed: nothing was begun then."""
    try:
        _retire(account, trust, person, device, seals)
    except Forbidden:
        account.home.remove(RECORD)
        raise


def _retire(account: Account, trust: Trust, person: str, device: str, seals: list[SecretPayload]) -> None:
    retire = rosters.retired(person, device, account.clock())
    revoke = rosters.with_revoked(certs_of(account, f"person/{person}", device))

    def edit(roster: Roster) -> Roster:
        unblocked(roster, person, device, seals, account.clock())  # of the very roster that is edited
        return revoke(retire(roster))

    root = root_of(trust)
    leaving = {key.public for one in rosters.person_of(roster_of(trust), person).devices if device in ("", one.id)
               for key in one.auth}
    staying = [one for one in root.admin.keys if one.public not in leaving]
    if len(staying) == len(root.admin.keys):
        publish(account, edit)
        return
    if not account.has_root_key():
        raise Forbidden("root-key", f"{person} is an administrator of the root, and this home does not hold the root key",
                        "remove them in the home that created the organisation, or give --root-key-file - and the key on the "
                        "recovery kit's sheet")
    rotate(account, staying, edit)


def _is_retired(roster: Roster, person: str, device: str, now: int) -> bool:
    """Whether the roster has step (b) behind it, or all of the removal."""
    standing = [one for each in roster.people if each.id == person for one in each.devices
                if device in ("", one.id) and now < one.expires]
    return not standing and (bool(device) or not any(person in policy.people for policy in roster.policies))


def unblocked(roster: Roster, person: str, device: str, seals: list[SecretPayload], now: int) -> list[str]:
    """(a): what to look at twice. Raises `Forbidden` where a policy or a seal would keep too few people.

    Asked again of each roster that is edited: while this removal was signed, another may have taken out whom a secret needs. What
    another administrator ended a second ago has ended, by whichever clock.
    """
    going = {one.id for one in rosters.person_of(roster, person).devices if device in ("", one.id)}
    warnings = _check_policies(roster, person, device)
    for seal in seals:
        warnings += _check_secret(roster, seal, going, max(now, roster.issued))
    return warnings


def _check_policies(roster: Roster, person: str, device: str) -> list[str]:
    """(a), for the policies: raises where one is blocked, returns the warnings."""
    warnings = []
    for policy in roster.policies:
        if device or person not in policy.people:
            continue
        left = len(policy.people) - 1
        if left < policy.threshold:
            raise Forbidden("removal-blocked", f"policy {policy.id} needs {policy.threshold} people and would keep {left}",
                            f"name another first: stillvault policy set {policy.id} --people ..", "WHO")
        if left == policy.threshold:
            warnings.append(f"warning: policy {policy.id} will need all of its {left} people")
    return warnings


def _check_secret(roster: Roster, secret: SecretPayload, going: set[str], now: int) -> list[str]:
    """(a), for a seal: the people who can still open it must reach its threshold, or it could never be sealed again."""
    if not _opens(secret, going):
        return []
    alive = {one.id for person in roster.people if "approver" in person.roles for one in person.devices if now < one.expires}
    people = {person for index, person, device in secret.core.recipients if index <= 127 and device in alive - going}
    if len(people) < secret.core.policy.threshold:
        raise Forbidden("removal-blocked",
                        f"{secret.core.path} needs {secret.core.policy.threshold} people and would keep {len(people)}",
                        f"add an approver to policy {secret.core.policy.id}, then: stillvault reseal {secret.core.path}", "WHO")
    if len(people) == secret.core.policy.threshold:
        return [f"warning: {secret.core.path} can then be opened by exactly the people that it needs"]
    return []


def _opens(secret: SecretPayload, going: set[str]) -> bool:
    return any(device in going for _, _, device in secret.core.recipients)


def _concerns(secret: SecretPayload, going: set[str]) -> bool:
    return _opens(secret, going) or secret.core.by.device in going


def _reseal(account: Account, record: Removal, say: resealing.Say) -> Removal:
    """(c). Progress is written down as it is made."""
    done = {path for path, _, _ in record.floors}
    roster = roster_of(account.trust(fresh=True))
    going = {one.id for person in roster.people if person.id == record.person for one in person.devices
             if record.device in ("", one.id)}
    # Also what was sealed between the list and the roster of (b).
    jobs = resealing.find(account, [], lambda _, payload: payload.core.path in record.paths or _concerns(payload, going))
    known = sorted({*record.known, *(one.path for one in jobs if _opens(one.payload, going))})
    # Sealed again before an interruption, or sealed anew by somebody since: nothing to do but the floor.
    ready = [one for one in jobs if one.path not in done and not _concerns(one.payload, going)]
    floors = [*record.floors, *((one.path, *one.secret.version) for one in ready)]
    sealed, left = resealing.reseal(account, [one for one in jobs if _concerns(one.payload, going)], say)
    floors += [(one["path"], one["version"], one["revision"]) for one in sealed]
    record = msgspec.structs.replace(record, known=known, floors=floors)
    account.home.write(RECORD, record)
    # The list is the relay's: a secret that it stops showing would stay openable by whoever leaves, and without a floor.
    if hidden := sorted(set(record.paths) - {path for path, _, _ in floors} - {one["path"] for one in left}):
        raise Refused("version", f"the relay does not show {hidden[0]} any more, which must be sealed again",
                      "the relay went back or hides it: the removal waits; ask whoever runs it, then run the same command again")
    if left:
        names = ", ".join(f"{one['path']} ({one['state']})" for one in left)
        raise Expired("reseal", f"not sealed again yet: {names}", "run the same command again: it goes on where it stopped")
    return record
