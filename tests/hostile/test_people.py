"""The relay against those who seal and approve: keys, rosters, prompts and secrets that are not what they should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from stillvault.admin import organisation, sealing
from stillvault.admin import roster as rosters
from stillvault.admin.publish import root_of
from stillvault.approver import decide, prompts
from stillvault.approver.account import Account
from stillvault.approver.device import Card
from stillvault.approver.memory import remember, remembered
from stillvault.crypto.private import SigningKey, Value, seal
from stillvault.crypto.public import b64encode, payload_of, sha256
from stillvault.protocol.errors import Refused, StillvaultError
from stillvault.transport.home import Home
from tests.hostile import flows, opening
from tests.hostile.leaves import dump
from tests.hostile.proxy import Message
from tests.hostile.town import Stage, clock

Edit = Callable[[Any], None]


def opened(signed: dict[str, Any]) -> Any:
    """The payload of a wrapper as it travels."""
    return json.loads(payload_of(signed["type"].split(".")[2], dump(signed)))


def closed(signed: dict[str, Any], payload: Any, key: SigningKey | None = None) -> dict[str, Any]:
    """The wrapper around another payload: with the old signatures, or signed by a key of the attacker's."""
    if key is None:
        return {**signed, "payload": b64encode(dump(payload))}
    name = signed["type"].split(".")[2]
    again: dict[str, Any] = json.loads(key.sign(name, dump(payload)))
    return again


def on(route: str, edit: Edit, direction: str = "answer") -> Callable[[Message], bytes | None]:
    """Tampers with every body of a route."""
    def tamper(message: Message) -> bytes | None:
        if message.direction != direction or not message.route.startswith(route):
            return message.body
        body = json.loads(message.body)
        edit(body)
        return dump(body)
    return tamper


def to(party: str, tamper: Callable[[Message], bytes | None]) -> Callable[[Message], bytes | None]:
    """The same for one party alone."""
    return lambda message: tamper(message) if message.party == party else message.body


def roster_edit(change: Edit, key: SigningKey | None = None) -> Callable[[Message], bytes | None]:
    """Changes the roster that everybody is shown."""
    def edit(body: Any) -> None:
        roster = opened(body["roster"])
        change(roster)
        body["roster"] = closed(body["roster"], roster, key)
    return on("GET /v1/trust", edit)


def refused_seal(stage: Stage) -> str:
    """A seal that must be refused before anything is uploaded. Returns the code."""
    with pytest.raises(StillvaultError) as refused:
        stage.seal(flows.SEALED, b"never")
    assert opening.uploads(stage.script.record) == []
    return refused.value.code


def ask(stage: Stage) -> flows.Outcome:
    outcome = flows.ask(stage, flows.RELEASE, [b"prod/one/db"], ["bob"])
    assert not outcome.wrong, outcome
    return outcome


# ---- keys and rosters ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signer", ["nobody", "the attacker"])
def test_another_key_for_an_approver(stage: Stage, signer: str) -> None:  # A1
    key = None if signer == "nobody" else SigningKey.generate("ed25519")
    people = [one.id for one in flows.roster_of(stage.trust).people]
    for person in people:
        def change(roster: Any, person: str = person) -> None:
            for one in roster["people"]:
                if one["id"] == person:
                    one["devices"][0]["kem"]["public"] = b64encode(stage.attacker.public)

        stage.script.reset(roster_edit(change, key))
        assert refused_seal(stage) == "roster-threshold"
        stage.fresh()


@pytest.mark.parametrize("signer", ["nobody", "the attacker"])
def test_an_approver_who_is_none(stage: Stage, signer: str) -> None:  # A2
    key = SigningKey.generate("ed25519")

    def change(roster: Any) -> None:
        ghost = json.loads(json.dumps(roster["people"][0]))
        ghost["id"] = "ghost"
        ghost["devices"][0] |= {"id": "ghost-1", "kem": {"suite": "p256", "public": b64encode(stage.attacker.public)}}
        roster["people"].append(ghost)
        for policy in roster["policies"]:
            policy["people"].append("ghost")

    stage.script.reset(roster_edit(change, None if signer == "nobody" else key))
    assert refused_seal(stage) == "roster-threshold"


def test_recipients_are_the_signed_roster_exactly(stage: Stage) -> None:  # A2, A21
    stage.script.reset()
    stage.seal(flows.SEALED, b"value")
    ((secret, ciphertext),) = opening.uploads(stage.script.record)
    assert opening.recipients(secret) == sorted(stage.trust.recipients(flows.SEALED, clock()))
    wrong: list[str] = []
    opening.opens_to(wrong, stage, stage.trust, secret, ciphertext, b"value")
    opening.spoils(wrong, stage, "alice")
    assert not wrong


