"""What the daemon does next, as a table: identity, lease key, joining, requests, the relay's word, a denial."""

from __future__ import annotations

import msgspec
import pytest

from stillvault.client import flow, frames
from stillvault.client.executable import Executable, FileKey
from stillvault.client.flow import Client, Terms, Wish
from stillvault.client.peer import Identity
from stillvault.crypto.private import SigningKey
from stillvault.crypto.public import b64encode
from stillvault.protocol.cards import group
from stillvault.protocol.errors import Failed, Forbidden, NoApprover, Refused, Unavailable, Usage
from stillvault.protocol.messages import RequestState
from stillvault.protocol.objects import Ancestor, Claimed, Hold, Policy, Roster, canonical

DIGEST = b64encode(bytes(32))


def client(subject: str, *scopes: str, grade: str = "system") -> Client:
    return Client(subject=subject, oid=subject.encode().ljust(32, b"."), host="db-1", grade=grade, scopes=scopes, expires=2**40)


def identity(**changes) -> Identity:
    exe = changes.pop("exe", "/usr/bin/claude")
    fields = {
        "uid": 1001, "user": "agent", "exe": Executable(key=FileKey(8, 77, 5, 100), path=exe, sha256=DIGEST),
        "chain": (Ancestor(exe="/bin/bash", exe_sha256=DIGEST),), "unit": "", "container": "",
        "process": (50, 1000, 7, (1, 2, 3)), "leader": (40, 900, 6),
    }
    return Identity(**{**fields, **changes})


def policy(**changes) -> Policy:
    fields = {
        "id": "p", "match": ["**"], "threshold": 2, "people": ["ana", "ben", "cho"], "tier": "soft", "window": 900,
        "scope": "process", "uses": 0, "ttl": 300, "code": False, "deny": "veto",
    }
    return Policy(**{**fields, **changes})


def roster(*holds: Hold) -> Roster:
    return Roster(org="o", root="r", version=1, issued=0, expires=1, people=[], policies=[], floors=[], revoked=[],
                  holds=list(holds))


# ---- identities ----------------------------------------------------------------------------------------------------------


def test_the_longest_scope_chooses_the_identity():
    host, agent = client("host/db-1", "prod/**"), client("agent/claude", "prod/db/**", "dev/x")
    wide, narrow = client("host/db-2", "prod/**"), client("host/db-3", "prod/db/**")
    both = [host, agent]
    assert flow.choose([wide, narrow], "prod/api", "") is wide
    assert flow.choose([wide, narrow], "prod/db/main", "") is narrow
    assert flow.choose([wide, narrow], "prod/db/main", "host/db-2") is wide
    # Who is no agent asks as the host, an agent as itself alone: neither gets what is the other's.
    assert flow.choose(both, "prod/db/main", "") is host
    assert flow.choose(both, "prod/db/main", "", "agent/claude") is agent
    assert flow.choose(both, "prod/db/main", "agent/claude", "agent/claude") is agent
    for path, agents in (("dev/x", ""), ("prod/api", "agent/claude")):
        with pytest.raises(Forbidden, match="out-of-scope"):
            flow.choose(both, path, "", agents)
    for wanted, agents in (("agent/claude", ""), ("host/db-1", "agent/claude"), ("agent/other", "agent/claude")):
        with pytest.raises(Forbidden, match="not-this-client"):
            flow.choose(both, "prod/db/main", wanted, agents)
    with pytest.raises(Forbidden, match="no-identity"):
        flow.choose([host], "prod/db/main", "", "agent/claude")
    assert flow.choose([client("host/b", "**"), client("host/a", "**")], "x", "").subject == "host/a"


@pytest.mark.parametrize(("clients", "path", "wanted"), [
    ([client("host/db-1", "prod/**")], "dev/x", ""),
    ([client("host/db-1", "prod/**")], "prod", ""),
    ([client("host/db-1", "prod/**")], "prod/x", "host/other"),
    ([client("person/ana", "**")], "prod/x", ""),
])
def test_out_of_scope_is_forbidden(clients, path, wanted):  # C2
    with pytest.raises(Forbidden, match="out-of-scope"):
        flow.choose(clients, path, wanted)


