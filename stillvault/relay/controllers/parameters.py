"""Path and query parameters by their grammar, before use. A number is decimal without sign; an oid is 32 bytes in base64url."""

from __future__ import annotations

from stillvault.relay.context import Call
from stillvault.relay.problems import ProblemError
from stillvault.relay.services.sign_in import oid as parse_oid

LARGEST = 2**53 - 1
LONGEST_WAIT = 25  # seconds: a long poll stays below the idle limits of proxies
MOST_ROWS = 1000


def number(call: Call, name: str, default: int, largest: int = LARGEST) -> int:
    text = call.query.get(name)
    if text is None:
        return default
    plain = text.isascii() and text.isdigit() and len(text) <= 16 and (text == "0" or not text.startswith("0"))
    if not plain or int(text) > largest:
        raise ProblemError("query", f"{name} is a number from 0 to {largest}", name)
    return int(text)


def wait(call: Call) -> int:
    return number(call, "wait", 0, LONGEST_WAIT)


def text(call: Call, name: str, default: str | None = None) -> str:
    value = call.query.get(name, default)
    if value is None:
        raise ProblemError("query", f"{name} is missing", name)
    return value


def oid(call: Call, name: str) -> bytes:
    try:
        return parse_oid(call.parameters[name])
    except ProblemError:
        raise ProblemError("unknown") from None
