"""org, join, invites, confirm: an organisation from nothing, and everything that must not work on the way."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
from pathlib import Path

import pytest

from tests.world import PATIENCE, World, end, read_line


def setup_token(world: World) -> str:
    return world.relay_command("setup-url").partition("#")[2]


def create(world: World, token: str, *options: str) -> list[str]:
    return ["org", "create", "Example & Söhne", "--relay", world.url, "--fingerprint", world.relay_command("fingerprint"),
            "--setup-token", token, "--person", "alice", *options]


def test_create_prints_the_kit_once_and_keeps_no_recovery_key(world: World) -> None:
    alice = world.party("alice")
    done = alice.run("--format", "json", *create(world, setup_token(world), "--no-passphrase"))
    assert done.code == 0, done.said
    made = done.json
    kit = made["recovery_kit"]
    assert made["v"] == 1
    assert made["person"] == "alice"
    assert len(base64.urlsafe_b64decode(made["org_id"] + "==")) == 32
    assert kit["recovery_threshold"] == 2
    assert len(kit["recovery_keys"]) == 3
    stored = b"".join(path.read_bytes() for path in alice.home.rglob("*") if path.is_file())
    for one in kit["recovery_keys"]:
        assert one["secret"].encode() not in stored
    for path in alice.home.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    shown = alice.json("org", "show")
    assert shown["name"] == "Example & Söhne"
    assert {"org_id", "name", "root_version", "roster_version", "expires", "people", "clients", "policies"} <= shown.keys()
    assert shown["policies"] == []  # nobody may release anything before a person says so
    assert shown["people"][0]["roles"] == ["admin", "approver", "sealer", "auditor"]
    assert "home-taken" in alice.fails(2, *create(world, "x", "--no-passphrase"))
    assert kit["root_key"] not in alice.ok("org", "show").text + alice.ok("policy", "list").text
    # The keys are of the policies to come.
    policy = alice.json("policy", "set", "all", "--match", "**", "--people", "alice")["policy"]
    assert [one["id"] for one in policy["recovery"]["keys"]] == ["recovery-1", "recovery-2", "recovery-3"]
    recipients = alice.json("seal", "a/b", stdin=b"x")["recipients"]
    assert [one["person"] for one in recipients] == ["alice", "recovery", "recovery", "recovery"]


def test_the_kit_in_text_and_without_recovery(world: World) -> None:
    alice = world.party("alice")
    text = alice.ok(*create(world, setup_token(world), "--no-passphrase", "--no-recovery")).text
    assert "RECOVERY KIT" in text
    assert re.search(r"^root key +[A-Za-z0-9_-]{43}$", text, re.MULTILINE)
    assert "recovery-1" not in text
    alice.ok("policy", "set", "all", "--match", "**", "--people", "alice")
    assert [one["person"] for one in alice.json("seal", "a/b", stdin=b"x")["recipients"]] == ["alice"]


def test_each_part_of_the_kit_is_complete_on_its_own(world: World) -> None:
    text = world.party("alice").ok(*create(world, setup_token(world), "--no-passphrase")).text
    _, *parts = re.split(r"^---- \d of 4 ----$", text, flags=re.MULTILINE)
    names = ["root key", "recovery-1", "recovery-2", "recovery-3"]
    assert len(parts) == len(names)
    for name, part in zip(names, parts, strict=True):
        fields = dict(re.findall(r"^([a-z0-9-]+(?: [a-z]+)?) {2,}(\S.*)$", part, re.MULTILINE))
        assert set(fields) == {"organisation", "org id", "relay", "fingerprint", name}
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", fields[name])


def test_what_create_refuses(world: World, tmp_path: Path) -> None:
    alice = world.party("alice")
    token = setup_token(world)
    good = create(world, token, "--no-passphrase")

    def instead(name: str, value: str) -> list[str]:
        return [value if before == name else word for before, word in zip(["", *good], good, strict=False)]

    # N1: refused before a byte is sent.
    assert "https" in alice.fails(2, *instead("--relay", world.url.replace("https", "http")))
    assert "https" in alice.fails(2, *instead("--relay", "http://10.0.0.1"))
    assert "untrusted: fingerprint" in alice.fails(15, *instead("--fingerprint", "SHA256:" + "A" * 43))
    alice.fails(14, *instead("--setup-token", "A" * 43))
    alice.fails(14, *instead("--relay", "https://localhost:1"))
    assert "--public-url" in alice.fails(2, *instead("--relay", world.url.replace("localhost", "127.0.0.1")))
    alice.fails(2, *instead("--person", "Alice"))
    alice.fails(2, *instead("--person", "recovery"))
    alice.fails(2, *instead("create", "evil\x1b[2J"))
    # Neither --passphrase-file nor --no-passphrase, and no terminal: both are named.
    said = alice.fails(2, *create(world, token))
    assert "--passphrase-file" in said
    assert "--no-passphrase" in said
    assert not alice.home.exists() or not [one for one in alice.home.rglob("*") if one.is_file() and one.name != "lock"]
    # The token is still good, and good once.
    alice.ok(*instead("--setup-token", f"{world.url}/setup#{token}"))  # the whole line is as good as the part after #
    assert world.party("mallory").run(*good).code == 14


def test_the_setup_token_comes_from_a_file_or_a_pipe(world: World, tmp_path: Path) -> None:
    """An argument stands in the list of processes; these do not."""
    alice, line = world.party("alice"), world.relay_command("setup-url")
    given = create(world, "", "--no-passphrase")
    at = given.index("--setup-token")
    without = given[:at] + given[at + 2 :]
    for words, why in (([], "one way"), (["--setup-token", "A" * 43, "--setup-token-file", "-"], "one way"),
                       (["--setup-token-file", str(tmp_path / "none")], "cannot be read"),
                       (["--setup-token-file", "/dev/null"], "is empty or too long")):  # fmt: skip
        assert why in alice.fails(2, *without, *words)
    (tmp_path / "token").write_text("not a token\n")
    assert "this is not a setup token" in alice.fails(2, *without, "--setup-token-file", str(tmp_path / "token"))
    (tmp_path / "token").write_text(line + "\n")
    alice.ok(*without, "--setup-token-file", str(tmp_path / "token"))


def test_the_setup_token_is_read_from_stdin(world: World) -> None:
    given = create(world, "", "--no-passphrase")
    at = given.index("--setup-token")
    piped = [*given[:at], "--setup-token-file", "-", *given[at + 2 :]]
    world.party("alice").ok(*piped, stdin=setup_token(world).encode() + b"\n")


def test_a_passphrase_is_asked_for_and_never_guessed(world: World, tmp_path: Path) -> None:
    alice = world.party("alice")
    secret, wrong = tmp_path / "passphrase", tmp_path / "wrong"
    secret.write_text("correct horse\n")
    wrong.write_text("battery staple\n")
    alice.ok(*create(world, setup_token(world), "--passphrase-file", str(secret)))
    said = alice.fails(2, "policy", "set", "all", "--match", "**", "--people", "alice")
    assert "terminal" in said
    assert "STILLVAULT_PASSPHRASE_FILE" in said
    assert "--passphrase-file" not in said  # which this verb does not take
    alice.extra["STILLVAULT_PASSPHRASE_FILE"] = str(wrong)
    assert "passphrase" in alice.fails(2, "policy", "set", "all", "--match", "**", "--people", "alice")
    alice.extra["STILLVAULT_PASSPHRASE_FILE"] = str(tmp_path / "missing")
    assert "passphrase-file" in alice.fails(2, "policy", "list")
    alice.extra["STILLVAULT_PASSPHRASE_FILE"] = str(secret)
    alice.ok("policy", "set", "all", "--match", "**", "--people", "alice")
    os.chmod(alice.home / "keys" / "device.key", 0o644)
    assert "chmod 600" in alice.fails(2, "seal", "a/b", stdin=b"x")


# ---- enrolment --------------------------------------------------------------------------------------------------------------


def test_the_words_decide(world: World) -> None:  # A20
    alice = world.create()
    url = alice.ok("person", "invite", "bob", "--role", "approver").text.strip()
    assert url.startswith(f"{world.url}/join/")
    assert "#" in url
    bob = world.party("bob")
    joining = bob.spawn("--format", "json", "join", url, "--no-passphrase")
    event = json.loads(read_line(joining))
    assert event["v"] == 1
    assert event["event"] == "words"
    words = event["words"].split()
    assert len(words) == 5
    waiting = alice.json("invites")["invites"]
    assert [(one["subject"], one["state"]) for one in waiting] == [("bob", "joined")]
    assert not set(words) & set(re.findall(r"[a-z]+", alice.ok("invites").text))
    swapped = " ".join([*words[:4], "zebra" if words[4] != "zebra" else "apple"])
    assert "untrusted: words" in alice.fails(15, "confirm", "bob", "--words", swapped)
    assert "five words" in alice.fails(2, "confirm", "bob", "--words", "one two")
    alice.fails(2, "confirm", "carol", "--words", " ".join(words))
    assert len(alice.json("org", "show")["people"]) == 1
    alice.ok("confirm", "bob", "--words", " ".join(words).upper())
    joined = json.loads(read_line(joining))
    assert joined["event"] == "joined"
    assert joined["person"] == "bob"
    assert joining.wait(PATIENCE) == 0
    assert {one["id"] for one in alice.json("org", "show")["people"]} == {"alice", "bob"}
    # Once is once.
    assert "invite" in world.party("thief").fails(1, "join", url, "--no-passphrase")
    assert "home-taken" in bob.fails(2, "join", url, "--no-passphrase")


def test_an_interrupted_join_goes_on_with_the_same_words(world: World) -> None:
    alice = world.create()
    url = alice.ok("client", "invite", "host/db-1", "--scope", "prod/**").text.strip()
    db = world.party("db")
    first = db.spawn("--format", "json", "join", url)
    words = json.loads(read_line(first))["words"]
    end(first, 9)
    again = db.spawn("--format", "json", "join", url)
    assert json.loads(read_line(again))["words"] == words
    alice.ok("confirm", "host/db-1", "--words", words)
    joined = json.loads(read_line(again))
    assert joined["subject"] == "host/db-1"
    assert joined["scopes"] == ["prod/**"]
    assert joined["host"] == "db-1"
    key = db.home / "clients" / "host" / "db-1" / "client.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_what_join_refuses(world: World) -> None:
    alice = world.create()
    url = alice.ok("person", "invite", "bob", "--role", "approver").text.strip()
    bob = world.party("bob")
    for custody in ("pkcs11", "tpm", "fido2"):
        assert "not in this version" in bob.fails(2, "join", url, "--custody", custody)
    base, _, fragment = url.partition("#")
    raw = base64.urlsafe_b64decode(fragment + "=" * (-len(fragment) % 4))

    def encoded(content: bytes) -> str:
        return f"{base}#{base64.urlsafe_b64encode(content).decode().rstrip('=')}"

    bare = url.partition("://")[2]
    for bad in ("", "x", base, f"{base}#", f"{base}#***", url.replace("https:", "http:"), bare, f"https:{bare}",  # N1
                f"https://[{bare}", url.replace("/join/person", "/join/person?x=1"), url.replace("/join/person", "/join/root"),
                url[:-3], encoded(raw + b" "), encoded(raw.replace(b'"ca"', b'"xx"')), encoded(b"{}"), encoded(b"[]"),
                encoded(b"\xff")):
        assert "join-url" in bob.fails(2, "join", bad, "--no-passphrase")
    other_ca = re.sub(rb"SHA256:.{5}", b"SHA256:AAAAA", raw)
    assert "untrusted: fingerprint" in bob.fails(15, "join", encoded(other_ca), "--no-passphrase")
    assert "--no-passphrase" in bob.fails(2, "join", url)
    assert not [one for one in bob.home.rglob("*") if one.is_file() and one.name != "lock"]
    # A nonce that the relay knows nothing of: nothing is enrolled.
    found = json.loads(raw)
    found["nonce"] = "A" * 43
    forged = json.dumps(found, sort_keys=True, separators=(",", ":")).encode()
    assert "invite" in bob.fails(1, "join", encoded(forged), "--no-passphrase")


def test_only_an_administrator_invites(small: World) -> None:
    bob = small.parties["bob"]
    for verb in (["person", "invite", "eve", "--role", "approver"], ["client", "invite", "host/x", "--scope", "**"],
                 ["policy", "set", "x", "--match", "**", "--people", "bob"], ["hold", "**", "--for", "1h"],
                 ["client", "revoke", "host/db-1"], ["person", "set", "bob", "--role", "admin"], ["org", "renew"]):
        assert bob.run(*verb).code in (13, 14), verb
    assert "no-person" in small.parties["host/db-1"].fails(2, "inbox")


def test_a_second_device_and_what_it_can_open(small: World) -> None:
    alice = small.parties["alice"]
    alice.ok("seal", "prod/db", stdin=b"value")
    tablet = small.person("bob", home="bob-tablet")
    devices = next(one["devices"] for one in alice.json("org", "show")["people"] if one["id"] == "bob")
    assert len(devices) == 2
    assert alice.json("secrets")["secrets"][0]["state"] == "reseal-needed"
    done = alice.json("reseal", "--needed")
    assert done["resealed"] == [{"path": "prod/db", "version": 1, "revision": 1}]
    assert alice.json("secrets")["secrets"][0]["state"] == "ok"
    db = small.parties["host/db-1"]
    with db.daemon():
        asking = db.spawn("read", "sv://prod/db")
        tablet.ok("approve", "--next", "--wait", "60", "--yes")
        assert asking.communicate(timeout=PATIENCE)[0] == b"value"


def test_another_administrator_and_renewal(small: World) -> None:
    alice, bob = small.parties["alice"], small.parties["bob"]
    before = alice.json("org", "show")
    assert alice.json("org", "admin", "add", "bob")["root_version"] == before["root_version"] + 1
    assert "already-admin" in alice.fails(2, "org", "admin", "add", "bob")
    alice.fails(2, "org", "admin", "add", "nobody")
    assert bob.json("policy", "set", "more", "--match", "more/**", "--people", "bob")["policy"]["people"] == ["bob"]
    renewed = bob.json("org", "renew")
    assert renewed["roster_version"] > before["roster_version"]
    carol = small.person("carol", "sealer", admin="bob")
    assert "bob" in carol.ok("org", "show").text
    assert "no-key" in bob.fails(2, "org", "admin", "add", "carol")  # only the creator's home holds the root key


@pytest.mark.parametrize("roles", [["sealer"], ["approver", "auditor"]])
def test_roles_are_set_exactly(small: World, roles: list[str]) -> None:
    alice = small.parties["alice"]
    options = [part for role in roles for part in ("--role", role)]
    if "approver" not in roles:
        assert "in-policy" in alice.fails(13, "person", "set", "bob", *options)
        alice.ok("policy", "set", "prod", "--people", "alice")
    assert alice.json("person", "set", "bob", *options)["roles"] == sorted(roles)
    if "sealer" in roles:
        small.parties["bob"].ok("seal", "prod/bobs", stdin=b"x")
        assert "sealed-by" in alice.fails(13, "person", "set", "bob", "--role", "auditor")
    assert [one["roles"] for one in alice.json("org", "show")["people"] if one["id"] == "bob"] == [roles]
    assert "last-admin" in alice.fails(13, "person", "set", "alice", "--role", "approver", "--role", "sealer")
