"""The front with the real daemon, a real relay and a real approver: each kind of verb once, under each kind of daemon.

`root's` daemon serves the host (`--system`) and is asked by another account; `own` is a daemon without any capability, asked by
its own account. The second matters by itself: such a daemon may look at its callers only while they are dumpable.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.front.conftest import Ended
from tests.world import PATIENCE, STILLVAULT, Party, World, read_line

NOBODY = 65534
BARE = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
VALUE = b"line one\n" + bytes(range(1, 256)) * 100
AS_NOBODY: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def popen(words: Sequence[str | Path], **how: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)


class Place:
    """A host with its daemon, an approver, and an account that asks."""

    def __init__(self, world: World, mode: str) -> None:
        self.alice = world.create("alice", "--no-recovery")
        self.host = world.client("host/db-1", ["**"])
        everybody = ("--people", "alice", "--lease-scope", "exe")
        self.alice.ok("policy", "set", "once", "--match", "once/**", *everybody, "--window", "0s")
        self.alice.ok("policy", "set", "kept", "--match", "kept/**", *everybody)
        for path, value in {"once/a": VALUE, "once/zero": b"a\0b", "kept/a": b"a value that is kept"}.items():
            self.alice.ok("seal", path, stdin=value)
        self.work = world.root / "work"
        self.work.mkdir()
        self.uid = NOBODY if mode == "root's" else os.getuid()
        self.account: dict[str, Any] = AS_NOBODY if mode == "root's" else {}
        # The program behind the front, which is the caller: the daemon may look at it only with as many capabilities. Not a
        # shell, for which a lease of scope `exe` is one of scope `process`.
        self.caller = [] if mode == "root's" else [*BARE, "timeout", "--foreground", "600"]
        os.chown(self.work, self.uid, self.uid)
        self.host.socket.parent.mkdir(parents=True, mode=0o755)
        before, flags = ([], ["--system"]) if mode == "root's" else (BARE, [])
        words: list[str | Path] = [*before, STILLVAULT, "daemon", "--socket", self.host.socket, *flags]
        daemon = popen(words, env=self.host.environment)
        world.processes.append(daemon)
        assert json.loads(read_line(daemon))["event"] == "ready"

    def start(self, *words: str, **how: Any) -> subprocess.Popen[bytes]:
        environment = {"PATH": "/usr/bin:/bin", "STILLVAULT_SOCKET": str(self.host.socket)}
        command: list[str | Path] = [*self.caller, STILLVAULT, *words]
        return popen(command, env=environment, cwd=self.work, process_group=0, **self.account, **how)

    def __call__(self, *words: str, answer: str = "") -> Ended:
        """Runs the front; with `answer`, the approver approves or denies the next card."""
        with self.start(*words) as process:
            if answer:
                card = self.wait_for_card(self.alice)
                self.alice.ok(answer, card, *(["--yes"] if answer == "approve" else []))
            out, err = process.communicate(timeout=PATIENCE)
        return Ended(process.returncode, out, err.decode())

    @staticmethod
    def wait_for_card(approver: Party) -> str:
        for _ in range(60):
            cards = approver.json("inbox")
            found = cards["cards"] if "cards" in cards else cards["inbox"]
            if found:
                return str(found[0]["id"])
        raise AssertionError("no card came")


@pytest.fixture(scope="module", params=["root's", "own"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    root = Path(tempfile.mkdtemp(prefix="sv-real-"))
    root.chmod(0o755)
    world = World(root)
    try:
        world.start()
        yield Place(world, request.param)
    finally:
        world.stop()
        shutil.rmtree(root, ignore_errors=True)


def test_read(place: Place) -> None:
    ended = place("read", "sv://once/a", "--reason", "to see\nit", answer="approve")
    assert (ended.exit, ended.out) == (0, VALUE), ended.err
    assert "waiting for alice: code " in ended.err


def test_read_into_a_file(place: Place) -> None:
    assert place("read", "sv://once/zero", "--out-file", "zero", answer="approve").exit == 0
    found = place.work / "zero"
    assert (found.read_bytes(), stat.S_IMODE(found.stat().st_mode), found.stat().st_uid) == (b"a\0b", 0o600, place.uid)


def test_run_is_one_card(place: Place) -> None:
    script = 'test "$B" = "a value that is kept" && echo "$A" | cksum && echo "[$B]"'
    words = ["run", "--env", "A=sv://once/a", "--env", "B=sv://kept/a", "--", "sh", "-c", script]
    ended = place(*words, answer="approve")
    assert ended.exit == 0, ended.err
    assert ended.out.endswith(b"[<concealed by stillvault>]\n")


def test_a_lease_is_read_without_a_question(place: Place) -> None:
    assert place("leases", "purge").exit == 0
    assert place("read", "sv://kept/a", answer="approve").out == b"a value that is kept"
    for words in (["read", "sv://kept/a"], ["read", "-n", "sv://kept/a"]):
        ended = place(*words)
        assert (ended.exit, ended.out, ended.err) == (0, b"a value that is kept", "")
    leases = json.loads(place("leases", "--format", "json").out)["leases"]
    assert [(lease["path"], lease["uid"]) for lease in leases] == [("kept/a", place.uid)]
    assert b"kept/a v1" in place("leases").out
    assert json.loads(place("leases", "purge", "kept/a", "--format", "json").out) == {"v": 1, "count": 1}
    assert place("leases").out == b""


def test_inject(place: Place) -> None:
    (place.work / "template").write_text("before {{ sv://once/a }} after")
    (place.work / "template").chmod(0o644)
    assert place("inject", "-i", "template", "-o", "injected", answer="approve").exit == 0
    assert (place.work / "injected").read_bytes() == b"before " + VALUE + b" after"


def test_a_denial(place: Place) -> None:
    ended = place("run", "--env", "A=sv://once/a", "--", "touch", "ran", answer="deny")
    assert (ended.exit, ended.out) == (10, b"")
    assert not (place.work / "ran").exists()


def test_an_interrupt_withdraws_the_card(place: Place) -> None:
    with place.start("read", "sv://once/a") as process:
        place.wait_for_card(place.alice)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    for _ in range(200):
        if not place.alice.json("inbox")["cards"]:
            break
    else:
        raise AssertionError("the card stayed")


def test_whoami_names_the_program_behind_the_front(place: Place) -> None:
    who = json.loads(place("whoami", "--format", "json").out)
    assert (who["uid"], who["front"]) == (place.uid, True)
    assert who["exe"] == os.path.realpath("/usr/bin/timeout" if place.caller else "/proc/self/exe")
    assert place("whoami").exit == 0


def test_outside_the_scope_or_unknown(place: Place) -> None:
    ended = place("read", "sv://no/such/secret")
    assert ended.exit in (1, 13), ended.err
    assert ended.out == b""
