"""Trust: the root chain, the roster, and what makes or changes them."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from stillvault.protocol.messages.base import Message


class Trust(Message):
    """GET /v1/trust: the root chain from version 1, and the newest roster."""

    roots: list[Raw]
    roster: Raw


class LogKey(Message):
    """GET /v1/setup/log, bearer: the setup token. What the root's `log` must say."""

    origin: str
    public: str


class Organisation(Message):
    """The answer to POST /v1/setup."""

    org_id: str


class Setup(Message):
    """POST /v1/setup, bearer: the setup token. Creates the organisation, once."""

    root: Raw
    roster: Raw
    certs: list[Raw] = msgspec.field(default_factory=list)


class Publish(Message):
    """POST /v1/roster: a new roster, with the new root and the certificates that go with it, in one transaction."""

    roster: Raw
    roots: list[Raw] = msgspec.field(default_factory=list)
    certs: list[Raw] = msgspec.field(default_factory=list)
    enrol: str = ""  # oid of the enrolment that this roster confirms
