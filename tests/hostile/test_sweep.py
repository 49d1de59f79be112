"""The leaf sweep, the short version: a sample of the mutations, spread evenly. `make attack` makes all of them."""

from __future__ import annotations

import os

from tests.hostile import flows, sweep
from tests.hostile.flows import FLOWS, Flow
from tests.hostile.sweep import Case
from tests.hostile.town import Stage

COUNT = int(os.environ.get("STILLVAULT_SWEEP", "200"))
SEED = int(os.environ.get("STILLVAULT_SWEEP_SEED", "1"))


def test_a_sample_of_all_leaves(built: tuple[Stage, list[tuple[Flow, list[Case]]]]) -> None:  # A3, A9, A13
    stage, recorded = built
    every = [case for _, cases in recorded for case in cases]
    assert len(recorded) == len(FLOWS)
    results = [sweep.try_case(stage, case) for case in sweep.spread(every, COUNT, SEED)]
    print(f"\n{len(every)} mutations of recorded flows; made {sweep.summary(results)}")
    found = list(sweep.findings(results))
    assert not found, "\n".join(found)
    assert sum(1 for one in results if not one.made) <= len(results) // 20


def test_the_oracle_sees_what_is_wrong(stage: Stage) -> None:
    """A relay that could do what it must not: the approver is shown something else than the client sent, and the run says so."""
    truth = flows.expected
    flow = next(one for one in FLOWS if one.name == "release")

    flows.expected = lambda *given: {}
    try:
        sweep.ready(stage, flow)
        outcome = flow.run(stage)
    finally:
        flows.expected = truth
    assert outcome.wrong == ["bob was shown a request that nobody made, or one twice"]


def test_every_reason_is_given() -> None:
    for row in sweep.harmless():
        assert len(row.reason) > 20, row
