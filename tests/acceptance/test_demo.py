"""`make demo` and what the README says to type: the loop that everybody meets first, run as they run it."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.world import SCRIPTS, World, read_line

ROOT = Path(__file__).resolve().parents[2]
VALUE = "a canary that the demonstration seals"


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path that every account can pass through."""
    with TemporaryDirectory(prefix="sv-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def demo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "appliance/demo.py", *arguments], cwd=ROOT, capture_output=True, check=False,
                          input=VALUE.encode(), env={**os.environ, **environment}, timeout=300)


def under(folder: Path) -> list[str]:
    """Processes whose command line names this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in words:
                found.append(words.decode(errors="replace"))
    return found


def test_the_whole_loop(place: Path) -> None:
    mine = place / "demo"
    done = demo("--directory", str(mine), "--value-stdin")
    printed = done.stdout.decode()
    assert done.returncode == 0, printed[-3000:] + done.stderr.decode()
    assert "approved without a key press" in printed  # no terminal: it says so
    told = [
        r"\$ stillvault-relay serve ", r"\$ stillvault org create ", r"\[bob\] \$ stillvault join ", r"\$ stillvault confirm ",
        r"\$ stillvault policy set ", r"\$ stillvault seal prod/backup-key", r"\$ stillvault daemon ", r"\$ .*make ",
        r"\[bob\] \$ stillvault approve --next ", r"\[carol\] \$ stillvault deny ", r"stillvault ended with 10",
        r"\$ stillvault person remove carol", r"Rotate at the source", r"\$ stillvault audit verify", r"the log verifies",
        r"denied prod/payroll-key", r"approved prod/vault/master: 1/2", r"=== How to go on",
    ]
    at = 0
    for step in told:  # in this order
        found = re.compile(step).search(printed, at)
        assert found is not None, f"{step} is not told after {printed[:at][-300:]}"
        at = found.end() if step.startswith((r"\$", r"\[")) else at
    mode = "system mode" if os.geteuid() == 0 else "user mode"
    assert mode in printed
    shown = done.stderr.decode()
    for fact in ("secret ", "program ", "host ", "account ", "asked ", "lease ", "sealed by", "digest ", "The caller says:",
                 "●○ 1 of 2", "nightly-backup"):
        assert fact in shown, fact  # the prompt, with all facts
    assert VALUE not in printed + shown
    for file in mine.rglob("*"):
        assert not file.is_file() or VALUE.encode() not in file.read_bytes(), file
    assert under(mine) == []
    assert sorted(one.name for one in place.iterdir()) == ["demo"]


def test_on_a_terminal_a_person_decides(place: Path) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen([sys.executable, "appliance/demo.py", "--directory", str(place / "demo")], cwd=ROOT, stdin=slave,
                               stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    told, answered = b"", 0
    with open(master, "r+b", buffering=0) as terminal:
        while True:
            try:
                piece = terminal.read(4096)
            except OSError:  # its other end is closed
                break
            told += piece or b""
            if told.count(b"or approve (a)? ") > answered:
                answered += 1
                terminal.write(b"a\n")
            if not piece:
                break
    assert process.wait(60) == 0, told.decode()[-3000:]
    assert answered == 4  # the backup, two of three, and the re-seal of what needs two
    assert b"approve --next --wait 60 --yes" not in told


def test_a_step_that_fails_is_the_end(place: Path) -> None:
    """openssl, which the job runs, fails here: the demonstration says which step did not do what it says, and ends."""
    broken = place / "openssl"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    done = demo("--directory", str(place / "demo"), "--yes", PATH=f"{place}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert b"demo: make backup ended with 2" in done.stderr
    assert b"Traceback" not in done.stderr
    assert under(place / "demo") == []


def test_only_a_directory_of_its_own_is_taken_away(place: Path) -> None:
    (place / "thesis.txt").write_text("years of work")
    for wrong in (str(place), str(place / "thesis.txt"), str(place / "thesis.txt" / "below")):
        done = demo("--directory", wrong, "--yes")
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"demo: " in done.stderr
        assert b"Traceback" not in done.stderr
    assert (place / "thesis.txt").read_text() == "years of work"
    assert b"cannot be read" in demo("--value-file", str(place / "none"), "--yes").stderr


def test_the_commands_of_the_readme(small: World) -> None:
    """The block of "What it looks like", as it stands there: Alice seals, a program asks, Bob decides, Alice verifies."""
    block = re.search(r"## What it looks like\n\n```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    seal, run, approve, verify = (line.partition("  #")[0].strip() for line in block[1].splitlines())
    alice, bob, db = small.parties["alice"], small.parties["bob"], small.parties["host/db-1"]
    tools = small.root / "tools"
    tools.mkdir()
    (small.root / "password.txt").write_text("correct horse")
    (tools / "psql").write_text('#!/bin/sh\nprintf %s "$PGPASSWORD" | wc -c\n')
    (tools / "psql").chmod(0o755)
    path = f"{tools}:{SCRIPTS}:{os.environ['PATH']}"

    def typed(line: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(["/bin/sh", "-c", line], cwd=small.root, env={**environment, "PATH": path},
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        small.processes.append(process)
        return process

    assert typed(seal, alice.environment).wait(60) == 0
    with db.daemon():
        asking = typed(run, db.environment)
        # Nobody sits at a terminal here, which the command would want; --wait because the card may come a moment later.
        assert typed(f"{approve} --yes --wait 60", bob.environment).wait(120) == 0
        assert read_line(asking).strip() == b"13"
        assert asking.wait(60) == 0
    assert typed(verify, alice.environment).wait(60) == 0
