"""Secrets, as sealed."""

from __future__ import annotations

from msgspec import Raw

from stillvault.protocol.messages.base import Message


class NewSecret(Message):
    """POST /v1/secrets: the signed secret and its ciphertext."""

    secret: Raw
    ciphertext: str


class Stored(Message):
    oid: str
    path: str
    version: int
    revision: int


class LatestSecret(Message):
    """GET /v1/secrets/latest?path=: the newest signed secret of a path, without ciphertext."""

    secret: Raw


class Secrets(Message):
    """GET /v1/secrets?prefix=&after=&limit=: the newest signed secret of each path, in order of path, without ciphertext."""

    secrets: list[Raw]
    next: str = ""  # pass as `after`
