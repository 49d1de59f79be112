"""Random changes of recorded inputs: all implementations still accept with one result, or all refuse.

Every accepted case of the vector files is a recording. Which change is made where follows from the seed below, so that a run
shows the same each time; a longer look takes another seed and more rounds.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import mutations, sides
from tests.reference.encoding import parse_json, unb64
from tests.reference.world import World

VECTORS = Path(__file__).parents[1] / "vectors"
SEED, ROUNDS = 20, 200  # rounds for each operation
LARGEST = 200_000  # characters; larger inputs are for the size limits and slow to change
OPERATIONS = (
    "approver", "cert", "client", "count", "denied", "enrol", "parse", "payload", "recover", "secret", "select", "stanza",
    "trust", "verify", "open", "join", "share",
)  # fmt: skip

OWN = {
    "approver": "own-approver.json", "client": "own-release.json", "denied": "own-release.json", "enrol": "own-enrol.json",
    "recover": "own-recovery.json", "secret": "own-sealed.json", "trust": "own-roster.json",
}  # fmt: skip


def recordings(op: str) -> list[dict[str, Any]]:
    found = []
    for path in sorted(VECTORS.glob("*.json")):
        content = json.loads(path.read_text())
        for case in content["cases"]:
            given = {**content["defaults"].get(op, {}), **case["input"]}
            if case["op"] == op and case["kind"] == "accept" and len(json.dumps(given)) < LARGEST:
                found.append(given)
    return found


def at(value: Any, place: mutations.Place) -> Any:
    for step in place:
        value = parse_json(unb64(value["payload"])) if step == mutations.PAYLOAD else value[step]
    return value


def compare(op: str, given: dict[str, Any], place: mutations.Place, draw: random.Random, anew: dict[str, Any] | None) -> None:
    what, change = mutations.change_of(at(given, place), draw)
    spoilt = mutations.changed(given, place, change, anew)
    answers = {side: ask(op, spoilt) for side, ask in sides.asked(op).items()}
    first = answers["extension"]
    story = f"{op}: {place}: {what}{', signed anew' if anew else ''}: "
    story += ", ".join(f"{side} {answer}" for side, answer in answers.items())
    assert first.kind != "crash", story
    assert all((answer.kind, answer.value) == (first.kind, first.value) for answer in answers.values()), story


@pytest.mark.parametrize("op", OPERATIONS)
def test_a_change_is_seen_by_all_or_by_none(op: str) -> None:
    draw = random.Random(f"{SEED}/{op}")
    known, inputs = mutations.signers(World()), recordings(op)
    for _ in range(ROUNDS):
        given = draw.choice(inputs)
        place = draw.choice(list(mutations.places(given)))
        compare(op, given, place, draw, known if draw.random() < 0.75 else None)


@pytest.mark.parametrize("op", ["approver", "client", "denied", "enrol", "recover", "secret", "trust"])
def test_every_leaf_of_one_recording(op: str) -> None:
    """Each place once, signed anew where it is signed: no leaf is read by some sides alone."""
    draw, known = random.Random(f"{SEED}/leaves/{op}"), mutations.signers(World())
    own = json.loads((VECTORS / OWN[op]).read_text())
    first = next(case for case in own["cases"] if (case["op"], case["kind"]) == (op, "accept"))
    given = {**own["defaults"][op], **first["input"]}
    every = list(mutations.places(given))
    assert len(every) > (15 if op == "enrol" else 300)
    for place in every:
        compare(op, given, place, draw, known)
