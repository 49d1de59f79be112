"""Every leaf of a message, found without knowing the protocol, and what an attacker may do to it.

A body is JSON. Its leaves are its strings, numbers, booleans and empty containers; a string that is base64url of canonical
JSON is opened, and the leaves inside it are leaves too, so that each field of a signed payload is reached. The mutations:

    changed    another value of the same type, near to the old one
    dropped    left out; of a whole message: the connection is closed
    repeated   a list's last item once more; a whole list turned round is `swapped`
    swapped    two neighbours of one object that have the same type exchange their values
    keyed      a public key of 65 bytes becomes the attacker's own
    replayed   the value that a recorded message of the same kind had at that place; of a whole message: that message
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass

Json = dict[str, "Json"] | list["Json"] | str | int | bool | None

Step = str | int
Place = tuple[Step, ...]
INSIDE = "@"  # the step into a base64url string that holds JSON
POINT = 65  # bytes of an uncompressed point of P-256


class Nowhere(Exception):
    """The message has no such place."""


@dataclass(frozen=True)
class Mutation:
    """What to do at one place of one message. The empty place is the whole message."""

    place: Place
    kind: str

    def __str__(self) -> str:
        return f"{self.kind} {self.where or '(all)'}"

    @property
    def where(self) -> str:
        """The place as one text."""
        return "/".join(str(step) for step in self.place)


def unb64(text: str) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def dump(value: Json) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def load(body: bytes) -> Json:
    """The JSON of a body; None where it is none."""
    try:
        value: Json = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def inside(text: str) -> Json:
    """The JSON object that a base64url string holds, or None."""
    if len(text) < 12:
        return None
    raw = unb64(text)
    return load(raw) if raw and raw[:1] == b"{" else None


def places(value: Json, at: Place = ()) -> Iterator[tuple[Place, Json]]:
    """Every place of a value with what is there: containers first, then what they hold. Positions count from a list's end,
    because lists that grow from run to run do so at their end."""
    if at:
        yield at, value
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*at, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*at, index - len(value)))
    elif isinstance(value, str) and (opened := inside(value)) is not None:
        yield from places(opened, (*at, INSIDE))


def is_leaf(value: Json) -> bool:
    return not isinstance(value, (dict, list)) or not value


def mutations(body: bytes, other: bytes | None = None) -> list[Mutation]:
    """All mutations of a body, in a fixed order. `other`: an earlier message of the same kind."""
    value = load(body)
    found = [Mutation((), "dropped")]
    if value is None:
        return found
    source = load(other) if other is not None else None
    if source is not None and source != value:
        found.append(Mutation((), "replayed"))
    for place, item in places(value):
        if isinstance(item, list) and item:
            found.append(Mutation(place, "repeated"))
            if len(item) > 1 and item[::-1] != item:
                found.append(Mutation(place, "swapped"))
        elif is_leaf(item) and item != {}:
            found.append(Mutation(place, "changed"))
        if place[-1] != INSIDE:
            found.append(Mutation(place, "dropped"))
        if isinstance(item, dict):
            found += [Mutation((*place, name), "swapped") for name in neighbours(item)]
        if isinstance(item, str) and is_point(item):
            found.append(Mutation(place, "keyed"))
        if is_leaf(item) and source is not None and differs(source, place, item):
            found.append(Mutation(place, "replayed"))
    return found


def neighbours(value: dict[str, Json]) -> list[str]:
    """Names of leaves whose next leaf of the same type has another value."""
    leaves = [(name, item) for name, item in sorted(value.items()) if is_leaf(item)]
    return [name for (name, item), (_, following) in itertools.pairwise(leaves)
            if type(item) is type(following) and item != following]


def is_point(text: str) -> bool:
    raw = unb64(text) if len(text) == 87 else None
    return raw is not None and len(raw) == POINT and raw[0] == 4


def differs(source: Json, place: Place, item: Json) -> bool:
    try:
        return find(source, place) != item
    except Nowhere:
        return False


def find(value: Json, place: Place) -> Json:
    """What stands at a place. Raises `Nowhere`."""
    for step in place:
        value = _below(value, step)
    return value


def _below(value: Json, step: Step) -> Json:
    if step == INSIDE and isinstance(value, str):
        opened = inside(value)
        if opened is not None:
            return opened
    if isinstance(value, dict) and isinstance(step, str) and step in value:
        return value[step]
    if isinstance(value, list) and isinstance(step, int) and -len(value) <= step < 0:
        return value[step]
    raise Nowhere


def apply(body: bytes, mutation: Mutation, other: bytes | None = None, key: bytes = b"") -> bytes | None:
    """The body with the mutation made; None drops it. `other` is what a replay takes its value from, `key` the attacker's.

    Raises `Nowhere` where the message has no such place.
    """
    if not mutation.place:
        return None if mutation.kind == "dropped" else other
    source = load(other) if other is not None else None
    return dump(_at(load(body), mutation.place, mutation.kind, source, b64(key)))


def _at(value: Json, place: Place, kind: str, source: Json, key: str) -> Json:
    if not place:
        return source if kind == "replayed" else key if kind == "keyed" else _mutate(value, kind)
    step, rest = place[0], place[1:]
    below = _below(value, step)
    if not rest and kind == "replayed" and source is None:
        raise Nowhere
    theirs: Json = None
    if source is not None:
        try:
            theirs = _below(source, step)
        except Nowhere:
            if kind == "replayed":
                raise
    if step == INSIDE:
        return b64(dump(_at(below, rest, kind, theirs, key)))
    if isinstance(value, dict):
        changed = dict(value)
        if not rest and kind == "dropped":
            del changed[str(step)]
        elif not rest and kind == "swapped" and not isinstance(below, list):
            _swap(changed, str(step))
        else:
            changed[str(step)] = _at(below, rest, kind, theirs, key)
        return changed
    assert isinstance(value, list)
    assert isinstance(step, int)
    items = list(value)
    if not rest and kind == "dropped":
        del items[step]
    else:
        items[step] = _at(below, rest, kind, theirs, key)
    return items


def _swap(value: dict[str, Json], name: str) -> None:
    leaves = [one for one, item in sorted(value.items()) if is_leaf(item)]
    at = leaves.index(name) if name in leaves else len(leaves)
    if at + 1 >= len(leaves):
        raise Nowhere
    other = leaves[at + 1]
    value[name], value[other] = value[other], value[name]


def _mutate(value: Json, kind: str) -> Json:
    """A different value of the same type, near to the old one."""
    if isinstance(value, list):
        return ([*value, value[-1]] if kind == "repeated" else value[::-1]) if value else ["x"]
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
