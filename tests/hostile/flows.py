"""The flows that the sweep tampers with, each with its oracle: what may come of a run, whatever the relay did.

Only three outcomes are allowed: a refusal that is documented (an error of the tree, with its code), silence until the
request ends, or the right result with everything that the approver saw equal to what the client sent. Everything else lands
in `Outcome.wrong`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from stillvault.admin import enrolment, removal, sealing
from stillvault.admin import roster as rosters
from stillvault.admin.joining import Join
from stillvault.admin.organisation import DeviceMaterial
from stillvault.admin.publish import roster_of
from stillvault.approver import decide, keyfile, prompts
from stillvault.approver.account import DEVICE_KEY, Account
from stillvault.approver.device import Card, Facts, describe, facts_of, make_cards
from stillvault.crypto.private import check_prompt
from stillvault.crypto.public import b64encode, oid_of, payload_of
from stillvault.protocol.errors import StillvaultError
from stillvault.protocol.objects import Person, Roster
from stillvault.transport.home import Home
from stillvault.transport.identity import load_client
from tests.hostile.leaves import dump
from tests.hostile.opening import opens_to, recipients, spoils, uploads
from tests.hostile.town import SUBJECT, Background, Stage, clock

ANSWER = 4.0  # seconds until the daemon has said something
SILENCE = 1.0  # seconds after the decisions until a run counts as silent
NOTHING = 0.1  # likewise where somebody did not decide, so that nothing can come
LONG = 3.0  # seconds until a flow that polls is told to give up
NUMBERS = itertools.count(1)
NOT_COMPARED = ("age", "approved_by", "people_approved")  # the clock, and others' approvals: those are compared apart


@dataclass
class Outcome:
    """How a run ended. `same`: as without the attacker. `codes`: who refused, with which code."""

    same: bool = False
    codes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def by(self, party: str) -> Iterator[None]:
        """What a party does: a documented error is noted, any other exception is wrong."""
        try:
            yield
        except StillvaultError as error:
            self.codes.append(f"{party}:{error.exit}:{error.code}")
        except Exception as error:  # noqa: BLE001  that is what is looked for
            self.wrong.append(f"{party} ended with {type(error).__name__}: {error}")

    def must(self, holds: bool, what: str) -> None:
        if not holds:
            self.wrong.append(what)


@dataclass(frozen=True)
class Flow:
    """`set_up` once, `prepare` before each run (not tampered with), `run` with the script in force."""

    name: str
    set_up: Callable[[Stage], None]
    run: Callable[[Stage], Outcome]
    prepare: Callable[[Stage], None] = lambda stage: None


def newest(stage: Stage, path: str) -> bytes:
    with stage.account("alice") as alice:
        found = sealing.latest(alice, path)
    assert found is not None
    return found


# ---- release, quorum, denial ---------------------------------------------------------------------------------------------


def expected(stage: Stage, name: str, oids: Sequence[str]) -> dict[str, Facts]:
    """What a person must be shown of these requests, by oid, from what the client truly signed; nothing of any other."""
    person = Home(stage.path(name)).person()
    own = load_client(Home(stage.path(SUBJECT)), SUBJECT)
    assert own is not None
    found = {}
    for oid in oids:
        if oid in stage.asked:
            path, signed = stage.asked[oid]
            prompt = check_prompt(stage.trust, (person.person, person.device), own.cert, signed, stage.secrets[path], False, None,
                                  clock())
            found[oid] = facts_of(prompt, stage.trust.select_policy(path), ())
    return found


def compare(outcome: Outcome, stage: Stage, name: str, card: Card, approved: Sequence[str]) -> None:
    """The relay may keep a request back; whatever is shown must be the client's, each request once, nothing else."""
    shown = describe(card, clock())
    oids = [one["request"] for one in shown["requests"]]
    if set(oids) <= stage.resealing and len(set(oids)) == len(oids):
        return  # left over from a removal that was given up: this person's own
    truth = expected(stage, name, oids)
    if set(oids) != set(truth) or len(set(oids)) != len(oids):
        outcome.wrong.append(f"{name} was shown a request that nobody made, or one twice")
        return
    meant = describe(make_cards(list(truth.values()))[0], clock())
    different = [key for key in {*shown, *meant} if key not in NOT_COMPARED and shown.get(key) != meant.get(key)]
    outcome.must(not different, f"{name} was shown another {', '.join(sorted(different))}")
    outcome.must(set(shown["approved_by"]) <= set(approved), f"{name} was shown an approval that nobody gave")