@pytest.mark.parametrize("path", ["prod/../prod/db", "prod//db", "/prod/db", "prod/db/", "Prod/db", "prod/db ",
                                  "prod/db\0", "prod%2fdb", "prod/./db", "\uff50rod/db", "prod/\u212aey", "", "a" * 201,
                                  "prod/*", "**"])  # fmt: skip
def test_a_path_is_taken_as_it_is_or_not_at_all(path):  # C3
    with pytest.raises(Refused, match="path"):
        flow.check_call(frames.Get(refs=[path]), 1)


@pytest.mark.parametrize(("call", "pipes", "field"), [
    (frames.Get(refs=["a", "a"]), 2, "refs"),
    (frames.Get(refs=[]), 0, "refs"),
    (frames.Get(refs=["a"]), 0, ""),
    (frames.Get(refs=["a"]), 2, ""),
    (frames.Get(refs=["a"], ttl=0), 1, "ttl"),
    (frames.Get(refs=["a"], ttl=3601), 1, "ttl"),
    (frames.Get(refs=["a"], ttl=-1), 1, "ttl"),
    (frames.Get(refs=["a"], window=28801), 1, "window"),
    (frames.Get(refs=["a"], wait=2**53), 1, "wait"),
    (frames.Get(refs=["a"], uses=-1), 1, "uses"),
])
def test_a_call_out_of_bounds_is_refused(call, pipes, field):  # C14
    with pytest.raises(Usage) as caught:
        flow.check_call(call, pipes)
    assert caught.value.field == field


# ---- what the roster says -------------------------------------------------------------------------------------------------


def test_holds_and_missing_people_end_a_request_before_it_is_made():
    one = client("host/db-1", "prod/**")
    flow.check_open(roster(Hold(until=10, match="prod/x/**")), one, "prod/x", policy(), 2, 5)
    flow.check_open(roster(Hold(until=10, subject="host/db-1")), one, "prod/x", policy(), 2, 10)
    for hold in (Hold(until=10, match="prod/**"), Hold(until=10, subject="host/db-1")):
        with pytest.raises(Forbidden, match="hold"):
            flow.check_open(roster(hold), one, "prod/x", policy(), 2, 9)
    with pytest.raises(NoApprover):
        flow.check_open(roster(), one, "prod/x", policy(), 1, 5)


# ---- lease keys -----------------------------------------------------------------------------------------------------------


def keys(scope: str, *callers: Identity, interpreter: bool = False) -> set:
    return {flow.lease_key(one, scope, interpreter=interpreter) for one in callers}


def test_a_lease_covers_what_its_scope_says_and_no_more():  # L2
    base = identity()
    other_process = identity(process=(51, 1001, 8, (1, 2, 3)))
    again = identity(process=(50, 1000, 7, (1, 2, 3)))
    execed = identity(process=(50, 1000, 7, (9, 9, 9)))
    other_exe = identity(exe="/usr/bin/evil", process=(50, 1000, 7, (1, 2, 3)))
    object.__setattr__(other_exe.exe, "key", FileKey(8, 78, 5, 100))
    other_uid, other_leader = identity(uid=1002), identity(leader=(41, 900, 6), process=(51, 1001, 8, (1, 2, 3)))
    assert len(keys("process", base, again)) == 1
    for other in (other_process, execed, other_exe, other_uid):
        assert len(keys("process", base, other)) == 2
    assert len(keys("task", base, other_process)) == 1
    for other in (other_uid, other_leader):
        assert len(keys("task", base, other)) == 2
    assert len(keys("exe", base, other_process, other_leader)) == 1
    for other in (other_exe, other_uid):
        assert len(keys("exe", base, other)) == 2
    unit = [identity(unit="a.service", process=(pid, 1, pid, ())) for pid in (1, 2)]
    assert len(keys("unit", *unit)) == 1
    assert len(keys("unit", unit[0], identity(unit="b.service"), identity(container="c" * 64))) == 3


def test_what_the_kernel_does_not_vouch_for_counts_as_the_process():
    process = flow.lease_key(identity(), "process", interpreter=False)
    assert flow.lease_key(identity(), "exe", interpreter=True) == process
    assert flow.lease_key(identity(leader=None), "task", interpreter=False) == process
    assert flow.lease_key(identity(), "unit", interpreter=False) == process
    assert flow.lease_key(identity(), "something new", interpreter=False) == process


