"""Requests that wait for people, as the client keeps them (protocol section 9): who waits on each, and how it ended.

A `Pending` is one request of one path. Several calls may wait on it; the first of them that can take a value now owns it and is
the one that a release is delivered to, the others are served from the lease that follows. When the owner goes, the next one takes
over; when the last one goes, the request is withdrawn. A handle waits like a call, and takes nothing by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from stillvault.client.flow import Client
from stillvault.client.frames import Question
from stillvault.client.peer import Identity
from stillvault.crypto.private import Ephemeral, Opened
from stillvault.crypto.public import request_code
from stillvault.protocol.cards import card_id
from stillvault.protocol.errors import StillvaultError
from stillvault.protocol.objects import Policy, Request


@dataclass(eq=False)
class Visit:
    """One `get` of one caller, or what a handle stands for."""

    call: Question
    identity: Identity
    tell: Callable[[dict[str, Any]], None]  # news for the caller
    attached: bool = True  # a caller is there to take values; not so for a handle
    ends: list[int] = field(default_factory=list)
    waits: dict[str, Pending] = field(default_factory=dict)  # own or joined, by path
    behind: dict[str, Pending] = field(default_factory=dict)  # queued behind another's request
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    shown: dict[str, Any] | None = None

    def taken(self, path: str) -> Opened | None:
        """The opened release that this visit owns, for a path."""
        pending = self.waits.get(path)
        return pending.opened if pending is not None and pending.owner is self and not pending.finished else None


@dataclass(eq=False)
class Pending:
    """One request. Ends exactly once: `finished`, with or without an `error`."""

    key: tuple[str, str, str, bytes]
    client: Client
    policy: Policy
    scope: tuple[str, bytes]
    request: Request
    signed: bytes
    oid: bytes
    ephemeral: Ephemeral
    visits: list[Visit] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    needed: int = 0
    approved: int = 0
    raised: bool = False  # the relay has it
    looking: bool = False
    look_again: bool = False
    opening: bool = False  # a release or a denial is being verified
    opened: Opened | None = None
    error: StillvaultError | None = None
    finished: bool = False
    why: str = ""  # why people are asked again, for the caller
    timer: asyncio.TimerHandle | None = None

    @property
    def path(self) -> str:
        return self.request.path

    @property
    def owner(self) -> Visit | None:
        """Who a release is delivered to: the first whom the lease to come would cover, never one that waits behind."""
        able = [visit for visit in self.visits if visit.waits.get(self.path) is self]
        return next((visit for visit in able if visit.attached), able[0] if able else None)

    def ring(self) -> None:
        """Wakes everyone who waits on it."""
        for visit in self.visits:
            visit.bell.set()

    def finish(self, error: StillvaultError | None = None) -> bool:
        """Ends it; the ephemeral key is erased and a value that nobody took is wiped. False where it had ended before."""
        if self.finished:
            return False
        self.finished, self.error = True, error
        self.ephemeral.erase()
        if self.timer is not None:
            self.timer.cancel()
        self.ring()
        return True


def pending_event(visit: Visit) -> dict[str, Any] | None:
    """What the caller is told while it waits. One card stands for all that it waits for."""
    own = [one for one in visit.waits.values() if not one.finished and one.raised]
    waiting = own or [one for one in visit.behind.values() if not one.finished and one.raised]
    if not waiting:
        return None
    first = min(waiting, key=lambda one: one.path)
    event: dict[str, Any] = {
        "event": "pending", "card": card_id(first.request), "code": request_code(first.oid), "asked": _union(waiting),
        "needed": max(one.needed for one in waiting), "approved": min(one.approved for one in waiting),
        "expires": min(one.request.expires for one in waiting),
    }
    if why := next((f"{one.path}: {one.why}" if len(own) > 1 else one.why for one in own if one.why), ""):
        event["why"] = why
    if not own:
        event["queued"] = True
        event["why"] = "the same program has asked already; this call is next"
    return event


def _union(waiting: Iterable[Pending]) -> list[str]:
    return sorted({person for one in waiting for person in one.asked})
