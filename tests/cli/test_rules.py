"""policy, hold, client revoke: what a roster says, and that it is obeyed."""

from __future__ import annotations

import json
import time

import pytest

from tests.world import PATIENCE, World


@pytest.mark.parametrize(("arguments", "word"), [
    (["set", "x", "--match", "prod/*", "--people", "alice"], "pattern"),
    (["set", "x", "--match", "../prod", "--people", "alice"], "pattern"),
    (["set", "x", "--match", "*", "--people", "alice"], "pattern"),  # C4
    (["set", "x", "--people", "alice"], "--match"),
    (["set", "x", "--match", "new/**"], "--people"),
    (["set", "x", "--match", "new/**", "--people", "nobody"], "nobody"),
    (["set", "x", "--match", "new/**", "--people", "alice,alice"], "twice"),
    (["set", "x", "--match", "new/**", "--people", "alice,"], "id"),
    (["set", "x", "--match", "new/**", "--people", "Alice"], "id"),
    (["set", "x", "--match", "new/**", "--people", "alice", "--threshold", "2"], "threshold"),
    (["set", "x", "--match", "new/**", "--people", "alice", "--threshold", "0"], "threshold"),
    (["set", "x", "--match", "new/**", "--people", "alice", "--window", "9h"], "window"),
    (["set", "x", "--match", "new/**", "--people", "alice", "--window", "-1"], "window"),  # C14
    (["set", "x", "--match", "new/**", "--people", "alice", "--window", "1e9"], "time"),
    (["set", "x", "--match", "new/**", "--people", "alice", "--window", "15"], ""),
    (["set", "x", "--match", "new/**", "--people", "alice", "--ttl", "2h"], "ttl"),
    (["set", "x", "--match", "new/**", "--people", "alice", "--ttl", "0"], "ttl"),
    (["set", "x", "--match", "prod/**", "--people", "alice"], "one policy"),
    (["set", "X", "--match", "new/**", "--people", "alice"], "id"),
    (["set", "a b", "--match", "new/**", "--people", "alice"], "id"),
    (["set", "x", "--match", "new/**", "--people", "alice", "--tier", "gold"], "tier"),
    (["set", "x", "--match", "new/**", "--people", "alice", "--lease-scope", "all"], "scope"),
    (["set", "x", "--match", "new/**", "--people", "alice", "--uses", "-1"], "uses"),
])
def test_what_a_policy_may_say(town: World, arguments: list[str], word: str) -> None:
    alice = town.parties["alice"]
    if not word:
        assert alice.json("policy", *arguments)["policy"]["window"] == 15
        return
    before = alice.json("org", "show")["roster_version"]
    assert word in alice.fails(2, "policy", *arguments)
    assert alice.json("org", "show")["roster_version"] == before


def test_a_policy_keeps_what_is_not_named(town: World) -> None:
    alice = town.parties["alice"]
    made = alice.json("policy", "set", "keep", "--match", "keep/**", "--people", "bob,carol", "--threshold", "2",
                      "--window", "1h", "--lease-scope", "task", "--uses", "7", "--ttl", "10m", "--deny", "count",
                      "--code")["policy"]
    assert (made["threshold"], made["window"], made["scope"], made["uses"], made["ttl"], made["deny"], made["code"]) == (
        2, 3600, "task", 7, 600, "count", True)
    changed = alice.json("policy", "set", "keep", "--window", "5m")["policy"]
    assert {**made, "window": 300} == changed
    said = alice.ok("policy", "set", "plain", "--match", "plain/**", "--people", "alice").said
    assert "tier soft" in said  # warned
    made = next(one for one in alice.json("policy", "list")["policies"] if one["id"] == "plain")
    assert (made["threshold"], made["window"], made["scope"], made["tier"], made["ttl"], made["deny"]) == (
        1, 900, "process", "soft", 300, "veto")


def test_a_policy_is_removed_when_nothing_lies_under_it(small: World) -> None:
    alice = small.parties["alice"]
    alice.ok("policy", "set", "old", "--match", "old/**", "--people", "alice")
    alice.ok("seal", "old/db", stdin=b"value")
    assert "unknown-policy" in alice.fails(2, "policy", "remove", "none")
    said = alice.fails(13, "policy", "remove", "old")
    assert "policy-used" in said
    assert "old/db" in said
    # Another policy governs it by a longer match: the seal keeps its old terms until it is made anew, and says so.
    alice.ok("policy", "set", "new", "--match", "old/db", "--people", "alice")
    done = alice.ok("policy", "remove", "old")
    assert "old/db is sealed on the terms of old" in done.said
    assert "old" not in [one["id"] for one in alice.json("policy", "list")["policies"]]
    assert alice.json("policy", "set", "old", "--match", "old/**", "--people", "alice")["policy"]["id"] == "old"
    assert alice.json("policy", "remove", "old")["sealed_under"] == ["old/db"]


