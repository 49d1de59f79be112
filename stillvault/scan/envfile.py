"""The lines of an `.env` file with the place of each value, by the grammar that `stillvault run --env-file` reads
(native/cli/src/envfile.rs): blank lines and `#` comments, `export ` before a name, bare, `'..'` and `".."` values on one line,
nothing expanded.

It differs in one thing: a line that the grammar does not take is left out and not refused, because the file is somebody
else's. So whatever is found here and replaced by a reference reads the same to `run`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

NAMED = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=[ \t]*")
COMMENT = re.compile(r"(?:^|[ \t])#")
AFTER = re.compile(r"[ \t]*(?:#.*)?\r?\Z")
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


@dataclass(frozen=True)
class Assignment:
    """`NAME=value` on line `line` (from 1); `start` and `end` are where the value stands in the text, its quotes included."""

    name: str
    line: int
    start: int
    end: int
    value: str = field(repr=False)


def env_like(name: str) -> bool:
    """Whether a file of this name holds `NAME=value` lines: `.env`, `.env.local`, `prod.env`; not a template of one."""
    lower = name.lower()
    if lower.endswith((".example", ".sample", ".template", ".dist", ".tpl", ".schema")):
        return False
    return lower == ".env" or lower.startswith(".env.") or lower.endswith(".env") or lower in (".envrc", "environment")


def assignments(text: str) -> Iterator[Assignment]:
    """Every assignment of the text, in order."""
    offset = 0
    for number, line in enumerate(text.split("\n"), 1):
        content = line.rstrip("\r")
        named = NAMED.match(content)
        if named is not None:
            found = _quoted(content, named.end()) if content[named.end() :][:1] in ("'", '"') else _bare(content, named.end())
            if found is not None:
                value, end = found
                yield Assignment(named["name"], number, offset + named.end(), offset + end, value)
        offset += len(line) + 1


def _bare(line: str, start: int) -> tuple[str, int] | None:
    rest = line[start:]
    comment = COMMENT.search(rest)
    value = (rest if comment is None else rest[: comment.start()]).rstrip(" \t")
    return value, start + len(value)


def _quoted(line: str, start: int) -> tuple[str, int] | None:
    quote, at = line[start], start + 1
    value: list[str] = []
    while at < len(line):
        one = line[at]
        if one == quote:
            return ("".join(value), at + 1) if AFTER.match(line, at + 1) else None
        if one == "\\" and quote == '"':
            at += 1
            if at >= len(line) or line[at] not in ESCAPES:
                return None
            one = ESCAPES[line[at]]
        value.append(one)
        at += 1
    return None
