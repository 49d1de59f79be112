"""The ancestors of a caller, with real processes; and what a file of identities names, looked at without waiting."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from stillvault.client import agentfile
from stillvault.client.agentfile import Entry
from stillvault.client.executable import Hasher
from stillvault.client.lineage import lineage
from stillvault.client.process import Process
from stillvault.client.sight import Files, Sight
from tests.world import PATIENCE

ADOPTED = """
import ctypes, os, signal
from stillvault.client.lineage import lineage
from stillvault.client.process import Process

ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
adopter = os.getpid()
reading, writing = os.pipe()
leader = os.fork()
if not leader:
    os.setsid()
    if not os.fork():
        if os.fork():
            os._exit(0)
        while os.getppid() != adopter:
            pass
        os.write(writing, str(os.getpid()).encode())
    signal.pause()
orphan = int(os.read(reading, 20))
try:
    process = Process.of_pid(orphan)
    with lineage(process, 256) as line:
        places = [(place.process.pid, place.distance) for place in line]
    assert places[:2] == [(orphan, 0), (adopter, 1)], places
    assert (leader, -1) in places, places
finally:
    os.kill(orphan, 9)
    os.kill(leader, 9)
"""


def test_an_orphan_that_a_subreaper_adopted_is_still_of_its_session() -> None:
    done = subprocess.run([sys.executable, "-c", ADOPTED], capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("own_inodes", [True, False])
def test_ancestors_are_told_apart_without_inodes_of_their_own(monkeypatch: pytest.MonkeyPatch, own_inodes: bool) -> None:
    """Before Linux 6.9 all pidfds share one inode."""
    if not own_inodes:
        monkeypatch.setattr(Process, "inode", property(lambda _: 7, lambda _, __: None), raising=False)
    process = Process.of_pid(os.getpid())
    try:
        with lineage(process, 256) as line:
            pids = [place.process.pid for place in line if place is not None]
    finally:
        process.close()
    assert pids[:2] == [os.getpid(), os.getppid()]


@pytest.mark.parametrize(("conditions", "held"), [
    ({"unit": "web.service"}, True), ({"unit": "web@1.service"}, False), ({"unit": "web"}, False),
    ({"container": "c" * 64}, True), ({"container": "d" * 64}, False), ({"container": "c" * 12}, False),
    ({"unit": "web.service", "container": "c" * 64, "uid": os.geteuid()}, True),
    ({"unit": "web.service", "uid": os.geteuid() + 1}, False), ({"container": "c" * 64, "exe": "/usr/bin/env"}, False),
    ({"unit": "web.service", "exe": os.path.realpath(sys.executable)}, True),
])
def test_unit_and_container_are_conditions_like_the_others(conditions: dict[str, Any], held: bool) -> None:
    """What the kernel's `cgroup` of a process means is held in test_procfs; here it is given, the rest is this process."""

    class Placed(Process):
        def place(self) -> tuple[str, str]:
            return "web.service", "c" * 64

    process = Placed(os.pidfd_open(os.getpid()))
    try:
        sight = Sight(process, os.geteuid(), Hasher(), Files(), wait=True)
        assert sight.holds(Entry(client="agent/x", **conditions)) is held
    finally:
        process.close()


def test_a_program_that_is_a_fifo_holds_nothing_up(tmp_path: os.PathLike[str]) -> None:
    fifo = os.path.join(tmp_path, "agent")
    os.mkfifo(fifo)
    (entry,) = agentfile.parse(f"[[identity]]\nclient = 'agent/x'\nexe = '{fifo}'\n".encode())
    assert entry.exe == fifo
