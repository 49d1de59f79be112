"""The life of a request (docs/protocol.md, section 9): one table, which knows neither relay nor client. Pure.

`step(row, event)` looks at expiry first, then takes the first line of `TABLE` that fits the phase of the row, the kind of the
event and its condition. It returns the new row and the effects, in the order in which they are due. An event that no line
fits changes nothing: an illegal move is not an error, it is `late` (a signed object that came too late), or silence (an event
without an author). Before the table stand the three rules that hold in every phase:

1. A signed object whose oid was seen before changes nothing: `repeat`.
2. A decision by somebody who may not decide this request changes nothing: `stranger`.
3. One decision counts per request and person, the first in log order; only a deny replaces one's own approve: `late`.

The effects are words for whoever keeps the row: `keep` this release, `hand-over` all releases, `withdraw` the prompts,
`move-prompt` to the newer request without a second alert, `refresh-prompt` (prompt anew), `cool-down` and `hold` against the
client, `delete-releases`, log a `lease`, `alarm` the admins, order a `purge`. A release is kept only for as long as its
person stands in `approvals`.

Left to the caller: every signature, who `people` are, and doing each step in one transaction with its log leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from stillvault.protocol.errors import Refused

State = Literal["pending", "approved", "delivered", "failed", "denied", "expired", "cancelled", "revoked"]
Phase = Literal["pending", "handed", "delivered", "closed"]

DECISIONS = frozenset({"approve", "deny", "freeze"})
KINDS = DECISIONS | {"cancel", "newer-request", "receipt", "roster-drops", "client-revoked", "newer-version", "tick"}
RESULTS = frozenset({"delivered", "failed", "discarded"})


@dataclass(frozen=True, slots=True)
class Row:
    """One request. `people` may decide it; `approvals` maps a person to when the decision ends (unix seconds)."""

    state: State
    threshold: int
    deny: Literal["veto", "count"]
    people: frozenset[str]
    expires: int
    approvals: Mapping[str, int] = field(default_factory=dict)
    denied: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()
    handed: bool = False

    @property
    def phase(self) -> Phase:
        """Which lines of the table apply. `handed` is the `approved*` of section 9: approved, or expired after the hand-over."""
        if self.state == "pending":
            return "pending"
        if self.state == "approved" or (self.state == "expired" and self.handed):
            return "handed"
        return "delivered" if self.state == "delivered" else "closed"


@dataclass(frozen=True, slots=True)
class Event:
    """What happened `at` (unix seconds). `oid` names the signed object, where there is one."""

    kind: str
    at: int
    oid: str = ""
    person: str = ""
    expires: int = 0
    result: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise Refused("field", "no such event in the life of a request", field="kind")
        if self.kind in DECISIONS | {"roster-drops"} and not self.person:
            raise Refused("field", "a decision and a dropped approver are of a person", field="person")
        if self.kind == "receipt" and self.result not in RESULTS:
            raise Refused("field", "a receipt says delivered, failed or discarded", field="result")


Condition = Callable[[Row, Event], bool]
Change = Callable[[Row, Event], Row]


def _always(_row: Row, _event: Event) -> bool:
    return True


def _unchanged(row: Row, _event: Event) -> Row:
    return row


@dataclass(frozen=True, slots=True)
class Line:
    """A line of section 9. No `to` means that the state stays."""

    source: tuple[Phase, ...]
    event: str
    to: State | None
    effects: tuple[str, ...]
    when: Condition = _always
    change: Change = _unchanged


def _undecided(row: Row, event: Event) -> bool:
    return event.person not in row.approvals and event.person not in row.denied and event.expires > event.at


def _completes(row: Row, event: Event) -> bool:
    return _undecided(row, event) and len(row.approvals) + 1 >= row.threshold


def _may_deny(row: Row, event: Event) -> bool:
    return event.person not in row.denied


def _denial_wins(row: Row, event: Event) -> bool:
    """A veto wins at once; by count, when those who have not denied are too few to reach the threshold."""
    return _may_deny(row, event) and (row.deny == "veto" or len(row.people - row.denied - {event.person}) < row.threshold)


def _had_approved(row: Row, event: Event) -> bool:
    return event.person in row.approvals


def _result(*results: str) -> Condition:
    return lambda _row, event: event.result in results


def _approve(row: Row, event: Event) -> Row:
    return replace(row, approvals={**row.approvals, event.person: event.expires})


def _approve_and_hand_over(row: Row, event: Event) -> Row:
    return replace(_approve(row, event), handed=True)


def _without(approvals: Mapping[str, int], person: str) -> Mapping[str, int]:
    return {who: until for who, until in approvals.items() if who != person}


def _deny(row: Row, event: Event) -> Row:
    """A deny replaces one's own approve."""
    return replace(row, approvals=_without(row.approvals, event.person), denied=row.denied | {event.person})


