"""`stillvault scan`: plaintext credentials in a tree, and `--seal`: sealed, with a reference in their place.

The value is printed nowhere: file, line, kind, the variable's name and the length are all that leaves. With `--seal` a value is
sealed first and its line rewritten after, one at a time, so that an interruption leaves every value in at least one place.
The plaintext stood in a file already; here it passes through the interpreter once more on its way to the extension's memory.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import click

from stillvault.cli.base import PATH, STATE, Verb, emit, say, table
from stillvault.protocol.errors import EXIT_ERROR, EXIT_OK, Failed, Usage
from stillvault.protocol.text import plain
from stillvault.scan.rules import Finding, allowed, findings
from stillvault.scan.walk import Skipped, Walk, decode, encode

MAX_PATH = 200  # bytes (docs/protocol.md, section 2)


@dataclass
class Found:
    """A finding in a file, and what became of it."""

    file: str
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


@click.command(cls=Verb)
@click.argument("paths", nargs=-1, type=click.Path())
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave out what this shell pattern matches (again for more).")
@click.option("--seal", "prefix", default="", metavar="PREFIX", help="Seal what KEY=VALUE lines hold below this path.")
@click.option("--yes", is_flag=True, help="With --seal: do not ask for each.")
def scan(paths: tuple[str, ...], exclude: tuple[str, ...], prefix: str, yes: bool) -> int:
    """Find plaintext credentials in files below PATHS (default: here). Ends with 1 where some are left.

    Values are never printed. Links, binary files, files over 4 MiB, version control and installed packages are left out, and
    so is what .stillvaultignore names, and lines with `stillvault:allow`. With --seal PREFIX, in the home of a sealer, the value
    of NAME=value becomes the secret PREFIX/name, and the line NAME=sv://PREFIX/name.
    """
    if prefix:
        prefix = PATH.convert(prefix.removesuffix("/"), None, None)
        if not yes and not STATE.interactive:
            raise Usage("ask", "there is no terminal to ask for each value", "give --yes to seal all of them", "--seal")
    walk = Walk(exclude=list(exclude))
    found, files, passed = [], 0, 0
    for top in paths or (".",):
        try:
            for file, text in walk.files(top):
                files += 1
                for one in findings(text, os.path.basename(file)):
                    if allowed(text, one):
                        passed += 1
                    else:
                        found.append(Found(file, one, text[one.start : one.end]))
        except OSError as error:
            raise Usage("path", f"{plain(top)} cannot be read: {error.strerror}", "name files or directories", "PATHS") from None
    if prefix and found:
        from stillvault.cli.replacing import seal_all

        seal_all(found, prefix, yes)
    left = [one for one in found if not one.reference]
    _report(found, left, walk.skipped, {"files": files, "allowed": passed, "binary": walk.binary})
    return EXIT_ERROR if left else EXIT_OK


def _report(found: list[Found], left: list[Found], skipped: list[Skipped], counts: dict[str, int]) -> None:
    for one in skipped:
        say(f"not read: {one.file}: {one.why}")
    rows = [[f"{plain(one.file)}:{one.finding.line}", one.finding.kind, plain(one.finding.name) or "-",
             f"******** ({one.finding.length} characters)", _became(one)] for one in found]
    done = len(found) - len(left)
    summary = f"{len(left)} found in {counts['files']} files" + (f", {done} sealed" if done else "")
    emit({"findings": [one.row() for one in found], "left": len(left), **counts,
          "skipped": [{"file": plain(one.file), "why": one.why} for one in skipped]},
         "\n".join(part for part in (table(rows), summary) if part))
    if done:
        say("the old values still stand in version control, backups and on the disk: have them changed, and seal the new ones")
    elif any(one.finding.sealable for one in left):
        say("to seal what NAME=value lines hold: stillvault scan --seal PREFIX")


def _became(one: Found) -> str:
    return one.reference or (f"not sealed: {one.why_not}" if one.why_not else "")


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
        raise Failed("changed", f"{plain(one.file)} was changed meanwhile", "run the scan again")
    gap = " " if text[end : end + 1] == "#" else ""  # 'value'#comment: the reference must not take the comment for a field
    return encode(text[:start] + reference + gap + text[end:])
