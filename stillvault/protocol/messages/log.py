"""The log."""

from __future__ import annotations

from stillvault.protocol.messages.base import Message


class Leaves(Message):
    """GET /v1/audit?after=INDEX&limit=N: leaves as the exact canonical bytes that are hashed."""

    first: int
    leaves: list[str]  # canonical JSON text of each leaf
    checkpoint: str  # signed note


class Checkpoint(Message):
    """GET /v1/log/checkpoint."""

    checkpoint: str


class Consistency(Message):
    """GET /v1/log/consistency?old=N&new=M: RFC 6962 proof, base64url hashes."""

    proof: list[str]
