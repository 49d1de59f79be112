"""What every body is, and those that belong to no room."""

from __future__ import annotations

from typing import Literal

import msgspec


class Message(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """A body of the wire. Unknown fields are refused; defaults are left out."""


class Nothing(Message):
    """A body without fields: `{}`."""


class Health(Message):
    """GET /livez, /readyz."""

    status: Literal["ok"]


class Problem(Message):
    """application/problem+json. `code` is stable; `detail` never repeats the request."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    field: str = ""
    remedy: str = ""
