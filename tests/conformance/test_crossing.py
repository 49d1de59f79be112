"""Sealed by one, released by another, opened by all: random organisations, thresholds, tiers, recovery groups, values."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from stillvault import _native
from stillvault.protocol.errors import Refused
from tests.conformance import crossing, sides
from tests.conformance.crossing import PATH, Drawn, Plan, plans
from tests.reference import release, seal, shares, signed
from tests.reference.encoding import Refused as ReferenceRefused
from tests.reference.encoding import b64, encode, unb64
from tests.reference.world import Asked, Device, Sealed

ONCE = settings(derandomize=True, deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
VALUES = st.binary(max_size=300) | st.sampled_from([b"", b"x" * 60, b"x" * 61, b"x" * 61440])
SEALERS = {"core": crossing.seal_by_core, "reference": crossing.seal_by_reference, "console": crossing.seal_by_console}
RELEASERS = {
    "core": crossing.release_by_core, "reference": crossing.release_by_reference, "console": crossing.release_by_console,
}  # fmt: skip


def agreed(op: str, given: dict[str, object]) -> sides.Answer:
    """The one answer of every side that has the operation; codes of refusal included."""
    answers = {side: ask(op, given) for side, ask in sides.asked(op).items()}
    first = answers["extension"]
    assert all(answer == first for answer in answers.values()), f"{op} {given}: {answers}"
    return first


def usable(world: Drawn) -> dict[str, Device]:
    """One device for each person who can open a seal made now."""
    found: dict[str, Device] = {}
    for _, person, name in seal.recipients(world.trust(), world.policies()[0], world.now):
        if person != "recovery":
            found.setdefault(person, world.devices[name])
    return found


@ONCE
@given(plan=plans(), data=VALUES, choices=st.data())
def test_seal_release_open(plan: Plan, data: bytes, choices: st.DataObject) -> None:
    world = Drawn(plan)
    able = usable(world)
    assume(len(able) >= plan.threshold)
    sealed = SEALERS[choices.draw(st.sampled_from(sorted(SEALERS)))](world, data)
    quorum = choices.draw(st.permutations(sorted(able)))[: choices.draw(st.integers(plan.threshold, len(able)))]
    window = min(plan.window, choices.draw(st.sampled_from([0, 60, 3600])))  # 7.4: it may only shrink

    def releases(asked: Asked) -> list[object]:
        by = [RELEASERS[choices.draw(st.sampled_from(sorted(RELEASERS)))] for _ in quorum]
        return [releaser(world, able[person], asked, sealed, window) for releaser, person in zip(by, quorum, strict=True)]

    asked = world.ask(PATH)
    terms = _opened_by_all(world, asked, sealed, releases(asked), data)
    ephemeral = _native.Ephemeral.generate()
    asked = crossing.ask_with(world, ephemeral)
    assert crossing.opened_by_core(world, asked, ephemeral, sealed, releases(asked)) == (data, terms)


def _opened_by_all(world: Drawn, asked: Asked, sealed: Sealed, releases: list[object], data: bytes) -> object:
    given = {
        **world.trust_inputs(), "request": asked.wrapper, "ephemeral_secret": b64(asked.ephemeral_secret),
        "secret": sealed.wrapper, "ciphertext": b64(sealed.ciphertext), "releases": releases, "remembered": [3, 0],
    }  # fmt: skip
    opened = agreed("client", given)
    assert opened.kind == "accept", str(opened)
    assert unb64(opened.value["data"]) == data
    short = {**given, "releases": releases[: world.plan.threshold - 1]}
    assert agreed("client", short).code == "quorum"
    return opened.value["lease"]


@ONCE
@given(plan=plans())
def test_recipients_and_a_refusal_to_seal(plan: Plan) -> None:
    world = Drawn(plan)
    mine = seal.recipients(world.trust(), world.policies()[0], world.now)
    assert crossing.core_trust(world).recipients(PATH, world.now) == [tuple(entry) for entry in mine]
    assert crossing.made_by_console("recipients", {**world.trust_inputs(), "path": PATH}) == mine
    if len(usable(world)) < plan.threshold:
        with pytest.raises(Refused) as refused:
            crossing.seal_by_core(world, b"x")
        for sealer in (crossing.seal_by_reference, crossing.seal_by_console):
            with pytest.raises(ReferenceRefused) as other:
                sealer(world, b"x")
            assert other.value.code == refused.value.code


@ONCE
@given(plan=plans(), data=VALUES, choices=st.data())
def test_the_recovery_group_opens_what_anybody_seals(plan: Plan, data: bytes, choices: st.DataObject) -> None:
    assume(plan.recovery is not None)
    assert plan.recovery is not None
    world = Drawn(plan)
    assume(len(usable(world)) >= plan.threshold)
    sealed = choices.draw(st.sampled_from([SEALERS[name] for name in ("core", "console")]))(world, data)
    positions = [at for at, entry in enumerate(sealed.core["recipients"]) if entry[0] > seal.RECOVERY]
    parts = []
    for position in choices.draw(st.permutations(positions))[: plan.recovery[0]]:
        index, _, name = sealed.core["recipients"][position]
        share = seal.open_stanza(sealed.payload, position, world.secret(name))
        committed = dict(sealed.core["share_commitments"])[index]
        shares.check(unb64(sealed.core["salt"]), index, share, unb64(committed))
        parts.append((index, share))
    assert seal.open_payload(sealed.core, shares.join(parts), sealed.ciphertext) == data


@ONCE
@given(plan=plans(), verdict=st.sampled_from(["deny", "freeze"]), choices=st.data())
def test_a_denial_is_one_for_all(plan: Plan, verdict: str, choices: st.DataObject) -> None:
    world = Drawn(plan)
    assume(len(usable(world)) >= plan.threshold)
    sealed, asked = crossing.seal_by_core(world, b"x"), world.ask(PATH)
    device = world.devices[choices.draw(st.sampled_from(sorted(world.devices)))]
    decision = world.decide(device.id, [(asked, sealed)], verdict=verdict)
    given = {**world.trust_inputs(), "request": asked.wrapper, "secret": sealed.wrapper, "decision": decision}
    assert (agreed("denied", given).kind == "accept") == (device.person != "sam")


@ONCE
@given(plan=plans(), choices=st.data())
def test_a_prompt_is_one_for_all(plan: Plan, choices: st.DataObject) -> None:
    """Every device of the organisation, asked what it would show."""
    world = Drawn(plan)
    assume(len(usable(world)) >= plan.threshold)
    sealed, asked = crossing.seal_by_reference(world, b"x"), world.ask(PATH)
    for device in world.devices.values():
        given = {
            **world.trust_inputs(), "own": [device.person, device.id], "client_cert": world.cert, "request": asked.wrapper,
            "secret": sealed.wrapper, "memory": {"decided": [], "secrets": {}},
        }  # fmt: skip
        agreed("approver", given)


@ONCE
@given(data=st.binary(max_size=200))
def test_bytes_from_outside_are_read_alike(data: bytes) -> None:
    raw = {"bytes": b64(data)}
    agreed("visible", raw)
    payload = {"type": signed.type_of("login"), "payload": b64(data)}
    assert len({ask("decode", payload).kind for ask in sides.SIDES.values()}) == 1


NAMES = ["a", "b", "a_0", "B", "0", ""]
JSON = st.recursive(
    st.booleans() | st.integers(-1, 2**53) | st.text(max_size=8) | st.none() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=12,
)


@ONCE
@given(value=st.dictionaries(st.sampled_from(["a", "bb", "c_1", "D"]), JSON, max_size=4), loose=st.booleans())
def test_a_payload_has_one_form_for_all(value: dict[str, object], loose: bool) -> None:
    raw = json.dumps(value, ensure_ascii=loose, sort_keys=True, separators=(",", ":")).encode(errors="surrogatepass")
    given = {"type": signed.type_of("login"), "payload": b64(raw)}
    answers = [ask("decode", given) for ask in sides.SIDES.values()]
    first = answers[0]
    assert all((answer.kind, answer.value) == (first.kind, first.value) for answer in answers), (raw, answers)
    if first.kind == "accept":
        assert _native.encode(value) == encode(value) == raw


def test_what_the_reference_releases_is_what_the_core_would_take_apart() -> None:
    world = Drawn(Plan(1, ((("es256", "soft"),),), 1, "soft", None, 900, 0, "process", "ed25519"))
    sealed, asked = crossing.seal_by_core(world, b"x"), world.ask(PATH)
    wrapper = crossing.release_by_reference(world, world.devices["p0-0"], asked, sealed, 60)
    decision, parts = _native.split_release(encode(wrapper))
    assert decision == encode(wrapper["decision"])
    assert [[b64(part) for part in entry] for entry in parts] == wrapper["sealed"]
    assert _native.join_release(decision, parts) == encode(wrapper)
    assert _native.request_code(asked.oid) == release.code(asked.oid)