def test_a_recovery_key_that_nobody_signed(stage: Stage) -> None:  # A21
    def change(roster: Any) -> None:
        keys = [{"id": f"r{n}", "kem": {"suite": "p256", "public": b64encode(stage.attacker.public)}} for n in (1, 2)]
        for policy in roster["policies"]:
            policy["recovery"] = {"threshold": 2, "keys": keys}

    for key in (None, SigningKey.generate("ed25519")):
        stage.script.reset(roster_edit(change, key))
        assert refused_seal(stage) in ("roster-threshold", "roster-invalid")
        stage.fresh()


EDITS: dict[str, Any] = {"threshold": 1, "window": 28800, "ttl": 3600, "uses": 0, "tier": "soft", "scope": "exe", "code": True,
                         "deny": "count", "people": ["bob"], "match": ["**"]}
OTHERS: dict[str, Any] = {"threshold": 2, "uses": 5, "tier": "synced"}  # where the edit is what stands


@pytest.mark.parametrize("field", list(EDITS))
def test_a_weaker_policy(stage: Stage, field: str) -> None:  # A13
    """For the sealer, the approver and the client alike: whoever is shown the edited roster refuses it."""
    def change(roster: Any) -> None:
        for policy in roster["policies"]:
            policy[field] = EDITS[field] if policy[field] != EDITS[field] else OTHERS[field]

    stage.script.reset(roster_edit(change))
    assert refused_seal(stage) == "roster-threshold"
    for party in ("bob", "client"):
        stage.fresh()
        stage.script.reset(to(party, roster_edit(change)))
        outcome = ask(stage)
        assert not outcome.same
        assert outcome.codes[0] == f"{party}:15:roster-threshold"


def test_the_policy_inside_a_seal(stage: Stage) -> None:  # A13
    def change(body: Any) -> None:
        for prompt in body["prompts"]:
            secret = opened(prompt["secret"])
            secret["core"]["policy"]["threshold"] = 1
            secret["core"]["policy"]["window"] = 28800
            prompt["secret"] = closed(prompt["secret"], secret)

    stage.script.reset(on("GET /v1/prompts", change))
    outcome = ask(stage)
    assert "bob:prompt:signature" in outcome.codes


def test_the_roster_from_before_a_revocation(stage: Stage) -> None:  # A12
    stage.script.reset()
    with stage.account("alice") as alice:
        alice.trust()
    old = next(one.body for one in stage.script.record if one.name == "alice answer GET /v1/trust")
    stage.publish(rosters.with_revoked([b64encode(sha256(b"some certificate"))]))
    for name in ("alice", "bob"):
        with stage.account(name) as account:
            account.trust()
    with stage.daemon.running():
        pass
    stage.script.reset(lambda message: old if message.name.endswith("answer GET /v1/trust") else message.body)
    assert refused_seal(stage) == "rollback"
    with stage.account("bob") as bob, pytest.raises(Refused, match="rollback"):
        prompts.waiting(bob)
    outcome = ask(stage)
    assert outcome.codes == ["client:15:rollback"]


# ---- prompts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signer", ["nobody", "the attacker"])
def test_another_ephemeral_key_in_the_prompt(stage: Stage, signer: str) -> None:  # A3
    key = None if signer == "nobody" else SigningKey.generate("ed25519")

    def change(body: Any) -> None:
        for prompt in body["prompts"]:
            request = opened(prompt["request"])
            request["ephemeral"] = b64encode(stage.attacker.public)
            prompt["request"] = closed(prompt["request"], request, key)

    stage.script.reset(on("GET /v1/prompts", change))
    outcome = ask(stage)  # the attacker's key tried everything that bob sent
    assert "bob:prompt:signature" in outcome.codes
    assert not [one for one in stage.script.record if one.route == "POST /v1/decisions"]


FACTS: list[tuple[str, Any]] = [("host", "prod-9"), ("uid", 4242), ("user", "somebody"), ("exe", "/usr/bin/psql"),
                                ("grade", "system"), ("unit", "backup.service"), ("container", "c1"), ("chain", [])]


@pytest.mark.parametrize(("name", "value"), FACTS)
def test_another_fact_in_the_prompt(stage: Stage, name: str, value: object) -> None:  # A9
    def change(body: Any) -> None:
        for prompt in body["prompts"]:
            request = opened(prompt["request"])
            request["observed"][name] = value
            prompt["request"] = closed(prompt["request"], request)

    stage.script.reset(on("GET /v1/prompts", change))
    assert "bob:prompt:signature" in ask(stage).codes