def _deny_after_hand_over(row: Row, event: Event) -> Row:
    """Who had approved when the releases went out stays on record."""
    return replace(row, denied=row.denied | {event.person})


def _drop(row: Row, event: Event) -> Row:
    return replace(row, people=row.people - {event.person}, approvals=_without(row.approvals, event.person))


def _drop_after_hand_over(row: Row, event: Event) -> Row:
    return replace(row, people=row.people - {event.person})


def _void(row: Row, _event: Event) -> Row:
    return replace(row, approvals={})


_CLOSE = ("delete-releases", "withdraw")
_REVOKE = ("delete-releases", "purge")
_AFTER: tuple[Phase, ...] = ("handed", "delivered")

# Section 9, in its order; of several lines that fit, the first counts.
TABLE: tuple[Line, ...] = (
    Line(("pending",), "newer-request", "cancelled", ("delete-releases", "move-prompt")),
    Line(("pending",), "approve", "approved", ("hand-over", "withdraw"), _completes, _approve_and_hand_over),
    Line(("pending",), "approve", None, ("keep",), _undecided, _approve),
    Line(("pending",), "deny", "denied", (*_CLOSE, "cool-down"), _denial_wins, _deny),
    Line(("pending",), "deny", None, (), _may_deny, _deny),
    Line(("pending",), "freeze", "denied", (*_CLOSE, "cool-down", "hold"), _may_deny, _deny),
    Line(("pending",), "newer-version", None, ("delete-releases", "refresh-prompt"), change=_void),
    Line(("pending",), "roster-drops", None, (), change=_drop),
    Line(("pending",), "cancel", "cancelled", _CLOSE),
    Line(("pending",), "client-revoked", "cancelled", _CLOSE),
    Line(("handed",), "receipt", "delivered", ("delete-releases", "lease"), _result("delivered")),
    Line(("handed",), "receipt", "failed", ("delete-releases", "alarm"), _result("failed")),
    Line(("handed",), "receipt", "failed", ("delete-releases",), _result("discarded")),
    Line(_AFTER, "deny", "revoked", _REVOKE, _may_deny, _deny_after_hand_over),
    Line(_AFTER, "freeze", "revoked", _REVOKE, _may_deny, _deny_after_hand_over),
    Line(_AFTER, "roster-drops", "revoked", _REVOKE, _had_approved, _drop_after_hand_over),
    Line((*_AFTER, "closed"), "roster-drops", None, (), change=_drop_after_hand_over),
    Line(_AFTER, "client-revoked", "revoked", _REVOKE),
    Line(_AFTER, "newer-version", "revoked", _REVOKE),
)


def _expire(row: Row, at: int) -> tuple[Row, list[str]]:
    """`now >= expires` ends what is pending or approved. An approve that has ended no longer counts while it is pending."""
    if row.state in ("pending", "approved") and at >= row.expires:
        return replace(row, state="expired"), list(_CLOSE)
    if row.state == "pending" and any(until <= at for until in row.approvals.values()):
        return replace(row, approvals={who: until for who, until in row.approvals.items() if until > at}), []
    return row, []


def step(row: Row, event: Event) -> tuple[Row, list[str]]:
    """The row after `event`, and the effects that are due. Time is `event.at`."""
    row, effects = _expire(row, event.at)
    # 1. An oid seen before changes nothing.
    if event.oid:
        if event.oid in row.seen:
            return row, [*effects, "repeat"]
        row = replace(row, seen=row.seen | {event.oid})
    # 2. Only the people of the policy decide.
    if event.kind in DECISIONS and event.person not in row.people:
        return row, [*effects, "stranger"]
    for line in TABLE:
        if row.phase in line.source and event.kind == line.event and line.when(row, event):
            moved = line.change(row, event)
            return (replace(moved, state=line.to) if line.to else moved), [*effects, *line.effects]
    # 3. Nothing fits: a signed object came too late, or said a second time what counts once.
    return row, [*effects, "late"] if event.oid else effects


Step = tuple[str, int, list[str]]


def run(row: dict[str, Any], events: Iterable[dict[str, Any]]) -> list[Step]:
    """A row and its events in the form of the test vectors; per event the state, the number of approvals and the effects."""
    current = Row(
        state=row["state"],
        threshold=row["threshold"],
        deny=row["deny"],
        people=frozenset(row["people"]),
        expires=row["expires"],
        approvals=dict(row["approvals"]),
        denied=frozenset(row["denied"]),
        seen=frozenset(row["seen"]),
        handed=row["handed"],
    )
    steps: list[Step] = []
    for event in events:
        current, effects = step(current, Event(**event))
        steps.append((current.state, len(current.approvals), effects))
    return steps
