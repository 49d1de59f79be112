"""The root key on paper alone, as an organisation founded in the console has it: a terminal takes it from there for one act."""

from __future__ import annotations

import json
import os
import pty
from dataclasses import dataclass

import pytest

from tests.ops.test_restore import BACKUP, asking_each_time, delivered, lost
from tests.world import STILLVAULT, Party, World


@dataclass
class Paper:
    """The sheet of the root key, and of a recovery key."""

    root: dict[str, str]
    spare: dict[str, object]

    @property
    def key(self) -> str:
        return self.root["root_key"]


@pytest.fixture
def paper(world: World) -> Paper:
    """alice's organisation, whose root key no home holds. bob has the role of an administrator, and no root names him."""
    alice = world.party("alice")
    token = world.relay_command("setup-url").partition("#")[2]
    kit = alice.json("org", "create", "Example", "--relay", world.url, "--fingerprint", world.relay_command("fingerprint"),
                     "--setup-token", token, "--person", "alice", "--no-passphrase")["recovery_kit"]
    (alice.home / "keys" / "root.key").unlink()
    world.person("bob", "admin", "approver")
    shared = {name: kit[name] for name in ("fingerprint", "name", "org_id", "relay")}
    return Paper(root={**shared, "root_key": kit["root_key"]},
                 spare={**shared, "recovery_threshold": 2, "recovery_keys": kit["recovery_keys"][:1]})


def kept(party: Party) -> bytes:
    return b"".join(path.read_bytes() for path in party.home.rglob("*") if path.is_file())


def test_a_restore_is_accepted_with_the_paper_alone(world: World, paper: Paper) -> None:
    alice, bob = world.parties["alice"], world.parties["bob"]
    db = world.client("host/db-1")
    asking_each_time(world)
    alice.ok("seal", "prod/db", stdin=b"first")
    with db.daemon():
        assert delivered(db, alice, "prod/db") == b"first"
        world.relay_command("backup", str(world.root / BACKUP))
        alice.ok("policy", "set", "later", "--match", "later/**", "--people", "alice")
        bob.ok("audit", "verify")
        lost(world)
        for party in (alice, bob):
            assert "rollback" in party.fails(15, "audit", "verify")
        # Nobody holds the key; the look at what went back needs none.
        assert "--root-key-file" in alice.fails(2, "org", "accept-restore", "--yes")
        assert bob.json("org", "accept-restore", "--root-key-file", "-")["older"] is True
        # bob types what his sheet says; the root that he signs names his device too.
        done = bob.json("org", "accept-restore", "--yes", "--root-key-file", "-", stdin=paper.key.encode())
        assert done["accepted"] is True
        assert bob.ok("audit", "verify").code == alice.ok("audit", "verify").code == 0
        assert [one["id"] for one in alice.json("org", "show")["policies"]] == ["prod", "later"]
        assert {one["id"]: one["admin_key"] for one in alice.json("org", "show")["people"]} == {"alice": True, "bob": True}
        assert delivered(db, alice, "prod/db") == b"first"
        bob.ok("policy", "set", "last", "--match", "last/**", "--people", "alice")
    assert paper.key.encode() not in kept(alice) + kept(bob)
    assert "no-key" in bob.fails(2, "org", "accept-restore", "--yes")


def test_each_act_of_the_root_takes_the_paper(world: World, paper: Paper) -> None:
    alice, bob = world.parties["alice"], world.parties["bob"]
    sheet = world.root / "root-key.json"
    sheet.write_text(json.dumps(paper.root))
    assert "not-admin" in bob.fails(13, "policy", "set", "x", "--match", "**", "--people", "bob")
    assert "no-key" in alice.fails(2, "org", "admin", "add", "bob")
    # An administrator whom no root names is named by the one that they sign.
    assert bob.json("org", "admin", "add", "bob", "--root-key-file", str(sheet))["root_version"] == 2
    assert alice.json("org", "renew", "--root-key-file", str(sheet))["root_needs_renewal"] is False
    assert "root-key" in alice.fails(13, "person", "remove", "bob")
    typed = "\n".join(paper.key[at:at + 6] for at in range(0, 43, 6))  # in the groups of the sheet
    done = alice.json("person", "remove", "bob", "--root-key-file", "-", stdin=typed.encode())
    assert done["removed"] == "bob"
    assert alice.json("org", "show")["root_version"] == 3
    assert [one["id"] for one in alice.json("org", "show")["people"]] == ["alice"]


def test_what_is_not_the_key_is_said_without_a_word_of_it(world: World, paper: Paper) -> None:
    bob = world.parties["bob"]
    key = paper.key

    def refused(code: str, text: bytes) -> str:
        said = bob.fails(2, "--format", "json", "org", "admin", "add", "bob", "--root-key-file", "-", stdin=text)
        error = json.loads(said)["error"]
        assert (error["code"], error["field"]) == (code, "--root-key-file")
        assert not any(key[at:at + 6] in said for at in range(38))
        return str(error["message"])

    assert "group 4 " in refused("root-key-text", (key[:20] + ("A" if key[20] != "A" else "B") + key[21:]).encode())
    refused("root-key", b"A" * 43)
    refused("root-key-sheet", json.dumps(paper.spare).encode())
    refused("root-key-file", b" \n")
    refused("root-key-file", b"A" * 5000)
    assert "root-key-file" in bob.fails(2, "org", "admin", "add", "bob", "--root-key-file", str(world.root / "missing"))
    assert bob.json("org", "show")["root_version"] == 1


def test_a_terminal_asks_for_it_and_shows_nothing(world: World, paper: Paper) -> None:
    bob = world.parties["bob"]
    child, terminal = pty.fork()
    if child == 0:
        os.execve(STILLVAULT, ["stillvault", "org", "admin", "add", "bob", "--root-key-file", "-"], bob.environment)
    said = b""
    typed = False
    with os.fdopen(terminal, "rb+", buffering=0) as line:
        while True:
            try:
                part = line.read(4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            said += part
            if b"not shown" in said and not typed:
                typed = True
                line.write(paper.key.encode() + b"\n")
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, said
    assert b"bob is an administrator: root 2" in said
    assert paper.key[:6].encode() not in said


def test_an_administrators_role_is_still_needed(world: World, paper: Paper) -> None:
    """The key of the root on its own opens no door of the relay: whoever brings it is an administrator by the roster."""
    world.person("carol", "approver")
    carol = world.parties["carol"]
    assert carol.run("org", "accept-restore", "--yes", "--root-key-file", "-", stdin=paper.key.encode()).code == 13
    assert carol.run("org", "admin", "add", "carol", "--root-key-file", "-", stdin=paper.key.encode()).code in (13, 14)
