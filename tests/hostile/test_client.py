"""The relay against the host that asks: releases that are old, crossed, redirected, doubled, late; denials that are swallowed."""

from __future__ import annotations

import contextlib
import itertools
import json
import zlib
from base64 import b64decode as std64
from base64 import b64encode as enc64
from collections.abc import Sequence
from typing import Any

import pytest

from stillvault.crypto import private, public
from stillvault.crypto.private import Ephemeral, SigningKey, Value
from stillvault.crypto.public import b64encode, node_hash, oid_of
from stillvault.protocol.errors import Refused
from stillvault.relay.log import LogKey
from stillvault.transport.home import Home
from tests.hostile import flows, opening
from tests.hostile.leaves import dump
from tests.hostile.proxy import Message
from tests.hostile.test_people import on, to
from tests.hostile.town import SUBJECT, Stage
from tests.unit.world import NOW, World

STATE = "GET /v1/requests/*"


def ask(stage: Stage) -> flows.Outcome:
    outcome = flows.ask(stage, flows.RELEASE, [b"prod/one/db"], ["bob"])
    assert not outcome.wrong, outcome
    return outcome


def quorum(stage: Stage) -> flows.Outcome:
    outcome = flows.ask(stage, flows.PAIR, [one.encode() for one in flows.PAIR], ["alice", "cleo"])
    assert not outcome.wrong, outcome
    return outcome


# ---- crossed and replayed ------------------------------------------------------------------------------------------------


class Crossing:
    """Eleven requests of one client for one secret, each with its release, made by the core."""

    def __init__(self) -> None:
        self.world = World()
        alice = self.world.devices["alice"]
        self.trust = self.world.trust()
        self.sealed = private.seal(self.trust, alice.auth, alice.own, "prod/db", Value.from_bytes(b"value"), (1, 0), None, NOW)
        self.asked = []
        for _ in range(11):
            key = Ephemeral.generate()
            request = self.world.request(key)
            prompt = private.check_prompt(self.trust, alice.own, self.world.cert_bytes, request, self.sealed.secret, False, None,
                                          NOW)
            signed = self.world.decision(alice, request, self.sealed.secret)
            self.asked.append((request, key, private.release(self.trust, [prompt], signed, alice.kem, NOW)))

    def open(self, request: bytes, key: Ephemeral, release: bytes) -> bytes:
        return private.open_releases(self.trust, request, key, self.sealed.secret, self.sealed.ciphertext, [release], None,
                                     NOW).value.reveal()


def test_a_hundred_crossed_releases() -> None:  # A5, A6, A8
    """Whoever holds another request, or another key, opens nothing: 110 pairs and 110 redirections."""
    made = Crossing()
    for one, other in itertools.permutations(made.asked, 2):
        with pytest.raises(Refused):
            made.open(one[0], one[1], other[2])
        with pytest.raises(Refused):
            made.open(one[0], other[1], one[2])  # another client's key
    for request, key, release in made.asked:
        assert made.open(request, key, release) == b"value"


SWAPS = [fields for size in (1, 2, 3) for fields in itertools.combinations(("releases", "secret", "ciphertext"), size)]


@pytest.mark.parametrize("fields", SWAPS, ids="+".join)
def test_what_belongs_to_the_other_request_of_a_card(stage: Stage, fields: Sequence[str]) -> None:  # A4, A5, A24
    rows: dict[str, Any] = {}

    def swap(body: Any) -> None:
        if body.get("releases"):
            rows.setdefault(body["oid"], dict(body))
            others = [row for oid, row in rows.items() if oid != body["oid"]]
            for field in fields:
                if others:
                    body[field] = others[0][field]

    stage.script.reset(on(STATE, swap))
    outcome = quorum(stage)
    assert not outcome.same
    assert any(code.startswith("client:15:") for code in outcome.codes), outcome


def test_an_old_release_for_a_new_request(stage: Stage) -> None:  # A6
    stage.script.reset()
    assert ask(stage).same
    old = next(one.body for one in stage.script.record if one.name == f"client answer {STATE}" and b"releases" in one.body)
    for _ in range(5):
        stage.fresh()
        stage.script.reset(lambda message: old if message.name == f"client answer {STATE}" else message.body)
        assert ask(stage).codes == ["client:15:item"]


