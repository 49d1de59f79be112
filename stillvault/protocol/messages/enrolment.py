"""Enrolment: invites, the joiner's way in, and the keys that a device keeps wrapped."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from stillvault.protocol.messages.base import Message
from stillvault.protocol.messages.trust import Trust


class NewInvite(Message):
    """POST /v1/invites. The relay learns the hash of the bearer, never the nonce."""

    invite: str  # SHA-256([enrol, "id", nonce])
    bearer_hash: str  # SHA-256 of the bearer's text
    kind: Literal["person", "client"]
    subject: str  # person id, or client subject
    roles: list[str] = msgspec.field(default_factory=list)
    scopes: list[str] = msgspec.field(default_factory=list)
    host: str = ""
    grade: str = ""
    device: str = ""  # of that person: the joiner is one more passkey of it, and gets its key from a passkey that has it


class InviteTerms(Message):
    """GET /v1/invite, bearer: that of the invite. What the joiner's screen shows; the roster or certificate decides."""

    kind: Literal["person", "client"]
    subject: str
    expires: int
    roles: list[str] = msgspec.field(default_factory=list)
    scopes: list[str] = msgspec.field(default_factory=list)
    host: str = ""
    grade: str = ""
    device: str = ""


class Invite(Message):
    """One line of GET /v1/invites."""

    invite: str
    kind: Literal["person", "client"]
    subject: str
    roles: list[str]
    scopes: list[str]
    host: str
    grade: str
    created: int
    expires: int
    state: Literal["open", "joined", "challenged", "proved", "confirmed", "cancelled", "expired"]
    enrol: Raw | UnsetType = UNSET
    proof: str = ""
    device: str = ""
    transferred: bool = False


class Invites(Message):
    """GET /v1/invites."""

    invites: list[Invite]


class Enrol(Message):
    """POST /v1/enrol, bearer: that of the invite (single use)."""

    enrol: Raw


class Enrolled(Message):
    """The answer: a ticket that polls this enrolment alone."""

    ticket: str
    oid: str


class Challenge(Message):
    """POST /v1/invites/{invite}/challenge: 32 bytes sealed to the joiner's KEM key. /transfer: the device's own key."""

    enc: str
    ct: str


class Proof(Message):
    """POST /v1/enrol/proof, bearer: the ticket. The opened challenge."""

    proof: str


class EnrolState(Message):
    """GET /v1/enrol?wait=S, bearer: the ticket."""

    state: Literal["joined", "challenged", "proved", "confirmed", "cancelled", "expired"]
    challenge: Challenge | UnsetType = UNSET
    transfer: Challenge | UnsetType = UNSET
    cert: Raw | UnsetType = UNSET
    trust: Trust | UnsetType = UNSET


class WrappedKey(Message):
    """POST /v1/wrapped: a key of the session's own device, wrapped under one of its passkeys (protocol 11)."""

    credential: str
    kind: Literal["kem", "client"]
    public: str
    blob: str


class WrappedKeys(Message):
    """GET /v1/wrapped: those of the session's own device."""

    keys: list[WrappedKey]