def test_a_caller_joins_only_what_would_cover_it():
    mine, other = ("process", b"1"), ("process", b"2")
    assert flow.joins(mine, mine, 900, 0)
    assert not flow.joins(mine, other, 900, 0)
    assert not flow.joins(mine, mine, 0, 0)
    assert not flow.joins(mine, mine, 900, 1)
    assert flow.joins(mine, mine, 900, 2)


# ---- requests -------------------------------------------------------------------------------------------------------------


def test_requests_of_one_command_are_one_card_and_of_the_form_that_the_core_signs():
    caller, one = identity(unit="agent.service"), client("host/db-1", "prod/**")
    call = frames.Get(refs=["prod/a", "prod/b"], argv=["migrate"], ttl=60)
    wishes = [Wish(path=path, id=bytes(16), ephemeral=SigningKey.generate("es256").public, minimum=(1, 0)) for path in call.refs]
    asked = flow.terms(call, [policy(), policy(ttl=100, window=60)])
    assert asked == Terms(window=900, uses=0, life=60)
    seen = flow.observed(caller, one, "db-1.example.com", system=True)
    made = flow.request_payloads(wishes, org=bytes(32), client=one, seen=seen, said=flow.claimed(call), asked=asked,
                                 roster=(1, 3), log_head=(7, bytes(32)), now=1000)
    assert group(made) == [[0, 1]]
    key = SigningKey.generate("ed25519")
    for request in made:
        key.sign("request", canonical(request))  # the core checks the schema first
    assert (made[0].issued, made[0].expires) == (1000, 1060)
    assert made[0].claimed == Claimed(argv=["migrate"])
    assert made[0].observed.unit == "agent.service"
    assert "argv" not in msgspec.json.encode(made[0].observed).decode()


def test_the_grade_is_never_above_the_certificate():
    caller = identity()
    system, user = client("host/a", grade="system"), client("host/b", grade="user")
    assert flow.observed(caller, system, "h", system=True).grade == "system"
    assert flow.observed(caller, system, "h", system=False).grade == "user"
    assert flow.observed(caller, user, "h", system=True).grade == "user"


@pytest.mark.parametrize(("call", "life"), [
    (frames.Get(refs=["a"]), 300), (frames.Get(refs=["a"], ttl=900), 300), (frames.Get(refs=["a"], ttl=30), 30),
    (frames.Get(refs=["a"], wait=20), 20), (frames.Get(refs=["a"], wait=0), 300), (frames.Get(refs=["a"], wait=3600, ttl=60), 60),
])  # fmt: skip
def test_a_request_lives_no_longer_than_the_policy_says(call, life):
    assert flow.terms(call, [policy()]).life == life


# ---- the relay's word -----------------------------------------------------------------------------------------------------


def test_the_relay_alone_denies_and_expires_nothing():  # A15
    words = {}
    for state in ("pending", "approved", "delivered", "failed", "denied", "expired", "cancelled", "revoked"):
        words[state] = flow.verdict(RequestState(oid="x", state=state))
    assert {state: step for state, (step, _) in words.items()} == {
        "pending": "wait", "expired": "wait", "approved": "open", "denied": "denial", "cancelled": "end", "revoked": "end",
        "delivered": "end", "failed": "end",
    }
    assert isinstance(words["cancelled"][1], Failed)
    assert isinstance(words["revoked"][1], Unavailable)


@pytest.mark.parametrize(("verdicts", "deny", "ends"), [
    ([], "veto", False),
    ([("deny", "ana")], "veto", True),
    ([("deny", "zoe")], "veto", False),
    ([("deny", "ana")], "count", False),
    ([("deny", "ana"), ("deny", "ana")], "count", False),
    ([("deny", "ana"), ("deny", "zoe")], "count", False),
    ([("deny", "ana"), ("deny", "ben")], "count", True),
    ([("freeze", "ana")], "count", True),
    ([("approve", "ana")], "veto", False),
])
def test_a_denial_needs_the_people_that_the_policy_says(verdicts, deny, ends):
    assert flow.denied(verdicts, policy(deny=deny)) is ends
