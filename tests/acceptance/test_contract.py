"""The command line as scripts rely on it, verb by verb, in one world of real processes: fields, streams and exit codes.

The tests stand in the order of a first day: the organisation, people and hosts, policies, sealing, asking and deciding, the
log, the end. A field that this file names is there for good; more may come beside it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.acceptance.said import Asking, card_of, only_json, refused
from tests.world import PATIENCE, STILLVAULT, World, end, read_line

NOBODY = 65534
CARD = {"id", "requests", "host", "user", "uid", "exe", "exe_sha256", "chain", "grade", "age", "expires", "window",
        "people_needed", "people_approved", "claimed"}
ITEM = {"request", "secret", "version", "sealed_by", "sealed"}
KINDS = {"enrolled", "roster", "policy", "sealed", "requested", "prompted", "approved", "denied", "frozen", "released",
         "delivered", "failed", "lease-used", "lease-ended", "expired", "cancelled", "revoked", "suppressed", "signed-in",
         "signed-out", "renewed", "restored", "config"}
ROW = {"v", "index", "time", "kind", "actor", "oid", "request", "secret", "version", "host", "uid", "user", "exe", "chain",
       "people", "window", "device", "channel", "outcome", "count"}


def test_the_exit_codes_are_told(place: World) -> None:
    told = only_json(place.party("stranger").run("help", "exit-codes", "--format", "json"))["exit_codes"]
    assert [one["code"] for one in told] == [0, 1, 2, 10, 11, 12, 13, 14, 15, 16, 125, 126, 127, 130]


# ---- the organisation ----------------------------------------------------------------------------------------------------------


def test_org_show(place: World) -> None:
    shown = only_json(place.party("alice").run("org", "show", "--format", "json"))
    assert {"org_id", "name", "root_version", "roster_version", "expires", "people", "clients", "policies"} <= set(shown)
    assert [one["id"] for one in shown["people"]] == ["alice", "bob", "carol", "dora"]
    assert {"host/db-1", "agent/claude"} <= {one["subject"] for one in shown["clients"]}
    assert {one["id"] for one in shown["policies"]} == {"code", "prod", "two"}
    assert isinstance(shown["expires"], int)


def test_a_person_joins_and_goes(place: World) -> None:
    alice, erin = place.party("alice"), place.party("erin")
    invited = alice.run("person", "invite", "erin", "--role", "approver", "--role", "sealer")
    url = invited.text.strip()
    assert url.startswith(place.url)
    assert "#" in url
    joining = erin.spawn("join", url, "--name", "Erin's laptop", "--no-passphrase", "--format", "json")
    words = json.loads(read_line(joining))
    assert (words["v"], words["event"], len(words["words"].split())) == (1, "words", 5)
    waiting = only_json(alice.run("invites", "--format", "json"))
    assert words["words"] not in json.dumps(waiting)
    assert [one["subject"] for one in waiting["invites"]] == ["erin"]
    wrong = "abandon ability able about above"
    refused(alice.run("--format", "json", "confirm", "erin", "--words", wrong), 15)
    end(joining)
    # Five other words: the keys that arrived are not those of the screen, and another invite is made.
    alice.ok("person", "invite", "erin", "--role", "approver")
    erin = place.person("erin", "approver", home="erin-2")
    alice.ok("person", "set", "erin", "--role", "auditor")
    shown = {one["id"]: one["roles"] for one in alice.json("org", "show")["people"]}
    assert shown["erin"] == ["auditor"]
    gone = only_json(alice.run("person", "remove", "erin", "--format", "json"))
    assert "roster_version" in gone
    refused(erin.run("--format", "json", "inbox"), 14)


def test_two_administrators_at_once(place: World) -> None:
    alice = place.party("alice")
    both = [alice.spawn("policy", "set", name, "--match", f"{name}/**", "--people", "alice") for name in ("left", "right")]
    assert [process.wait(PATIENCE) for process in both] == [0, 0]
    assert {"left", "right"} <= {one["id"] for one in only_json(alice.run("policy", "list", "--format", "json"))["policies"]}


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.2, 0.4])
def test_an_interrupt_at_any_stage(place: World, delay: float) -> None:
    waiting = place.party("alice").spawn("approve", "--next", "--wait", "60", "--yes")
    time.sleep(0.02 + delay)  # the front has started; where the interrupt falls does not matter
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(PATIENCE) in (130, -signal.SIGINT)  # to a shell both are 130
    assert waiting.stderr is not None
    assert b"Traceback" not in waiting.stderr.read()


def test_custodies_that_are_not_in_this_version(place: World) -> None:
    for custody in ("tpm", "pkcs11", "fido2"):
        error = refused(place.party("none").run("join", "https://localhost/join/person#x", "--custody", custody,
                                                "--format", "json"), 2)
        assert "not in this version" in error["message"]


def test_admin_add_and_renew(place: World) -> None:
    alice, bob = place.party("alice"), place.party("bob")
    before = alice.json("org", "show")
    alice.ok("person", "set", "bob", "--role", "approver", "--role", "sealer", "--role", "admin")
    added = only_json(alice.run("org", "admin", "add", "bob", "--format", "json"))
    assert added["root_version"] == before["root_version"] + 1
    renewed = only_json(bob.run("--format", "json", "org", "renew"))
    assert renewed["roster_version"] > added["roster_version"]
    assert bob.json("org", "show")["root_version"] == added["root_version"]


# ---- sealing -------------------------------------------------------------------------------------------------------------------


def test_seal_and_list(place: World, tmp_path: Path) -> None:
    alice, dora = place.party("alice"), place.party("dora")
    sealed = only_json(alice.run("seal", "prod/new", "--format", "json", stdin=b"\x00\xff binary\n"))
    assert sealed["path"] == "prod/new"
    assert sealed["version"] == 1
    assert {"alice", "bob", "recovery"} == {one["person"] for one in sealed["recipients"]}
    assert alice.json("seal", "sv://prod/new", stdin=b"again")["version"] == 2
    value = tmp_path / "value"
    value.write_bytes(b"x" * 61440)
    assert alice.json("seal", "prod/new", "--from-file", str(value))["version"] == 3
    value.write_bytes(b"x" * 61441)
    refused(alice.run("--format", "json", "seal", "prod/new", "--from-file", str(value)), 2)
    refused(alice.run("--format", "json", "seal", "prod/new", "--from-file", str(tmp_path / "none")), 2)
    refused(alice.run("--format", "json", "seal", "Prod/New", stdin=b"x"), 2)
    refused(alice.run("--format", "json", "seal", "nowhere/at-all", stdin=b"x"), 13)
    refused(dora.run("--format", "json", "seal", "prod/new", stdin=b"x"), 13)
    listed = only_json(alice.run("secrets", "prod", "--format", "json"))["secrets"]
    assert [one["path"] for one in listed] == ["prod/api", "prod/db", "prod/new"]
    assert {"path", "version", "sealed_by", "policy"} <= set(listed[0])


def test_a_passphrase(place: World, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("correct horse\n")
    bad.write_text("wrong\n")
    alice, frank = place.party("alice"), place.party("frank")
    url = alice.ok("person", "invite", "frank", "--role", "approver", "--role", "sealer").text.strip()
    error = refused(frank.run("--format", "json", "--no-input", "join", url), 2)
    assert "--passphrase-file" in str(error)
    assert "--no-passphrase" in str(error)
    place.join(url, "frank", alice, "frank", "--passphrase-file", str(good))
    alice.ok("policy", "set", "frank", "--match", "frank/**", "--people", "alice,frank")
    error = refused(frank.run("--format", "json", "seal", "frank/x", stdin=b"x"), 2)
    assert "STILLVAULT_PASSPHRASE_FILE" in str(error)
    frank.extra = {"STILLVAULT_PASSPHRASE_FILE": str(bad)}
    refused(frank.run("--format", "json", "seal", "frank/x", stdin=b"x"), 2)
    frank.extra = {"STILLVAULT_PASSPHRASE_FILE": str(good)}
    assert frank.json("seal", "frank/x", stdin=b"x")["version"] == 1


# ---- asking and deciding -------------------------------------------------------------------------------------------------------


def test_read_approve_lease_purge(place: World) -> None:
    db, bob = place.party("db"), place.party("bob")
    asking = Asking(db, "read", "sv://prod/db", "-n", "--reason", "nightly", "--ttl", "5m", "--wait", "1h")
    card = card_of(bob, "prod/db")
    assert set(card) >= CARD
    assert set(card["requests"][0]) >= ITEM
    assert re.fullmatch("[0-9]{6}", card["code"])
    assert card["claimed"] == {"reason": "nightly"}
    assert card["uid"] == os.geteuid()
    assert card["host"] == "db-1"
    for arguments in (["--mine"], []):  # a host's home holds no person
        waiting = only_json(db.run("requests", *arguments, "--format", "json"))["requests"]
        assert [one["id"] for one in waiting] == [card["id"]]
    approved = only_json(bob.run("approve", card["id"], "--window", "5m", "--yes", "--format", "json"))
    assert {"requests", "verdict", "shown", "decision"} <= set(approved)
    assert approved["verdict"] == "approve"
    assert approved["requests"] == [one["request"] for one in card["requests"]]
    assert set(approved["shown"]) >= CARD
    done = asking.ended()
    assert (done.code, done.out) == (0, b"value of prod/db"), done.said
    assert card["code"] in done.said
    assert "alice" in done.said
    refused(place.party("alice").run("approve", card["id"], "--yes", "--format", "json"), 1)  # already decided
    again = db.run("read", "prod/db")
    assert (again.code, again.out) == (2, b""), "a reference begins with sv://"
    again = db.run("read", "sv://prod/db")  # the same program, from its lease
    assert (again.code, again.out) == (0, b"value of prod/db"), again.said
    leases = only_json(db.run("leases", "--format", "json"))["leases"]
    assert [one["path"] for one in leases] == ["prod/db"]
    assert leases[0]["left"] <= 300
    assert only_json(db.run("leases", "purge", "prod/db", "--format", "json"))["count"] == 1
    assert only_json(db.run("leases", "--format", "json"))["leases"] == []


def test_deny_expire_cancel(place: World) -> None:
    db, bob = place.party("db"), place.party("bob")
    asking = Asking(db, "--format", "json", "read", "sv://prod/api")
    card = card_of(bob, "prod/api")
    denied = only_json(bob.run("deny", card["id"], "--note", "not today", "--format", "json"))
    assert {"requests", "verdict", "shown", "decision"} <= set(denied)
    assert denied["verdict"] == "deny"
    error = refused(asking.ended(), 10)
    assert "not today" in error["message"]
    refused(db.run("--format", "json", "read", "sv://prod/api", "--ttl", "1s"), 11)
    refused(db.run("--format", "json", "read", "sv://prod/api", "--wait", "1s"), 11)
    refused(bob.run("--format", "json", "approve", "--next", "--yes"), 11)
    refused(bob.run("--format", "json", "approve", "--next", "--wait", "1", "--yes"), 11)
    asking = Asking(db, "--format", "json", "read", "sv://prod/api")
    card = card_of(bob, "prod/api")
    assert only_json(db.run("cancel", card["id"], "--format", "json"))["v"] == 1
    refused(asking.ended(), 1)
    refused(db.run("--format", "json", "cancel", card["id"]), 1)
    refused(bob.run("--format", "json", "approve", card["id"], "--yes"), 1)
    asking = Asking(db, "read", "sv://prod/api")
    card_of(bob, "prod/api")
    asking.process.send_signal(signal.SIGINT)
    assert asking.ended().code == 130
    refused(db.run("--format", "json", "read", "sv://else/where"), 13)
    assert only_json(bob.run("inbox", "--format", "json"))["cards"] == []


def test_freeze_and_hold(place: World) -> None:
    db, bob, alice = place.party("db"), place.party("bob"), place.party("alice")
    asking = Asking(db, "read", "sv://prod/api")
    frozen = only_json(bob.run("freeze", card_of(bob, "prod/api")["id"], "--for", "1h", "--format", "json"))
    assert frozen["verdict"] == "freeze"
    assert asking.ended().code == 10
    assert db.run("read", "sv://prod/api").code in (13, 14)
    only_json(alice.run("hold", "host/db-1", "--lift", "--format", "json"))  # an administrator ends it
    asking = Asking(db, "read", "sv://prod/api")
    bob.ok("approve", card_of(bob, "prod/api")["id"], "--yes")
    assert asking.ended().out == b"value of prod/api"
    for target in ("host/db-1", "prod/**"):
        held = only_json(alice.run("hold", target, "--for", "1h", "--format", "json"))
        assert held["until"] > time.time() + 3000
        assert db.run("leases", "purge").code == 0
        assert db.run("read", "sv://prod/api").code in (13, 14)
        alice.ok("hold", target, "--lift")
    refused(alice.run("--format", "json", "hold", "prod/**", "--lift"), 2)


def test_two_of_three(place: World) -> None:
    db, bob, carol = place.party("db"), place.party("bob"), place.party("carol")
    asking = Asking(db, "read", "sv://two/db")
    card = card_of(bob, "two/db")
    assert (card["people_needed"], card["people_approved"]) == (2, 0)
    bob.ok("approve", card["id"], "--yes")
    assert card_of(carol, "two/db")["people_approved"] == 1
    carol.ok("approve", "--next", "--wait", "10", "--yes")
    assert asking.ended().out == b"value of two/db"


def test_the_code_of_the_asking_screen(place: World) -> None:
    db, bob = place.party("db"), place.party("bob")
    refused(db.run("--format", "json", "read", "sv://code/db"), 13)  # it is for the agent, and this is none
    asking = Asking(db, "-c", f"{STILLVAULT} read sv://code/db; exit $?", program=place.root / "agent")
    card = card_of(bob, "code/db")
    assert card["code_required"] is True
    assert "code" not in card
    assert (card["host"], card["client"]) == ("db-1", "agent/claude")
    refused(bob.run("--format", "json", "approve", card["id"], "--yes"), 2)
    code = db.json("requests", "--mine")["requests"][0]["code"]
    bob.ok("approve", card["id"], "--yes", "--code", code)
    assert asking.ended().out == b"value of code/db"


def test_run_and_inject(place: World, tmp_path: Path) -> None:
    db, alice = place.party("db"), place.party("alice")
    env_file = tmp_path / "app.env"
    env_file.write_text("API=sv://prod/api\nPLAIN=yes\n")
    asking = Asking(db, "run", "--env", "DB=sv://prod/db", "--env-file", str(env_file), "--", "sh", "-c",
                    'printf %s "$DB|$PLAIN" | od -c -An | tr -d " \\n"; echo "[$DB]"; exit 7', OTHER="sv://prod/new")
    card = card_of(alice, "prod/db")
    assert [one["secret"] for one in card["requests"]] == ["prod/api", "prod/db", "prod/new"]  # one card for all references
    assert card["claimed"]["argv"][0] == "sh"
    alice.ok("approve", card["id"], "--yes", "--window", "0s")
    done = asking.ended()
    assert done.code == 7
    assert "value" in done.text.split("[")[0]
    assert "value of prod/db" not in done.text.split("[")[1]  # masked
    assert db.run("run", "--env", "X=sv://prod/db", "--", "/no/such").code == 127
    assert db.run("run", "--env", "X=sv://prod/db", "--", str(env_file)).code == 126
    assert db.run("run", "--env", "X=plain", "--", "true").code == 2
    template, output = tmp_path / "t", tmp_path / "o"
    template.write_text("a {{ sv://prod/db }} b\n")
    asking = Asking(db, "inject", "-i", str(template), "-o", str(output))
    alice.ok("approve", card_of(alice, "prod/db")["id"], "--yes", "--window", "0s")
    assert asking.ended().code == 0
    assert output.read_text() == "a value of prod/db b\n"
    assert output.stat().st_mode & 0o7777 == 0o600


def test_another_account(place: World) -> None:
    db, alice = place.party("db"), place.party("alice")
    seen = only_json(db.run("--format", "json", "whoami"))
    assert seen["uid"] == os.geteuid()
    if os.geteuid() != 0:
        return  # a user's daemon serves that user alone
    other = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", str(STILLVAULT)]
    environment = {"PATH": os.environ["PATH"], "STILLVAULT_SOCKET": str(db.socket)}  # neither HOME nor STILLVAULT_HOME
    who = subprocess.run([*other, "whoami", "--format", "json"], env=environment, capture_output=True, check=True)
    assert json.loads(who.stdout)["uid"] == NOBODY
    asking = subprocess.Popen([*other, "read", "sv://prod/db"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    place.processes.append(asking)
    card = card_of(alice, "prod/db")
    assert (card["uid"], card["grade"]) == (NOBODY, "system")
    alice.ok("approve", card["id"], "--yes")
    assert asking.communicate(timeout=PATIENCE)[0] == b"value of prod/db"
    theirs = subprocess.run([*other, "--format", "json", "leases"], env=environment, capture_output=True, check=True)
    assert [one["uid"] for one in json.loads(theirs.stdout)["leases"]] == [NOBODY]
    assert [one["uid"] for one in db.json("leases")["leases"]] == [NOBODY]  # root sees all
    assert db.json("leases", "purge")["count"] == 1


# ---- the log, and what ends ----------------------------------------------------------------------------------------------------


def test_the_log(place: World, tmp_path: Path) -> None:
    dora = place.party("dora")
    rows = [json.loads(line) for line in dora.ok("--format", "json", "audit", "tail", "-n", "1000").out.splitlines()]
    for row in rows:
        assert {"index", "time", "kind", "actor"} <= set(row)
        assert set(row) <= ROW, set(row) - ROW
        assert row["kind"] in KINDS
    kinds = {row["kind"] for row in rows}
    assert {"enrolled", "roster", "policy", "config", "sealed", "requested", "prompted", "approved", "denied", "frozen",
            "released", "delivered", "expired", "cancelled"} <= kinds
    text = dora.ok("audit", "tail", "-n", "1000").text
    assert re.search(r"^\d\d:\d\d:\d\d host/db-1 on db-1 requested prod/db uid=\d+ exe=/", text, re.MULTILINE)
    assert re.search(r"prompted bob \S+ \(\w+\) \d of any-of-2", text)
    assert re.search(r"bob approved prod/db: released, lease 5m$", text, re.MULTILINE)
    exported = tmp_path / "log"
    exported.write_bytes(dora.ok("audit", "export", "--as", "jsonl").out)
    assert only_json(dora.run("audit", "verify", "--format", "json"))["verified"] is True
    org = dora.json("org", "show")["org_id"]
    nobody = place.party("stranger")
    assert only_json(nobody.run("audit", "verify", "--file", str(exported), "--org", org, "--format", "json"))["verified"]
    exported.write_bytes(exported.read_bytes().replace(b"prod/db", b"prod/dx", 1))
    refused(nobody.run("audit", "verify", "--file", str(exported), "--org", org, "--format", "json"), 15)
    events = [json.loads(line) for line in dora.ok("audit", "export", "--as", "ocsf").text.splitlines()]
    assert {event["class_uid"] for event in events} == {3002, 3004}
    assert all(line.startswith("CEF:0|Stillvault|") for line in dora.ok("audit", "export", "--as", "cef").text.splitlines())


def test_a_removal_is_blocked_killed_and_resumed(place: World) -> None:
    alice, bob = place.party("alice"), place.party("bob")
    alice.ok("policy", "set", "alone", "--match", "alone/**", "--people", "carol")
    alice.ok("seal", "alone/x", stdin=b"x")
    assert "alone" in refused(alice.run("--format", "json", "person", "remove", "carol"), 13)["message"]
    alice.ok("policy", "set", "alone", "--match", "alone/**", "--people", "alice,carol")
    alice.ok("seal", "alone/x", stdin=b"x")
    removing = alice.spawn("person", "remove", "carol")
    card_of(bob, "two/db")  # two of three: Bob is asked, while Alice's own half is given
    removing.kill()
    removing.wait(PATIENCE)
    assert removing.stderr is not None
    assert b"warning" in removing.stderr.read()  # two of two: equality warns
    assert "carol" in [one["id"] for one in alice.json("org", "show")["people"]]
    removing = Asking(alice, "person", "remove", "carol", "--format", "json")
    while removing.process.poll() is None:  # the card of the run that was killed gives way to the new one
        assert bob.run("approve", "--next", "--wait", "2", "--yes").code in (0, 1, 11)
    done = removing.ended()
    assert {"roster_version", "resealed", "rotate"} <= set(only_json(done))
    assert "two/db" in done.json["rotate"]
    assert "carol" not in [one["id"] for one in alice.json("org", "show")["people"]]


def test_reseal_and_revoke(place: World) -> None:
    alice, db = place.party("alice"), place.party("db")
    alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", "alice")
    resealed = alice.run("--format", "json", "reseal", "prod/db")
    assert resealed.code in (0, 11), resealed.said
    revoked = only_json(alice.run("client", "revoke", "agent/claude", "--format", "json"))
    assert revoked["v"] == 1
    last = [json.loads(line) for line in alice.ok("--format", "json", "audit", "tail", "-n", "20").out.splitlines()]
    assert [one["device"] for one in last if one["kind"] == "revoked" and one.get("outcome") == "client"] == ["agent/claude"]
    refused(alice.run("--format", "json", "client", "revoke", "agent/nobody"), 2)
    assert db.run("-c", f"{STILLVAULT} read sv://code/db; exit $?", program=place.root / "agent").code in (13, 14)


def test_without_relay_or_daemon(place: World) -> None:
    alice, db = place.party("alice"), place.party("db")
    assert only_json(alice.run("doctor", "--format", "json"))["v"] == 1
    assert place.stop_relay() == 0
    refused(alice.run("--format", "json", "inbox"), 14)
    refused(alice.run("--format", "json", "seal", "prod/db", stdin=b"x"), 14)
    refused(db.run("--format", "json", "read", "sv://prod/db"), 14)
    refused(place.party("stranger").run("--format", "json", "read", "sv://prod/db"), 14)  # no daemon there
    place.start()
    assert alice.json("secrets")["v"] == 1
