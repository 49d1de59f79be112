"""The daemon ends when it is told to, whatever it waits for at that moment: its log, the relay, a lock of another process."""

from __future__ import annotations

import contextlib
import fcntl
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


def test_while_its_loop_stands_still(house):
    """Nobody reads its log any more, and it has something to say: nothing that the loop would do happens."""
    house.stop(house.daemon)
    daemon = house.begin_daemon()
    house.said(daemon, "ready")
    released(house)
    assert answers(house)
    agents = house.folder / "host" / "identities.toml"
    agents.write_text("not a table")
    pipe = os.open(f"/proc/self/fd/{daemon.stderr.fileno()}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        for size in (4096, 1):
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(pipe, b"\n" * size)
    finally:
        os.close(pipe)
    daemon.send_signal(signal.SIGHUP)
    try:
        until(lambda: not answers(house), "the loop goes on")
        assert house.stop(daemon) == 0
        assert not house.socket.exists()
    finally:
        agents.unlink()


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
