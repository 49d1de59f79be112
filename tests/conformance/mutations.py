"""Changes of recorded inputs, leaf by leaf, so that two implementations can be asked whether they still accept.

A place is a path into the input of a vector case; the payload of a signed object is opened and its fields are places too. A
change in a payload comes twice: as it is (the signature is then wrong), and signed anew by the same keys, which reaches the
checks behind the signature.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from tests.reference.encoding import Refused, b64, encode, parse_json, unb64
from tests.reference.keys import key_hint
from tests.reference.signed import type_of
from tests.reference.world import Signer, World

Place = tuple[Any, ...]
PAYLOAD = "(payload)"  # the step from a signed object into its payload
BIG = 2**53


def is_signed(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"type", "payload", "signatures"}


def places(value: Any, here: Place = ()) -> Iterator[Place]:
    """Every place, the containers included."""
    if here:
        yield here
    if is_signed(value):
        try:
            yield from places(parse_json(unb64(value["payload"])), (*here, PAYLOAD))
        except Refused:
            pass
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*here, name))
    if isinstance(value, list):
        for at, item in enumerate(value):
            yield from places(item, (*here, at))


def signers(world: World) -> dict[str, Signer]:
    """Every key of the world, by the hint under which it signs."""
    found = [*world.root_signers, *world.admins, world.client_signer, world.person_signer]
    for device in world.devices.values():
        found += [*device.auth, *([device.deny] if device.deny else [])]
    found += [world.signer("joiner", "webauthn-es256", True), world.signer("joiner-ed", "ed25519"), world.signer("joiner-ec",
    "es256")]
    return {key_hint(unb64(signer.key["public"])): signer for signer in found}


def changed(value: Any, place: Place, change: Any, known: dict[str, Signer] | None) -> Any:
    """A copy with the value at `place` put through `change`. With `known`, objects above it are signed anew."""
    if not place:
        return change(copy.deepcopy(value))
    step, rest = place[0], place[1:]
    value = copy.copy(value)
    if step != PAYLOAD:
        value[step] = changed(value[step], rest, change, known)
        return value
    payload = changed(parse_json(unb64(value["payload"])), rest, change, known)
    try:
        raw = encode(payload)
    except Refused:  # not of the canonical form: as bytes, and whoever reads them must refuse
        raw = json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()
    value["payload"] = b64(raw)
    if known is not None:
        value["signatures"] = [_again(entry, value["type"], raw, known) for entry in value["signatures"]]
    return value


def _again(entry: dict[str, Any], type_text: str, raw: bytes, known: dict[str, Signer]) -> dict[str, Any]:
    signer = known.get(entry["key"])
    name = type_text.removeprefix("application/vnd.stillvault.").removesuffix(".v1+json")
    if signer is None or type_text != type_of(name):
        return entry
    return signer.sign(name, raw)


def change_of(value: Any, draw: random.Random) -> tuple[str, Any]:
    """A change that fits the value: its name, and the function."""
    return draw.choice(list(_changes(value, draw)))


def _changes(value: Any, draw: random.Random) -> Iterator[tuple[str, Any]]:
    yield "null", lambda _: None
    yield "a list around it", lambda item: [item]
    if isinstance(value, bool):
        yield "turned over", lambda item: not item
        yield "0", lambda _: 0
    elif isinstance(value, int):
        for delta in (1, -1, 300, -301, 1_000_000):
            yield f"{delta:+}", lambda item, delta=delta: item + delta
        for other in (0, 1, 2, BIG - 1, BIG, -1, True, str(value), float(value) + 0.5):
            yield repr(other), lambda _, other=other: other
    elif isinstance(value, str):
        yield "empty", lambda _: ""
        for tail in ("A", "=", "/", "\u202e", " ", "\n", "a" * 200):
            yield f"with {tail[:2]!r}", lambda item, tail=tail: item + tail
        yield "cut", lambda item: item[:-1]
        yield "upper case", lambda item: item.upper()
        yield "zeros of 32 bytes", lambda _: b64(bytes(32))
        yield "zeros of 65 bytes", lambda _: b64(b"\4" + bytes(64))
        for word in ("ana", "ben", "cho", "eve", "soft", "device-bound", "reseal", "use", "deny", "user", "prod/db/main",
        "prod/**", "es256"):
            yield word, lambda _, word=word: word
        yield "one letter", lambda item: _letter(item, draw)
        yield "1", lambda _: 1
    elif isinstance(value, list):
        yield "empty", lambda _: []
        yield "turned round", lambda item: item[::-1]
        yield "doubled", lambda item: item + item
        yield "last twice", lambda item: item + item[-1:]
        yield "without the first", lambda item: item[1:]
        yield "without the last", lambda item: item[:-1]
    elif isinstance(value, dict):
        yield "empty", lambda _: {}
        yield "one field more", lambda item: {**item, "extra": 1}
        for name in value:
            yield f"without {name}", lambda item, name=name: {other: item[other] for other in item if other != name}


def _letter(text: str, draw: random.Random) -> str:
    if not text:
        return "x"
    at = draw.randrange(len(text))
    return text[:at] + draw.choice("abcXYZ019-_./") + text[at + 1 :]
