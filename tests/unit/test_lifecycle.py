"""The life of a request: the table against the shared vectors, and against a model of thirty lines that knows no table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stillvault.protocol import lifecycle
from stillvault.protocol.errors import Refused
from stillvault.protocol.lifecycle import Event, Row, step

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "lifecycle.json").read_text())
LIFE = [case for case in VECTORS["cases"] if case["op"] == "life"]
FINAL = {"failed", "denied", "cancelled", "revoked"}


@pytest.mark.parametrize("case", LIFE, ids=lambda case: case["name"])
def test_vector(case: dict[str, Any]) -> None:
    given = {**VECTORS["defaults"]["life"], **case["input"]}
    if case["kind"] == "refuse":
        with pytest.raises(Refused):
            lifecycle.run(given["row"], given["events"])
        return
    # The text gives the effects of a step no order.
    wanted = [(state, count, sorted(effects)) for state, count, effects in case["expect"]["steps"]]
    assert [(state, count, sorted(effects)) for state, count, effects in lifecycle.run(given["row"], given["events"])] == wanted


@pytest.mark.parametrize(
    "event", [{"kind": "approved"}, {"kind": "approve"}, {"kind": "receipt", "result": "eaten"}, {"kind": "roster-drops"}]
)
def test_an_event_without_form_is_refused(event: dict[str, str]) -> None:
    with pytest.raises(Refused):
        Event(at=1, **event)  # type: ignore[arg-type]


def test_every_line_of_the_table_can_be_reached() -> None:
    """A line that an earlier one always hides would be dead."""
    people = frozenset({"ana", "ben", "cho"})
    reached = set()
    rows = [
        Row("pending", threshold, deny, people, 1000, approvals, denied)
        for threshold in (1, 2)
        for deny in ("veto", "count")
        for approvals in ({}, {"ana": 900})
        for denied in (frozenset[str](), frozenset({"cho"}))
    ]
    rows += [Row(state, 1, "veto", people, 1000, {"ana": 900}, handed=True) for state in ("approved", "delivered")]
    events = [Event(kind, 10, "x", "ana", 900) for kind in ("approve", "deny", "freeze", "roster-drops")]
    events += [Event(kind, 10, "x", "ben", 900) for kind in ("approve", "deny", "roster-drops")]
    events += [Event(kind, 10) for kind in ("cancel", "newer-request", "client-revoked", "newer-version")]
    events += [Event("receipt", 10, "x", result=result) for result in lifecycle.RESULTS]
    for row in rows:
        for event in events:
            lines = (line for line in lifecycle.TABLE if row.phase in line.source and line.event == event.kind)
            reached |= {id(line) for line in lines if line.when(row, event)}
    assert reached == {id(line) for line in lifecycle.TABLE}


class Life(RuleBasedStateMachine):
    """Events in any order and at any time, from four people of whom one may not decide. R15, C9."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.count = 0
        self.row = Row("pending", 2, "count", frozenset({"ana", "ben", "cho"}), 100)
        self.before = self.row
        self.approved_by: dict[str, int] = {}
        self.no: set[str] = set()
        self.hand_overs = 0
        self.history = ["pending"]

    def _step(self, event: Event) -> list[str]:
        self.before = self.row
        self.row, effects = step(self.row, event)
        self.hand_overs += effects.count("hand-over")
        if self.row.state != self.history[-1]:
            self.history.append(self.row.state)
        return effects

    def _oid(self) -> str:
        self.count += 1
        return f"oid-{self.count}"

    @rule(seconds=st.integers(0, 30))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        self._step(Event("tick", self.now))
        assert self.row.state not in ("pending", "approved") or self.now < 100

    @rule(person=st.sampled_from(["ana", "ben", "cho", "eve"]), life=st.integers(0, 60))
    def approve(self, person: str, life: int) -> None:
        was = self.row
        effects = self._step(Event("approve", self.now, self._oid(), person, self.now + life))
        live = {who for who, until in was.approvals.items() if until > self.now}
        counts = was.state == "pending" and self.now < 100 and person in was.people and life > 0
        counts = counts and person not in live and person not in was.denied
        assert ("keep" in effects or "hand-over" in effects) == counts
        assert ("hand-over" in effects) == (counts and len(live) == 1)

    @rule(person=st.sampled_from(["ana", "ben", "cho", "eve"]), kind=st.sampled_from(["deny", "freeze"]))
    def refuse(self, person: str, kind: str) -> None:
        was = self.row
        self._step(Event(kind, self.now, self._oid(), person))
        if person not in was.people or person in was.denied or was.state in FINAL:
            assert self.row.state in (was.state, "expired")
        elif was.state == "pending" and self.now < 100:
            enough_left = len(was.people - was.denied - {person}) >= 2
            assert (self.row.state == "pending") == (kind == "deny" and enough_left)
            assert person not in self.row.approvals  # a deny replaces one's own approve

    @precondition(lambda self: self.count)
    @rule(kind=st.sampled_from(["approve", "deny", "freeze"]), which=st.integers(1, 1000), person=st.sampled_from(["ana", "ben"]))
    def repeat(self, kind: str, which: int, person: str) -> None:
        oid = f"oid-{1 + which % self.count}"
        was = self.row
        effects = self._step(Event(kind, self.now, oid, person, self.now + 50))
        assert effects[-1] == "repeat"
        assert self.row.denied == was.denied

    @rule(result=st.sampled_from(sorted(lifecycle.RESULTS)))
    def receipt(self, result: str) -> None:
        was = self.row
        self._step(Event("receipt", self.now, self._oid(), result=result))
        if self.row.state in ("delivered", "failed") and was.state != self.row.state:
            assert was.handed

    @rule(kind=st.sampled_from(["cancel", "newer-request", "client-revoked", "newer-version"]))
    def happen(self, kind: str) -> None:
        was = self.row
        effects = self._step(Event(kind, self.now))
        if was.state in FINAL:
            assert effects == []
        if kind == "newer-version":
            assert self.row.state != "pending" or not self.row.approvals

    @rule(person=st.sampled_from(["ana", "ben", "eve"]))
    def drop(self, person: str) -> None:
        self._step(Event("roster-drops", self.now, person=person))
        assert person not in self.row.people
        assert self.row.state != "pending" or person not in self.row.approvals

    @invariant()
    def holds(self) -> None:
        assert self.hand_overs <= 1, "one hand-over for a request, whatever comes"
        assert not (self.row.approvals.keys() & self.row.denied) or self.row.state != "pending"
        if self.before.state in FINAL:
            assert self.row.state == self.before.state, "nothing leaves a final state"
        assert "pending" not in self.history[1:], "no state goes backward"
        if self.row.state in ("approved", "delivered", "failed"):
            assert self.row.handed


Life.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase
