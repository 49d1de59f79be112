"""The tables of sections 9 and 10 and the cards of 6, walked at random by all who have them."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest

from tests.conformance import sides
from tests.reference.world import NOW, World

STATES = ("pending", "approved", "delivered", "failed", "denied", "expired", "cancelled", "revoked")
PEOPLE = ("ana", "ben", "cho", "eve")
QUIET = ("cancel", "newer-request", "client-revoked", "newer-version", "tick")


def agree(op: str, given: dict[str, Any]) -> sides.Answer:
    before = copy.deepcopy(given)
    answers = {side: ask(op, given) for side, ask in sides.asked(op).items()}
    first = answers["extension"]
    assert all(answer == first for answer in answers.values()), f"{op} {given}: {answers}"
    assert given == before  # a judge changes nothing
    return first


def event(draw: random.Random, at: int) -> dict[str, Any]:
    kind = draw.choice(["approve"] * 4 + ["deny", "freeze", "receipt", "roster-drops", *QUIET])
    found: dict[str, Any] = {"at": at, "kind": kind}
    if kind in ("approve", "deny", "freeze", "roster-drops"):
        found["person"] = draw.choice(PEOPLE)
    if kind in ("approve", "deny", "freeze", "receipt"):
        found["oid"] = f"{kind}-{draw.randrange(6)}"
    if kind == "approve":
        found["expires"] = NOW + draw.choice([50, 120, 200, 400])
    if kind == "receipt":
        found["result"] = draw.choice(["delivered", "failed", "discarded"])
    return found


@pytest.mark.parametrize("seed", range(400))
def test_a_life(seed: int) -> None:
    draw = random.Random(seed)
    people = draw.sample(PEOPLE, draw.randint(1, 4))
    row = {
        "state": "pending", "threshold": draw.randint(1, len(people)), "deny": draw.choice(["veto", "count"]), "people": people,
        "expires": NOW + 200, "approvals": {}, "denied": [], "seen": [], "handed": False,
    }  # fmt: skip
    if seed % 4 == 0:  # also from the middle of a life
        row |= {"state": draw.choice(STATES), "handed": draw.random() < 0.5, "approvals": {people[0]: NOW + 100},
        "seen": ["deny-1"]}
    clock, events = NOW, []
    for _ in range(draw.randint(1, 12)):
        clock += draw.choice([0, 1, 10, 60])
        events.append(event(draw, clock))
    assert agree("life", {"row": row, "events": events}).kind == "accept"


@pytest.mark.parametrize("seed", range(200))
def test_lease_terms_and_hits(seed: int) -> None:
    draw = random.Random(seed)

    def limits() -> dict[str, int]:
        return {"window": draw.choice([0, 1, 60, 900, 28800, 90000]), "uses": draw.choice([0, 0, 1, 2, 7])}

    scope = draw.choice(["process", "task", "exe", "unit"])
    terms = agree("lease", {
        "policy": {**limits(), "scope": scope}, "sealed_policy": {**limits(), "scope": "exe"},
        "items": [limits() for _ in range(draw.randint(1, 3))], "request": {**limits(), "purpose": draw.choice(["use", "use",
        "reseal"])},
    }).value  # fmt: skip
    identity = {"pid": 7, "exe": [8, 77, 5, "abc"]}
    other = {**identity, "pid": 8}
    agree("hit", {
        "lease": {**terms, "id": identity}, "start": 1000, "boot": 1000 + draw.choice([0, 1, 59, 60, 899, 900, 28799, 28800]),
        "used": draw.randint(1, 8), "before": draw.choice([identity, identity, other]), "after": draw.choice([identity,
        identity, other]),
    })  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_cards(seed: int) -> None:
    draw, world = random.Random(seed), World()
    requests = [
        world.ask(
            f"prod/x/{at}",
            issued=NOW - draw.choice([20, 21]),
            edit=lambda value: value["claimed"].update(reason=draw.choice(["", "a"])),
        ).wrapper
        for at in range(12)
    ]
    assert agree("cards", {"requests": requests}).kind == "accept"
