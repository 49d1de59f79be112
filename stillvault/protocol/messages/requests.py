"""Requests: raised, shown to people, decided, released; leases and their ends."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from stillvault.protocol.messages.base import Message


class NewRequests(Message):
    """POST /v1/requests: one card; all are taken or none."""

    requests: list[Raw]


class RequestState(Message):
    """What the relay's row says. `releases`, `secret` and `ciphertext` only to the client, only when approved."""

    oid: str
    state: Literal["pending", "approved", "delivered", "failed", "denied", "expired", "cancelled", "revoked"]
    approvals: int = 0
    needed: int = 0
    asked: list[str] = msgspec.field(default_factory=list)  # person ids
    decisions: list[Raw] = msgspec.field(default_factory=list)  # signed denies and freezes
    releases: list[Raw] = msgspec.field(default_factory=list)
    secret: Raw | UnsetType = UNSET
    ciphertext: str = ""


class RequestStates(Message):
    requests: list[RequestState]


class Prompt(Message):
    """One request as an approver gets it. Everything in it is verified by the device before it is shown."""

    request: Raw
    cert: Raw
    secret: Raw
    decisions: list[Raw] = msgspec.field(default_factory=list)  # approvals so far, for the progress that the screen shows


class Prompts(Message):
    """GET /v1/prompts: what waits for this person."""

    prompts: list[Prompt]
    cursor: int


class Decide(Message):
    """POST /v1/decisions. An approve comes as a release (`decision` and `sealed`), a deny or freeze as the decision alone."""

    release: Raw | UnsetType = UNSET
    decision: Raw | UnsetType = UNSET


class Decided(Message):
    """The states that the requests of the decision came to, in the order of its items."""

    oid: str
    states: list[str]
    effects: list[str] = msgspec.field(default_factory=list)
    # Requests whose item changed nothing: decided, ended or sealed anew before it came.
    late: list[str] = msgspec.field(default_factory=list)


class SignedList(Message):
    """POST /v1/receipts, /v1/uses, /v1/cancels."""

    objects: list[Raw]


class Lease(Message):
    """A line of GET /v1/leases: what a client still keeps, as far as the relay knows from its reports."""

    request: str
    path: str
    host: str
    client: str
    uid: int
    user: str
    exe: str
    granted_by: list[str]
    until: int
    count: int = 0  # uses that the client reported


class Leases(Message):
    """GET /v1/leases."""

    leases: list[Lease]


class EndLeases(Message):
    """POST /v1/leases/end: the leases of these requests, or all of every client."""

    requests: list[str] = msgspec.field(default_factory=list)
    all: bool = False
