"""`stillvault scan`: plaintext credentials in a tree, and `--seal`: sealed, with a reference in their place.

The value is printed nowhere: file, line, kind, the variable's name and the length are all that leaves. With `--seal` a value is
sealed first and its line rewritten after, one at a time, so that an interruption leaves every value in at least one place.
The plaintext stood in a file already; here it passes through the interpreter once more on its way to the extension's memory.
"""

from __future__ import annotations

import os

import click

from stillvault.cli.base import PATH, STATE, Verb, emit, say, table
from stillvault.cli.findings import Found
from stillvault.protocol.errors import EXIT_ERROR, EXIT_OK, Usage
from stillvault.protocol.text import plain
from stillvault.scan.rules import allowed, findings
from stillvault.scan.walk import Skipped, Walk


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
                        found.append(Found(file, os.path.dirname(top) if file == top else top, one, text[one.start : one.end]))
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
