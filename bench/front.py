"""Row P3 of docs/performance.md: `stillvault read` on a lease, beside the least that a C program can do, and beside `ssh-add -l`.

    python -m bench.front

All of them run interleaved, against one real daemon, one process each time, timed from its start to its end. The front does what
the C client leaves out: it judges the socket and its owner, holds signals back, forbids core files, wipes.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.world import STILLVAULT, World

ROUNDS = 400
BUDGET, STRETCH = 2.0, 1.4  # times the C client
HERE = Path(__file__).parent


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


def measure(folder: Path, world: World) -> dict[str, list[float]]:
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
        interleaved(ready, 20)
        return interleaved(ready, ROUNDS)
    finally:
        if agent:
            process.terminate()
            process.wait()


def main() -> int:
    """Prints each beside its floor; ends 1 when the budget is missed."""
    with tempfile.TemporaryDirectory(prefix="sv-bench-") as place:
        world = World(Path(place))
        try:
            world.start()
            times = measure(Path(place), world)
        finally:
            world.stop()
    floor = statistics.median(times["C client"])
    print(f"P3  one value from a lease, process start to end, {ROUNDS} rounds interleaved")
    print(f"    {'':30}{'median':>9}{'p10':>8}{'p90':>8}   times C")
    for name, found in times.items():
        low, *_, high = statistics.quantiles(found, n=10)
        median = statistics.median(found)
        print(f"    {name:30}{median:6.2f} ms{low:8.2f}{high:8.2f}{median / floor:9.2f}")
    ratio = statistics.median(times["stillvault read, released"]) / floor
    word = "stretch" if ratio <= STRETCH else "budget" if ratio <= BUDGET else "MISSED"
    print(f"    read / C = {ratio:.2f} (budget {BUDGET}, stretch {STRETCH}): {word}")
    return 0 if ratio <= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
