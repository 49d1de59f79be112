"""The relay against administrators: what it lists is signed again, ended or dropped only where it verifies and is whole."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stillvault.crypto.private import SigningKey
from stillvault.crypto.public import b64encode, oid_of, payload_of
from tests.hostile.leaves import dump
from tests.hostile.proxy import Message
from tests.hostile.town import Town
from tests.world import Party


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    """Alice holds the root key; dave is an administrator too; bob approves; host/db-1 asks; two secrets."""
    root = Path(tempfile.mkdtemp(prefix="sv-"))
    town = Town(root)
    try:
        town.start()
        alice = town.create()
        town.person("bob", "approver")
        town.person("cleo", "approver")
        town.person("dave", "admin")
        alice.ok("org", "admin", "add", "dave")
        town.client("host/db-1")
        alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", "alice,bob,cleo", "--window", "0s")
        for path in ("prod/db", "prod/api"):
            alice.ok("seal", path, stdin=b"value")
        yield town
    finally:
        town.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def alice(town: Town) -> Iterator[Party]:
    town.script.reset()
    yield town.parties["alice"]
    town.script.reset()


def changing(route: str, change: Callable[[Any, int], None]) -> Callable[[Message], bytes | None]:
    """Changes every answer of a route; `change` is told how many came before."""
    def tamper(message: Message) -> bytes | None:
        if message.direction != "answer" or not message.route.startswith(route):
            return message.body
        body = json.loads(message.body)
        change(body, message.number)
        return dump(body)
    return tamper


def forged(listed: dict[str, Any], key: SigningKey, subject: str = "host/ghost") -> dict[str, Any]:
    """A client that nobody enrolled: another's certificate with the attacker's key in it."""
    cert = json.loads(payload_of("client-cert", dump(listed["cert"])))
    cert |= {"subject": subject, "key": {"alg": key.alg, "public": b64encode(key.public)}, "scopes": ["**"]}
    signed = key.sign("client-cert", dump(cert))
    return {**listed, "cert": json.loads(signed), "oid": b64encode(oid_of(signed))}


def test_a_removal_seals_again_what_the_relay_no_longer_shows(town: Town, alice: Party) -> None:
    """(c) of a removal: a secret that is hidden in the middle would stay openable by whoever leaves, and nobody would know."""
    def hide(body: Any, number: int) -> None:
        if number:
            body["secrets"] = [one for one in body["secrets"]
                               if json.loads(payload_of("secret", dump(one)))["core"]["path"] != "prod/db"]

    town.script.reset(changing("GET /v1/secrets", hide))
    said = alice.fails(15, "person", "remove", "bob")
    assert "prod/db" in said
    assert "bob" in json.dumps(alice.json("org", "show")["people"])
    town.script.reset()
    done = alice.json("person", "remove", "bob")
    assert sorted(done["resealed"]) == ["prod/api", "prod/db"]


def test_a_removal_begins_with_what_the_log_names(town: Town, alice: Party) -> None:
    """A secret that this home never saw, and that the relay leaves out of its list from the start."""
    town.person("finn", "approver", "sealer")
    alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", "alice,cleo,finn", "--window", "0s")
    town.parties["finn"].ok("seal", "prod/unseen", stdin=b"value")

    def hide(body: Any, number: int) -> None:
        del number
        body["secrets"] = [one for one in body["secrets"]
                           if json.loads(payload_of("secret", dump(one)))["core"]["path"] != "prod/unseen"]

    town.script.reset(changing("GET /v1/secrets", hide))
    assert "prod/unseen" in alice.fails(15, "person", "remove", "finn")
    town.script.reset()
    assert "finn" in json.dumps(alice.json("org", "show")["people"])
    assert "prod/unseen" in alice.json("person", "remove", "finn")["resealed"]


@pytest.mark.parametrize("lost", ["request 0", "answer 0", "request 1", "answer 1"])
def test_an_interrupted_removal_leaves_nobody_behind(town: Town, alice: Party, lost: str) -> None:
    """The roster of (b) or (d), or the word that it was taken, is lost. The same command again must do all that is left to do."""
    name = f"eve{lost.replace(' ', '')}"
    town.person(name, "approver")
    alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", f"alice,cleo,{name}", "--window", "0s")
    alice.ok("reseal", "--needed")
    direction, number = lost.split()
    counted = [0]

    def lose(message: Message) -> bytes | None:
        if (message.direction, message.route) != (direction, "POST /v1/roster"):
            return message.body
        counted[0] += 1
        return None if counted[0] == int(number) + 1 else message.body

    town.script.reset(lose)
    first = alice.run("person", "remove", name)
    town.script.reset()
    if first.code:
        alice.ok("person", "remove", name)
    shown = alice.json("org", "show")
    assert name not in json.dumps([shown["people"], shown["policies"]])
    seals = alice.json("secrets")["secrets"]
    assert {one["state"] for one in seals} == {"ok"}
    assert name not in json.dumps([one["recipients"] for one in seals])


def test_certificates_are_signed_anew_only_where_they_stood(town: Town, alice: Party) -> None:
    """An administrator leaves the root: what the relay lists as clients is signed again. A ghost must not get in that way."""
    key = SigningKey.generate("ed25519")

    def plant(body: Any, number: int) -> None:
        del number
        body["clients"].append(forged(body["clients"][0], key))

    def signed() -> list[bytes]:
        published = [json.loads(message.body) for message in town.script.record
                     if message.direction == "request" and message.route == "POST /v1/roster"]
        return [payload_of("client-cert", dump(cert)) for body in published for cert in body.get("certs", [])]

    town.script.reset(changing("GET /v1/clients", plant))
    assert "cert-threshold" in alice.fails(15, "person", "remove", "dave")
    assert not signed()
    town.script.reset()
    alice.ok("person", "remove", "dave")
    assert signed()


def test_a_renewed_certificate_is_kept_only_if_it_is_ones_own(town: Town, alice: Party) -> None:
    """At a sign-in the relay hands out a newer certificate; that of another would end re-sealing here for good."""
    listed = json.loads(alice.ok("--format", "json", "org", "show").out)["clients"]
    assert "host/db-1" in [one["subject"] for one in listed]
    others = json.loads((town.parties["host/db-1"].home / "clients/host/db-1/cert.json").read_bytes())
    before = (alice.home / "person-cert.json").read_bytes()

    def swap(message: Message) -> bytes | None:
        if (message.direction, message.route) != ("answer", "POST /v1/login"):
            return message.body
        body = json.loads(message.body)
        return dump({**body, "cert": others}) if "cert" in body else message.body

    town.script.reset(swap)
    assert "untrusted: cert" in alice.fails(15, "reseal", "prod/db")
    assert (alice.home / "person-cert.json").read_bytes() == before
    town.script.reset()
    alice.ok("reseal", "prod/db")


def test_only_what_an_administrator_signed_is_revoked_and_a_broken_row_hides_nothing(town: Town, alice: Party) -> None:
    """A roster has room for so much: a relay must not fill its list of revocations with oids of its own making."""
    town.client("host/db-9")
    key = SigningKey.generate("ed25519")

    def plant(body: Any, number: int) -> None:
        del number
        genuine = next(one for one in body["clients"] if payload_subject(one["cert"]) == "host/db-9")
        body["clients"] += [forged(genuine, key, "host/db-9"), {"cert": {"type": "x"}, "oid": "A" * 43}]

    town.script.reset(changing("GET /v1/clients", plant))
    listed = alice.json("client", "list")["clients"]
    assert [one["state"] for one in listed if one["subject"] == "host/db-9"] == ["valid", "cert-threshold"]
    assert [one["cert"] for one in listed if not one["subject"]] == ["A" * 43]
    assert "(cannot be read)" in alice.ok("client", "list").text
    (genuine,) = (one["cert"] for one in listed if one["subject"] == "host/db-9" and one["state"] == "valid")
    assert alice.json("client", "revoke", "host/db-9")["certificates"] == [genuine]


def payload_subject(cert: Any) -> str:
    return str(json.loads(payload_of("client-cert", dump(cert)))["subject"])
