"""Row P2: a lease hit over the daemon's socket, on a connection that stays and with a connection for each call; beside a C server
that only echoes, and one that makes the same system calls (server.c). The client is the same C program for all (asking.c).

One call at a time: client and server on one core, so that a call costs what both do. Many connections: the server on one core,
the client on the other.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import FIRST, LAST, Report, processor_seconds, ratio
from tests.world import Party, World, end

HERE = Path(__file__).parent
ROUNDS = 15
HOLD, CONNECT, MANY = 1500, 300, 6000  # calls a round
LINES = "16"


def build(folder: Path, name: str) -> Path:
    """Compiles a program of this directory."""
    made = folder / name
    subprocess.run(["cc", "-O2", "-o", made, HERE / f"{name}.c"], check=True)
    return made


@contextmanager
def leased(folder: Path) -> Iterator[tuple[World, Party, subprocess.Popen[bytes]]]:
    """A relay, alice, a host with its daemon, and `bench/value` under a policy whose leases serve a whole program."""
    world = World(folder)
    try:
        world.start()
        alice = world.create("alice", "--no-recovery")
        host = world.client("host/bench", ["**"])
        alice.ok("policy", "set", "all", "--match", "**", "--people", "alice", "--lease-scope", "exe", "--window", "1h")
        alice.ok("seal", "bench/value", stdin=b"a value of thirty-two bytes, so.")
        yield world, host, host.start_daemon()
    finally:
        world.stop()


def first(alice: Party, words: list[str], environment: dict[str, str]) -> None:
    """The question that makes the lease."""
    asking = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
    alice.ok("approve", "--next", "--wait", "30", "--yes")
    if asking.wait(60):
        raise SystemExit(f"{words} was not answered")


def pin(pid: int, core: int) -> None:
    """Every thread of a process."""
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {core})


def run(report: Report) -> None:
    """Row P2."""
    with tempfile.TemporaryDirectory(prefix="sv-p2-") as place, leased(Path(place)) as (world, host, daemon):
        folder = Path(place)
        asking, server = build(folder, "asking"), build(folder, "server")
        first(world.parties["alice"], [str(asking), str(host.socket), "bench/value", "hold", "1"], {})
        servers = {kind: subprocess.Popen([server, kind, folder / kind]) for kind in ("echo", "calls")}
        sockets = {"daemon": str(host.socket), "C echo": f"-{folder / 'echo'}", "C same calls": str(folder / "calls")}
        pids = [daemon.pid, *(process.pid for process in servers.values())]
        try:
            while not all((folder / kind).exists() for kind in servers):
                time.sleep(0.01)
            measure(report, asking, sockets, pids)
        finally:
            for process in servers.values():
                end(process)


def measure(report: Report, asking: Path, sockets: dict[str, str], pids: list[int]) -> None:
    """The three ways to call."""

    def call(name: str, how: str, count: int, core: int) -> list[float]:
        command = ["taskset", "-c", str(core), str(asking), sockets[name], "bench/value", how, str(count)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return [float(word) for word in done.stdout.split()]

    found: dict[tuple[str, str], list[float]] = {}
    for pid in pids:
        pin(pid, FIRST)
    for _ in range(ROUNDS):
        for how, count in (("hold", HOLD), ("connect", CONNECT)):
            for name in sockets:
                if (name, how) != ("C echo", "connect"):
                    found.setdefault((name, how), []).append(call(name, how, count, FIRST)[1] / 1000)
    for pid in pids:
        pin(pid, LAST)
    spent = processor_seconds(pids[0])
    for _ in range(ROUNDS):
        for name in sockets:
            found.setdefault((name, LINES), []).append(call(name, LINES, MANY, FIRST)[0])
    spent = (processor_seconds(pids[0]) - spent) / (ROUNDS * (MANY + int(LINES)))

    report.head(f"P2  a lease hit over the socket; medians of {ROUNDS} rounds of {HOLD}, {CONNECT} and {MANY} calls, interleaved")
    for (name, how), figures in found.items():
        words = {"hold": "one connection", "connect": "a connection a call"}.get(how, f"{how} connections")
        report.line(f"{name}, {words}", "/s" if how == LINES else "us", figures)
    report.say(f"the daemon spends {spent * 1e6:.0f} us of processor time on each of {LINES} connections' calls")
    report.judge("P2 one connection, daemon / C echo", ratio(found["daemon", "hold"], found["C echo", "hold"]), 3.0, 2.0)
    report.say(f"beside C with the same system calls: {ratio(found['daemon', 'hold'], found['C same calls', 'hold']):.2f}")
    report.judge("P2 a connection a call, daemon / C same calls",
                 ratio(found["daemon", "connect"], found["C same calls", "connect"]), 2.5, 1.7)
    report.judge(f"P2 calls/s on {LINES} connections, daemon / C echo", ratio(found["daemon", LINES], found["C echo", LINES]),
                 0.35, 0.6, least=True)
    report.say(f"beside C with the same system calls: {ratio(found['daemon', LINES], found['C same calls', LINES]):.2f}")
