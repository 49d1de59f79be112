"""Row P3 of docs/performance.md: `stillvault read` on a lease, beside the least that a C program can do, and beside `ssh-add -l`.

    python -m bench.front

Where OpenBao is here, `bao kv get` of one value stands beside them, from a server on loopback without TLS: it asks nobody.

All of them run interleaved, against one real daemon, one process each time, timed from its start to its end. The front does what
the C client leaves out: it judges the socket and its owner, holds signals back, forbids core files, wipes.

`python -S -E -c pass` stands beside them: what an interpreter costs before it does anything.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import peers
from bench.measure import Report, ratio
from tests.world import STILLVAULT, World

ROUNDS = 200
BUDGET, STRETCH = 2.0, 1.4  # times the C client
HERE = Path(__file__).parent
BAO = "bao kv get"


def once(words: list[str], environment: dict[str, str]) -> float:
    """Milliseconds from the start of a process to its end."""
    actions = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    began = time.perf_counter_ns()
    pid = os.posix_spawn(words[0], words, environment, file_actions=actions)
    _, status = os.waitpid(pid, 0)
    ended = time.perf_counter_ns()
    if status:
        raise SystemExit(f"{words} ended with {os.waitstatus_to_exitcode(status)}")
    return (ended - began) / 1e6


def interleaved(jobs: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Each job once a round, so that whatever else the machine does meets them alike."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            times[name].append(job())
    return times


def release_front(folder: Path) -> Path:
    """The front as it is released; the one in the development environment is built without the last optimisations."""
    subprocess.run(["cargo", "build", "-q", "--release", "-p", "stillvault-cli"], cwd=HERE.parent, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR") or HERE.parent / "target")
    return Path(shutil.copy(target / "release" / "stillvault", folder / "stillvault"))


def ssh_agent(folder: Path) -> tuple[subprocess.Popen[bytes], dict[str, str]] | None:
    """An agent with one key, where the machine has one."""
    agent, add, keygen = map(shutil.which, ("ssh-agent", "ssh-add", "ssh-keygen"))
    if not (agent and add and keygen):
        return None
    process = subprocess.Popen([agent, "-D", "-a", folder / "agent"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    environment = {"SSH_AUTH_SOCK": str(folder / "agent"), "HOME": str(folder), "PATH": os.environ["PATH"]}
    while not (folder / "agent").exists():
        time.sleep(0.01)
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    subprocess.run([add, "-q", folder / "key"], env=environment, check=True)
    return process, environment


def measure(report: Report, folder: Path, world: World) -> dict[str, list[float]]:
    """Builds a host with one leased value and times whoever reads it."""
    alice = world.create("alice", "--no-recovery")
    host = world.client("host/bench", ["**"])
    alice.ok("policy", "set", "all", "--match", "**", "--people", "alice", "--lease-scope", "exe", "--window", "1h")
    alice.ok("seal", "bench/value", stdin=b"a value of thirty-two bytes, so.")
    client = folder / "client"
    subprocess.run(["cc", "-O2", "-o", client, HERE / "client.c"], check=True)
    released = release_front(folder)
    environment = {"STILLVAULT_SOCKET": str(host.socket), "PATH": os.environ["PATH"]}
    read = ["read", "sv://bench/value"]
    jobs = {
        "C client": [str(client), str(host.socket), "bench/value"],
        "stillvault read, released": [str(released), *read],
        "stillvault read, development": [str(STILLVAULT), *read],
        "stillvault --version": [str(released), "--version"],
        "python -S -E -c pass": [sys.executable, "-S", "-E", "-c", "pass"],
        "/bin/true": [shutil.which("true") or "/bin/true"],
    }
    host.start_daemon()
    for words in list(jobs.values())[:3]:  # the question that makes the lease
        asking = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        alice.ok("approve", "--next", "--wait", "30", "--yes")
        if asking.wait(60):
            raise SystemExit(f"{words} was not answered")
    ready: dict[str, Callable[[], float]] = {name: partial(once, words, environment) for name, words in jobs.items()}
    if agent := ssh_agent(folder):
        process, own = agent
        add = shutil.which("ssh-add") or "ssh-add"
        ready["ssh-add -l"] = partial(once, [add, "-l"], own)
    try:
        with peers.bao_server(report, folder) as bao:
            if bao is not None:
                words = [str(bao.program), "kv", "get", "-mount=secret", "-field=value", "value"]
                ready[BAO] = partial(once, words, bao.environment)
            interleaved(ready, 20)
            return interleaved(ready, ROUNDS)
    finally:
        if agent:
            process.terminate()
            process.wait()


def run(report: Report) -> None:
    """Row P3."""
    report.head(f"P3  one value from a lease, process start to end, {ROUNDS} rounds interleaved")
    with tempfile.TemporaryDirectory(prefix="sv-p3-") as place:
        world = World(Path(place))
        try:
            world.start()
            times = measure(report, Path(place), world)
        finally:
            world.stop()
    for name, found in times.items():
        report.line(name, "ms", found)
    read = times["stillvault read, released"]
    report.judge("P3 stillvault read / C client", ratio(read, times["C client"]), BUDGET, STRETCH)
    if "ssh-add -l" in times:
        report.judge("P3 stillvault read / ssh-add -l", ratio(read, times["ssh-add -l"]), 1.0, 1.0)
    if BAO in times:
        report.judge("P3 stillvault read / bao kv get", ratio(read, times[BAO]), 1 / 5, 1 / 5)
    report.say(f"beside `python -S -E -c pass`: {ratio(read, times['python -S -E -c pass']):.2f}")


def main() -> int:
    """Prints each beside its floor; ends 1 when a budget is missed."""
    report = Report()
    run(report)
    return 1 if any(verdict.word == "MISSED" for verdict in report.verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