@pytest.mark.parametrize(("name", "value"), [("reason", "approved by the CISO"), ("argv", ["backup"])])
def test_other_claims_in_the_prompt(stage: Stage, name: str, value: object) -> None:  # A9
    def change(body: Any) -> None:
        for prompt in body["prompts"]:
            request = opened(prompt["request"])
            request["claimed"][name] = value
            prompt["request"] = closed(prompt["request"], request)

    stage.script.reset(on("GET /v1/prompts", change))
    assert "bob:prompt:signature" in ask(stage).codes


@pytest.mark.parametrize("slot", ["request", "cert", "secret"])
@pytest.mark.parametrize("how", ["beside", "first", "last", "inside"])
def test_two_readings_of_one_message(stage: Stage, slot: str, how: str) -> None:  # A10
    """A sibling or a second `payload`, and a payload whose fields stand twice: one parse, of the verified bytes, or none."""
    def tamper(message: Message) -> bytes | None:
        if message.name != "bob answer GET /v1/prompts" or not json.loads(message.body)["prompts"]:
            return message.body
        signed = json.loads(message.body)["prompts"][0][slot]
        raw = dump(signed)
        payload = json.dumps(signed["payload"]).encode()
        other = json.dumps(b64encode(b'{"evil":1}')).encode()
        if how == "beside":
            twice = raw.replace(b'"payload":', b'"payload_":' + other + b',"payload":')
        elif how == "inside":
            text = payload_of(slot if slot != "cert" else "client-cert", raw)
            name = json.dumps(sorted(json.loads(text))[0]).encode()
            doubled = text.replace(b"{" + name + b":", b"{" + name + b':"x",' + name + b":", 1)
            twice = raw.replace(payload, json.dumps(b64encode(doubled)).encode())
        else:
            pair = (other, payload) if how == "first" else (payload, other)
            twice = raw.replace(b'"payload":' + payload, b'"payload":' + pair[0] + b',"payload":' + pair[1])
        assert twice != raw
        return message.body.replace(raw, twice)

    stage.script.reset(tamper)
    outcome = ask(stage)
    assert not outcome.same
    assert any(code.startswith("bob:") for code in outcome.codes)


def test_an_answered_prompt_again(stage: Stage) -> None:  # A7
    stage.script.reset()
    assert ask(stage).same
    again = next(one.body for one in stage.script.record if one.name == "bob answer GET /v1/prompts")
    stage.script.reset(lambda message: again if message.name == "bob answer GET /v1/prompts" else message.body)
    for _ in range(10):
        assert stage.approve("bob") == ([], [])
    assert not [one for one in stage.script.record if one.route == "POST /v1/decisions"]
    with stage.account("bob") as bob:
        assert prompts.waiting(bob).cards == []


def test_a_card_that_lay_there_while_its_secret_was_sealed_anew(stage: Stage) -> None:  # A11
    """What the device has seen since the card was drawn counts when it is answered, whatever the relay still shows."""
    stage.script.reset()

    def later(account: Account, card: Card) -> None:
        with account.home.lock():
            before = remembered(account.home)
            remember(account.home, before.with_highest([(card.facts[0].request.path, (99, 0))]))
        try:
            with pytest.raises(Refused, match="version"):
                decide.approve(account, card)
        finally:
            with account.home.lock():
                remember(account.home, before)
        decide.refuse(account, card, "deny")

    outcome = flows.ask(stage, flows.RELEASE, [b"prod/one/db"], ["bob"], later)
    assert not outcome.wrong, outcome
    assert not [one for one in stage.script.record if one.route == "POST /v1/decisions" and b'"release"' in one.body]


def test_a_prompt_said_twice_is_one(stage: Stage) -> None:  # A7
    stage.script.reset(on("GET /v1/prompts", lambda body: body.update(prompts=body["prompts"] * 2)))
    assert ask(stage).same
    for decided in [one for one in stage.script.record if one.name == "bob request POST /v1/decisions"]:
        assert len(opened(json.loads(decided.body)["release"]["decision"])["items"]) == 1


# ---- secrets -------------------------------------------------------------------------------------------------------------


def planted(stage: Stage, by: str, key: SigningKey | None) -> bytes:
    """The attacker's text sealed to the approvers' keys, signed by an approver who is no sealer, or by a key of nobody's."""
    from stillvault.approver import keyfile
    from stillvault.approver.account import DEVICE_KEY

    home = Home(stage.path(by))
    raw = home.read_bytes(DEVICE_KEY)
    assert raw is not None
    held = keyfile.unlock(raw, "device", None)
    person = home.person()
    made = seal(stage.trust, keyfile.signing_key(held.auth_alg, held.auth), (person.person, person.device), flows.RELEASE[0],
                Value.from_bytes(b"planted"), (9, 0), None, clock()).secret
    return made if key is None else key.sign("secret", payload_of("secret", made))


