"""inbox, approve, deny, freeze: what a person sees and says, and what the asking program gets."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import time
from typing import Any

import pytest

from stillvault.approver.account import Account
from stillvault.protocol.messages import Ended, EndLeases, Leases
from stillvault.transport.home import Home
from tests.world import PATIENCE, STILLVAULT, Party, World, end


def card_of(party: Party, path: str) -> dict[str, Any]:
    """The card that asks for a path, as soon as it waits."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for card in party.json("inbox")["cards"]:
            if path in [one["secret"] for one in card["requests"]]:
                return card
        time.sleep(0.1)
    raise AssertionError(f"no card for {path}")


def outcome(process: subprocess.Popen[bytes]) -> tuple[int, bytes, str]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err.decode()


def test_a_card_shows_facts_and_apart_from_them_the_claims(town: World) -> None:  # A9
    bob, db = town.parties["bob"], town.parties["host/db-1"]
    asking = db.spawn("read", "sv://prod/db", "--reason", "nightly \u202e\x1b[2J run")
    card = card_of(bob, "prod/db")
    assert {"id", "requests", "host", "user", "uid", "exe", "exe_sha256", "chain", "grade", "age", "expires", "window", "code",
            "people_needed", "people_approved", "claimed"} <= card.keys()
    assert card["host"] == "db-1"
    assert card["uid"] == os.geteuid()
    assert card["people_needed"] == 1
    assert card["people_approved"] == 0
    assert re.fullmatch(r"[0-9]{6}", card["code"])
    assert re.fullmatch(r"[0-9a-f]{12}", card["id"])
    [request] = card["requests"]
    assert request["secret"] == "prod/db"
    assert request["version"] == 1
    assert request["sealed_by"] == "alice"
    assert card["claimed"]["reason"] == "nightly \\u{202e}\\u{1b}[2J run"
    shown = bob.ok("inbox").text
    facts, heading, said = shown.partition("The caller says:")
    assert heading
    assert "nightly" not in facts
    assert "nightly" in said
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)
    done = bob.json("approve", card["id"], "--yes")
    assert done["verdict"] == "approve"
    assert done["shown"]["id"] == card["id"]
    assert done["requests"] == [request["request"]]
    assert done["decision"]
    assert outcome(asking)[:2] == (0, b"value of prod/db")


def test_deny_is_a_signed_word(town: World) -> None:
    bob, db = town.parties["bob"], town.parties["host/db-1"]
    asking = db.spawn("read", "sv://prod/db")
    card = card_of(bob, "prod/db")
    assert bob.json("deny", card["id"], "--note", "not tonight")["verdict"] == "deny"
    code, out, err = outcome(asking)
    assert (code, out) == (10, b"")
    assert "bob" in err
    assert "no-card" in bob.fails(1, "approve", card["id"], "--yes")


def test_one_command_is_one_card(town: World) -> None:
    bob, db = town.parties["bob"], town.parties["host/db-1"]
    asking = db.spawn("run", "--env", "A=sv://prod/db", "--env", "B=sv://prod/api", "--no-masking", "--", "/bin/sh", "-c",
                      'printf "%s,%s" "$A" "$B"')
    card = card_of(bob, "prod/db")
    assert [one["secret"] for one in card["requests"]] == ["prod/api", "prod/db"]
    done = bob.json("approve", "--next", "--yes")
    assert len(done["requests"]) == 2
    assert outcome(asking)[:2] == (0, b"value of prod/db,value of prod/api")