def ask(stage: Stage, paths: Sequence[str], values: Sequence[bytes], people: Sequence[str],
        act: Callable[[Account, Card], Any] = decide.approve) -> Outcome:
    """The daemon asks, people decide on whatever card they are shown, the caller gets what it gets."""
    outcome = Outcome()
    with stage.daemon.running():
        caller = stage.daemon.call()
        caller.sock.settimeout(ANSWER)
        ends = caller.get(list(paths))
        try:
            said = _event(caller)
            note_requests(stage)
            if said is not None and said["event"] == "pending":
                decided = _decide(stage, outcome, people, act)
                caller.sock.settimeout(SILENCE if decided else NOTHING)
                while said is not None and said["event"] == "pending":
                    said = _event(caller)
            _judge(outcome, said, ends, values, denied=act is not decide.approve)
        finally:
            caller.sock.close()
            for end in ends:
                os.close(end)
    note_requests(stage)
    for name in people:
        spoils(outcome.wrong, stage, name)
    return outcome


def note_requests(stage: Stage) -> None:
    """Remembers every request that was sent, whatever became of it: its prompt may stand at the relay."""
    for message in stage.script.record:
        if message.direction == "request" and message.route == "POST /v1/requests":
            for signed in map(dump, json.loads(message.body)["requests"]):
                said = json.loads(payload_of("request", signed))
                if said["purpose"] == "reseal":
                    stage.resealing.add(b64encode(oid_of(signed)))
                else:
                    stage.asked[b64encode(oid_of(signed))] = (said["path"], signed)


def _event(caller: Any) -> dict[str, Any] | None:
    try:
        return caller.event()  # type: ignore[no-any-return]
    except TimeoutError:
        return None


def _decide(stage: Stage, outcome: Outcome, people: Sequence[str], act: Callable[[Account, Card], Any]) -> bool:
    """Whether everybody decided on something."""
    approved: list[str] = []
    decided = 0
    for name in people:
        with stage.account(name) as account, outcome.by(name):
            found = prompts.waiting(account)
            outcome.codes += [f"{name}:prompt:{one.code}" for one in found.refused]
            for card in found.cards:
                compare(outcome, stage, name, card, approved)
                act(account, card)
            decided += bool(found.cards)
        approved.append(name)
    return decided == len(people)


def _judge(outcome: Outcome, said: dict[str, Any] | None, ends: Sequence[int], values: Sequence[bytes], *, denied: bool) -> None:
    got = [read_now(end) for end in ends]
    if said is None:
        outcome.codes.append("client:silence")
    elif said["event"] == "delivered":
        outcome.must(not denied, "a value was delivered although people denied")
        outcome.must(got == list(values), "another value was delivered")
        outcome.must([one["version"] for one in said["values"]] == [1] * len(values), "another version was delivered")
        outcome.same = not denied
        return
    else:
        outcome.codes.append(f"client:{said.get('exit')}:{said.get('check') or said.get('code')}")
        if said.get("exit") == 10:
            outcome.must(denied, "the client says denied, but nobody denied")
            outcome.same = denied
    outcome.must(not any(got), "a value reached the caller without a delivery")


def read_now(end: int) -> bytes:
    """What stands in a pipe, without waiting."""
    os.set_blocking(end, False)
    return _read(end)


def _read(end: int) -> bytes:
    try:
        return os.read(end, 65536)
    except BlockingIOError:
        return b""


def _deny(account: Account, card: Card) -> None:
    decide.refuse(account, card, "deny")