def test_a_value_that_no_sealer_sealed(stage: Stage) -> None:  # A16
    seals = {"signature": planted(stage, "alice", SigningKey.generate("ed25519"))}
    with pytest.raises(Refused) as refused:
        planted(stage, "bob", None)  # the core does not even make it
    assert refused.value.code == "sealer"
    payload = json.loads(payload_of("secret", planted(stage, "alice", None)))
    bob = Home(stage.path("bob")).person()
    payload["core"]["by"] = {"person": bob.person, "device": bob.device}
    seals["sealer"] = _bob_signs(stage, payload)
    for code, secret in seals.items():
        def change(body: Any, secret: bytes = secret) -> None:
            for prompt in body["prompts"]:
                prompt["secret"] = json.loads(secret)

        stage.script.reset(on("GET /v1/prompts", change))
        assert f"bob:prompt:{code}" in ask(stage).codes
        stage.fresh()

        def state(body: Any, secret: bytes = secret) -> None:
            if "secret" in body:
                body["secret"] = json.loads(secret)

        stage.script.reset(on("GET /v1/requests/*", state))
        assert ask(stage).codes == [f"client:15:{code}"]
        stage.fresh()


def _bob_signs(stage: Stage, payload: Any) -> bytes:
    from stillvault.approver import keyfile
    from stillvault.approver.account import DEVICE_KEY

    raw = Home(stage.path("bob")).read_bytes(DEVICE_KEY)
    assert raw is not None
    held = keyfile.unlock(raw, "device", None)
    return keyfile.signing_key(held.auth_alg, held.auth).sign("secret", dump(payload))


def test_an_older_version_to_the_sealer_and_the_approver(stage: Stage) -> None:  # A11
    stage.script.reset()
    stage.seal("prod/one/aged", b"one")
    old = flows.newest(stage, "prod/one/aged")
    stage.seal("prod/one/aged", b"two")
    stage.secrets["prod/one/aged"] = flows.newest(stage, "prod/one/aged")

    def prompt(body: Any) -> None:
        for one in body["prompts"]:
            one["secret"] = json.loads(old)

    with stage.account("alice") as alice:
        assert decide.remembered(alice.home).highest["prod/one/aged"] == (2, 0)
    stage.script.reset(on("GET /v1/secrets/latest", lambda body: body.update(secret=json.loads(old))))
    with pytest.raises(Refused) as refused:
        stage.seal("prod/one/aged", b"three")
    assert refused.value.code == "version"
    stage.script.reset(on("GET /v1/prompts", prompt))
    outcome = flows.ask(stage, ["prod/one/aged"], [b"two"], ["alice"])
    assert not outcome.wrong
    assert "alice:prompt:version" in outcome.codes


def test_a_secret_that_the_relay_denies_having(stage: Stage) -> None:  # A11
    """A relay that says 404 makes nobody begin again at version 1."""
    stage.script.reset()
    stage.seal(flows.SEALED, b"value")
    with stage.account("alice") as alice:
        highest = decide.remembered(alice.home).highest[flows.SEALED]
        assert highest[0] > 1
        listed = [json.loads(payload_of("secret", one))["core"]["path"] for one in sealing.listed(alice)]
    assert flows.SEALED in listed


# ---- what an administrator signs -----------------------------------------------------------------------------------------


def test_an_administrator_signs_no_certificate_of_the_relays(stage: Stage) -> None:  # A2, B5
    """When an administrator leaves, certificates are signed anew: a forged row in the relay's list must not become a true one."""
    key = SigningKey.generate("ed25519")

    def forge(body: Any) -> None:
        genuine = body["clients"][-1]
        cert = opened(genuine["cert"])
        cert.update(subject="host/eve", scopes=["**"], key={"alg": "ed25519", "public": b64encode(key.public)})
        wrapper = closed(genuine["cert"], cert, key)
        body["clients"].append({**genuine, "cert": wrapper})

    stage.script.reset()
    with stage.account("alice") as alice:
        organisation.add_admin(alice, "bob")
        admins = root_of(alice.trust(fresh=True)).admin.keys
        assert len(admins) == 2
        stage.script.reset(on("GET /v1/clients", forge))
        with pytest.raises(Refused) as refused:
            organisation.rotate(alice, admins[:1], rosters.unchanged)
        assert refused.value.code in ("cert-threshold", "signature")
        assert not [one for one in stage.script.record if one.name == "alice request POST /v1/roster"]
        stage.script.reset()
        organisation.rotate(alice, admins[:1], rosters.unchanged)
    stage.settled()
