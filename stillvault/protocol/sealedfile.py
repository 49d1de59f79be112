"""The file of sealed secrets that break-glass opens: JSON, an object a line, mode 0600.

The first line holds the root chain and the newest roster, each further one the newest seal of a path with its ciphertext, by
ascending path, the last one how many there were. Signed objects stand in it byte for byte, so whoever has the pin can verify
all of it. It holds no key, no bearer and no plaintext; it does hold the names of secrets and people.
"""

from __future__ import annotations

import msgspec

LINE_LIMIT = 24 * 1024 * 1024  # bytes; the first line grows with the root chain


class Line(msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag_field="kind"):
    """What all lines share: `kind` says which it is."""


class Head(Line, tag="stillvault-sealed"):
    created: int
    roots: list[msgspec.Raw]  # from version 1
    roster: msgspec.Raw
    v: int = 1


class Sealed(Line, tag="secret"):
    path: str
    secret: msgspec.Raw
    ciphertext: str  # base64url


class End(Line, tag="end"):
    secrets: int
