"""Protocol section 2: signed objects. Verify first, parse after, use only the verified bytes.

A wrapper is a dictionary here (`type`, `payload`, `signatures`); `opened` has looked at its form.
"""

from __future__ import annotations

from typing import Any

from . import keys, objects
from .encoding import WRAPPER_LIMIT, Refused, b64, encode, oid, type_of, unb64


def opened(name: str, signed: Any) -> bytes:
    """The payload bytes of a well-formed wrapper of this type. NOT verified."""
    objects.signed_wrapper(signed)
    if len(encode(signed)) > WRAPPER_LIMIT:
        raise Refused("size", "the wrapper is too large")
    if signed["type"] != type_of(name):
        raise Refused("type", f"not a {name}")
    return unb64(signed["payload"])


def peek(name: str, signed: Any) -> dict[str, Any]:
    """The parsed payload BEFORE verification: to learn who signed, and for nothing else."""
    return objects.parse(name, opened(name, signed))


def verify(name: str, signed: Any, listed: list[dict[str, Any]], origins: list[str]) -> tuple[dict[str, Any], bytes]:
    """Exactly one signature, by one of the `listed` keys. Returns the parsed payload and its oid."""
    payload = opened(name, signed)
    if len(signed["signatures"]) != 1:
        raise Refused("signature", "exactly one")
    signature = signed["signatures"][0]
    for key in listed:
        if signature["key"] == keys.key_hint(unb64(key["public"])):
            keys.verify(key, signed["type"], payload, signature, origins)
            return objects.parse(name, payload), oid(signed["type"], payload)
    raise Refused("signature", "no listed key made it")


def count(name: str, signed: Any, listed: list[dict[str, Any]], origins: list[str]) -> int:
    """Distinct listed keys with a good signature. The rest is ignored: whoever hands the object on may add to it."""
    payload = opened(name, signed)
    good = set()
    for signature in signed["signatures"]:
        for key in listed:
            try:
                keys.verify(key, signed["type"], payload, signature, origins)
            except Refused:
                continue
            good.add(key["public"])
    return len(good)


def by_threshold(
    name: str, signed: Any, quorum: dict[str, Any], origins: list[str], code: str
) -> tuple[dict[str, Any], bytes]:
    """At least `threshold` of the keys of a quorum, or a refusal with `code`."""
    if count(name, signed, quorum["keys"], origins) < quorum["threshold"]:
        raise Refused(code, "too few good signatures")
    payload = opened(name, signed)
    return objects.parse(name, payload), oid(signed["type"], payload)


def wrap(name: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"type": type_of(name), "payload": b64(encode(value)), "signatures": []}


def oid_of(signed: dict[str, Any]) -> bytes:
    return oid(signed["type"], unb64(signed["payload"]))
