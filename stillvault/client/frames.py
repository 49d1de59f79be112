"""What the daemon and its callers say to each other on the local socket.

A frame is a length (u32, big-endian, <= 256 KiB) and that many bytes of canonical JSON (protocol section 2): one form, no
duplicate keys, no hidden characters. Values never travel in a frame. For each value the caller passes the write end of an empty
pipe (SCM_RIGHTS) along with its `get`, and the daemon writes the value there.

1. The daemon says a nonce. 2. The caller's first frame repeats it and carries `v`. 3. One verb after the other; a `get` may be
answered by several events. Closing the connection withdraws whatever waits on it, but not what a handle stands for (`ask`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from stillvault.crypto.public import encode, visible
from stillvault.protocol.errors import Refused, StillvaultError, Usage

MAX_FRAME = 256 * 1024  # bytes
MAX_REFS = 100
HEADER = 4  # bytes
SMALL = 1024  # bytes of a frame that is remembered
VERSION = 1
REMEDY = "use the `stillvault` command of this version"


class Frame(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """A frame. Unknown fields are refused."""


class Opening(Frame):
    """What any verb may carry; the first frame of a connection must."""

    v: int = VERSION
    nonce: str = ""


class Question(Opening, kw_only=True):
    """What is asked of people. Times are seconds."""

    refs: list[str]
    argv: list[str] | UnsetType = UNSET  # claimed
    reason: str | UnsetType = UNSET  # claimed
    ttl: int | UnsetType = UNSET  # how long people may take, at most
    wait: int | UnsetType = UNSET  # how long the caller waits, at most
    window: int | UnsetType = UNSET  # the lease that is asked for, at most
    uses: int | UnsetType = UNSET
    client: str | UnsetType = UNSET  # which identity, of those under which this caller may ask


class Get(Question, tag_field="verb", tag="get", kw_only=True):
    """Values by path. With it come as many write ends of pipes, in the order of `refs`."""


class Ask(Question, tag_field="verb", tag="ask", kw_only=True):
    """The same question without waiting for its answer: a handle comes back."""


class State(Opening, tag_field="verb", tag="state", kw_only=True):
    """How it stands with a handle; waits at most so many seconds for it to be decided."""

    handle: str
    wait: int = 0


class Take(Opening, tag_field="verb", tag="take", kw_only=True):
    """The values of a handle, once. With it come as many write ends of pipes as the handle has references, in their order."""

    handle: str
    wait: int = 0


class Plan(Opening, tag_field="verb", tag="plan", kw_only=True):
    """What a `get` of these would ask of whom. Asks nobody."""

    refs: list[str]
    client: str | UnsetType = UNSET


class Leases(Opening, tag_field="verb", tag="leases"):
    """The caller's own live leases; root's are all."""


class Purge(Opening, tag_field="verb", tag="purge"):
    """Ends the caller's own leases, or those of one path; root ends all."""

    path: str | UnsetType = UNSET


class WhoAmI(Opening, tag_field="verb", tag="whoami"):
    """How the daemon sees the caller."""


class Requests(Opening, tag_field="verb", tag="requests"):
    """What waits for people, raised by the caller's account."""


class Cancel(Opening, tag_field="verb", tag="cancel", kw_only=True):
    """Withdraws a request of the caller's account, by request id, card or handle."""

    id: str


class Ping(Opening, tag_field="verb", tag="ping"):
    """Says that the daemon lives."""


Call: TypeAlias = Get | Ask | State | Take | Plan | Leases | Purge | WhoAmI | Requests | Cancel | Ping

_decoder: msgspec.json.Decoder[Call] = msgspec.json.Decoder(Call)


def parse(raw: bytes) -> Call:
    """One frame of a caller. Raises `Usage` with the field, never with what was sent."""
    return _parse_small(raw) if len(raw) <= SMALL else _parse(raw)


def _parse(raw: bytes) -> Call:
    try:
        call = _decoder.decode(raw)
        # Canonical: what was understood, written again, is what came.
        if encode(msgspec.json.decode(raw)) != raw:
            raise Usage("frame", "a message to the daemon is not in canonical form", REMEDY)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        place = str(error).rpartition("`$.")[2].rstrip("`") if "`$." in str(error) else ""
        raise Usage("frame", "a message to the daemon is not of the form it must have",
                    REMEDY, place) from None
    except Refused as error:
        raise Usage("frame", f"a message to the daemon is not in canonical form ({error.code})", REMEDY) from None
    if call.v != VERSION:
        raise Usage("frame-version", "the daemon speaks version 1", REMEDY, "v")
    return call


# A program that asks in a loop says the same each time; frames are immutable.
_parse_small = lru_cache(maxsize=1024)(_parse)


def pack(fields: dict[str, Any]) -> bytes:
    """One frame of the daemon, ready to send."""
    raw = encode(fields)
    if len(raw) > MAX_FRAME:
        raise Usage("frame-size", "the answer is too long for one message", "ask for less at once")
    return len(raw).to_bytes(HEADER, "big") + raw


def error_event(error: StillvaultError) -> dict[str, Any]:
    """How an error of the tree reaches the caller. `check` names the check that refused. A relay's own words are made visible."""
    return {"event": "error", **error_fields(error)}


def error_fields(error: StillvaultError) -> dict[str, Any]:
    """The same as a part of another event."""
    event: dict[str, Any] = {"code": _ERROR_CODES.get(error.exit, error.code), "exit": error.exit,
                             "message": visible(error.message.encode("utf-8", "surrogateescape")),
                             "remedy": visible(error.remedy.encode("utf-8", "surrogateescape"))}
    if event["code"] != error.code or isinstance(error, Refused):
        event["check"] = error.code
    return event


# The word for each exit status that scripts rely on; other errors go by their own code.
_ERROR_CODES = {10: "denied", 11: "expired", 12: "no-approver", 13: "forbidden", 14: "unavailable", 15: "untrusted",
                16: "rate-limited"}
