"""What `stillvault scan` found in a file, and the reference that may take its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stillvault.protocol.errors import Failed
from stillvault.protocol.text import plain
from stillvault.scan.envfile import assignments
from stillvault.scan.rules import Finding
from stillvault.scan.walk import decode, encode

MAX_PATH = 200  # bytes (docs/protocol.md, section 2)


@dataclass
class Found:
    """A finding in a file, and what became of it."""

    file: str
    top: str  # the folder that was scanned
    finding: Finding
    value: str = field(repr=False)
    reference: str = ""
    why_not: str = ""

    def row(self) -> dict[str, Any]:
        row: dict[str, Any] = {"file": plain(self.file), "line": self.finding.line, "kind": self.finding.kind,
                               "length": self.finding.length}
        row |= {"name": plain(self.finding.name)} if self.finding.name else {}
        row |= {"sealed": self.reference} if self.reference else {}
        return row | ({"not_sealed": plain(self.why_not)} if self.why_not else {})


def place_of(prefix: str, name: str) -> str:
    """The path of a variable's secret: its name in lower case. Raises `Failed` where no path can be made of it."""
    last = name.lower().lstrip("_")
    if not last:
        raise Failed("name", f"no path can be made of {plain(name)}", "seal it by hand")
    path = f"{prefix}/{last}"
    if len(path) > MAX_PATH:
        raise Failed("name", f"the path of {plain(name)} would be longer than {MAX_PATH} bytes", "give a shorter prefix")
    return path


def reference_in(content: bytes, one: Found, reference: str) -> bytes:
    """The file's content with the reference in place of the value. Raises `Failed` where the value does not stand there."""
    text = decode(content)
    start, end = one.finding.start, one.finding.end
    if text[start:end] != one.value:
        raise changed(one)
    gap = " " if text[end : end + 1] == "#" else ""  # 'value'#comment: the reference must not take the comment for a field
    return encode(text[:start] + reference + gap + text[end:])


def value_in(content: bytes, one: Found) -> bytes:
    """The value, read anew by the grammar of the file: without its quotes, with its escapes meant. Raises `Failed` likewise."""
    for assignment in assignments(decode(content)):
        if assignment.start == one.finding.start:
            return encode(assignment.value)
    raise changed(one)


def changed(one: Found) -> Failed:
    """The refusal where the file is not the one that was scanned any more."""
    return Failed("changed", f"{plain(one.file)} was changed meanwhile", "run the scan again")
