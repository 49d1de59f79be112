"""Editing a roster: each edit does what it says and nothing else, and what readers would refuse is refused here."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import UNSET

from stillvault.admin import roster as rosters
from stillvault.protocol.errors import Failed, Forbidden, Usage
from stillvault.protocol.objects import Device, Hold, Kem, Key, Person, Recovery, RecoveryKey, Roster

NOW = 1_900_000_000


def device(name: str, added: int = NOW - 100, expires: int = NOW + rosters.DEVICE_LIFE) -> Device:
    return Device(id=name, name=name, tier="soft", kem=Kem(suite="p256", public=f"kem-{name}"),
                  auth=[Key(alg="ed25519", public=f"auth-{name}")], added=added, expires=expires)


def person(name: str, *roles: str, devices: int = 1) -> Person:
    return Person(id=name, name=name, roles=list(roles), devices=[device(f"{name}-{n}") for n in range(devices)])


BEFORE = Roster(org="o", root="r", version=7, issued=NOW - 10, expires=NOW + 10, floors=[("b", 1, 0)], revoked=["z"],
                people=[person("alice", "admin", "approver", "sealer"), person("bob", "approver", devices=2),
                        person("carol", "approver")], policies=[],
                holds=[Hold(until=NOW - 1, match="old/**"), Hold(until=NOW + 100, match="new/**")])
RULE = rosters.Rule(id="prod", match=["prod/**"], people=["alice", "bob"], threshold=2)
WITH_POLICY = rosters.with_policy(RULE, None)(BEFORE)


def test_a_successor_is_numbered_dated_sorted_and_forgets_what_is_over() -> None:
    edited = msgspec.structs.replace(BEFORE, floors=[("b", 1, 0), ("a", 2, 0)], revoked=["z", "a", "z"])
    made = rosters.successor(edited, "before", "root", NOW)
    assert (made.version, made.previous, made.root, made.issued, made.expires) == (8, "before", "root", NOW, NOW + 90 * 86400)
    assert made.floors == [("a", 2, 0), ("b", 1, 0)]
    assert made.revoked == ["a", "z"]
    assert made.holds == [Hold(until=NOW + 100, match="new/**")]
    assert made.people == BEFORE.people


def test_a_further_device_joins_roles_and_keeps_the_rest() -> None:
    made = rosters.with_device("bob", ["sealer"], device("bob-new"))(BEFORE)
    assert made.people[1].roles == ["approver", "sealer"]
    assert [one.id for one in made.people[1].devices] == ["bob-0", "bob-1", "bob-new"]
    assert made.people[0] == BEFORE.people[0]
    fresh = rosters.with_device("dave", ["auditor", "admin"], device("dave-0"))(BEFORE)
    assert fresh.people[-1].roles == ["admin", "auditor"]


def test_a_device_id_is_never_used_twice() -> None:
    assert rosters.device_id(BEFORE, "bob", "0") == "bob-0-2"
    assert rosters.device_id(BEFORE, "bob", "Bob's Laptop (new)") == "bob-bob-s-laptop-new"
    assert rosters.device_id(BEFORE, "bob", "日本") == "bob-device"
    assert len(rosters.device_id(BEFORE, "b" * 64, "x" * 100)) <= 64


def test_retired_devices_stay_listed_and_leave_every_policy() -> None:  # protocol 11 (b)
    policy = rosters.with_policy(rosters.Rule(id="prod", match=["prod/**"], people=["alice", "bob"]), None)(BEFORE)
    made = rosters.retired("bob", "", NOW)(policy)
    assert [one.expires for one in made.people[1].devices] == [NOW, NOW]
    assert made.policies[0].people == ["alice"]
    one = rosters.retired("bob", "bob-1", NOW)(policy)
    assert [each.expires == NOW for each in one.people[1].devices] == [False, True]
    assert one.policies == policy.policies
    with pytest.raises(Usage):
        rosters.retired("nobody", "", NOW)(policy)


def test_dropped_people_leave_with_raised_floors_that_never_fall() -> None:  # protocol 11 (d)
    made = rosters.dropped("bob", "", [("b", 0, 9), ("c", 2, 1)])(BEFORE)
    assert [one.id for one in made.people] == ["alice", "carol"]
    assert made.floors == [("b", 1, 0), ("c", 2, 1)]
    one = rosters.dropped("bob", "bob-0", [])(BEFORE)
    assert [each.id for each in one.people[1].devices] == ["bob-1"]


def test_roles_cannot_strand_a_policy_or_the_organisation() -> None:
    with pytest.raises(Forbidden) as stranded:
        rosters.with_roles("bob", ["sealer"])(WITH_POLICY)
    assert stranded.value.code == "in-policy"
    with pytest.raises(Forbidden) as last:
        rosters.with_roles("alice", ["approver"])(BEFORE)
    assert last.value.code == "last-admin"


def test_roles_that_another_administrator_changed_meanwhile_are_not_undone() -> None:
    made = rosters.with_roles("bob", ["approver", "sealer"], ["approver"])(BEFORE)
    assert made.people[1].roles == ["approver", "sealer"]
    with pytest.raises(Failed) as overtaken:
        rosters.with_roles("bob", ["approver", "auditor"], ["approver"])(made)
    assert overtaken.value.code == "roles-changed"
    assert "approver, sealer" in overtaken.value.message


def test_a_policy_is_taken_out_as_it_was_read_and_never_while_a_secret_lies_under_it() -> None:
    standing = WITH_POLICY.policies[0]
    assert rosters.without_policy(standing, [])(WITH_POLICY).policies == []
    with pytest.raises(Forbidden) as used:
        rosters.without_policy(standing, [f"prod/{n}" for n in range(7)])(WITH_POLICY)
    assert used.value.code == "policy-used"
    assert "and 2 more" in used.value.message
    for now in (BEFORE, rosters.with_policy(rosters.Rule(id="prod", window=60), None)(WITH_POLICY)):
        with pytest.raises(Failed) as overtaken:
            rosters.without_policy(standing, [])(now)
        assert overtaken.value.code == "policy-changed"


@pytest.mark.parametrize("change", [
    {"match": []}, {"people": []}, {"people": ["alice", "alice"]}, {"match": ["a/**", "a/**"]}, {"people": ["eve"]},
    {"threshold": 3}, {"threshold": 0}, {"window": 28801}, {"window": -1}, {"ttl": 0}, {"ttl": 3601}, {"uses": -1},
    {"tier": "x"}, {"scope": "x"}, {"deny": "x"}, {"id": "other"},
])
def test_a_policy_that_readers_would_refuse(change: dict[str, object]) -> None:
    bare = {"id": "new", "match": ["new/**"], "people": ["alice", "bob"], "threshold": 2}
    rosters.with_policy(rosters.Rule(**bare), None)(WITH_POLICY)  # type: ignore[arg-type]
    taken = {"match": ["prod/**"]} if "id" in change else {}  # a pattern of another policy
    with pytest.raises(Usage):
        rosters.with_policy(rosters.Rule(**{**bare, **taken, **change}), None)(WITH_POLICY)  # type: ignore[arg-type]


def test_a_hold_replaces_the_one_on_its_target_alone() -> None:
    held = rosters.with_holds([Hold(until=NOW + 5, match="new/**"), Hold(until=NOW + 5, subject="new")])(BEFORE)
    assert len(held.holds) == 3
    free = rosters.without_holds([Hold(until=0, match="new/**")])(held)
    assert [(one.match, one.subject) for one in free.holds] == [("old/**", UNSET), (UNSET, "new")]
    with pytest.raises(Usage):
        rosters.without_holds([Hold(until=0, match="other")])(held)


def test_renewal_is_for_what_lives_and_is_past_half() -> None:
    half = rosters.DEVICE_LIFE // 2
    people = [Person(id="a", name="a", roles=[], devices=[device("ended", expires=NOW), device("old", expires=NOW + half - 1),
                                                          device("young", expires=NOW + half + 1)])]
    made = rosters.with_fresh_devices(NOW)(msgspec.structs.replace(BEFORE, people=people))
    assert [one.expires for one in made.people[0].devices] == [NOW, NOW + rosters.DEVICE_LIFE, NOW + half + 1]


def test_what_changed_is_told() -> None:
    after = rosters.dropped("carol", "", [])(rosters.with_device("dave", ["approver"], device("dave-0"))(WITH_POLICY))
    after = rosters.retired("bob", "bob-0", NOW)(after)
    lines = rosters.changes(BEFORE, after)
    assert "person carol is gone" in lines
    assert "new person dave: approver" in lines
    assert "new device dave-0 of dave (soft)" in lines
    assert "device bob-0 of bob was retired" in lines
    assert "policy prod: 2 of alice, bob for prod/**, tier soft" in lines
    assert rosters.changes(after, after) == []


def test_another_key_under_a_name_that_was_there_is_told() -> None:  # A2
    def recovery(first: str) -> Recovery:
        keys = [RecoveryKey(id=name, kem=Kem(suite="p256", public=f"{first}-{name}")) for name in ("r1", "r2")]
        return Recovery(threshold=2, keys=keys)

    before = rosters.with_policy(RULE, recovery("own"))(BEFORE)
    alice = before.people[0]
    bent = msgspec.structs.replace(
        alice.devices[0], kem=Kem(suite="p256", public="mallory"), tier="synced", auth=[Key(alg="ed25519", public="mallory")]
    )
    people = [msgspec.structs.replace(alice, devices=[bent]), *before.people[1:]]
    policies = [msgspec.structs.replace(before.policies[0], recovery=recovery("mallory"))]
    assert rosters.changes(before, msgspec.structs.replace(before, people=people, policies=policies)) == [
        "device alice-0 of alice has another key: what is sealed now opens with that one",
        "device alice-0 of alice counts as synced now",
        "device alice-0 of alice has now 1 key to sign with",
        "policy prod: 2 of alice, bob for prod/**, tier soft",
        "the recovery keys of policy prod are now 2 of r1, r2",
    ]
    bare = msgspec.structs.replace(before, policies=[msgspec.structs.replace(before.policies[0], recovery=UNSET)])
    assert rosters.changes(before, bare)[-1] == "policy prod has no recovery keys any more"