def _with_secrets(policy: str, threshold: int, people: Sequence[str], paths: Sequence[str]) -> Callable[[Stage], None]:
    def set_up(stage: Stage) -> None:
        stage.policy(policy, people, threshold)
        for path in paths:
            stage.seal(path, path.encode())
            stage.secrets[path] = newest(stage, path)
    return set_up


RELEASE = ["prod/one/db"]
PAIR = ["prod/two/db", "prod/two/mail"]


def _release(stage: Stage) -> Outcome:
    return ask(stage, RELEASE, [one.encode() for one in RELEASE], ["bob"])


def _quorum(stage: Stage) -> Outcome:
    return ask(stage, PAIR, [one.encode() for one in PAIR], ["alice", "cleo"])


def _denial(stage: Stage) -> Outcome:
    return ask(stage, RELEASE, [b"nothing"], ["bob"], _deny)


# ---- sealing -------------------------------------------------------------------------------------------------------------

SEALED = "prod/seal/db"


def _seal_set_up(stage: Stage) -> None:
    stage.policy("seal", ["alice", "bob"])
    stage.seal(SEALED, b"first")


def _seal(stage: Stage) -> Outcome:
    outcome = Outcome()
    with outcome.by("alice"):
        stage.seal(SEALED, b"second")
        outcome.same = True
    sent = uploads(stage.script.record)
    stage.script.reset()
    for secret, ciphertext in sent:
        outcome.must(recipients(secret) == sorted(stage.trust.recipients(SEALED, clock())), "sealed to others than rostered")
        opens_to(outcome.wrong, stage, stage.trust, secret, ciphertext, b"second")
    if outcome.same:
        outcome.must(newest(stage, SEALED) in [secret for secret, _ in sent], "the relay holds another seal than was sent")
    return outcome


# ---- enrolment -----------------------------------------------------------------------------------------------------------


def _enrol(kind: str) -> Callable[[Stage], Outcome]:
    def run(stage: Stage) -> Outcome:
        outcome = Outcome()
        name = f"{'dora-' if kind == 'person' else 'host/new-'}{next(NUMBERS)}"
        home = Home(stage.path(name))
        with outcome.by("joiner"):
            joining = _begin(stage, outcome, kind, name, home)
            if joining is not None:
                outcome.same = _both(stage, outcome, name, *joining)
        stage.script.reset()
        (_person_as_made if kind == "person" else _client_as_made)(stage, outcome, home, name)
        return outcome
    return run


def _next_second(stage: Stage) -> None:
    """The relay lists invites by the second in which they were made: this run's is to be the last."""
    now = clock()
    while clock() == now:
        time.sleep(0.02)


def _begin(stage: Stage, outcome: Outcome, kind: str, name: str, home: Home) -> tuple[Join, list[str]] | None:
    with outcome.by("alice"):
        url = stage.invite(kind, name, ["approver"] if kind == "person" else [])
        joining = Join(home, url, passphrase=lambda: None, label="laptop", now=clock())
        with outcome.by("joiner"):
            return joining, joining.begin()
    return None


def _both(stage: Stage, outcome: Outcome, name: str, joining: Join, words: list[str]) -> bool:
    finish = Background(joining.finish)

    def confirm() -> None:
        with stage.account("alice") as alice:
            enrolment.confirm(alice, name, words)

    confirming = Background(confirm)
    if not (confirming.done(LONG) and (confirming.failed or finish.done(LONG))):
        outcome.codes.append("silence")
    stage.script.shut = True  # whoever still waits is told to give up
    stage.town.proxy.cut()
    count = len(outcome.codes)
    with outcome.by("alice"):
        confirming.result(60)
    with outcome.by("joiner"):
        finish.result(60)
    stage.script.shut = False
    return len(outcome.codes) == count