@pytest.mark.parametrize("everything", [False, True])
def test_an_order_of_a_person_ends_a_lease_on_the_host(town: World, everything: bool) -> None:
    bob, db = town.parties["bob"], town.parties["host/db-1"]
    asking = db.spawn("read", "sv://lease/db")
    approved = bob.json("approve", card_of(bob, "lease/db")["id"], "--yes")
    assert outcome(asking)[0] == 0
    assert [one["path"] for one in db.json("leases")["leases"]] == ["lease/db"]
    account = Account(Home(bob.home), lambda _use: b"", lambda: int(time.time()))
    warm = account.call("GET", "/v1/leases", returns=Leases).leases
    assert [(one.request, one.path, one.granted_by, one.client) for one in warm] == [
        (approved["requests"][0], "lease/db", ["bob"], "host/db-1")
    ]
    order = EndLeases(all=True) if everything else EndLeases(requests=[warm[0].request])
    assert account.call("POST", "/v1/leases/end", order, returns=Ended).count == 1
    account.close()
    deadline = time.monotonic() + PATIENCE
    while db.json("leases")["leases"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_lease_is_as_long_as_the_person_says(town: World) -> None:
    bob, db = town.parties["bob"], town.parties["host/db-1"]
    asking = db.spawn("read", "sv://lease/db")
    card = card_of(bob, "lease/db")
    assert card["window"] == 900
    assert bob.json("approve", card["id"], "--yes", "--window", "2m")["window"] == 120
    assert outcome(asking)[0] == 0
    [lease] = [one for one in db.json("leases")["leases"] if one["path"] == "lease/db"]
    assert 0 < lease["left"] <= 120
    # Taking the approval back ends the lease.
    assert bob.json("deny", card["id"])["verdict"] == "deny"
    deadline = time.monotonic() + PATIENCE
    while [one for one in db.json("leases")["leases"] if one["path"] == "lease/db"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_card_goes_by_the_id_of_a_request_of_it_too(town: World) -> None:
    """`requests` shows those ids to a person: what is shown can be typed."""
    alice, bob, db = town.parties["alice"], town.parties["bob"], town.parties["host/db-1"]

    def asked() -> str:
        card = card_of(bob, "lease/db")
        waiting = [one["request"] for one in alice.json("requests")["requests"]]
        assert card["requests"][0]["request"] in waiting
        return str(card["requests"][0]["request"])

    asking = db.spawn("read", "sv://lease/db")
    request = asked()
    assert bob.json("approve", request, "--yes")["requests"] == [request]
    assert outcome(asking)[0] == 0
    assert bob.json("deny", request)["verdict"] == "deny"  # taken back
    deadline = time.monotonic() + PATIENCE
    while [one for one in db.json("leases")["leases"] if one["path"] == "lease/db"]:
        assert time.monotonic() < deadline
    asking = db.spawn("read", "sv://lease/db")
    assert db.json("cancel", asked())["count"] == 1
    assert outcome(asking)[0] == 1


def test_two_of_three(town: World) -> None:
    alice, bob, db = town.parties["alice"], town.parties["bob"], town.parties["host/db-1"]
    asking = db.spawn("read", "sv://two/db")
    card = card_of(alice, "two/db")
    assert card["people_needed"] == 2
    first = alice.ok("approve", card["id"], "--yes").text
    assert "1 of 2" in first
    assert asking.poll() is None
    second = card_of(bob, "two/db")
    assert second["id"] == card["id"]
    assert second["people_approved"] == 1
    assert second["approved_by"] == ["alice"]
    assert "released" in bob.ok("approve", card["id"], "--yes").text
    assert outcome(asking)[:2] == (0, b"value of two/db")


def test_nobody_answers_twice(town: World) -> None:  # A7
    alice, carol, db = town.parties["alice"], town.parties["carol"], town.parties["host/db-1"]
    asking = db.spawn("read", "sv://two/db")
    card = card_of(alice, "two/db")
    alice.ok("approve", card["id"], "--yes")
    assert "no-card" in alice.fails(1, "approve", card["id"], "--yes")
    carol.ok("deny", card["id"])
    assert outcome(asking)[0] == 10


def test_the_code_is_typed_where_the_policy_wants_it(town: World) -> None:
    alice, db = town.parties["alice"], town.parties["host/db-1"]
    asking = db.spawn("read", "sv://code/db")
    card = card_of(alice, "code/db")
    assert card["code_required"] is True
    assert "code" not in card
    assert asking.stderr is not None
    code = re.search(rb"code ([0-9]{6})", asking.stderr.readline())
    assert code is not None
    assert "--code" in alice.fails(2, "approve", card["id"], "--yes")
    for bad in ("12 3", "１２３４５６", "12345", "1234567", " 123456"):  # X12
        alice.fails(2, "approve", card["id"], "--yes", "--code", bad)
    alice.ok("approve", card["id"], "--yes", "--code", code[1].decode())
    assert outcome(asking)[:2] == (0, b"value of code/db")


def test_a_wrong_code_is_one_try(town: World) -> None:  # P5
    bob, db = town.parties["bob"], town.parties["host/db-1"]
    asking = db.spawn("read", "sv://code/db")
    card = card_of(bob, "code/db")
    assert asking.stderr is not None
    code = re.search(rb"code ([0-9]{6})", asking.stderr.readline())
    assert code is not None
    wrong = f"{(int(code[1]) + 1) % 1_000_000:06}"
    assert "wrong-code" in bob.fails(1, "approve", card["id"], "--yes", "--code", wrong)
    assert outcome(asking)[0] == 10
    bob.fails(1, "approve", card["id"], "--yes", "--code", code[1].decode())


def test_without_a_terminal_nothing_approves_by_accident(town: World) -> None:
    bob, db = town.parties["bob"], town.parties["host/db-1"]
    asking = db.spawn("read", "sv://prod/db")
    card = card_of(bob, "prod/db")
    assert "--yes" in bob.fails(2, "approve", card["id"])
    assert "ID" in bob.fails(2, "approve")
    bob.fails(2, "approve", card["id"], "--next")
    assert asking.poll() is None
    bob.ok("deny", card["id"])
    assert outcome(asking)[0] == 10


def test_nothing_waits(town: World) -> None:
    carol = town.parties["carol"]
    assert "nothing-waits" in carol.fails(11, "approve", "--next", "--yes", "--wait", "0.2")
    assert carol.ok("inbox").text.strip() == "nothing waits for you"
    assert carol.json("inbox") == {"v": 1, "cards": [], "refused": [], "held": 0}
    assert "no-card" in carol.fails(1, "deny", "0123456789ab")
    assert "no-card" in carol.fails(1, "approve", "0123456789ab", "--yes")
    assert "nothing-waits" in carol.fails(11, "approve", "0123456789ab", "--yes", "--wait", "0.2")


def test_approve_waits_for_the_card_to_come(town: World) -> None:
    bob, db = town.parties["bob"], town.parties["host/db-1"]
    deciding = bob.spawn("--format", "json", "approve", "--next", "--wait", "60", "--yes")
    asking = db.spawn("read", "sv://prod/api")
    code, out, err = outcome(deciding)
    assert code == 0, err
    assert json.loads(out)["shown"]["requests"][0]["secret"] == "prod/api"
    assert outcome(asking)[:2] == (0, b"value of prod/api")


def test_the_question_on_a_terminal(town: World) -> None:
    bob, db = town.parties["bob"], town.parties["host/db-1"]
    for answer, wanted in (("a\n", 0), ("d\n", 10)):
        asking = db.spawn("read", "sv://prod/api")
        card = card_of(bob, "prod/api")
        shown, code = on_terminal(bob, answer, "approve", card["id"])
        assert code == 0, shown
        assert re.search(r"secret +(\x1b\[1m)?prod/api", shown)
        before, _, _ = shown.partition("Deny (d)")
        assert before.replace("\r", "").endswith("\n\n")  # one blank line before the question
        assert outcome(asking)[0] == wanted
    asking = db.spawn("read", "sv://prod/api")
    card = card_of(bob, "prod/api")
    shown, code = on_terminal(bob, "\n", "approve", card["id"])
    assert code == 1
    assert asking.poll() is None
    bob.ok("deny", card["id"])
    end(asking)


def on_terminal(party: Party, answer: str, *arguments: str) -> tuple[str, int]:
    """Runs a command on a terminal of 80 columns and types one answer when it asks."""
    master, slave = pty.openpty()
    process = subprocess.Popen([str(STILLVAULT), *arguments], stdin=slave, stdout=slave, stderr=slave, close_fds=True,
                               env={**party.environment, "TERM": "xterm", "COLUMNS": "80"}, start_new_session=True)
    os.close(slave)
    found, answered, deadline = b"", False, time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if not select.select([master], [], [], 0.2)[0]:
            if process.poll() is not None:
                break
            continue
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        if not piece:
            break
        found += piece
        if not answered and found.rstrip().endswith(b"?"):
            os.write(master, answer.encode())
            answered = True
    code = process.wait(PATIENCE)
    os.close(master)
    return found.decode(), code


def test_the_fourth_quick_approval_wants_the_code(small: World) -> None:
    alice, bob, db = small.parties["alice"], small.parties["bob"], small.parties["host/db-1"]
    alice.ok("policy", "set", "prod", "--window", "0s")
    alice.ok("seal", "prod/db", stdin=b"value")
    with db.daemon():
        for _ in range(3):
            asking = db.spawn("read", "sv://prod/db")
            assert on_terminal(bob, "a\n", "approve", card_of(bob, "prod/db")["id"])[1] == 0
            assert outcome(asking)[0] == 0
        asking = db.spawn("read", "sv://prod/db")
        card = card_of(bob, "prod/db")
        shown, code = on_terminal(bob, f"a\n{card['code']}\n", "approve", card["id"])
        assert code == 0
        assert "type the code" in shown
        assert outcome(asking)[:2] == (0, b"value")


def test_a_freeze_holds_the_client(small: World) -> None:
    alice, bob = small.parties["alice"], small.parties["bob"]
    db = small.parties["host/db-1"]
    alice.ok("seal", "prod/db", stdin=b"value")
    with db.daemon():
        asking = db.spawn("read", "sv://prod/db")
        card = card_of(bob, "prod/db")
        bob.fails(2, "freeze", card["id"], "--for", "25h")
        done = bob.json("freeze", card["id"], "--for", "10m")
        assert done["verdict"] == "freeze"
        assert done["until"] > time.time()
        assert outcome(asking)[0] == 10
        assert db.run("read", "sv://prod/db").code in (10, 13, 14)  # held: no card reaches anyone
        assert bob.json("inbox")["cards"] == []
        # Who froze it is shown by what was signed, to everybody; an administrator's lift ends it.
        (client,) = (one for one in alice.json("client", "list")["clients"] if one["subject"] == "host/db-1")
        (frozen,) = client["freezes"]
        assert (frozen["by"], frozen["until"], client["state"]) == ("bob", done["until"], "valid")
        assert frozen["since"] <= time.time() < frozen["until"]
        assert "host/db-1 is frozen by bob (" in bob.ok("client", "list").text
        alice.ok("hold", "host/db-1", "--lift")
        (client,) = (one for one in alice.json("client", "list")["clients"] if one["subject"] == "host/db-1")
        assert client["freezes"] == []
        assert "frozen" not in alice.ok("client", "list").text


def test_the_audit_names_who_said_what(town: World) -> None:
    alice = town.parties["alice"]
    rows = [json.loads(line) for line in alice.ok("--format", "json", "audit", "tail", "-n", "10000").text.splitlines()]
    kinds = {row["kind"] for row in rows}
    assert {"enrolled", "roster", "sealed", "requested", "prompted", "approved", "denied", "released", "delivered"} <= kinds
    assert all(row["v"] == 1 and "index" in row and "time" in row and "actor" in row for row in rows)
    text = alice.ok("audit", "tail", "-n", "10000").text
    assert re.search(r"^\d\d:\d\d:\d\d host/db-1 on db-1 requested prod/db uid=\d+ exe=/\S+$", text, re.MULTILINE)
    assert re.search(r" prompted bob bob-\S+ \((inbox|sse)\) \d of any-of-3$", text, re.MULTILINE)
    assert re.search(r" prompted alice alice-\S+ \((inbox|sse)\) \d of 2-of-3$", text, re.MULTILINE)
    assert re.search(r" bob approved prod/db: released, lease none$", text, re.MULTILINE)
    assert re.search(r" bob approved lease/db: released, lease 2m$", text, re.MULTILINE)
    assert re.search(r" alice approved two/db: 1/2$", text, re.MULTILINE)
    assert re.search(r" alice sealed prod/db version 1\.0$", text, re.MULTILINE)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