def test_a_hold_stops_releases_until_it_is_lifted(small: World) -> None:
    alice, db = small.parties["alice"], small.parties["host/db-1"]
    alice.ok("seal", "prod/db", stdin=b"value")
    alice.fails(2, "hold", "prod/**")
    alice.fails(2, "hold", "prod/**", "--for", "1h", "--lift")
    alice.fails(2, "hold", "prod/**", "--for", "0")
    alice.fails(2, "hold", "prod/**", "--lift")
    mistyped = alice.ok("hold", "host/db-l", "--for", "1h")
    assert "no client is called host/db-l: it is held as a path" in mistyped.said
    alice.ok("hold", "host/db-l", "--lift")
    with db.daemon():
        for target, kind in (("prod/**", "pattern"), ("host/db-1", "client")):
            assert alice.json("hold", target, "--for", "1h")["kind"] == kind
            assert db.run("read", "sv://prod/db").code in (13, 14)
            assert alice.json("inbox")["cards"] == []
            (client,) = (one for one in alice.json("client", "list")["clients"] if one["subject"] == "host/db-1")
            assert ("held_until" in client) == (kind == "client")
            assert ("host/db-1 is held until" in alice.ok("client", "list").text) == (kind == "client")
            alice.ok("hold", target, "--lift")
        asking = db.spawn("read", "sv://prod/db")
        alice.ok("approve", "--next", "--wait", "60", "--yes")
        assert asking.communicate(timeout=PATIENCE)[0] == b"value"


def test_a_revoked_client_is_over(small: World) -> None:
    alice, db = small.parties["alice"], small.parties["host/db-1"]
    alice.ok("seal", "prod/db", stdin=b"value")
    assert "unknown-client" in alice.fails(2, "client", "revoke", "host/other")
    with db.daemon():
        asking = db.spawn("read", "sv://prod/db")
        alice.ok("approve", "--next", "--wait", "60", "--yes")
        assert asking.communicate(timeout=PATIENCE)[0] == b"value"
        assert {"check": "client host/db-1", "state": "ok", "says": "signs in"} in db.json("doctor")["findings"]
        alice.ok("client", "revoke", "host/db-1")
        assert [one["state"] for one in alice.json("org", "show")["clients"] if one["subject"] == "host/db-1"] == ["revoked"]
        assert "unknown-client" in alice.fails(2, "client", "revoke", "host/db-1")
        # The purge reaches the daemon within moments; from then on nothing is given.
        deadline = time.monotonic() + PATIENCE
        while (done := db.run("read", "--wait", "1s", "sv://prod/db")).code == 0:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert done.code in (13, 14, 15)
        assert done.out == b""
        assert db.json("leases")["leases"] == []
    # The home's own roster is older than the revocation: the relay's word counts.
    findings = json.loads(db.run("doctor", "--format", "json").out)["findings"]
    assert {"check": "client host/db-1", "state": "fail", "says": "the relay refuses it: revoked",
            "fix": "ask an administrator; invite and join it anew"} in findings


@pytest.mark.parametrize(("arguments", "word"), [
    (["person/eve", "--scope", "**"], "people"), (["agent/claude", "--scope", "prod/**"], "--host"), (["host/db-2"], "--scope"),
    (["host/DB", "--scope", "prod/**"], "path"), (["host/*", "--scope", "prod/**"], "path"), (["host/x", "--scope", "prod"], ""),
    (["host/x", "--scope", "prod/../**"], "pattern"), (["root ", "--scope", "**"], "path"),
    (["host/x", "--scope", "**", "--grade", "root"], "grade"),
])
def test_what_a_client_may_be(town: World, arguments: list[str], word: str) -> None:  # C4
    alice = town.parties["alice"]
    if word:
        assert word in alice.fails(2, "client", "invite", *arguments)
    else:
        alice.ok("client", "invite", *arguments)
