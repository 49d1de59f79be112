"""One organisation for a file of tests: Alice approves, a host's daemon runs, and a program asks through a helper.

The programs are the real consumers, as Debian ships them. A test fails, and does not skip, where one is missing: tools/setup
brings them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.world import PATIENCE, SCRIPTS, Done, World

PASSWORD = "pa:ss=\"w\\o'rd é $(id) %25"  # what a line of text can hold


def needed(*programs: str) -> None:
    """Fails where a program is missing."""
    missing = [name for name in programs if shutil.which(name) is None]
    assert missing == [], f"not installed: {missing}; run tools/setup as root, or install them"


class Place:
    """The host with its daemon, and Alice."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.alice = world.create("alice", "--no-recovery")
        self.host = world.client("host/db-1", ["**"])
        for name, window, scope in (("once", "0s", "process"), ("kept", "15m", "exe")):
            self.alice.ok("policy", "set", name, "--match", f"{name}/**", "--people", "alice", "--window", window,
                          "--lease-scope", scope)
        self.host.start_daemon()
        self.work = world.root / "work"
        self.work.mkdir()

    def environment(self, **extra: str) -> dict[str, str]:
        """That of a program on the host: the helpers are found by their names, and nothing of the tester's account is."""
        return {"PATH": f"{SCRIPTS}:{os.environ['PATH']}:/usr/sbin:/sbin", "LANG": "C.UTF-8", "HOME": str(self.work),
                "STILLVAULT_SOCKET": str(self.host.socket), "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", **extra}

    def seal(self, path: str, value: bytes | str) -> str:
        """Seals a value and gives its reference."""
        self.alice.ok("seal", path, stdin=value.encode() if isinstance(value, str) else value)
        return f"sv://{path}"

    def start(self, *words: str | Path, stdin: bytes | None = None, cwd: Path | None = None,
              **extra: str) -> subprocess.Popen[bytes]:
        """Starts a program on the host."""
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, cwd=cwd or self.work, env=self.environment(**extra))
        self.world.processes.append(process)
        if stdin is not None:
            assert process.stdin is not None
            for step in (lambda pipe: pipe.write(stdin), lambda pipe: pipe.close()):
                with contextlib.suppress(BrokenPipeError):  # it may say no before it has read all
                    step(process.stdin)
            process.stdin = None
        return process

    def run(self, *words: str | Path, stdin: bytes | None = None, cwd: Path | None = None, **extra: str) -> Done:
        """Runs a program that nobody is asked for."""
        return finish(self.start(*words, stdin=stdin, cwd=cwd, **extra))

    def approved(self, *words: str | Path, stdin: bytes | None = None, cwd: Path | None = None,
                 **extra: str) -> tuple[Done, dict[str, Any]]:
        """Runs a program whose card Alice approves. Gives what it did and the card."""
        process = self.start(*words, stdin=stdin, cwd=cwd, **extra)
        card = self.decide("approve")
        return finish(process), card

    def denied(self, *words: str | Path, stdin: bytes | None = None, **extra: str) -> Done:
        """Runs a program whose card Alice denies."""
        process = self.start(*words, stdin=stdin, **extra)
        self.wait_for_card()
        self.alice.ok("deny", self.cards()[0]["id"])
        return finish(process)

    def cards(self) -> list[dict[str, Any]]:
        """What waits for Alice."""
        return list(self.alice.json("inbox")["cards"])

    def wait_for_card(self) -> None:
        """Until something waits for Alice."""
        for _ in range(200):
            if self.cards():
                return
        raise AssertionError("nobody asked")

    def decide(self, verb: str) -> dict[str, Any]:
        """Approves the next card and gives it as it was shown."""
        return dict(self.alice.json(verb, "--next", "--wait", str(int(PATIENCE)), "--yes")["shown"])


def finish(process: subprocess.Popen[bytes]) -> Done:
    """Waits for the end of a program."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()  # and its card goes with it
        out, err = process.communicate()
        raise AssertionError(f"never ended: {process.args!r}\n{out!r}\n{err.decode(errors='replace')}") from None
    return Done(process.returncode, out, err)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    root = Path(tempfile.mkdtemp(prefix="sv-"))
    world = World(root)
    try:
        world.start()
        yield Place(world)
    finally:
        world.stop()
        shutil.rmtree(root, ignore_errors=True)


def nothing_leaks(done: Done, *values: str | bytes) -> None:
    """No value stands in what a program printed."""
    for value in values:
        raw = value.encode() if isinstance(value, str) else value
        assert raw not in done.out and raw not in done.err
