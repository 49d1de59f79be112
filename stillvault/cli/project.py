"""`stillvault init`: a project's references, and the lines that tell agents how to use them.

The project file is `.env.stillvault`: `run --env-file` and the MCP server read it. There is no other.
"""

from __future__ import annotations

import os

import click

from stillvault.agents import project
from stillvault.cli.base import Verb, emit, table
from stillvault.cli.rewriting import create, read_own, rewrite
from stillvault.protocol.errors import EXIT_ERROR, EXIT_OK, Failed, Usage
from stillvault.protocol.text import plain
from stillvault.scan.rules import findings
from stillvault.scan.walk import decode, encode

Done = tuple[str, str, str]  # file, what became of it, why


@click.command(cls=Verb)
@click.argument("references", nargs=-1, metavar="[NAME=sv://PATH]..")
def init(references: tuple[str, ...]) -> int:
    """Set up the project that is here for agents and `run`.

    Writes .env.stillvault with the references given and those that .env holds, and eight lines into AGENTS.md (and CLAUDE.md, if
    there is one). Run again, it adds what is new. A file, line or block that somebody changed is left alone, and named.
    """
    wanted = _wanted(references)
    done = [_env_file(wanted), *(_instructions(name) for name in ("AGENTS.md", "CLAUDE.md"))]
    done = [one for one in done if one[1]]
    emit({"files": [{"file": file, "state": state} | ({"why": plain(why)} if why else {}) for file, state, why in done]},
         table([[file, state, why] for file, state, why in done]))
    return EXIT_ERROR if any(state == "left" for _, state, _ in done) else EXIT_OK


def _wanted(given: tuple[str, ...]) -> dict[str, str]:
    wanted: dict[str, str] = {}
    for one in given:
        name, _, reference = one.partition("=")
        if not project.NAME.fullmatch(name) or not project.is_reference(reference):
            raise Usage("reference", f"{plain(one)[:80]!r} is not NAME=sv://PATH", "for example DB_PASSWORD=sv://app/db")
        wanted[name] = reference
    try:
        held = read_own(".env")
    except Failed:
        held = None  # a link, or no file: nothing is taken from it
    return (project.references(decode(held)) if held else {}) | wanted


def _env_file(wanted: dict[str, str]) -> Done:
    """`.env.stillvault`: made, or completed."""
    try:
        before = read_own(project.ENV_FILE)
        after, others = project.with_references(decode(before or b""), wanted)
        state = _put(project.ENV_FILE, before, encode(after))
    except Failed as error:
        return project.ENV_FILE, "left", error.message
    if before is not None and findings(decode(before), ".env"):
        return project.ENV_FILE, "left", "it holds a plaintext credential: see `stillvault scan .env.stillvault`"
    return project.ENV_FILE, "left" if others else state, f"another value stands for {', '.join(others)}" if others else ""


def _instructions(name: str) -> Done:
    """AGENTS.md in any case, CLAUDE.md where there is one that does not say the same already."""
    other = {"AGENTS.md": "CLAUDE.md", "CLAUDE.md": "AGENTS.md"}[name]
    if os.path.islink(name) and os.path.exists(name) and os.path.exists(other) and os.path.samefile(name, other):
        return name, "", ""  # one file under two names
    try:
        before = read_own(name)
        if name == "CLAUDE.md" and (before is None or b"@AGENTS.md" in before.split()):
            return name, "", ""
        return name, _put(name, before, encode(project.with_block(decode(before or b"")))), ""
    except project.Edited:
        return name, "left", "the block of Stillvault in it was edited: remove it to have it written anew"
    except Failed as error:
        return name, "left", error.message


def _put(name: str, before: bytes | None, after: bytes) -> str:
    if before == after:
        return "current"
    if before is None:
        create(name, after)
        return "written"
    rewrite(name, before, after)
    return "changed"
