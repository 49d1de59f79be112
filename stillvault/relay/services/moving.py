"""A stored request moves: the life-cycle table says where to, this module does what it says, in the caller's transaction.

Every move is a compare-and-set with its log leaf beside it. The effects that the table names are carried out here and nowhere
else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stillvault.crypto import public
from stillvault.protocol import lifecycle, objects
from stillvault.protocol.lifecycle import Event, Row
from stillvault.relay.context import client_audience
from stillvault.relay.problems import ProblemError
from stillvault.relay.services.verified import read
from stillvault.relay.store import limits, requests, secrets
from stillvault.relay.store import trust as store
from stillvault.relay.store.requests import StoredRequest, Vote
from stillvault.relay.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Moved:
    """Where a request came to, and what that took."""

    state: lifecycle.State
    effects: list[str]


@dataclass(frozen=True, slots=True)
class Cause:
    """What goes into the log beside the event: the decision or report that caused it."""

    oid: bytes = b""
    actor: str = "relay"
    vote: Vote | None = None
    note: str = ""  # the outcome of the row where the move has none to say
    hold_until: int = 0
    lease_ends: int = 0


NOTHING = Cause()


def row_of(tx: Transaction, request: StoredRequest, oid: bytes = b"") -> Row:
    """The part of a stored request that the table moves. `seen` holds only the oid that is asked about."""
    votes = requests.votes(tx.connection, request.oid)
    seen = oid and requests.was_seen(tx.connection, request.oid, oid)
    return Row(
        state=request.state,
        threshold=request.threshold,
        deny="count" if request.deny == "count" else "veto",
        people=frozenset(request.people),
        expires=request.expires,
        approvals={vote.person: vote.expires for vote in votes if vote.verdict == "approve"},
        denied=frozenset(vote.person for vote in votes if vote.verdict != "approve"),
        seen=frozenset({public.b64encode(oid)}) if seen else frozenset(),
        handed=bool(request.handed),
    )


def move(tx: Transaction, request: StoredRequest, event: Event, cause: Cause = NOTHING) -> Moved:
    """One step of section 9. An illegal move changes nothing but the log."""
    before = row_of(tx, request, cause.oid)
    after, effects = lifecycle.step(before, event)
    if not requests.move(tx.connection, request, after):
        raise ProblemError("conflict")
    if cause.oid:
        requests.see(tx.connection, request.oid, cause.oid)
    if before.approvals.keys() - after.approvals.keys():
        requests.keep_votes(tx.connection, request.oid, after.approvals.keys())
    if cause.vote and (cause.vote.person in after.approvals or cause.vote.person in after.denied) and not _idle(effects):
        requests.put_vote(tx.connection, request.oid, cause.vote)
    step = _Step(tx, request, event, cause, after)
    step.log(before.state, effects)
    step.measure(before.state, effects)
    for effect in effects:
        carry_out = _EFFECTS.get(effect)
        if carry_out:
            carry_out(step)
    # The client hears of progress too: its caller's waiting line counts the people.
    if after.state != before.state or after.approvals.keys() != before.approvals.keys():
        tx.event(client_audience(request.key), "state", event.at, request=request.oid, path=request.path, state=after.state)
    if after.state == "pending" and after.approvals.keys() != before.approvals.keys():
        _prompts("state", "pending")(step)  # so does whoever looks at the card: the people that are missing
    return Moved(after.state, effects)


def _idle(effects: list[str]) -> bool:
    return bool({"late", "repeat", "stranger"} & set(effects))


@dataclass(frozen=True, slots=True)
class _Step:
    """One move under way: what its effects need."""

    tx: Transaction
    request: StoredRequest
    event: Event
    cause: Cause
    after: Row

    def leaf(self, kind: str, **detail: object) -> None:
        seen = read(objects.Request, public.payload_of("request", self.request.signed)).observed
        facts: dict[str, object] = {"secret": self.request.path, "host": self.request.host}
        facts.update({"uid": seen.uid, "user": seen.user, "exe": seen.exe}, **detail)
        self.tx.leaf(kind, self.cause.actor, self.event.at, oid=self.cause.oid, request=self.request.oid, **facts)

    def log(self, before: lifecycle.State, effects: list[str]) -> None:
        """The rows of contract.md for this move."""
        if "repeat" in effects:
            return
        if before != self.after.state and self.after.state in ("expired", "cancelled", "revoked"):
            self.leaf(self.after.state, outcome=self.event.kind if self.after.state != "expired" else "")
        outcome = "late" if "late" in effects else ("stranger" if "stranger" in effects else self.cause.note)
        device = self.cause.vote.device if self.cause.vote else ""
        if self.event.kind == "approve":
            self.leaf("approved", people=self._progress(), device=device, outcome=outcome)
            if "hand-over" in effects:
                self.leaf("released", people=self._progress(), window=lease_window(self.tx, self.request))
        elif self.event.kind in ("deny", "freeze"):
            self.leaf("denied" if self.event.kind == "deny" else "frozen", device=device, outcome=outcome)
        elif self.event.kind == "receipt":
            self.leaf("delivered" if self.event.result == "delivered" else "failed", outcome=outcome or self._receipt())

    def measure(self, before: lifecycle.State, effects: list[str]) -> None:
        """For the metrics: what it came to, and how long people were waited for."""
        state, age = self.after.state, max(self.event.at - self.request.created, 0)
        if before == "pending" != state:
            self.tx.mark("wait", state, age)
        if before != state and state not in ("pending", "approved"):
            self.tx.mark("ended", state)
        if self.event.kind in lifecycle.DECISIONS and not _idle(effects):
            self.tx.mark("decision", self.event.kind, age)

    def _progress(self) -> str:
        return f"{len(self.after.approvals)}/{self.request.threshold}"

    def _receipt(self) -> str:
        return "" if self.event.result == "delivered" else self.event.result


def lease_window(tx: Transaction, request: StoredRequest) -> int:
    """Seconds that a lease of this request can last at the most (section 10); 0 when the delivery is its only use."""
    asked = read(objects.Request, public.payload_of("request", request.signed))
    stored = secrets.by_oid(tx.connection, request.secret)
    if stored is None or request.purpose == "reseal":
        return 0
    policy = read(objects.Secret, public.payload_of("secret", stored.signed)).core.policy
    granted = [vote.window for vote in requests.votes(tx.connection, request.oid) if vote.verdict == "approve"]
    return 0 if 1 in (asked.uses, policy.uses) else min([asked.window, policy.window, *granted])


def _hand_over(step: _Step) -> None:
    limits.refund(step.tx.connection, step.request.card)
    store.trust_key(step.tx.connection, step.request.key)


def _prompts(kind: str, state: str) -> Callable[[_Step], None]:
    def tell(step: _Step) -> None:
        for person in step.request.asked:
            step.tx.event(f"person/{person}", kind, step.event.at, request=step.request.oid, path=step.request.path, state=state)

    return tell


def _cool_down(step: _Step) -> None:
    request = step.request
    limits.add_denial(step.tx.connection, request.oid, request.key, request.identity, request.path, step.event.at)


def _delete_releases(step: _Step) -> None:
    requests.delete_releases(step.tx.connection, step.request.oid)


def _lease(step: _Step) -> None:
    requests.set_lease(step.tx.connection, step.request.oid, step.cause.lease_ends)


def _alarm(step: _Step) -> None:
    step.tx.event("people", "state", step.event.at, request=step.request.oid, path=step.request.path, state="failed")


def _purge(step: _Step) -> None:
    request = step.request
    step.tx.event(client_audience(request.key), "purge", step.event.at, request=request.oid, path=request.path)
    if request.lease_ends:
        requests.set_lease(step.tx.connection, request.oid, 0)
        step.leaf("lease-ended", outcome=step.event.kind)


def purge_client(tx: Transaction, request: StoredRequest, actor: str, now: int) -> None:
    """Orders a client to drop all that it keeps: somebody froze it."""
    tx.event(client_audience(request.key), "purge", now)
    for leased in requests.leased(tx.connection, request.key, now):
        requests.set_lease(tx.connection, leased.oid, 0)
        tx.leaf("lease-ended", actor, now, request=leased.oid, secret=leased.path, host=leased.host, outcome="freeze")


# `keep` is done by keeping the vote; `hold` by the decision's use case, which knows its end; `late`, `repeat`, `stranger` do
# nothing.
_EFFECTS: dict[str, Callable[[_Step], None]] = {
    "hand-over": _hand_over,
    "withdraw": _prompts("withdrawn", ""),
    "move-prompt": _prompts("withdrawn", "moved"),
    "refresh-prompt": _prompts("prompt", "again"),
    "cool-down": _cool_down,
    "delete-releases": _delete_releases,
    "lease": _lease,
    "alarm": _alarm,
    "purge": _purge,
}
