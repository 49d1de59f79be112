"""The device's decision, pure: from verified prompts to the facts of a card, and from the person's answer to what is signed.

The core made checks 7.1 to 7.3 before a `Facts` can exist; this module shows (7.4) and decides. Nothing here reads a clock,
a disk or the network, and nothing that a caller claims is mixed into what was observed: the two are separate fields of the
card up to the screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import UNSET

from stillvault.crypto.private import Prompt
from stillvault.crypto.public import b64encode, sha256
from stillvault.protocol import cards
from stillvault.protocol.errors import Failed, Usage
from stillvault.protocol.objects import Decision, Item, Pair, Policy, Request, Secret, canonical

SKEW = 120  # seconds that the asking host's clock may be ahead of this one without a word
MAX_FREEZE = 24 * 3600  # seconds: a freeze ends no later than its hold


@dataclass(frozen=True)
class Facts:
    """One verified prompt, with the policy of the roster in force."""

    prompt: Prompt
    request: Request
    secret: Secret
    policy: Policy
    approved_by: tuple[str, ...] = ()

    @property
    def rules(self) -> Policy:
        """Whose people and threshold count: `core.policy` for a reseal, the current policy else (section 6)."""
        return self.secret.core.policy if self.request.purpose == "reseal" else self.policy

    @property
    def needed(self) -> int:
        """Distinct people whose approvals make the quorum: as sealed."""
        return self.secret.core.policy.threshold

    @property
    def window(self) -> int:
        """The longest lease that a decision may give: the least of the three that bound it (section 10)."""
        return min(self.policy.window, self.secret.core.policy.window, self.request.window)

    @property
    def uses(self) -> int:
        """The least of the limits on uses; 0 means no limit."""
        return min((one for one in (self.policy.uses, self.secret.core.policy.uses, self.request.uses) if one), default=0)


@dataclass(frozen=True)
class Card:
    """All requests of one command: seen and decided at once (section 6)."""

    id: str
    facts: tuple[Facts, ...]
    refused: tuple[tuple[str, str], ...] = field(default=())  # (path as the relay's bytes say, code) of what did not verify

    @property
    def first(self) -> Facts:
        """Equal for all: client, host, caller, claims, dates."""
        return self.facts[0]

    @property
    def code(self) -> str:
        """The code of the card: that of the request with the least path."""
        return self.facts[cards.first_path([one.request for one in self.facts])].prompt.code

    @property
    def code_required(self) -> bool:
        """Whether a policy of the card wants the code typed."""
        return any(one.policy.code for one in self.facts)

    @property
    def window(self) -> int:
        """The longest window of any of its requests."""
        return max(one.window for one in self.facts)

    @property
    def uses(self) -> int:
        """The most uses of any of its requests; 0 means that one has no limit."""
        limits = [one.uses for one in self.facts]
        return max(limits) if all(limits) else 0

    @property
    def expires(self) -> int:
        return self.first.request.expires

    @property
    def missing(self) -> int:
        """People still missing, at the request that lacks most."""
        return max(one.needed - len(one.approved_by) for one in self.facts)


def facts_of(prompt: Prompt, policy: bytes, approved_by: Sequence[str]) -> Facts:
    """Decodes what the core verified."""
    return Facts(
        prompt=prompt,
        request=msgspec.json.decode(prompt.request.payload, type=Request),
        secret=msgspec.json.decode(prompt.secret.payload, type=Secret),
        policy=msgspec.json.decode(policy, type=Policy),
        approved_by=tuple(sorted(set(approved_by))),
    )


def make_cards(facts: Sequence[Facts]) -> list[Card]:
    """Groups verified prompts, in order of arrival; the secrets of a card in order of path."""
    requests = [one.request for one in facts]
    made = []
    for group in cards.group(requests):
        together = sorted((facts[n] for n in group), key=lambda one: one.request.path)
        made.append(Card(id=cards.card_id(together[0].request), facts=tuple(together)))
    return made


def describe(card: Card, now: int) -> dict[str, Any]:
    """The card as JSON (contract.md): observed facts at the top, the caller's words under `claimed` alone."""
    request = card.first.request
    seen = request.observed
    shown: dict[str, Any] = {
        "id": card.id,
        "requests": [_describe_one(one) for one in card.facts],
        "client": card.first.prompt.cert.subject,
        "host": card.first.prompt.host,
        "user": seen.user,
        "uid": seen.uid,
        "exe": seen.exe,
        "exe_sha256": seen.exe_sha256,
        "chain": [{"exe": one.exe, "exe_sha256": one.exe_sha256} for one in seen.chain],
        "grade": seen.grade,
        "purpose": request.purpose,
        "issued": request.issued,
        "age": max(0, now - request.issued),
        "expires": request.expires,
        "window": card.window,
        "uses": card.uses,
        "people_needed": max(one.needed for one in card.facts),
        "people_approved": min(len(one.approved_by) for one in card.facts),
        "approved_by": sorted(set.intersection(*(set(one.approved_by) for one in card.facts))),
        "claimed": {},
    }
    if seen.unit is not UNSET:
        shown["unit"] = seen.unit
    if seen.container is not UNSET:
        shown["container"] = seen.container
    if request.issued - now > SKEW:
        shown["ahead"] = request.issued - now
    if card.code_required:
        shown["code_required"] = True
    else:
        shown["code"] = card.code
    if request.claimed.argv is not UNSET:
        shown["claimed"]["argv"] = request.claimed.argv
    if request.claimed.reason is not UNSET:
        shown["claimed"]["reason"] = request.claimed.reason
    return shown


