"""The relay plays a restore, or brings back what an accepted one ended: nothing goes back; only the root key goes on."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stillvault.crypto.public import node_hash
from stillvault.relay.log import LogKey
from tests.hostile.leaves import dump
from tests.hostile.proxy import Message
from tests.hostile.town import Town
from tests.world import Party

TRUST, SECRET = "GET /v1/trust", "GET /v1/secrets/latest"
Said = dict[str, bytes]


@pytest.fixture
def town() -> Iterator[Town]:
    """alice holds the root key; bob has the role of an administrator, and no root names him."""
    root = Path(tempfile.mkdtemp(prefix="sv-"))
    town = Town(root)
    try:
        town.start()
        alice = town.create()
        town.person("bob", "admin", "approver")
        alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", "alice,bob", "--window", "0s")
        alice.ok("seal", "prod/db", stdin=b"first")
        yield town
    finally:
        town.stop()
        shutil.rmtree(root, ignore_errors=True)


def recorded(town: Town) -> Said:
    """What the relay says of roster, newest seal and log, in the words that it will be made to say again."""
    town.script.reset()
    alice = town.parties["alice"]
    alice.ok("org", "accept-restore")
    alice.ok("seal", "prod/db", stdin=b"again")
    answers = {one.route.partition("?")[0]: one.body for one in town.script.record if one.direction == "answer"}
    head: str = json.loads(answers["GET /v1/log/checkpoint"])["checkpoint"]
    return {TRUST: answers[TRUST], SECRET: answers[SECRET], "checkpoint": head.encode()}


def saying(old: Said, *names: str) -> Callable[[Message], bytes]:
    """The old answers of these routes; of `checkpoint`, wherever one is said."""
    def tamper(message: Message) -> bytes:
        if message.direction != "answer":
            return message.body
        route = message.route.partition("?")[0]
        if route in names:
            return old[route]
        if "checkpoint" in names and message.body.startswith(b"{") and b'"checkpoint"' in message.body:
            return dump({**json.loads(message.body), "checkpoint": old["checkpoint"].decode()})
        return message.body

    return tamper


def versions(party: Party) -> tuple[int, int]:
    shown = party.json("org", "show")
    return shown["root_version"], shown["roster_version"]


def refused(town: Town, code: str, tamper: Callable[[Message], bytes]) -> None:
    """By everybody, by that check."""
    town.script.reset(tamper)
    for name in ("alice", "bob"):
        assert f"untrusted: {code}\n" in town.parties[name].fails(15, "audit", "verify")
    town.script.reset()


def test_a_played_restore_ends_nothing_and_an_accepted_one_is_not_taken_back(town: Town) -> None:
    alice, bob = town.parties["alice"], town.parties["bob"]
    old = recorded(town)
    alice.ok("policy", "set", "later", "--match", "later/**", "--people", "alice")
    for party in (alice, bob):
        party.ok("audit", "verify")
    newest = versions(alice)
    # 1. An older roster, an older head: who saw more refuses. To look signs nothing, and an administrator alone ends nothing.
    refused(town, "rollback", saying(old, TRUST))
    refused(town, "log-rollback", saying(old, "checkpoint"))
    town.script.reset(saying(old, TRUST, "checkpoint"))
    assert alice.json("org", "accept-restore")["older"] is True
    assert "not-admin" in bob.fails(13, "org", "accept-restore", "--yes")
    assert not [one for one in town.script.record if one.route == "POST /v1/roster"]
    town.script.reset()
    assert versions(alice) == versions(bob) == newest
    # 2. The owner believes it: what they saw stands, none of it is gone back on.
    between = recorded(town)

    def until_signed(message: Message) -> bytes:
        signed = any(one.route == "POST /v1/roster" for one in town.script.record)
        return message.body if signed else saying(old, TRUST, "checkpoint")(message)

    town.script.reset(until_signed)
    assert alice.json("org", "accept-restore", "--yes")["accepted"] is True
    town.script.reset()
    after = (newest[0] + 1, newest[1] + 1)
    assert versions(alice) == versions(bob) == after
    assert [one["id"] for one in bob.json("org", "show")["policies"]] == ["prod", "later"]
    for party in (alice, bob):
        party.ok("audit", "verify")
    # 3. What was said before is no answer any more, also not the head of the log that ended, though the same key signed it.
    for said in (old, between):
        refused(town, "rollback", saying(said, TRUST))
        refused(town, "log-signature", saying(said, "checkpoint"))
    # 4. The new log does not go back, and is none of another key or of a number that no root names.
    own, name = (town.data / "log.key").read_bytes(), f"localhost:{town.front}/log"
    for seed, origin, size, code in ((own, f"{name}/2", 1, "log-rollback"), (bytes(32), f"{name}/2", 900, "log-signature"),
                                     (own, f"{name}/3", 900, "log-signature"), (own, f"{name}/02", 900, "log-signature")):
        forged = LogKey(seed, origin).checkpoint(size, node_hash(bytes(32), bytes(32)), origin)
        refused(town, code, saying({"checkpoint": forged.encode()}, "checkpoint"))
    # 5. Versions are remembered on: an older seal is no better than it was.
    town.script.reset(saying(old, SECRET))
    assert "untrusted: version\n" in alice.fails(15, "seal", "prod/db", stdin=b"third")
