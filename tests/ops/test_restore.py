"""The drill: a relay is lost, an older backup is restored elsewhere, devices notice, an owner signs, work goes on. R8, B8."""

from __future__ import annotations

import json
import time

import pytest

from stillvault.crypto.public import encode, oid_of
from tests.relay.parties import Organisation, payload, wire
from tests.world import PATIENCE, Party, World

BACKUP = "relay.backup"


def delivered(db: Party, by: Party, path: str) -> bytes:
    """A read that a person approves. A daemon that waits before it looks for the relay again is asked again."""
    until = time.monotonic() + 2 * PATIENCE
    while True:
        process = db.spawn("read", f"sv://{path}", "-n")
        said = by.run("approve", "--next", "--wait", "5", "--yes")
        if said.code:
            process.terminate()
        out, err = process.communicate(timeout=PATIENCE)
        if said.code == process.returncode == 0:
            return out
        assert time.monotonic() < until, (said, out, err)


def asking_each_time(small: World) -> None:
    """No leases: every read is a card."""
    small.parties["alice"].ok("policy", "set", "prod", "--match", "prod/**", "--people", "alice,bob", "--window", "0s")


def lost(world: World) -> None:
    """The relay's machine is gone; the backup comes up on another, under the same name."""
    assert world.stop_relay() == 0
    world.data = world.root / "elsewhere"
    world.relay_command("restore", str(world.root / BACKUP))
    world.start()


@pytest.mark.parametrize("roster_changed", [False, True])
def test_a_restore_on_another_machine(small: World, roster_changed: bool) -> None:
    alice, bob, db = (small.parties[name] for name in ("alice", "bob", "host/db-1"))
    asking_each_time(small)
    alice.ok("seal", "prod/db", stdin=b"first")
    alice.ok("seal", "prod/other", stdin=b"other")
    with db.daemon():
        assert delivered(db, bob, "prod/db") == b"first"
        small.relay_command("backup", str(small.root / BACKUP))
        for value in (b"second", b"third"):
            alice.ok("seal", "prod/db", stdin=value)
        assert delivered(db, bob, "prod/db") == b"third"
        alice.ok("audit", "verify")
        if roster_changed:
            alice.ok("policy", "set", "later", "--match", "later/**", "--people", "alice")
            alice.ok("org", "renew")
            bob.ok("org", "show")
        lost(small)
        # Whoever saw more says so, each by itself.
        named = "rollback" if roster_changed else "log-"
        assert named in (said := alice.fails(15, "audit", "verify"))
        assert "stillvault org accept-restore" in said
        assert "rollback" in bob.run("approve", "--next", "--wait", "1", "--yes").said or not roster_changed
        assert named in bob.fails(15, "audit", "verify")
        assert db.run("read", "sv://prod/other", "-n", "--wait", "2s").code != 0
        # An administrator without the root key cannot accept it, and the owner looks first.
        found = alice.json("org", "accept-restore")
        assert found["older"] is True
        assert found["accepted"] is False
        assert (found["roster"] < found["roster_seen"]) is roster_changed
        assert bob.run("org", "accept-restore", "--yes").code in (2, 13)
        assert alice.json("org", "accept-restore", "--yes")["accepted"] is True
        # Everybody goes on, in the homes that they have.
        assert delivered(db, bob, "prod/other") == b"other"
        assert alice.ok("audit", "verify").code == bob.ok("audit", "verify").code == 0
        policies = [one["id"] for one in alice.json("org", "show")["policies"]]
        assert policies == (["prod", "later"] if roster_changed else ["prod"])
        assert alice.json("org", "accept-restore")["older"] is False
        # What was sealed since is gone, the devices that saw it take no older one, and its sealer seals it again.
        assert "version" in alice.fails(15, "seal", "prod/db", stdin=b"fourth")
        assert alice.json("seal", "prod/db", "--after-restore", stdin=b"fourth")["version"] == 4
        assert delivered(db, bob, "prod/db") == b"fourth"
    log = [json.loads(line) for line in alice.ok("audit", "export", "--as", "jsonl").text.splitlines() if '"kind"' in line]
    assert "restored" in {row.get("kind") for row in log} or log == []


def test_a_restore_of_everything_needs_nobody(small: World) -> None:
    """Nothing was lost: no device notices, nobody signs."""
    alice, bob, db = (small.parties[name] for name in ("alice", "bob", "host/db-1"))
    asking_each_time(small)
    alice.ok("seal", "prod/db", stdin=b"first")
    with db.daemon():
        assert delivered(db, bob, "prod/db") == b"first"
        small.stop_relay()
        small.relay_command("backup", str(small.root / BACKUP))
        lost(small)
        assert delivered(db, bob, "prod/db") == b"first"
    assert alice.json("org", "accept-restore")["older"] is False


def test_a_root_that_names_a_log_of_others_is_not_taken(org: Organisation) -> None:
    """Nobody could verify a checkpoint of this relay any more."""
    before = payload(org.root)
    own = before["log"]
    for log in ({**own, "origin": "elsewhere/log"}, {**own, "origin": own["origin"] + "/0"}, {**own, "public": "A" * 43}):
        previous = org.root
        org.root, version, org.version = next_root(org, before, log), org.version, 0
        body = {"roster": wire(org.next_roster(root=oid(org.root), org=oid(previous)))[0], "roots": wire(org.root)}
        assert org.admin.post("/v1/roster", body).code == "identity", log
        org.root, org.version = previous, version


def next_root(org: Organisation, before: dict[str, object], log: dict[str, str]) -> bytes:
    return org.root_key.sign("root", encode({**before, "version": 2, "previous": oid(org.root), "log": log}))


def oid(signed: bytes) -> str:
    from stillvault.crypto.public import b64encode

    return b64encode(oid_of(signed))