def test_swapped_secrets_in_the_prompts_of_a_card(stage: Stage) -> None:  # A4
    def swap(body: Any) -> None:
        if len(body["prompts"]) == 2:
            one, other = body["prompts"]
            one["secret"], other["secret"] = other["secret"], one["secret"]

    stage.script.reset(on("GET /v1/prompts", swap))
    outcome = quorum(stage)
    assert [code for code in outcome.codes if code.startswith("alice:")] == ["alice:prompt:path-mismatch"] * 2


# ---- quorums -------------------------------------------------------------------------------------------------------------


def _same_twice(releases: list[Any], old: list[Any]) -> list[Any]:
    return [releases[0], releases[0]]


def _one_alone(releases: list[Any], old: list[Any]) -> list[Any]:
    return releases[:1]


def _one_and_garbage(releases: list[Any], old: list[Any]) -> list[Any]:
    broken = json.loads(json.dumps(releases[1]))
    ct = broken["sealed"][0][2]
    broken["sealed"][0][2] = ("A" if ct[0] != "A" else "B") + ct[1:]
    return [releases[0], broken]


def _one_and_an_old_one(releases: list[Any], old: list[Any]) -> list[Any]:
    return [releases[0], old[1]]


def _shares_exchanged(releases: list[Any], old: list[Any]) -> list[Any]:
    one, other = json.loads(json.dumps(releases))
    one["sealed"], other["sealed"] = other["sealed"], one["sealed"]
    return [one, other]


def _signed_by_the_attacker(releases: list[Any], old: list[Any]) -> list[Any]:
    key = SigningKey.generate("ed25519")
    other = json.loads(json.dumps(releases[1]))
    other["decision"] = json.loads(key.sign("decision", public.payload_of("decision", dump(other["decision"]))))
    return [releases[0], other]


GAMES = {"same-person": _same_twice, "quorum": _one_alone, "release": _one_and_garbage, "item": _one_and_an_old_one,
         "exchanged": _shares_exchanged, "signature": _signed_by_the_attacker}


@pytest.mark.parametrize("game", list(GAMES))
def test_games_with_a_quorum(stage: Stage, game: str) -> None:  # A24
    stage.script.reset()
    assert quorum(stage).same
    old = next(json.loads(one.body)["releases"] for one in stage.script.record
               if one.name == f"client answer {STATE}" and b'"releases"' in one.body)
    stage.fresh()

    def play(body: Any) -> None:
        if len(body.get("releases", [])) == 2:
            body["releases"] = GAMES[game](body["releases"], old)

    stage.script.reset(on(STATE, play))
    outcome = quorum(stage)
    said = {"exchanged": ("release", "open", "share")}.get(game, (game,))
    assert outcome.codes and outcome.codes[-1] in [f"client:15:{code}" for code in said], outcome


# ---- time and denials ----------------------------------------------------------------------------------------------------


def test_a_swallowed_denial_and_a_late_approval(stage: Stage) -> None:  # A15
    """The relay says `pending` until the caller's own clock ends the request; what it says after that comes too late."""
    def swallow(body: Any) -> None:
        for row in [body, *body.get("requests", [])]:
            if "state" in row:
                row.update(state="pending", decisions=[], releases=[])

    for act in (flows._deny, flows.decide.approve):
        stage.fresh()
        stage.script.reset(on("GET /v1/requests/*", swallow))
        with stage.daemon.running():
            caller = stage.daemon.call()
            ends = caller.get(flows.RELEASE, ttl=2)
            assert caller.event()["event"] == "pending"
            with stage.account("bob") as bob:
                for card in flows.prompts.waiting(bob).cards:
                    act(bob, card)
            said = caller.last()
            caller.sock.close()
            assert (said["event"], said["exit"]) == ("error", 11), said
            assert [flows._read(one) for one in ends] == [b""]
            for end in ends:
                flows.os.close(end)


@pytest.mark.parametrize("shift", [-86400, -600, 600, 86400])
def test_a_device_whose_clock_was_led_astray(stage: Stage, shift: int) -> None:  # A25
    """Nothing that the relay says moves a clock: a request outside of its dates by the device's own clock is no card."""
    stage.script.reset()
    with stage.daemon.running():
        caller = stage.daemon.call()
        ends = caller.get(flows.RELEASE)
        assert caller.event()["event"] == "pending"
        with stage.account("bob") as bob:
            bob.token()  # signed in: a hostile relay would not mind the clock
            bob.clock = lambda: flows.clock() + shift
            codes = {"future", "expired"}
            with contextlib.suppress(Refused):
                found = flows.prompts.waiting(bob)
                assert found.cards == []
                codes = {one.code for one in found.refused}
            assert codes
            assert codes <= {"clock", "cert", "expired", "future", "sealer", "device"}
        caller.sock.close()
        for end in ends:
            flows.os.close(end)


