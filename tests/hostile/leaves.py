"""Every leaf of a message, found without knowing the protocol, and what an attacker may do to it.

A body is JSON. Its leaves are its strings, numbers, booleans and empty containers; a string that is base64url of canonical JSON is opened, and the
leaves inside it are leaves too, so that each field of a signed payload is reached. Each leaf yields mutations: changed, dropped, and, where a recorded
message of the same shape has another value at the same place, replayed from there.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass

Json = dict[str, "Json"] | list["Json"] | str | int | bool | None

Step = str | int
INSIDE = "@"  # the step into a base64url string that holds JSON


@dataclass(frozen=True)
class Mutation:
    """What to do at one place of one message."""

    place: tuple[Step, ...]
    kind: str  # changed | dropped | repeated | swapped | replayed

    def __str__(self) -> str:
        return f"{self.kind} {'/'.join(str(step) for step in self.place)}"


def unb64(text: str) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def dump(value: Json) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def inside(text: str) -> Json:
    """The JSON object that a base64url string holds, or None."""
    if len(text) < 12:
        return None
    raw = unb64(text)
    if not raw or raw[:1] != b"{":
        return None
    try:
        value: Json = json.loads(raw)
    except ValueError:
        return None
    return value


def places(value: Json, at: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], Json]]:
    """Every place of a value with what is there: containers first, then what they hold."""
    if at:
        yield at, value
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*at, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*at, index))
    elif isinstance(value, str) and (opened := inside(value)) is not None:
        yield from places(opened, (*at, INSIDE))


def mutations(body: bytes) -> list[Mutation]:
    """All mutations of a body, in a fixed order; none when it is not a JSON object."""
    try:
        value: Json = json.loads(body)
    except ValueError:
        return []
    if not isinstance(value, dict):
        return []
    found = []
    for place, item in places(value):
        if isinstance(item, list):
            if item:
                found.append(Mutation(place, "repeated"))
            if len(item) > 1:
                found.append(Mutation(place, "swapped"))
        elif not isinstance(item, dict):
            found.append(Mutation(place, "changed"))
        if place[-1] != INSIDE:
            found.append(Mutation(place, "dropped"))
    return found


def apply(body: bytes, mutation: Mutation, other: bytes | None = None) -> bytes:
    """The body with the mutation made. `other` is the recorded message that a replay takes its value from."""
    value: Json = json.loads(body)
    source: Json = json.loads(other) if other is not None else None
    return dump(_at(value, mutation.place, mutation.kind, source))


def _at(value: Json, place: tuple[Step, ...], kind: str, source: Json) -> Json:
    if not place:
        return source if kind == "replayed" else _mutate(value, kind)
    step, rest = place[0], place[1:]
    if step == INSIDE:
        assert isinstance(value, str)
        opened = inside(value)
        theirs = inside(source) if isinstance(source, str) else None
        return b64(dump(_at(opened, rest, kind, theirs)))
    if isinstance(value, dict):
        assert isinstance(step, str)
        changed = dict(value)
        if not rest and kind == "dropped":
            del changed[step]
        else:
            theirs = source.get(step) if isinstance(source, dict) else None
            changed[step] = _at(value[step], rest, kind, theirs)
        return changed
    assert isinstance(value, list) and isinstance(step, int)
    items = list(value)
    if not rest and kind == "dropped":
        del items[step]
    else:
        theirs = source[step] if isinstance(source, list) and step < len(source) else None
        items[step] = _at(value[step], rest, kind, theirs)
    return items


def _mutate(value: Json, kind: str) -> Json:
    """A different value of the same type, near to the old one."""
    if isinstance(value, list):
        return [*value, value[-1]] if kind == "repeated" else list(reversed(value))
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return _other_text(value)
    return value


def _other_text(text: str) -> str:
    """One character changed to a neighbour, in the middle, where base64url has no spare bits."""
    if not text:
        return "x"
    middle = len(text) // 2
    old = text[middle]
    new = "b" if old != "b" else "c"
    if old.isdigit():
        new = "1" if old != "1" else "2"
    return text[:middle] + new + text[middle + 1 :]