def _describe_one(one: Facts) -> dict[str, Any]:
    core = one.secret.core
    shown: dict[str, Any] = {
        "request": b64encode(one.prompt.request.oid),
        "secret": core.path,
        "version": core.version,
        "revision": core.revision,
        "sealed_by": core.by.person,
        "sealed": core.sealed,
        "window": one.window,
        "uses": one.uses,
        "policy": one.policy.id,
    }
    if one.prompt.outside:  # 7.3: recipients outside the current policy are shown
        shown["outside"] = [f"{person}/{device}" for _, person, device in one.prompt.outside]
    return shown


def choose(cards_waiting: Sequence[Card], name: str) -> Card:
    """The card that a person named, by its id or an unambiguous beginning of at least four digits, or by one of its requests."""
    found = [one for one in cards_waiting if one.id == name or name in [b64encode(each.prompt.request.oid) for each in one.facts]]
    found = found or [one for one in cards_waiting if len(name) >= 4 and one.id.startswith(name)]
    if len(found) > 1:
        raise Usage("card", "more than one card begins like that", "give the whole id", "ID")
    if not found:
        raise Failed("no-card", "no such card waits for you", "it may be decided, cancelled or expired: see `stillvault inbox`")
    return found[0]


def fewer(most: int, wanted: int) -> int:
    """The lesser of two limits on uses, of which 0 is none."""
    return min((one for one in (most, wanted) if one), default=0)


def items_of(card: Card, verdict: str, window: int | None, uses: int = 0) -> list[Item]:
    """The items of a decision on the whole card. Window and uses may only shrink (7.4)."""
    return [
        Item(
            request=b64encode(one.prompt.request.oid),
            secret=b64encode(one.prompt.secret.oid),
            path=one.request.path,
            version=one.secret.core.version,
            revision=one.secret.core.revision,
            index=one.prompt.index,
            window=min(one.window, one.window if window is None else window) if verdict == "approve" else 0,
            uses=fewer(one.uses, uses) if verdict == "approve" else 0,
        )
        for one in card.facts
    ]


def decision(*, org: str, verdict: str, own: tuple[str, str], items: list[Item], issued: int, expires: int, roster: Pair,
             log_head: tuple[int, bytes] | None, note: str = "") -> bytes:
    """The canonical payload that the person's key signs. An approve ends with its requests, a freeze within a day (7.5)."""
    return canonical(Decision(
        org=org, verdict=verdict, person=own[0], device=own[1], issued=issued, expires=expires, roster=roster, items=items,
        log_head=UNSET if log_head is None else (log_head[0], b64encode(log_head[1])),
        note=note or UNSET,
    ))


def check_code(card: Card, typed: str) -> bool:
    """Six ASCII digits, equal to the card's code; nothing is trimmed or folded (X12)."""
    return len(typed) == 6 and typed.isascii() and typed.isdigit() and sha256(typed.encode()) == sha256(card.code.encode())
