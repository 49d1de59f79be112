"""A clock that is wrong is named, whoever has it.  # R9 A25

The programs run with their wall clock shifted by clock.c, which is loaded before them; the relay's clock is the machine's.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.relay.parties import Organisation, now
from tests.relay.process import RelayProcess
from tests.world import PATIENCE, Party, World

HOUR = 3600
AN_HOUR = [pytest.param(HOUR, "ahead of", id="ahead"), pytest.param(-HOUR, "behind", id="behind")]


class Town(World):
    """Alice, Bob, host/db-1, a policy and a secret; `shifted` gives one of them another clock."""

    def settle(self) -> None:
        self.library = self.root / "clock.so"
        source = Path(__file__).with_name("clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self.library, source], check=True)
        alice = self.create()
        self.person("bob", "approver")
        self.client("host/db-1")
        alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", "alice,bob")
        alice.ok("seal", "prod/db", stdin=b"value")

    @contextmanager
    def shifted(self, name: str, seconds: int) -> Iterator[Party]:
        party = self.parties[name]
        (party.home / "session.json").unlink(missing_ok=True)
        party.extra = {"LD_PRELOAD": str(self.library), "CLOCK_OFF": str(seconds)}
        yield party
        party.extra = {}
        (party.home / "session.json").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    root = Path(tempfile.mkdtemp(prefix="sv-clock-"))
    made = Town(root)
    try:
        made.start()
        made.settle()
        yield made
    finally:
        made.stop()
        shutil.rmtree(root)


def named(said: str, word: str) -> bool:
    return "this clock is 3" in said and f"seconds {word} the relay's: set both (NTP)" in said


@pytest.mark.parametrize(("seconds", "word"), AN_HOUR)
def test_a_persons_clock_is_named(town: Town, seconds: int, word: str) -> None:
    with town.shifted("alice", seconds) as alice:
        for words in (["seal", "prod/other"], ["inbox"], ["approve", "--next", "--yes"]):
            done = alice.run(*words, stdin=b"x")
            assert done.code in (14, 15), done.said
            assert named(done.said, word), done.said
        findings = {one["check"]: one for one in alice.run("--format", "json", "doctor").json["findings"]}
        assert findings["clock"]["state"] == "fail"
        assert word in findings["clock"]["says"]
        assert "NTP" in findings["clock"]["fix"]
    assert "prod/other" not in alice.ok("secrets").text


@pytest.mark.parametrize(("seconds", "word"), AN_HOUR)
def test_a_hosts_clock_is_named_to_who_asks(town: Town, seconds: int, word: str) -> None:
    with town.shifted("host/db-1", seconds) as host, host.daemon():
        read = host.spawn("read", "sv://prod/db")
        out, err = read.communicate(timeout=PATIENCE)
        assert out == b""
        assert read.returncode in (14, 15), err
        assert named(err.decode(), word), err
    assert town.parties["bob"].json("inbox")["cards"] == []


@pytest.mark.parametrize("seconds", [50 * 365 * 24 * HOUR, -50 * 365 * 24 * HOUR])
def test_a_certificate_out_of_date_is_the_clocks_too(town: Town, seconds: int) -> None:
    """A clock that was never set: TLS fails before the relay's own clock can be asked."""
    with town.shifted("alice", seconds) as alice:
        assert "out of date by this machine's clock\n  set the clock (NTP)" in alice.fails(15, "secrets")
        assert "set the clock (NTP)" in alice.run("doctor").text


def test_a_request_of_another_hour_is_refused_by_its_check(tmp_path: Path) -> None:
    """The clock of a daemon that is signed in jumps: the relay takes nothing that people could only refuse."""
    relay = RelayProcess(tmp_path / "data").start()
    org = Organisation(relay).create()
    org.seal()
    db = org.client()
    assert db.ask(issued=now() + HOUR, expires=now() + HOUR + 120)[2].code == "clock"
    assert db.ask(issued=now() - HOUR, expires=now() - HOUR + 120)[2].code == "expired"
    assert org.leaves("requested") == []
    assert relay.stop() == 0


def test_a_relay_whose_clock_is_behind_its_own_certificate_starts(tmp_path: Path) -> None:
    """A machine without a clock of its own wakes in the past until NTP has it: that must not keep the relay down."""
    library = tmp_path / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, Path(__file__).with_name("clock.c")], check=True)
    relay = RelayProcess(tmp_path / "data").start()
    assert relay.stop() == 0
    relay.extra = {"LD_PRELOAD": str(library), "CLOCK_OFF": str(-400 * 24 * HOUR)}
    assert relay.start().stop() == 0
    relay.extra = {}
    assert relay.start().call("GET", "/livez").status == 200
    assert relay.stop() == 0
