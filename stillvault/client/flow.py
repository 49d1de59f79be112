"""What the daemon does next for a caller. Pure: no I/O, no clock, no randomness; everything comes in as an argument.

A `get` goes through these questions, in this order:

1. Which identity may ask for this path? `choose`: scopes decide, never the caller.  (out of scope: forbidden)
2. What does the roster say about it now? `check_open`: a policy, no hold, enough approvers.
3. Is there a live lease for this caller? `lease_key` says under which scope and id it would stand.
4. Is a request of the same (client, path, purpose, observed) waiting already? `joins` says whether its lease would cover this
   caller; if not, the caller queues behind it.
5. Else a request is made: `request_payloads` gives one for each path, equal in everything that makes a card.
6. The relay's row changes: `verdict` says what that means. A relay's word alone never is a denial (protocol section 8).

`observed` comes from the kernel alone, `claimed` from the caller alone (section 6); nothing here ever mixes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import UNSET

from stillvault.client.frames import MAX_REFS, Get, Question
from stillvault.client.peer import Identity
from stillvault.crypto.public import b64encode, check_path, pattern_matches, sha256
from stillvault.protocol.errors import Failed, Forbidden, NoApprover, StillvaultError, Unavailable, Usage
from stillvault.protocol.messages import RequestState
from stillvault.protocol.objects import Claimed, Observed, Pair, Policy, Request, Roster, canonical

SUITE = "p256"
MAX_WINDOW = 8 * 3600  # seconds: the ceiling of section 10
MIN_TTL = 1  # seconds
EXACT = 1000  # closer than any prefix: a path has at most 200 bytes (section 2)
AGENT = "agent/"  # such a subject asks for the callers that identities.toml gives it, and for nobody else
PERSON = "person/"  # such a subject raises nothing but a reseal, and never through the daemon


@dataclass(frozen=True)
class Client:
    """One identity that may ask, from its verified certificate."""

    subject: str
    oid: bytes
    host: str
    grade: str
    scopes: tuple[str, ...]
    expires: int


# ---- 1. which identity ---------------------------------------------------------------------------------------------------


def check_call(call: Get, pipes: int) -> None:
    """The form of a `get`: that of a question, and each path has its pipe."""
    check_question(call)
    check_pipes(call.refs, pipes)


def check_pipes(refs: Sequence[str], pipes: int) -> None:
    """Each value needs its pipe."""
    if len(refs) != pipes:
        raise Usage("descriptor", "there must be one pipe for each reference", "pass as many write ends as references")


def check_question(call: Question) -> None:
    """Paths are canonical and distinct, numbers are in range."""
    if not call.refs or len(call.refs) > MAX_REFS or len(set(call.refs)) != len(call.refs):
        raise Usage("refs", f"a reference stands twice, or there is none, or more than {MAX_REFS}", "name each path once", "refs")
    for path in call.refs:
        check_path(path)
    for name, least, most in (("ttl", MIN_TTL, 3600), ("wait", 0, 86400), ("window", 0, MAX_WINDOW), ("uses", 0, 2**31)):
        value = getattr(call, name)
        if value is not UNSET and not least <= value <= most:
            raise Usage(name, f"{name} must be from {least} to {most}", "", name)


def may_use(subject: str, agent: str) -> bool:
    """Whether a caller asks under this subject: an agent under its own alone, everybody else under those of the host."""
    return subject == agent if agent else not subject.startswith((AGENT, PERSON))


def agent_of(client: Client) -> str:
    """What the callers of a client are by `identities.toml`: empty for those of the host."""
    return client.subject if client.subject.startswith(AGENT) else ""


def choose(clients: Sequence[Client], path: str, wanted: str, agent: str = "") -> Client:
    """The identity whose scopes cover the path: that of the longest pattern, then the first by subject. Raises `Forbidden`.

    `agent` is what `identities.toml` says of the caller, empty for none; `wanted`, which the caller says, only narrows that down.

    The answer is the same for a path that does not exist: whoever is out of scope learns nothing.
    """
    if wanted and not may_use(wanted, agent):
        raise Forbidden("not-this-client", f"the caller does not ask as {wanted}: it is {agent or 'no agent of this host'}",
                        "see `stillvault whoami`")
    if agent and all(client.subject != agent for client in clients):
        raise Forbidden("no-identity", f"the caller is {agent}, which has no certificate that stands here",
                        f"an administrator invites it with `stillvault client invite {agent} --host NAME --scope PATTERN`")
    best: tuple[int, Client] | None = None
    for client in sorted(clients, key=lambda one: one.subject):
        if not may_use(client.subject, agent) or (wanted and client.subject != wanted):
            continue
        length = max((_specific(scope) for scope in client.scopes if pattern_matches(scope, path)), default=-1)
        if length >= 0 and (best is None or length > best[0]):
            best = (length, client)
    if best is None:
        raise Forbidden("out-of-scope", f"{agent or 'no identity of this host'} may {'not ' if agent else ''}ask for {path}",
                        "an administrator grants scopes with `stillvault client invite SUBJECT --scope PATTERN`")
    return best[1]


def _specific(pattern: str) -> int:
    """How close a pattern is: an exact path is closer than any prefix, a longer prefix closer than a shorter one."""
    return len(pattern) - len("**") if pattern.endswith("**") else EXACT


# ---- 2. what the roster says ----------------------------------------------------------------------------------------------


def check_open(roster: Roster, client: Client, path: str, policy: Policy, people: int, now: int) -> None:
    """Whether asking makes sense at all. `people` can answer now. Raises `Forbidden` or `NoApprover`."""
    for hold in roster.holds:
        covered = hold.subject == client.subject if hold.match is UNSET else pattern_matches(hold.match, path)
        if covered and now < hold.until:
            raise Forbidden("hold", f"an administrator holds {path} or {client.subject} back",
                            "an administrator lifts it with `stillvault hold --lift`")
    if people < policy.threshold:
        raise NoApprover("no-approver", f"{people} of the {policy.threshold} people that {path} needs can answer",
                         "an administrator must enrol a device, or change the policy and re-seal")


# ---- 3. leases ------------------------------------------------------------------------------------------------------------


def lease_key(identity: Identity, scope: str, *, interpreter: bool) -> tuple[str, bytes]:
    """Scope and id under which a lease of this caller stands (section 10).

    An interpreter says nothing about the program that it runs, so under `exe` it counts as `process`. A process without a living
    session leader, unit or container counts as itself, and so does a front that may be an orphan: never wider than what the
    kernel vouches for. A task is the process of the agent, where `identities.toml` names one, for the account that asks.
    """
    exe = (*identity.exe.key, identity.exe.sha256)
    if scope == "task" and identity.task[0] == "agent":
        return "task", _scope_id("task", *identity.task)
    if identity.alone:
        scope = "process"
    if scope == "task" and identity.leader is not None:
        return "task", _scope_id("task", identity.uid, *identity.leader)
    if scope == "exe" and not interpreter:
        return "exe", _scope_id("exe", identity.uid, *exe)
    if scope == "unit" and (identity.unit or identity.container):
        return "unit", _scope_id("unit", identity.uid, identity.unit, identity.container, *exe)
    return "process", _scope_id("process", identity.uid, *identity.process[:3], *identity.process[3], *exe)


def _scope_id(*parts: object) -> bytes:
    return sha256("\0".join(str(part) for part in parts).encode())


# ---- 4. joining -----------------------------------------------------------------------------------------------------------


def pending_key(client: Client, path: str, seen: Observed, purpose: str = "use") -> tuple[str, str, str, bytes]:
    """No two requests of one such key wait at a time (sections 6 and 9)."""
    return client.subject, path, purpose, canonical(seen)


def joins(waiting: tuple[str, bytes], own: tuple[str, bytes], window: int, uses: int) -> bool:
    """Whether the lease to come of a waiting request would cover this caller: same scope and id, and a lease at all."""
    return waiting == own and window > 0 and uses != 1


# ---- 5. requests ----------------------------------------------------------------------------------------------------------


def observed(identity: Identity, client: Client, host: str, *, system: bool) -> Observed:
    """What the kernel said. The grade is never above that of the certificate (check 7.1)."""
    return Observed(
        host=host, uid=identity.uid, user=identity.user, exe=identity.exe.path, exe_sha256=identity.exe.sha256,
        chain=list(identity.chain), grade="system" if system and client.grade == "system" else "user",
        unit=identity.unit or UNSET, container=identity.container or UNSET,
    )


def claimed(call: Question) -> Claimed:
    """What the caller says of itself."""
    return Claimed(argv=call.argv, reason=call.reason)


@dataclass(frozen=True)
class Terms:
    """What a request asks for. Seconds; `uses` 0 is no limit."""

    window: int
    uses: int
    life: int


def terms(call: Question, policies: Sequence[Policy]) -> Terms:
    """The terms of one card: its life is the shortest that a policy gives, or less where the caller waits less."""
    life = min(policy.ttl for policy in policies)
    for limit in (call.ttl, call.wait):
        if limit is not UNSET and limit > 0:
            life = min(life, limit)
    window = max((policy.window for policy in policies), default=0) if call.window is UNSET else call.window
    return Terms(window=min(window, MAX_WINDOW), uses=0 if call.uses is UNSET else call.uses, life=max(life, MIN_TTL))


def least_uses(*limits: int) -> int:
    """The least that is not 0; 0 where none limits."""
    return min((limit for limit in limits if limit), default=0)


@dataclass(frozen=True)
class Wish:
    """One path of a card, and the fresh things that its request needs."""

    path: str
    id: bytes  # 16 random bytes
    ephemeral: bytes  # public key
    minimum: Pair


def request_payloads(wishes: Sequence[Wish], *, org: bytes, client: Client, seen: Observed, said: Claimed, asked: Terms,
                     roster: Pair, log_head: tuple[int, bytes] | None, now: int) -> list[Request]:
    """One request a path, in the order given; equal in `issued`, `expires`, `observed` and `claimed`: one card."""
    head = UNSET if log_head is None else (log_head[0], b64encode(log_head[1]))
    return [
        Request(org=b64encode(org), id=b64encode(wish.id), client=b64encode(client.oid), path=wish.path, minimum=wish.minimum,
                suite=SUITE, ephemeral=b64encode(wish.ephemeral), issued=now, expires=now + asked.life, window=asked.window,
                uses=asked.uses, roster=roster, log_head=head, purpose="use", observed=seen, claimed=said)
        for wish in wishes
    ]


# ---- 6. the relay's row ---------------------------------------------------------------------------------------------------

Step = Literal["wait", "open", "denial", "end"]


def verdict(state: RequestState) -> tuple[Step, StillvaultError | None]:
    """What the client does on the relay's word: wait on, open the releases, verify a denial, or end with this error.

    `expired` is not believed: the client's own clock ends a request. Nothing that the relay says alone is a denial.
    """
    match state.state:
        case "pending" | "expired":
            return "wait", None
        case "approved":
            return "open", None
        case "denied":
            return "denial", None
        case "cancelled":
            return "end", Failed("cancelled", "the request was withdrawn elsewhere", "ask again")
        case "revoked":
            return "end", Unavailable("revoked", "the release was taken back before it was delivered", "ask again")
        case _:
            return "end", Unavailable("closed", "the relay closed the request without a release", "ask again")


def denied(verdicts: Sequence[tuple[str, str]], policy: Policy) -> bool:
    """Whether verified (verdict, person) pairs end a request (sections 8 and 9).

    One deny is enough under `veto`, a freeze always. Under `count` as many people as leave fewer than the threshold.
    """
    if any(kind == "freeze" for kind, _ in verdicts):
        return True
    people = {person for kind, person in verdicts if kind == "deny" and person in policy.people}
    if policy.deny == "veto":
        return bool(people)
    return len(set(policy.people)) - len(people) < policy.threshold


def decode_policy(raw: bytes) -> Policy:
    """A policy out of a verified roster."""
    return msgspec.json.decode(raw, type=Policy)
