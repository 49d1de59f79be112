"""`sv://PATH#FIELD`: one field of a value that is a JSON object, or else lines of `NAME=value`.

The rules are those of the front (native/cli/src/field.rs), and a test holds both against the same values: the whole value must be
of one of the two forms, the field must stand in it once, at the top, and be a string, a number or true/false. The value is
looked through where it lies and the field is written into memory of its own: no copy is left in the interpreter, and no error
says anything that the value holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from stillvault.protocol.errors import Failed, Usage
from stillvault.sdk.memory import Memory

MAX_DEPTH = 64  # how deep objects and lists may stand in one another
NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")

UTF8 = re.compile(
    rb"(?:[\x00-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})*+")
# JSON (RFC 8259); an escaped surrogate stands in a pair only.
BLANK = re.compile(rb"[ \t\n\r]*+")
STRING = re.compile(
    rb'"((?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}'
    rb'|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+)"')
PLAIN = re.compile(rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false")
NULL = re.compile(rb"null")
ESCAPE = re.compile(rb"\\(?:u([dD][89abAB]..)\\u(....)|u(....)|(.))", re.DOTALL)
SHORT = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
# Lines (native/cli/src/envfile.rs)
LINE = re.compile(
    rb"[ \t]*+(?:export[ \t]++)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=[ \t]*+"
    rb"(?:'(?P<single>[^'\r\n]*+)'"
    rb'|"(?P<double>(?:[^"\\\r\n]|\\[nrt"\\$])*+)"'
    rb"|(?P<bare>(?:(?![\"'#])(?:(?![ \t]*+(?:\r?\n|\Z)|[ \t]++#)[^\r\n])*+)?))[ \t]*+(?:#[^\r\n]*+)?(?:\r?\n|\Z)")
PASSED = re.compile(rb"[ \t]*+(?:#[^\n]*+)?\r?(?:\n|\Z)")

Span: TypeAlias = tuple[int, int]
Member: TypeAlias = Callable[[Span, str, Span], None]

FORM = "the value is neither a JSON object nor lines of NAME=value, so it has no fields"
MISSING = "the value has no such field"
TWICE = "the field stands twice in the value"
KIND = "the field is an object, a list or null, not a string, a number or true/false"


def cut(value: memoryview, name: str) -> Memory:
    """The field of that name. Raises `Failed` (`field`)."""
    if not NAME.fullmatch(name):
        raise Usage("usage", "a field is letters, digits and . _ -, at most 100 of them", "write sv://PATH#FIELD")
    if not UTF8.fullmatch(value):
        raise _wrong(FORM)
    start = _blank(value, 0)
    find = _in_object if _sign(value, start) == b"{" else _in_lines
    kind, span = find(value, start, name.encode())
    return _unescaped(value, span, escapes=kind == "text")


def _wrong(what: str) -> Failed:
    return Failed("field", what, "fields stand at the top, as they are written; look at what was sealed")


def _in_object(value: memoryview, start: int, name: bytes) -> tuple[str, Span]:
    found: list[tuple[str, Span]] = []

    def each(key: Span, kind: str, span: Span) -> None:
        if _is(value, key, name):
            if found:
                raise _wrong(TWICE)
            found.append((kind, span))

    if _blank(value, _members(value, start, 0, each)) != len(value):
        raise _wrong(FORM)
    if not found:
        raise _wrong(MISSING)
    if found[0][0] == "other":
        raise _wrong(KIND)
    return found[0]


def _in_lines(value: memoryview, start: int, name: bytes) -> tuple[str, Span]:
    found, some, at = None, False, start
    while at < len(value):
        if passed := PASSED.match(value, at):
            at = passed.end()
            continue
        line = LINE.match(value, at)
        if line is None:
            raise _wrong(FORM)
        some = True
        if bytes(value[slice(*line.span("name"))]) == name:
            if found is not None:
                raise _wrong(TWICE)
            group = next(group for group in ("single", "double", "bare") if line.start(group) >= 0)
            found = ("text" if group == "double" else "plain", line.span(group))
        at = line.end()
    if found is None:
        raise _wrong(MISSING if some else FORM)
    return found


# ---- JSON, looked through in place -----------------------------------------------------------------------------------------


def _members(value: memoryview, at: int, depth: int, each: Member | None) -> int:
    """Past an object, from its brace on; `each` sees every member."""
    at = _past(value, at, b"{")
    if _sign(value, at) == b"}":
        return at + 1
    while True:
        key = STRING.match(value, at)
        if key is None:
            raise _wrong(FORM)
        at = _past(value, _blank(value, key.end()), b":")
        kind, span, at = _value(value, at, depth + 1)
        if each is not None:
            each(key.span(1), kind, span)
        at = _blank(value, at)
        if _sign(value, at) != b",":
            return _past(value, at, b"}", blank=False)
        at = _blank(value, at + 1)


def _list(value: memoryview, at: int, depth: int) -> int:
    at = _past(value, at, b"[")
    if _sign(value, at) == b"]":
        return at + 1
    while True:
        at = _blank(value, _value(value, at, depth + 1)[2])
        if _sign(value, at) != b",":
            return _past(value, at, b"]", blank=False)
        at = _blank(value, at + 1)


def _value(value: memoryview, at: int, depth: int) -> tuple[str, Span, int]:
    """What kind of value stands there, where, and what is past it."""
    if depth > MAX_DEPTH:
        raise _wrong(FORM)
    if text := STRING.match(value, at):
        return "text", text.span(1), text.end()
    if plain := PLAIN.match(value, at):
        return "plain", plain.span(), plain.end()
    if null := NULL.match(value, at):
        end = null.end()
    else:
        end = _list(value, at, depth) if _sign(value, at) == b"[" else _members(value, at, depth, None)
    return "other", (at, end), end


def _sign(value: memoryview, at: int) -> bytes:
    return bytes(value[at : at + 1])


def _blank(value: memoryview, at: int) -> int:
    found = BLANK.match(value, at)
    return at if found is None else found.end()


def _past(value: memoryview, at: int, sign: bytes, *, blank: bool = True) -> int:
    if _sign(value, at) != sign:
        raise _wrong(FORM)
    return _blank(value, at + 1) if blank else at + 1


def _is(value: memoryview, span: Span, name: bytes) -> bool:
    written = _unescaped(value, span, escapes=True)
    try:
        with written.view() as view:
            return bytes(view) == name
    finally:
        written.wipe()


def _unescaped(value: memoryview, span: Span, *, escapes: bool) -> Memory:
    """The text between, as it is meant. Never longer, so that the memory does not move."""
    start, end = span
    memory = Memory(end - start)
    try:
        # All of them first: a running search would hold on to the value.
        for found in list(ESCAPE.finditer(value, start, end)) if escapes else ():
            memory.add(value[start : found.start()])
            start = found.end()
            high, low, unit, sign = (bytes(value[slice(*found.span(group))]) for group in (1, 2, 3, 4))
            if low:
                point = 0x10000 + ((int(high, 16) - 0xD800) << 10) + (int(low, 16) - 0xDC00)
                memory.add(chr(point).encode())
            else:
                memory.add(chr(int(unit, 16)).encode() if unit else SHORT.get(sign, sign))
        memory.add(value[start:end])
    except BaseException:
        memory.wipe()
        raise
    return memory
