"""Clients: their certificates, and the holds on them."""

from __future__ import annotations

from msgspec import UNSET, Raw, UnsetType

from stillvault.protocol.messages.base import Message


class NewClient(Message):
    """POST /v1/clients: the certificate of an enrolled or renewed client. `enrol`: oid of the enrolment that it confirms."""

    cert: Raw
    enrol: str = ""


class Clients(Message):
    """GET /v1/clients: every certificate that stands, with when it was last seen."""

    clients: list[Client]


class Client(Message):
    cert: Raw
    oid: str
    last_seen: int = 0
    revoked: bool = False


class Freeze(Message):
    """A line of GET /v1/holds. That the relay still holds the client is its word; who froze it is in what was signed."""

    subject: str
    until: int
    decision: Raw | UnsetType = UNSET  # absent: the relay's own, after denied cards
    request: Raw | UnsetType = UNSET  # one that the decision names, which names the client's certificate


class Freezes(Message):
    """GET /v1/holds: what freezes put on clients and is not over, by subject."""

    holds: list[Freeze]


class Lift(Message):
    """POST /v1/holds/lift: an administrator ends what freezes put on this client."""

    subject: str


class Lifted(Message):
    """How many holds ended."""

    count: int
