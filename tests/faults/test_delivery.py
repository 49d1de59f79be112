"""Messages that come twice, late or out of order have one effect; an approver who vanishes holds nobody for ever.  # R14 R15"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.messenger import Town
from tests.world import PATIENCE, Party

ENDINGS = ("delivered", "denied", "expired", "cancelled")


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    """Alice and Bob; prod/** by either of them, both/** by both; host/db-1 with its daemon."""
    root = Path(tempfile.mkdtemp(prefix="sv-wire-"))
    made = Town(root)
    try:
        made.start()
        alice = made.create()
        made.person("bob", "approver")
        db = made.client("host/db-1", ["**"])
        people = ("--people", "alice,bob", "--window", "0s")
        alice.ok("policy", "set", "prod", "--match", "prod/**", *people)
        alice.ok("policy", "set", "both", "--match", "both/**", *people, "--threshold", "2")
        alice.ok("seal", "prod/db", stdin=b"the value")
        alice.ok("seal", "both/db", stdin=b"the value of both")
        db.start_daemon()
        yield made
    finally:
        made.stop()
        shutil.rmtree(root)


def rows(town: Town) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in town.parties["alice"].ok("audit", "export").text.splitlines()]
    return [line for line in lines if "kind" in line]  # the last names the organisation and the log's head


def kinds(found: list[dict[str, Any]]) -> Counter[str]:
    return Counter(row["kind"] for row in found if row["kind"] not in ("signed-in", "prompted"))


def card(person: Party) -> str:
    """The one card that waits for somebody."""
    for _ in range(200):
        if cards := person.json("inbox")["cards"]:
            assert len(cards) == 1
            return str(cards[0]["id"])
    raise AssertionError("no card came")


def flows(town: Town) -> list[tuple[int, bytes]]:
    """A read that is approved, one that needs both, one that is denied, a new version."""
    alice, bob, db = (town.parties[name] for name in ("alice", "bob", "host/db-1"))
    ends = []
    for path, answers in (("prod/db", [(bob, "approve")]), ("both/db", [(bob, "approve"), (alice, "approve")]),
                          ("prod/db", [(bob, "deny")])):
        read = db.spawn("read", f"sv://{path}")
        for person, answer in answers:
            person.ok(answer, card(person), *(["--yes"] if answer == "approve" else []))
        out, _ = read.communicate(timeout=PATIENCE)
        ends.append((read.returncode, out))
    alice.ok("seal", "prod/db", stdin=b"the value")
    return ends


def test_everything_said_three_times_happens_once(town: Town) -> None:  # R15
    ends = [(0, b"the value"), (0, b"the value of both"), (10, b"")]
    start = len(rows(town))
    assert flows(town) == ends
    once = rows(town)[start:]
    town.wire.thrice = True
    assert flows(town) == ends
    town.wire.thrice = False
    thrice = rows(town)[start + len(once):]
    assert kinds(thrice) == kinds(once), "said three times, and nothing was logged three times"
    assert len(town.wire.repeats) >= 2 * 8
    # All of it once more, the last first: sign-ins, seals, requests, approvals, receipts of long ago.
    town.wire.again()
    late = rows(town)[start + len(once) + len(thrice):]
    assert kinds(late) == Counter(), late
    assert max(status for _, status in town.wire.repeats) < 500
    assert {status for path, status in town.wire.repeats if path == "/v1/login"} == {401}, "a nonce is good for one sign-in"
    ended = Counter(row["request"] for row in rows(town) if row["kind"] in ENDINGS)
    assert set(ended.values()) == {1}
    assert town.parties["bob"].json("inbox")["cards"] == []


def test_who_vanishes_in_the_middle_ends_it_at_its_deadline(town: Town) -> None:  # R14
    """One of two approved, the other never does: the caller learns it by its exit code, and gets nothing."""
    bob, db = town.parties["bob"], town.parties["host/db-1"]
    approve = bob.spawn("approve", "--next", "--wait", "60", "--yes")  # it waits already: the deadline is for bob's word alone
    read = db.spawn("read", "sv://both/db", "--ttl", "5s")
    assert approve.wait(PATIENCE) == 0
    out, err = read.communicate(timeout=PATIENCE)
    assert (read.returncode, out) == (11, b""), err
    assert "expired" in err.decode()
    assert card_count(town) == 0


def test_a_signature_that_comes_too_late_releases_nothing(town: Town) -> None:  # R14
    """Bob decides in time, and his word stays on the way until the request is over."""
    bob, db = town.parties["bob"], town.parties["host/db-1"]
    wire = town.wire
    wire.kept_back = "/v1/decisions"
    approve = bob.spawn("approve", "--next", "--wait", "60", "--yes")
    read = db.spawn("read", "sv://prod/db", "--ttl", "5s")
    assert wire.arrived.wait(PATIENCE)
    out, err = read.communicate(timeout=PATIENCE)
    assert (read.returncode, out) == (11, b""), err
    before = kinds(rows(town))
    wire.let_go.set()
    _, said = approve.communicate(timeout=PATIENCE)
    assert approve.returncode == 1, said
    assert b"already-decided: the card was decided, cancelled or expired" in said
    after = kinds(rows(town))
    assert after["released"] == before["released"]
    assert after["delivered"] == before["delivered"]


def test_a_report_is_kept_where_the_line_breaks_after_a_refusal(town: Town) -> None:  # R15
    """Two use reports are refused together; said one by one, the first meets a line that breaks. In the end both are logged."""
    alice, bob, db = (town.parties[name] for name in ("alice", "bob", "host/db-1"))
    alice.ok("policy", "set", "kept", "--match", "kept/**", "--people", "alice,bob", "--window", "5m")
    paths = {"kept/one", "kept/two"}
    for path in paths:
        alice.ok("seal", path, stdin=b"the value")
    run = ["run", *(part for path in sorted(paths) for part in ("--env", f"{path[5:].upper()}=sv://{path}")), "--", "true"]
    asking = db.spawn(*run)
    bob.ok("approve", card(bob), "--yes")
    assert asking.wait(PATIENCE) == 0
    town.wire.instead["/v1/uses"] = [409, 0]
    db.ok(*run)  # from the leases
    db.ok("leases", "purge")  # what ends is reported at once
    for _ in range(200):
        reported = [row["secret"] for row in rows(town) if row["kind"] == "lease-used"]
        if set(reported) == paths:
            break
    assert sorted(reported) == sorted(paths)
    assert town.wire.instead["/v1/uses"] == []


def card_count(town: Town) -> int:
    return sum(len(town.parties[name].json("inbox")["cards"]) for name in ("alice", "bob"))
