"""What a removal is asked of the roster that it edits: never too few people for what is sealed."""

from __future__ import annotations

import msgspec
import pytest

from stillvault.admin import roster as rosters
from stillvault.admin.removal import unblocked
from stillvault.protocol.errors import Forbidden
from stillvault.protocol.objects import By, Core, Policy, Roster, Secret
from tests.unit.test_roster_edits import BEFORE, NOW

# Sealed when bob and carol decided, who are in no policy by now.
POLICY = Policy(id="prod", match=["prod/**"], threshold=1, people=["bob", "carol"], tier="soft", window=900, scope="process",
                uses=0, ttl=300, code=False, deny="veto")
OLD = Secret(stanzas=[], core=Core(
    org="o", path="prod/old", version=1, revision=0, sealed=NOW - 50, by=By(person="alice", device="alice-0"), policy=POLICY,
    salt="s", dek_commitment="c", ciphertext_hash="h", length=80, share_commitments=[],
    recipients=[(1, "bob", "bob-0"), (1, "bob", "bob-1"), (2, "carol", "carol-0")]))


def test_a_removal_that_leaves_exactly_enough_warns() -> None:
    assert unblocked(BEFORE, "bob", "", [OLD], NOW) == [
        "warning: prod/old can then be opened by exactly the people that it needs"]
    assert unblocked(BEFORE, "alice", "", [OLD], NOW) == []


@pytest.mark.parametrize("after", [
    pytest.param(msgspec.structs.replace(rosters.retired("carol", "", NOW + 5)(BEFORE), issued=NOW + 5), id="by a clock ahead"),
    pytest.param(rosters.dropped("carol", "", [])(BEFORE), id="dropped"),
])
def test_two_removals_at_once_leave_nothing_that_nobody_can_open(after: Roster) -> None:  # D8
    with pytest.raises(Forbidden, match="prod/old needs 1 people and would keep 0") as blocked:
        unblocked(after, "bob", "", [OLD], NOW)
    assert blocked.value.code == "removal-blocked"
    assert unblocked(after, "bob", "bob-1", [OLD], NOW) != []  # a device of two: the person stays