# ---- histories -----------------------------------------------------------------------------------------------------------


def test_two_histories_for_two_parties(stage: Stage) -> None:  # A14
    """The relay owns the log key and signs another tree for the host: the approver finds out with the first request."""
    client = Home(stage.path(SUBJECT))
    known = json.loads(client.read_bytes("trust.json") or b"{}")
    known.pop("log_head", None)
    client.write_bytes("trust.json", dump(known))
    key = LogKey((stage.town.data / "log.key").read_bytes(), f"localhost:{stage.town.front}/log")

    def forge(body: Any) -> None:
        size = int(body["checkpoint"].split("\n")[1])
        body["checkpoint"] = key.checkpoint(size, node_hash(bytes(32), bytes(32)), key.origin)

    stage.script.reset(to("client", on("GET /v1/log/checkpoint", forge)))
    outcome = ask(stage)
    assert "bob:15:log-fork" in outcome.codes
    assert not [one for one in stage.script.record if one.route == "POST /v1/decisions"]


# ---- types and versions --------------------------------------------------------------------------------------------------


def signed_objects(stage: Stage) -> dict[str, Any]:
    """One genuine signed object of each type, from the traffic of a clean quorum."""
    found: dict[str, Any] = {}

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if {"payload", "signatures", "type"} <= set(value):
                found.setdefault(value["type"].split(".")[2], value)
            for item in value.values():
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    for message in stage.script.record:
        if message.body[:1] == b"{":
            look(json.loads(message.body))
    return found


SLOTS: list[tuple[str, str, str]] = [
    ("root", "GET /v1/trust", "roots"), ("roster", "GET /v1/trust", "roster"), ("request", "GET /v1/prompts", "request"),
    ("client-cert", "GET /v1/prompts", "cert"), ("secret", "GET /v1/prompts", "secret"), ("secret", STATE, "secret"),
    ("decision", STATE, "releases"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "route", "slot"), SLOTS)
def test_a_message_of_one_type_as_another(stage: Stage, name: str, route: str, slot: str) -> None:  # A23
    """Every other type in this type's place, as it is and with the type's name written over it."""
    stage.script.reset()
    assert quorum(stage).same
    genuine = signed_objects(stage)
    assert {"root", "roster", "client-cert", "secret", "request", "decision", "login", "receipt"} <= set(genuine)
    for other, wrapper in genuine.items():
        if other == name:
            continue
        for guise in (wrapper, {**wrapper, "type": genuine[name]["type"]}):
            def put(body: Any, guise: Any = guise) -> None:
                for row in [body, *body.get("prompts", [])]:
                    if slot == "releases" and row.get("releases"):
                        row["releases"][0]["decision"] = guise
                    elif slot == "roots" and row.get("roots"):
                        row["roots"][0] = guise
                    elif slot not in ("releases", "roots") and slot in row:
                        row[slot] = guise

            stage.fresh()
            stage.script.reset(on(route, put))
            outcome = quorum(stage)
            assert not outcome.same, (other, outcome)
            assert any(":15:" in code or ":prompt:" in code for code in outcome.codes), (other, outcome)


WORDS = [("suite", ["x25519", "none", "P256", "mlkem768p256", ""]),
         ("alg", ["none", "HS256", "ed25519ph", "es256k", "ES256", ""])]


def test_other_algorithms_suites_and_versions(stage: Stage) -> None:  # A17
    """Each name of an algorithm, suite or version anywhere in what approver and client are shown: refused, none obeyed."""
    tried = 0
    for route, party in (("GET /v1/prompts", "bob"), (STATE, "client"), ("GET /v1/trust", "client")):
        for field, values in [*WORDS, ("type", ["v2", "v0", "v10"])]:
            for value in values:
                stage.fresh()
                changed = [0]

                def put(body: Any, field: str = field, value: str = value, changed: list[int] = changed) -> None:
                    _rewrite(body, field, value, changed)

                stage.script.reset(to(party, on(route, put)))
                outcome = ask(stage)
                tried += bool(changed[0])
                assert outcome.same == (not changed[0]), (route, field, value, outcome)
    assert tried > 20


