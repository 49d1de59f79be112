"""Row P2: a lease hit over the daemon's socket, on a connection that stays and with a connection for each call; beside a C server
that only echoes, and one that makes the same system calls (server.c). The client is the same C program for all (asking.c). Peers
that others wrote, where they are here (peers.py): a read through `bao proxy`, an answer that it keeps, a GET of redis, each over
its unix socket, asked by a C client too (repeating.c). They look at nobody who asks.

One call at a time: client and servers on one core, so that a call costs what all of them do. Many connections: the servers on one
core, the client on the other.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import peers
from bench.measure import FIRST, LAST, Report, processor_seconds, ratio
from tests.world import Party, World, end

HERE = Path(__file__).parent
ROUNDS = 15
HOLD, CONNECT, MANY = 1500, 300, 6000  # calls a round
LINES = "16"
SHARE = 5  # the slow peers get so much fewer
DAEMON, ECHO, CALLS = "daemon", "C echo", "C same calls"
PROXY, KEPT, REDIS = "bao proxy, read", "bao proxy, kept answer", "redis GET"


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


class Caller:
    """A server with the client that asks it: how a round of calls is begun, and the processes that answer."""

    def __init__(self, words: list[object], *pids: int, share: int = 1, ways: Sequence[str] = ("hold", LINES)) -> None:
        self.words, self.pids, self.share, self.ways = [str(word) for word in words], pids, share, ways

    def call(self, how: str, count: int) -> list[float]:
        """The figures that the client prints. A slow server gets a share of the calls."""
        command = ["taskset", "-c", str(FIRST), *self.words, how, str(max(count // self.share, 1))]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return [float(word) for word in done.stdout.split()]


def run(report: Report) -> None:
    """Row P2."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sv-p2-")))
        world, host, daemon = stack.enter_context(leased(folder))
        asking, server = build(folder, "asking"), build(folder, "server")
        first(world.parties["alice"], [str(asking), str(host.socket), "bench/value", "hold", "1"], {})
        callers = {DAEMON: Caller([asking, host.socket, "bench/value"], daemon.pid, ways=("hold", "connect", LINES))}
        for name, kind, sign, ways in ((ECHO, "echo", "-", ("hold", LINES)), (CALLS, "calls", "", ("hold", "connect", LINES))):
            process = subprocess.Popen([server, kind, folder / kind])
            stack.callback(end, process)
            callers[name] = Caller([asking, f"{sign}{folder / kind}", "bench/value"], process.pid, ways=ways)
        while not all((folder / kind).exists() for kind in ("echo", "calls")):
            time.sleep(0.01)
        report.head(f"P2  a lease hit over the socket; medians of {ROUNDS} rounds of {HOLD}, {CONNECT}, {MANY} calls, in turns")
        callers |= others(report, folder, stack)
        measure(report, callers)


def others(report: Report, folder: Path, stack: ExitStack) -> dict[str, Caller]:
    """The peers that are here: `bao proxy`, with a read that it hands on to its server and an answer that it keeps; redis."""
    repeating, found = build(folder, "repeating"), {}

    def request(name: str, content: bytes) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    bao = stack.enter_context(peers.bao_server(report, folder))
    if bao is not None:
        door, pid = stack.enter_context(bao.proxy())
        read = request("read", b"GET /v1/bench/value HTTP/1.1\r\nHost: localhost\r\n\r\n")
        # The proxy keeps only what it can renew: values of the key-value store are not among it, tokens are.
        body = b'{"ttl": "24h"}'
        head = b"POST /v1/auth/token/create HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
        token = request("token", head + body)
        found[PROXY] = Caller([repeating, door, read], bao.pid, pid, share=SHARE)
        found[KEPT] = Caller([repeating, door, token], bao.pid, pid, share=SHARE)
    redis = stack.enter_context(peers.redis_server(report, folder))
    if redis is not None:
        found[REDIS] = Caller([repeating, redis[0], request("get", b"GET bench/value\r\n")], redis[1])
    return found


def measure(report: Report, callers: dict[str, Caller]) -> None:
    """The three ways to call."""
    found: dict[tuple[str, str], list[float]] = {}
    pids = {pid for caller in callers.values() for pid in caller.pids}
    for pid in pids:
        pin(pid, FIRST)
    for _ in range(ROUNDS):
        for how, count in (("hold", HOLD), ("connect", CONNECT)):
            for name, caller in callers.items():
                if how in caller.ways:
                    found.setdefault((name, how), []).append(caller.call(how, count)[1] / 1000)
    for pid in pids:
        pin(pid, LAST)
    daemon = callers[DAEMON].pids[0]
    spent = processor_seconds(daemon)
    for _ in range(ROUNDS):
        for name, caller in callers.items():
            found.setdefault((name, LINES), []).append(caller.call(LINES, MANY)[0])
    spent = (processor_seconds(daemon) - spent) / (ROUNDS * (MANY + int(LINES)))

    for (name, how), figures in found.items():
        words = {"hold": "one connection", "connect": "a connection a call"}.get(how, f"{how} connections")
        report.line(f"{name}, {words}", "/s" if how == LINES else "us", figures)
    report.say(f"the daemon spends {spent * 1e6:.0f} us of processor time on each of {LINES} connections' calls")

    def beside(other: str, how: str) -> float:
        return ratio(found[DAEMON, how], found[other, how])

    report.judge("P2 one connection, daemon / C echo", beside(ECHO, "hold"), 3.0, 2.0)
    report.say(f"beside C with the same system calls: {beside(CALLS, 'hold'):.2f}")
    if PROXY in callers:
        report.judge("P2 one connection, daemon / read through bao proxy", beside(PROXY, "hold"), 1 / 20, 1 / 20)
        report.say(f"beside an answer that bao proxy keeps: {beside(KEPT, 'hold'):.3f}")
    report.judge("P2 a connection a call, daemon / C same calls", beside(CALLS, "connect"), 2.5, 1.7)
    report.judge(f"P2 calls/s on {LINES} connections, daemon / C echo", beside(ECHO, LINES), 0.35, 0.6, least=True)
    report.say(f"beside C with the same system calls: {beside(CALLS, LINES):.2f}")
    if REDIS in callers:
        report.judge(f"P2 calls/s on {LINES} connections, daemon / redis GET", beside(REDIS, LINES), 1.0, 1.0, least=True)
    if PROXY in callers:
        report.say(f"beside reads through bao proxy: {beside(PROXY, LINES):.1f}; beside answers that it keeps: "
                   f"{beside(KEPT, LINES):.1f}")
