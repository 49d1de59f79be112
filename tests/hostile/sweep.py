"""The leaf sweep: record clean flows, enumerate every leaf of every message, run each flow again with one leaf tampered with.

A mutation is made in the message of its kind that has the place, and in all that follow it in the run: a relay that lies
does not stop. What may change without a refusal is listed in `harmless.toml`, a line for each place with the reason; an
unlisted one is a finding.
"""

from __future__ import annotations

import random
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from stillvault.transport.home import Home
from stillvault.transport.session import forget_session
from tests.hostile import leaves
from tests.hostile.flows import FLOWS, Flow, Outcome
from tests.hostile.leaves import Mutation, Nowhere
from tests.hostile.proxy import Message
from tests.hostile.town import Stage

HARMLESS = Path(__file__).with_name("harmless.toml")


@dataclass(frozen=True)
class Case:
    """One mutation of one kind of message in one flow. `other` is an earlier message of that kind."""

    flow: Flow
    message: str
    mutation: Mutation
    other: bytes | None

    def __str__(self) -> str:
        return f"{self.flow.name}: {self.message}: {self.mutation}"


@dataclass(frozen=True)
class Result:
    case: Case
    outcome: Outcome
    made: int  # messages that were changed


@dataclass(frozen=True)
class Harmless:
    """What may change unnoticed. `message` and `place` are patterns; `flows` and `kinds` limit it."""

    message: str
    place: str
    reason: str
    flows: tuple[str, ...]
    kinds: tuple[str, ...]

    def covers(self, case: Case) -> bool:
        return (fnmatchcase(case.message, self.message) and fnmatchcase(case.mutation.where, self.place)
                and (not self.flows or case.flow.name in self.flows) and (not self.kinds or case.mutation.kind in self.kinds))


def harmless() -> list[Harmless]:
    """The list; each line has its reason."""
    rows = tomllib.loads(HARMLESS.read_text()).get("harmless", [])
    return [Harmless(row["message"], row["place"], row["reason"], tuple(row.get("flows", ())), tuple(row.get("kinds", ())))
            for row in rows]


def clean(stage: Stage, flow: Flow) -> tuple[list[Message], Outcome]:
    """One run in which the proxy takes every body apart and puts it together again, but changes nothing."""
    ready(stage, flow)
    stage.script.reset(lambda message: leaves.dump(value) if (value := leaves.load(message.body)) is not None else message.body)
    record = stage.script.record
    return record, flow.run(stage)


def ready(stage: Stage, flow: Flow) -> None:
    stage.script.reset()
    stage.fresh()
    flow.prepare(stage)
    for home in (stage.town.root / "homes").iterdir():
        forget_session(Home(home))


def cases(flow: Flow, older: Sequence[Message], newer: Sequence[Message]) -> list[Case]:
    """Every mutation of every place that some message of a clean run has; what a replay takes comes from the run before."""
    found: dict[tuple[str, Mutation], Case] = {}
    before = {(one.name, one.number): one.body for one in older}
    for message in newer:
        other = before.get((message.name, message.number))
        for mutation in leaves.mutations(message.body, other):
            found.setdefault((message.name, mutation), Case(flow, message.name, mutation, other))
    return list(found.values())


def ends(found: Sequence[Case]) -> list[Case]:
    """Of cases that differ in positions of lists alone, the first and the last: the others are of the same form."""
    alike: dict[tuple[str, str, str, str], list[Case]] = defaultdict(list)
    for case in found:
        form = "/".join("*" if isinstance(step, int) else step for step in case.mutation.place)
        alike[(case.flow.name, case.message, case.mutation.kind, form)].append(case)
    return [case for group in alike.values() for case in (group[:1] + group[1:][-1:])]


def try_case(stage: Stage, case: Case) -> Result:
    """Runs the flow with this one mutation."""
    made = 0

    def tamper(message: Message) -> bytes | None:
        nonlocal made
        if message.name != case.message:
            return message.body
        if case.mutation == Mutation((), "dropped") and made:
            return message.body  # lost once: what is said again arrives
        try:
            changed = leaves.apply(message.body, case.mutation, case.other, stage.attacker.public)
        except Nowhere:
            return message.body
        made += changed is None or leaves.load(changed) != leaves.load(message.body)
        return changed

    ready(stage, case.flow)
    stage.script.reset(tamper)
    outcome = case.flow.run(stage)
    return Result(case, outcome, made)


def spread(found: Sequence[Case], count: int, seed: int) -> list[Case]:
    """`count` cases, spread evenly over flows and kinds of message, by a seed."""
    groups: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in found:
        groups[(case.flow.name, case.message)].append(case)
    draw = random.Random(seed)
    for group in groups.values():
        draw.shuffle(group)
    chosen: list[Case] = []
    while len(chosen) < min(count, len(found)):
        for group in groups.values():
            if group and len(chosen) < count:
                chosen.append(group.pop())
    return chosen


def findings(results: Sequence[Result]) -> Iterator[str]:
    """What must not be: a wrong outcome, or a mutation that nobody refused and nobody listed."""
    listed = harmless()
    for result in results:
        for wrong in result.outcome.wrong:
            yield f"{result.case}: {wrong}"
        if result.outcome.same and result.made and not any(row.covers(result.case) for row in listed):
            yield f"{result.case}: nobody refused it, and it is not listed in {HARMLESS.name}"


def summary(results: Sequence[Result]) -> str:
    """Counts for the reader."""
    kinds = Counter(
        "not reached" if not one.made else "right result" if one.outcome.same else "refused" if any(
            "silence" not in code for code in one.outcome.codes) else "silence" for one in results)
    codes = Counter(code for one in results if not one.outcome.same for code in one.outcome.codes)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return f"{len(results)} mutations: {counts}\n" + "\n".join(f"  {count:5} {code}" for code, count in codes.most_common())


def prepared(stage: Stage) -> list[tuple[Flow, list[Case]]]:
    """Sets every flow up, runs each clean twice, and enumerates. A clean run that fails is the harness's fault, and ends here."""
    for flow in FLOWS:
        flow.set_up(stage)
    stage.settled()
    found = []
    for flow in FLOWS:
        runs = [clean(stage, flow) for _ in range(2)]
        for _, outcome in runs:
            assert outcome.same, (flow.name, outcome)
            assert not outcome.wrong, (flow.name, outcome)
        found.append((flow, cases(flow, runs[0][0], runs[1][0])))
        stage.settled()
    return found