def _rewrite(value: Any, field: str, word: str, changed: list[int]) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            if name == field and isinstance(item, str):
                value[name] = item.replace(".v1+", f".{word}+") if field == "type" else word
                changed[0] += 1
            elif name == "payload" and isinstance(item, str):
                inside = json.loads(public.b64decode(item))
                before = changed[0]
                _rewrite(inside, field, word, changed)
                if changed[0] != before:
                    value[name] = b64encode(dump(inside))
            else:
                _rewrite(item, field, word, changed)
    elif isinstance(value, list):
        for item in value:
            _rewrite(item, field, word, changed)


@pytest.mark.parametrize("shape", ["deep", "wide", "long", "number"])
def test_absurd_answers(stage: Stage, shape: str) -> None:  # A17, C12
    """Nesting, numbers of fields and lengths that no honest relay sends end in a refusal."""
    absurd = {"deep": b'{"prompts":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
              "wide": b'{"prompts":[' + b",".join(b"{}" for _ in range(200_000)) + b'],"cursor":0}',
              "long": b'{"prompts":[],"cursor":0,"x":"' + b"a" * (8 << 20) + b'"}',
              "number": b'{"prompts":[],"cursor":' + b"9" * 100_000 + b"}"}[shape]
    stage.script.reset(lambda message: absurd if message.name == "bob answer GET /v1/prompts" else message.body)
    assert "bob:14:bad-answer" in ask(stage).codes


# ---- nothing but padded ciphertext depends on the value ------------------------------------------------------------------


def _forms(value: bytes) -> list[bytes]:
    found = [value, value.hex().encode(), zlib.compress(value)]
    for shift in range(3):
        text = enc64(b"x" * shift + value)
        found.append(text[4 if shift else 0 : -4])
        found.append(found[-1].replace(b"+", b"-").replace(b"/", b"_"))
    return found


def test_no_byte_on_the_wire_depends_on_the_value(stage: Stage) -> None:  # A22
    """Canaries of every length class through seal and release: in no message in any spelling; ciphertext in fixed sizes."""
    sizes = set()
    for length in (1, 16, 59, 60, 61, 123, 124, 125, 1000, 4000):
        value = (f"canary-{length}-" + "K7qz" * 1100).encode()[:length]
        stage.script.reset()
        stage.seal("prod/one/canary", value)
        ((secret, ciphertext),) = opening.uploads(stage.script.record)
        stage.secrets["prod/one/canary"] = secret
        sizes.add((length, len(ciphertext)))
        sealed = list(stage.script.record)
        stage.script.reset()
        with stage.daemon.running():
            caller = stage.daemon.call()
            (end,) = caller.get(["prod/one/canary"])
            assert caller.event()["event"] == "pending"
            stage.approve("bob")
            assert caller.last()["event"] == "delivered"
            assert flows.os.read(end, 65536) == value
            flows.os.close(end)
            caller.sock.close()
        if length >= 16:
            passed = b"\n".join(one.body for one in [*sealed, *stage.script.record])
            assert b"canary" in std64(enc64(b"canary"))  # the forms are those that would be found
            assert not [form for form in _forms(value) if form in passed]
    padded = {length: size - 16 for length, size in sizes}
    assert all(size >= 64 and size & (size - 1) == 0 for size in padded.values()), padded
    assert padded[1] == padded[60] == 64
    assert padded[61] == padded[124] == 128


def test_the_search_finds_what_is_there() -> None:
    value = b"canary-16-K7qzK7"
    for spelled in (value, value.hex().encode(), enc64(value), enc64(b"a" + value), enc64(b"ab" + value), zlib.compress(value)):
        assert any(form in b"{" + spelled + b"}" for form in _forms(value))


def messages(stage: Stage, name: str) -> list[Message]:
    return [one for one in stage.script.record if one.name == name]


def test_who_signed_is_who_is_asked(stage: Stage) -> None:  # A3, A10
    """The oid of each request that the relay took is the oid of what the daemon signed."""
    stage.script.reset()
    assert ask(stage).same
    (sent,) = messages(stage, "client request POST /v1/requests")
    assert {b64encode(oid_of(dump(one))) for one in json.loads(sent.body)["requests"]} <= set(stage.asked)
