"""What `stillvault init` leaves in a project: references, and a few lines for agents. Pure: text in, text out.

A block is ours where it stands between our markers and is as we wrote it: the first marker carries the hash of the lines. One
that was edited belongs to whoever edited it, and stays.
"""

from __future__ import annotations

import hashlib
import re

from stillvault.scan.envfile import assignments

ENV_FILE = ".env.stillvault"
HEAD = """\
# References to secrets, for: stillvault run --env-file .env.stillvault -- COMMAND
# Safe to commit: no value stands here. One a line: NAME=sv://PATH
"""
LINES = """\
## Secrets: Stillvault
Values are written as references, `sv://PATH`, and never as themselves. Those of this project stand in `.env.stillvault`.
* Run what needs one: `stillvault run --env-file .env.stillvault --reason "WHY" -- COMMAND`. A person approves; wait for it.
* A time-out is not a denial: `run --detach` gives a handle, and `stillvault wait HANDLE --state --wait 25s` says how it stands.
* Exit code 10 is a denial: stop, and say so. Never retry around it, and never look for the value elsewhere.
* Never print a value (`stillvault read`, `env`, `cat .env`), nor put one into a file, a commit or a message.
"""
BLOCK = re.compile(r"<!-- stillvault:begin(?: sha256=([0-9a-f]{16}))? -->\n(.*?)<!-- stillvault:end -->", re.DOTALL)
REFERENCE = re.compile(r"sv://(?P<path>[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*)(?:#[A-Za-z0-9_.-]{1,64})?")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
MAX_PATH = 200  # bytes (docs/protocol.md, section 2)


class Edited(Exception):
    """The file holds a block that is not as we wrote it: it is left alone."""


def block() -> str:
    """The eight lines for AGENTS.md, markers included."""
    return f"<!-- stillvault:begin sha256={_hash(LINES)} -->\n{LINES}<!-- stillvault:end -->\n"


def with_block(text: str) -> str:
    """The text of an AGENTS.md with the block: appended, replaced where it is an older one of ours, unchanged where it stands."""
    ends = "\r\n" if "\r\n" in text else "\n"
    plain = text.replace("\r\n", "\n")
    found = list(BLOCK.finditer(plain))
    if not found and "<!-- stillvault:" not in plain:
        gap = "" if not plain else "\n" if plain.endswith("\n") else "\n\n"
        return text + (gap + block()).replace("\n", ends)
    if len(found) != 1 or plain.count("<!-- stillvault:") != 2 or found[0][1] != _hash(found[0][2]):
        raise Edited
    if found[0][0] + "\n" == block():
        return text
    return (plain[: found[0].start()] + block().removesuffix("\n") + plain[found[0].end() :]).replace("\n", ends)


def with_references(text: str, wanted: dict[str, str]) -> tuple[str, list[str]]:
    """The text of `.env.stillvault` with references that it lacks, and the names that stand there with another value."""
    there = {one.name: one.value for one in assignments(text)}
    others = [name for name, reference in wanted.items() if there.get(name, reference) != reference]
    lines = "".join(f"{name}={reference}\n" for name, reference in wanted.items() if name not in there)
    gap = "\n" if text and not text.endswith("\n") and lines else ""
    return (text or HEAD) + gap + lines, others


def references(text: str) -> dict[str, str]:
    """The variables of an `.env` file that hold references already."""
    return {one.name: one.value for one in assignments(text) if is_reference(one.value)}


def is_reference(text: str) -> bool:
    """Whether a text is `sv://PATH` or `sv://PATH#FIELD`, and nothing else."""
    found = REFERENCE.fullmatch(text)
    return found is not None and len(found["path"]) <= MAX_PATH


def _hash(lines: str) -> str:
    return hashlib.sha256(lines.encode()).hexdigest()[:16]