def _person_as_made(stage: Stage, outcome: Outcome, home: Home, name: str) -> None:
    """Whoever the roster names has the keys that the joiner made. Then the person goes again."""
    stage.look()
    named = [one for one in roster_of(stage.trust).people if one.id == name]
    if outcome.same:
        outcome.must(bool(named), "confirmed, but the roster does not name the joiner")
    for person in named:
        listed = [(device.kem.public, device.auth[0].public) for device in person.devices]
        outcome.must(listed == [_device_keys(home)], "the roster names keys that the joiner did not make")
        outcome.must(person.roles == ["approver"], "the roster gives other roles than were granted")
    if named:
        stage.publish(lambda old: msgspec.structs.replace(old, people=[one for one in old.people if one.id != name]))


def _device_keys(home: Home) -> tuple[str, str] | None:
    raw = home.read_bytes(DEVICE_KEY)
    if raw is None:
        return None
    held = keyfile.unlock(raw, "device", None)
    return b64encode(keyfile.kem_key(held.kem).public), b64encode(keyfile.signing_key(held.auth_alg, held.auth).public)


def _client_as_made(stage: Stage, outcome: Outcome, home: Home, name: str) -> None:
    """A certificate that this home took is of its own key, with the scopes, host and grade that were granted."""
    own = load_client(home, name)
    if outcome.same:
        outcome.must(own is not None, "confirmed, but the joiner has no certificate")
    if own is not None:
        cert = own.verified(stage.trust, clock())
        outcome.must((cert.host, cert.grade, cert.scopes) == ("db-1", "system", ["prod/**"]), "another certificate than granted")


# ---- removal -------------------------------------------------------------------------------------------------------------

GONE = "prod/gone/db"


def _remove_prepare(stage: Stage) -> None:
    """Dave stands (again) with a fresh device, and can open what is to be sealed again."""
    material = DeviceMaterial.generate()

    def edit(roster: Roster) -> Roster:
        device = material.device(f"dave-{b64encode(material.kem.public)[5:17].lower().replace('_', '-')}", "dave", clock())
        people = [one for one in roster.people if one.id != "dave"]
        dave = Person(id="dave", name="dave", roles=["approver"], devices=[device])
        roster = msgspec.structs.replace(roster, people=[*people, dave])
        rule = rosters.Rule(id="gone", match=["prod/gone/**"], people=["alice", "dave"], ttl=30)
        return rosters.with_policy(rule, None)(roster)

    stage.publish(edit)
    stage.seal(GONE, b"kept")


def _remove(stage: Stage) -> Outcome:
    outcome = Outcome()

    def act() -> Any:
        with stage.account("alice") as alice:
            return removal.remove(alice, "dave", "", lambda line: None)

    work = Background(act)
    if not work.done(LONG):
        outcome.codes.append("silence")
    stage.script.shut = True
    stage.town.proxy.cut()
    with outcome.by("alice"):
        work.result(60)
        outcome.same = not outcome.codes
    sent = uploads(stage.script.record)
    note_requests(stage)
    spoils(outcome.wrong, stage, "alice")
    stage.script.reset()
    stage.look()
    for secret, ciphertext in sent:
        opens_to(outcome.wrong, stage, stage.trust, secret, ciphertext, b"kept")
        outcome.must(recipients(secret) == [(1, "alice", Home(stage.path("alice")).person().device)],
                     "sealed again to others than those who stay")
    if outcome.same:
        outcome.must([secret for secret, _ in sent] == [newest(stage, GONE)], "the relay holds another seal than was sent")
        outcome.must(all(one.id != "dave" for one in roster_of(stage.trust).people), "dave is still on the roster")
    return outcome


def nothing(stage: Stage) -> None:
    """No set-up."""


FLOWS = (
    Flow("release", _with_secrets("one", 1, ["alice", "bob"], RELEASE), _release),
    Flow("quorum", _with_secrets("two", 2, ["alice", "bob", "cleo"], PAIR), _quorum),
    Flow("denial", nothing, _denial),
    Flow("seal", _seal_set_up, _seal),
    Flow("enrol a person", nothing, _enrol("person"), _next_second),
    Flow("enrol a client", nothing, _enrol("client"), _next_second),
    Flow("remove", _remove_prepare, _remove, _remove_prepare),
)

