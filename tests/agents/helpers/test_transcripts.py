"""Each helper's conversation, as a transcript that is played against a real daemon and a person: `transcripts/`, a file a helper.

A line begins with what it is:

    #  a word to the reader            $  a command, as a shell takes it        >  a line of its output, all of it
    =  PATH VALUE, sealed now          <  a line on its standard input          !  words among its errors
    +  NAME=VALUE, for what follows    @  approve|deny PATH.. : the claim       ?  its exit code

The real consumers (git, botocore, podman, systemd, psql) are in the files beside this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.agents.helpers.conftest import Place, finish
from tests.world import Done

FOLDER = Path(__file__).parent / "transcripts"
HELPERS = ["aws", "docker", "git", "podman", "psql", "systemd"]
# As systemd asks for LoadCredential= (systemd.exec(5)), and as a socket unit with Accept=yes starts the helper.
UNIT_ASKS = """#!/usr/bin/python3
import os, socket, subprocess, sys
unit, name, *command = [word for word in sys.argv[1:] if word != "--"]
place = f"unit-{os.getpid()}"
server, link = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
server.bind(place); server.listen()
link.bind(f"\\0{os.getpid():x}/unit/{unit}/{name}".encode())
link.connect(place); link.shutdown(socket.SHUT_WR)
taken, _ = server.accept()
helper = subprocess.Popen(command, stdin=taken, stdout=taken)
taken.close()
found = b"".join(iter(lambda: link.recv(1 << 16), b""))
print("(more than 1 MiB of zero bytes)" if len(found) > 1 << 20 and not found.strip(b"\\0") else found.decode())
sys.stdout.flush()
sys.exit(helper.wait())
"""


@dataclass
class Step:
    """One command and what goes with it."""

    command: str
    before: list[tuple[str, str]]  # what is sealed first
    environment: dict[str, str]
    stdin: list[str] = field(default_factory=list)
    decision: str = ""
    output: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    code: int = -1


def steps(text: str) -> Iterator[Step]:
    """The commands of a transcript, in order."""
    sealed: list[tuple[str, str]] = []
    environment: dict[str, str] = {}
    step = None
    for line in text.splitlines():
        sign, rest = line[:1], line[2:]
        match sign:
            case "" | "#":
                continue
            case "=":
                path, _, value = rest.partition(" ")
                sealed.append((path, value))
                continue
            case "+":
                name, _, value = rest.partition("=")
                environment = {**environment, name: value}
                continue
            case "$":
                step = Step(rest, sealed, environment)
                sealed = []
        assert step is not None, line
        match sign:
            case "<":
                step.stdin.append(rest)
            case "@":
                step.decision = rest
            case ">":
                step.output.append(rest)
            case "!":
                step.errors.append(rest)
            case "?":
                step.code = int(rest)
                yield step
            case _:
                assert sign == "$", line


def played(place: Place, step: Step) -> Done:
    """What the command did, after a person decided as the transcript says."""
    for path, value in step.before:
        place.seal(path, value)
    stdin = "".join(f"{line}\n" for line in step.stdin).encode()
    process = place.start("/bin/sh", "-c", step.command, stdin=stdin, **step.environment)
    if step.decision:
        verdict, _, card = step.decision.partition(" ")
        place.wait_for_card()
        [shown] = place.cards()
        said = f"{' '.join(one['secret'] for one in shown['requests'])}: {' '.join(shown['claimed']['argv'])}"
        assert said == card
        place.alice.ok(verdict, shown["id"], *(["--yes"] if verdict == "approve" else []))
    return finish(process)


@pytest.mark.parametrize("helper", HELPERS)
def test_the_conversation_is_as_written(place: Place, helper: str) -> None:
    script = place.work / "unit-asks"
    script.write_text(UNIT_ASKS)
    script.chmod(0o755)
    for name, line in (("map", "registry.example.com sv://once/registry\n"), ("units", "web.service db sv://once/unit\n")):
        (place.work / name).write_text(line)
        (place.work / name).chmod(0o644)
    found = list(steps((FOLDER / f"{helper}.txt").read_text()))
    assert len(found) >= 3
    for step in found:
        done = played(place, step)
        assert done.out.decode().splitlines() == step.output, (step.command, done.said)
        assert done.code == step.code, (step.command, done.said)
        for words in step.errors:
            assert words in done.said, step.command
    assert place.cards() == []


def test_there_is_one_for_each_helper() -> None:
    assert sorted(one.stem for one in FOLDER.glob("*.txt")) == HELPERS
