"""The event feed."""

from __future__ import annotations

from typing import Literal

from stillvault.protocol.messages.base import Message


class Event(Message):
    """One event of the feed. `subject` is what changed; whoever hears it fetches it."""

    id: int
    kind: Literal["prompt", "withdrawn", "state", "roster", "purge", "enrol", "secret"]
    oid: str = ""
    request: str = ""
    path: str = ""
    state: str = ""


class Events(Message):
    """GET /v1/events?after=CURSOR&wait=S for clients (long poll); GET /v1/stream for people (SSE, id = cursor)."""

    events: list[Event]
    cursor: int
