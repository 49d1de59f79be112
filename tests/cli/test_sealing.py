"""seal, secrets, reseal, person remove."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.world import PATIENCE, World


def test_versions_grow_and_values_stay_out_of_sight(town: World, tmp_path: Path) -> None:
    carol = town.parties["carol"]
    canary = b"canary-7f3a\x00\xff binary"
    first = carol.json("seal", "prod/new", stdin=canary)
    assert (first["path"], first["version"]) == ("prod/new", 1)
    assert {one["person"] for one in first["recipients"]} == {"alice", "bob", "carol", "recovery"}
    source = tmp_path / "value"
    source.write_bytes(canary)
    assert carol.json("seal", "sv://prod/new", "--from-file", str(source))["version"] == 2
    listed = carol.json("secrets", "prod")["secrets"]
    found = next(one for one in listed if one["path"] == "prod/new")
    assert (found["version"], found["revision"], found["sealed_by"]) == (2, 0, "carol")
    assert (found["policy"], found["state"]) == ("prod", "ok")
    everything = carol.ok("secrets").out + carol.ok("--format", "json", "secrets").out + carol.ok("audit", "tail").out
    assert b"canary" not in everything
    stored = b"".join(path.read_bytes() for path in carol.home.rglob("*") if path.is_file())
    assert b"canary" not in stored  # L13


def test_what_seal_refuses(town: World, tmp_path: Path) -> None:
    alice, bob = town.parties["alice"], town.parties["bob"]
    for name in ("", "Prod/x", "prod//x", "prod/", "/prod", "prod/../x", "prod/x ", "prod/\u212a", "p\u00adq", "-x", "a" * 201,
                 "prod/x\n", "sv://"):  # C3
        assert alice.run("seal", "--", name, stdin=b"x").code == 2, name
    assert "no-policy" in alice.fails(13, "seal", "nowhere/x", stdin=b"x")
    assert "not-sealer" in bob.fails(13, "seal", "prod/x", stdin=b"x")
    assert "60 KiB" in alice.fails(2, "seal", "prod/x", stdin=b"x" * (60 * 1024 + 1))
    alice.fails(2, "seal", "prod/x", "--from-file", str(tmp_path / "missing"))
    alice.fails(2, "seal", "prod/x", "--from-file", str(tmp_path))
    alice.fails(2, "seal", "prod/x", "--from-file", "", stdin=b"x")  # as of a variable that is not set: not stdin instead
    assert "prod/x" not in alice.ok("secrets").text
    assert alice.json("seal", "prod/largest", stdin=b"x" * 60 * 1024)["version"] == 1
    assert alice.json("seal", "prod/empty", stdin=b"")["version"] == 1
    assert "empty" in alice.ok("seal", "prod/empty", stdin=b"").said


def test_nothing_is_sealed_for_nobody(small: World) -> None:
    alice, db = small.parties["alice"], small.parties["host/db-1"]
    alice.ok("seal", "prod/db", stdin=b"x")
    alice.ok("policy", "set", "prod", "--tier", "synced")  # which no device of a command line has
    said = alice.fails(12, "seal", "prod/db", stdin=b"y")
    assert "no usable device: alice, bob" in said
    assert "untrusted" not in said
    assert alice.json("secrets")["secrets"][0]["version"] == 1
    with db.daemon():
        assert "no-approver" in db.fails(12, "read", "sv://prod/db")


def test_the_sealer_is_told_what_changed(small: World) -> None:
    alice = small.parties["alice"]
    alice.ok("seal", "prod/db", stdin=b"1")
    small.person("carol", "approver")
    alice.ok("policy", "set", "prod", "--people", "alice,bob,carol")
    said = alice.ok("seal", "prod/db", stdin=b"2").said
    assert "new person carol" in said
    assert "policy prod" in said
    assert "since your last seal" not in alice.ok("seal", "prod/db", stdin=b"3").said


def test_two_sealers_at_once(town: World) -> None:
    alice, carol = town.parties["alice"], town.parties["carol"]
    alice.ok("seal", "prod/race", stdin=b"0")
    racing = [party.spawn("seal", "prod/race", "--from-file", "/etc/hostname") for party in (alice, carol) for _ in range(3)]
    codes = [process.wait(PATIENCE) for process in racing]
    assert set(codes) <= {0, 1}
    listed = [one for one in alice.json("secrets", "prod")["secrets"] if one["path"] == "prod/race"]
    assert listed[0]["version"] == 1 + codes.count(0)


def test_a_removal_with_its_quorum(small: World) -> None:
    """Blocked, warned, sealed again by a quorum, interrupted and resumed, and what the removed can do then."""
    alice, bob = small.parties["alice"], small.parties["bob"]
    carol = small.person("carol", "approver", "sealer")
    alice.ok("policy", "set", "prod", "--people", "alice,bob,carol")
    alice.ok("policy", "set", "two", "--match", "two/**", "--people", "alice,carol", "--threshold", "2")
    alice.ok("seal", "two/db", stdin=b"two")
    carol.ok("seal", "prod/db", stdin=b"one")
    # (a) blocked, with the remedy; nothing has changed.
    before = alice.json("org", "show")["roster_version"]
    said = alice.fails(13, "person", "remove", "carol")
    assert "two" in said
    assert "policy set two" in said
    assert alice.json("org", "show")["roster_version"] == before
    alice.fails(2, "person", "remove", "nobody")
    alice.fails(2, "person", "remove", "carol", "--device", "nothing")
    assert "own-device" in alice.fails(13, "person", "remove", "alice")
    alice.ok("policy", "set", "two", "--people", "alice,bob,carol", "--ttl", "5m")
    # The seal itself still names alice and carol alone: without carol nobody could open it.
    assert "two/db" in alice.fails(13, "person", "remove", "carol")
    resealing = alice.spawn("reseal", "two/db")
    carol.ok("approve", "--next", "--wait", "60", "--yes")
    assert resealing.wait(PATIENCE) == 0
    # (c) waits for bob; interrupted; resumed.
    removing = alice.spawn("person", "remove", "carol")
    deadline = time.monotonic() + PATIENCE
    while not (alice.home / "removal.json").exists() or not bob.json("inbox")["cards"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    removing.kill()
    removing.wait()
    assert "removal" in alice.fails(2, "person", "remove", "bob")
    again = alice.spawn("--format", "json", "person", "remove", "carol")
    while again.poll() is None:
        assert time.monotonic() < deadline
        bob.run("approve", "--next", "--wait", "1", "--yes")
    assert again.returncode == 0, again.communicate()[1]
    done = json.loads(again.communicate()[0])
    assert done["rotate"] == ["prod/db", "two/db"]
    assert sorted(done["resealed"]) == ["prod/db", "two/db"]
    shown = alice.json("org", "show")
    assert {one["id"] for one in shown["people"]} == {"alice", "bob"}
    assert all("carol" not in one["people"] for one in shown["policies"])
    assert not [one for one in shown["clients"] if one["subject"] == "person/carol" and one["state"] == "valid"]
    assert not (alice.home / "removal.json").exists()
    for secret in alice.json("secrets")["secrets"]:
        assert "carol" not in {one["person"] for one in secret["recipients"]}
        assert secret["state"] == "ok"
    # C7: the removed can do nothing any more, not even see.
    for verb in (["inbox"], ["secrets"], ["seal", "prod/x"], ["policy", "list"], ["audit", "tail"]):
        assert carol.run(*verb, stdin=b"x").code in (13, 14, 15), verb
    # What is left works.
    db = small.parties["host/db-1"]
    with db.daemon():
        asking = db.spawn("read", "sv://prod/db")
        bob.ok("approve", "--next", "--wait", "60", "--yes")
        assert asking.communicate(timeout=PATIENCE)[0] == b"one"


def test_one_device_of_a_person_is_removed(small: World) -> None:
    alice, bob = small.parties["alice"], small.parties["bob"]
    tablet = small.person("bob", home="bob-tablet")
    alice.ok("seal", "prod/db", stdin=b"value")
    devices = next(one["devices"] for one in alice.json("org", "show")["people"] if one["id"] == "bob")
    alice.fails(2, "person", "remove", "bob", "--device", "")  # as of a variable that is not set: not all of Bob instead
    done = alice.json("person", "remove", "bob", "--device", devices[1]["id"])
    assert done["device"] == devices[1]["id"]
    assert done["resealed"] == ["prod/db"]
    assert tablet.run("inbox").code in (14, 15)
    assert bob.ok("inbox").text.strip() == "nothing waits for you"
