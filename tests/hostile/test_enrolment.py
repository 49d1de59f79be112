"""The relay in the middle of an enrolment: another person's or host's keys in the place of the joiner's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stillvault.admin import enrolment
from stillvault.admin.joining import Join
from stillvault.admin.organisation import PERSON_CERT, DeviceMaterial
from stillvault.admin.publish import public_key, roster_of
from stillvault.crypto.private import SigningKey, enrol_words
from stillvault.crypto.public import b64decode, b64encode, encode, oid_of, sha256
from stillvault.protocol.errors import Refused, StillvaultError
from stillvault.transport.home import Home
from stillvault.transport.identity import load_client
from tests.hostile.proxy import Message
from tests.hostile.town import Background, Stage, clock


def forged(stage: Stage, genuine: dict[str, Any]) -> dict[str, Any]:
    """An enrolment for the same invite that is right in every way, with the attacker's keys."""
    payload = json.loads(b64decode(genuine["payload"]))
    own = DeviceMaterial.generate()
    payload["auth"] = {"alg": "ed25519", "public": public_key(own.auth).public}
    if "kem" in payload:
        payload["kem"]["public"] = b64encode(stage.attacker.public)
        payload["deny"]["public"] = public_key(own.deny).public
        payload["client"]["public"] = public_key(own.client).public
    swapped: dict[str, Any] = json.loads(own.auth.sign("enrol", encode(payload)))
    return swapped


@pytest.mark.parametrize("kind", ["person", "client"])
@pytest.mark.parametrize("where", ["on its way to the relay", "in the list of invites"])
def test_swapped_keys_change_the_words(stage: Stage, kind: str, where: str) -> None:  # A20
    """The words that the joiner reads out are those of its own keys: the administrator's home refuses, and signs nothing."""
    def tamper(message: Message) -> bytes | None:
        if where.startswith("on") and message.direction == "request" and message.route == "POST /v1/enrol":
            body = json.loads(message.body)
            return encode({**body, "enrol": forged(stage, body["enrol"])})
        if where.startswith("in") and message.name == "alice answer GET /v1/invites":
            body = json.loads(message.body)
            for row in body["invites"]:
                if row["subject"] == name and "enrol" in row:
                    row["enrol"] = forged(stage, row["enrol"])
            return encode(body)
        return message.body

    name = f"{'erin' if kind == 'person' else 'host/erin'}-{where[:2]}"
    home = Home(stage.path(name))
    roles = ["approver"] if kind == "person" else []
    joining = Join(home, stage.invite(kind, name, roles), passphrase=lambda: None, label="laptop", now=clock())
    stage.script.reset(tamper)
    words = joining.begin()
    finish = Background(joining.finish)
    with stage.account("alice") as alice, pytest.raises(Refused) as refused:
        enrolment.confirm(alice, name, words)
    assert refused.value.code == "words"
    assert not [one for one in stage.script.record if one.name.startswith("alice request POST /v1/")
                and one.route in ("POST /v1/roster", "POST /v1/clients")]
    stage.script.shut = True
    stage.town.proxy.cut()
    with pytest.raises(StillvaultError):
        finish.result(60)
    stage.script.reset()
    stage.look()
    assert name not in {one.id for one in roster_of(stage.trust).people}
    assert load_client(home, name) is None if kind == "client" else home.read_bytes("person.json") is None


def test_a_hundred_swaps_of_words() -> None:  # A20
    """For any invite, other keys mean other words."""
    nonce = sha256(b"nonce")
    seen = set()
    for number in range(101):
        key = SigningKey.generate("ed25519")
        auth = {"alg": "ed25519", "public": b64encode(key.public)}
        said = {"org": b64encode(sha256(b"org")), "invite": b64encode(sha256(b"invite")), "name": "laptop", "auth": auth}
        enrol = key.sign("enrol", encode({**said, "issued": 1_800_000_000}))
        seen.add(tuple(enrol_words(oid_of(enrol), nonce)))
        assert len(seen) == number + 1
        assert len(enrol_words(oid_of(enrol), nonce)) == 5


def test_a_joiner_believes_no_confirmation_of_other_keys(stage: Stage) -> None:  # A20
    """The relay says `confirmed` with a certificate of another key: the joiner keeps nothing."""
    other = load_client(Home(stage.path("host/db-1")), "host/db-1")
    assert other is not None
    home = Home(stage.path("host/lured"))
    joining = Join(home, stage.invite("client", "host/lured", []), passphrase=lambda: None, label="x", now=clock())
    with stage.account("alice") as alice:
        alice.trust()
    trust = json.loads(next(one.body for one in stage.script.record if one.name == "alice answer GET /v1/trust"))

    def confirm(message: Message) -> bytes | None:
        if message.name.startswith("joiner answer GET /v1/enrol"):
            return json.dumps({"state": "confirmed", "cert": json.loads(other.cert), "trust": trust}, separators=(",", ":"),
                              sort_keys=True).encode()
        return message.body

    stage.script.reset(confirm)
    joining.begin()
    with pytest.raises(Refused) as refused:
        joining.finish()
    assert refused.value.code == "cert"
    assert load_client(home, "host/lured") is None
    assert home.read_bytes("home.json") is None


def test_a_joiner_keeps_no_certificate_of_another_person(stage: Stage) -> None:  # A20
    """The relay confirms with a certificate that an administrator did sign, for somebody else: with it nothing could be sealed
    again, and nobody would know why."""
    other = Home(stage.path("bob")).read_bytes(PERSON_CERT)
    assert other is not None
    home = Home(stage.path("swapped"))
    joining = Join(home, stage.invite("person", "swapped", ["sealer"]), passphrase=lambda: None, label="laptop", now=clock())
    words = joining.begin()

    def swap(message: Message) -> bytes | None:
        if message.direction == "answer" and message.route.startswith("GET /v1/enrol"):
            body = json.loads(message.body)
            return encode({**body, "cert": json.loads(other)} if "cert" in body else body)
        return message.body

    stage.script.reset(swap)
    finish = Background(joining.finish)
    with stage.account("alice") as alice:
        enrolment.confirm(alice, "swapped", words)
    with pytest.raises(Refused) as refused:
        finish.result(60)
    assert refused.value.code == "cert"
    assert home.read_bytes(PERSON_CERT) is None
    # The genuine one is kept when the same URL is taken up again.
    stage.script.reset()
    joining.begin()
    assert joining.finish()["person"] == "swapped"
    assert home.read_bytes(PERSON_CERT) not in (None, other)


def test_a_joiner_does_not_fill_the_roster_with_a_name(stage: Stage) -> None:
    """Everybody reads the roster, and it has an end: a name of fifty thousand characters is cut where it is confirmed."""
    home = Home(stage.path("wordy"))
    joining = Join(home, stage.invite("person", "wordy", ["approver"]), passphrase=lambda: None, label="x" * 50_000, now=clock())
    words = joining.begin()
    finish = Background(joining.finish)
    with stage.account("alice") as alice:
        enrolment.confirm(alice, "wordy", words)
        (person,) = [one for one in roster_of(alice.trust(fresh=True)).people if one.id == "wordy"]
    assert finish.result(60)["person"] == "wordy"
    assert [one.name for one in person.devices] == ["x" * 64]
