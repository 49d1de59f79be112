"""What waits for a person: fetched from the relay, verified by the core, grouped into cards, held to the device's budget.

A prompt that does not verify is never a card: it is named with the check that refused it, and that is all that can be done
with it. `wait` follows the relay's event stream, so a card appears when it is raised, not at the next poll.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from stillvault.approver import budget
from stillvault.approver.account import Account
from stillvault.approver.device import Card, Facts, facts_of, make_cards
from stillvault.approver.memory import Memory, remember, remembered
from stillvault.crypto.private import check_prompt
from stillvault.crypto.public import Trust, b64encode, oid_of, payload_of
from stillvault.protocol import messages
from stillvault.protocol.errors import Refused, StillvaultError
from stillvault.protocol.objects import Decision, Policy, Request

RETRY = 1.0  # seconds between two attempts to follow the stream


@dataclass(frozen=True)
class RefusedPrompt:
    """A prompt that did not verify. The oid is that of bytes that nobody vouches for."""

    request: str
    code: str


@dataclass(frozen=True)
class Waiting:
    """The cards that may be shown, what was refused, and how many are held back by the budget."""

    cards: list[Card]
    refused: list[RefusedPrompt]
    held: int


def waiting(account: Account) -> Waiting:
    """All cards that wait for this person now."""
    given = account.call("GET", "/v1/prompts", returns=messages.Prompts).prompts
    trust = account.trust(fresh=True)
    now = account.clock()
    with account.home.lock():
        memory = remembered(account.home)
        facts: list[Facts] = []
        refused: list[RefusedPrompt] = []
        for prompt in given:
            try:
                found = _verify(prompt, trust, account.own, memory, now)
            except Refused as error:
                refused.append(RefusedPrompt(request=_name(prompt), code=error.code))
                continue
            if found is not None and all(one.prompt.request.oid != found.prompt.request.oid for one in facts):
                facts.append(found)  # a request that the relay says twice is one
        cards = make_cards(facts)
        admitted, counted = budget.admit([one.id for one in cards], memory, budget.limits_of(account.home), now)
        if counted != memory:
            remember(account.home, counted)
    return Waiting(cards=[one for one in cards if one.id in admitted], refused=refused, held=len(cards) - len(admitted))


def wait(account: Account, seconds: float) -> Waiting:
    """As `waiting`, but waits up to `seconds` for a first card."""
    deadline = time.monotonic() + seconds
    found = waiting(account)
    if found.cards or seconds <= 0:
        return found
    events: queue.Queue[bool] = queue.Queue()
    stop = threading.Event()
    token = account.token()
    threading.Thread(target=_follow, args=(account, token, events, stop), daemon=True).start()
    try:
        while (left := deadline - time.monotonic()) > 0:
            found = waiting(account)
            if found.cards:
                break
            try:
                # Looks again after a while even without an event: a stream may be dead without our knowing.
                events.get(timeout=min(left, 5.0))
            except queue.Empty:
                continue
    finally:
        stop.set()
    return found


def _follow(account: Account, token: str, events: queue.Queue[bool], stop: threading.Event) -> None:
    """Says that something happened, whenever the relay's stream does; reconnects until told to stop."""
    last = 0
    while not stop.is_set():
        try:
            for event in account.relay.stream("/v1/stream", token=token, last_id=last):
                last = event.id
                if stop.is_set():
                    return
                if event.kind in ("prompt", "withdrawn", "state", "roster"):
                    events.put(True)
        except StillvaultError:
            pass  # the caller's own calls will meet the same trouble, and say so
        stop.wait(RETRY)


def _verify(prompt: messages.Prompt, trust: Trust, own: tuple[str, str], memory: Memory, now: int) -> Facts | None:
    """Checks 7.1 to 7.3 by the core. None: this device answered the request before."""
    # Unverified, to choose what to compare with: the core refuses when the verified bytes say otherwise.
    claimed = msgspec.json.decode(payload_of("request", bytes(prompt.request)), type=Request)
    if memory.decided(claimed.client, claimed.id):
        return None
    checked = check_prompt(trust, own, bytes(prompt.cert), bytes(prompt.request), bytes(prompt.secret), False,
                           memory.highest.get(claimed.path), now)
    policy = trust.select_policy(checked.request.path)
    facts = facts_of(checked, policy, ())
    return facts_of(checked, policy, _approvals(prompt.decisions, trust, facts.rules, b64encode(checked.request.oid), now))


def _approvals(decisions: Sequence[msgspec.Raw], trust: Trust, rules: Policy, request: str, now: int) -> list[str]:
    """People whose signed approval of this very request verifies; what does not is left out of the progress shown."""
    people: list[str] = []
    for signed in decisions:
        try:
            verified = trust.verify_decision(bytes(signed), now)
        except Refused:
            continue
        payload = msgspec.json.decode(verified.payload, type=Decision)
        named = any(one.request == request for one in payload.items)
        if payload.verdict == "approve" and payload.person in rules.people and named:
            people.append(payload.person)
    return people


def _name(prompt: messages.Prompt) -> str:
    try:
        return b64encode(oid_of(bytes(prompt.request)))
    except StillvaultError:
        return ""
