"""The daemon ends when it is told to, whatever it waits for at that moment: its reader, the relay, a lock of another process.
And it waits for nobody who reads its log.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
from pathlib import Path

import pytest

from tests.client.caller import Call, contents
from tests.client.dialogue import CANARY, afresh, ask, call, furnished, released, until
from tests.client.house import House


@pytest.fixture(scope="module")
def house():
    yield from furnished()


@pytest.fixture(autouse=True)
def no_leases(house):
    yield from afresh(house)


@contextlib.contextmanager
def stopped_relay(house: House):
    """A relay that accepts and never answers: the kernel takes connections for it."""
    house.relay.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        house.relay.send_signal(signal.SIGCONT)


def answers(house: House) -> bool:
    """Whether the daemon greets a caller within a second."""
    one = Call(str(house.socket))
    one.sock.settimeout(1)
    try:
        return one.hello() is not None
    except TimeoutError:
        return False
    finally:
        one.sock.close()


def waits_for_a_lock(pid: int) -> bool:
    """Whether a thread of a process waits for a lock on a file, by the kernel's list."""
    return re.search(rf"-> FLOCK\s+ADVISORY\s+WRITE\s+{pid} ", Path("/proc/locks").read_text()) is not None


def fill(reading: int) -> None:
    """Leaves no room in a pipe, whose reading end this is."""
    writing = os.open(f"/proc/self/fd/{reading}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        for size in (4096, 1):
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(writing, b"\n" * size)
    finally:
        os.close(writing)


def drained(reading: int) -> bytes:
    """All that is in a pipe now."""
    os.set_blocking(reading, False)
    found = b""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(reading, 65536):
            found += piece
    return found


def test_while_its_loop_stands_still(house):
    """Nobody reads its ready line: nothing that the loop would do happens."""
    house.stop(house.daemon)
    daemon = house.begin_daemon("daemon.log")
    fill(daemon.stdout.fileno())
    until(house.socket.exists, "no socket was made")
    assert not answers(house)
    assert house.stop(daemon) == 0
    assert not house.socket.exists()


def test_a_log_that_nobody_reads_holds_nobody_up(house):
    """What there is no room for is left out, and counted as soon as somebody reads again."""
    house.stop(house.daemon)
    daemon = house.begin_daemon()
    house.said(daemon, "ready")
    log = daemon.stderr.fileno()
    agents = house.folder / "host" / "identities.toml"
    drained(log)
    fill(log)
    agents.write_text("not a table")  # something to say, each time that it is read
    said = b""

    def counted() -> bool:
        nonlocal said
        said += drained(log)
        return re.search(rb"WARNING: \d+ lines are missing here: nobody read them\n.*identities.toml", said) is not None

    try:
        assert "is not in force" in json.loads(house.run("", "stillvault", "whoami", "--format", "json"))["why"]
        released(house)
        assert drained(log).strip() == b""
        daemon.send_signal(signal.SIGHUP)
        until(counted, "the lines were not counted")
    finally:
        agents.unlink()
    assert house.stop(daemon) == 0


def test_without_standard_error_nothing_else_becomes_its_log(house):
    """The number is given to the next descriptor that is opened: sockets, files, the pipes of callers."""
    house.stop(house.daemon)
    flags = "--system" if house.system else ""
    house.daemon = house.start("host", "/bin/sh", "-c", f"exec stillvault-python daemon {flags} --socket {house.socket} 2>&-")
    house.said(house.daemon, "ready")
    agents = house.folder / "host" / "identities.toml"
    agents.write_text("not a table")  # something to say
    try:
        released(house)
    finally:
        agents.unlink()
    assert house.stop(house.daemon) == 0


def test_while_the_relay_accepts_and_never_answers(house):
    one = released(house)
    (end,) = one.get(["prod/db"])
    assert one.last()["values"][0]["from"] == "lease"  # so that there is a report to be sent
    assert contents(end) == CANARY
    with stopped_relay(house):
        waiting = call(house)
        (other,) = waiting.get(["prod/api"])
        assert house.stop(house.daemon) == 0
        assert waiting.last() is None
        assert contents(other) == b""
    assert not house.socket.exists()


def test_while_it_starts_against_a_relay_that_never_answers(house):
    house.stop(house.daemon)
    with stopped_relay(house):
        daemon = house.begin_daemon()
        until(house.socket.exists, "no socket was made")
        assert house.stop(daemon) == 0
    assert not house.socket.exists()


def test_while_another_process_holds_the_lock_of_its_home(house):
    """The version of what was released goes to the disk before the value goes anywhere: that waits, in a thread."""
    house.seal("prod/fresh", CANARY)
    one, end = ask(house, "prod/fresh")
    with (house.folder / "host" / "lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        house.approve()
        until(lambda: waits_for_a_lock(house.daemon.pid), "nothing waits for the lock")
        assert house.stop(house.daemon) == 0
    assert one.last() is None
    assert contents(end) == b""
