"""What agents and helpers wait for: `stillvault run` with 1, 10 and 100 references on leases, a credential helper on a lease, and
masked output, beside a bare compiled client, a bare interpreter and `cat` in the same run.

    python -m bench agents
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench.front import HERE, release_front
from bench.measure import Report, interleaved, ratio
from tests.world import World

ROUNDS, PASSES = 100, 9
MANY = 100  # references
MIB = 64
LINE = b"GET /orders/4711 200 12ms user=alice session=4f2c9a1b trace=0af7651916cd43dd8448eb211c80319c\n"
ID = "0123456789abcdef01234567"  # of a secret of podman's
ASKED = {"git": b"protocol=https\nhost=git.example.org\nusername=ci\n\n", "aws": b"", "docker": b"registry.example.org\n",
         "podman": b""}


def timed(words: list[str], environment: dict[str, str], stdin: str = "/dev/null") -> float:
    """Milliseconds from the start of a process to its end."""
    actions = [(os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    began = time.perf_counter_ns()
    _, status = os.waitpid(os.posix_spawn(words[0], words, environment, file_actions=actions), 0)
    ended = time.perf_counter_ns()
    if status:
        raise SystemExit(f"{words[:4]} ended with {os.waitstatus_to_exitcode(status)}")
    return (ended - began) / 1e6


def references(count: int) -> list[str]:
    return [part for number in range(count) for part in ("--env", f"S{number}=sv://bench/s{number}")]


def helpers(folder: Path, front: str, environment: dict[str, str]) -> dict[str, partial[float]]:
    """Each credential helper with what its consumer asks, on values that are leased."""
    (folder / "map").write_text("registry.example.org sv://bench/s0 username=ci\n")
    (folder / "map").chmod(0o600)
    kept = ["podman", "--dir", str(folder / "kept")]
    environment = {**environment, "SECRET_ID": ID}
    subprocess.run([front, "credential", *kept, "store"], input=b"sv://bench/s0", env=environment, check=True)
    words = {"git": ["git", "--ref", "sv://bench/s0", "get"], "aws": ["aws", "--id-ref", "sv://bench/s0", "--key-ref", "sv://bench/s1"],
             "docker": ["docker", "--map", str(folder / "map"), "get"], "podman": [*kept, "lookup"]}
    jobs = {}
    for name, asked in ASKED.items():
        (folder / name).write_bytes(asked)
        jobs[f"{name} helper"] = partial(timed, [front, "credential", *words[name]], environment, str(folder / name))
    return jobs


def measure(report: Report, folder: Path, world: World) -> None:
    alice = world.create("alice", "--no-recovery")
    host = world.client("host/bench", ["**"])
    alice.ok("policy", "set", "all", "--match", "**", "--people", "alice", "--lease-scope", "exe", "--window", "1h")
    for number in range(MANY):
        alice.ok("seal", f"bench/s{number}", stdin=b"a value of thirty-two bytes, so.")
    client, released = folder / "client", str(release_front(folder))
    subprocess.run(["cc", "-O2", "-o", client, HERE / "client.c"], check=True)
    environment = {"STILLVAULT_SOCKET": str(host.socket), "PATH": os.environ["PATH"]}
    true, cat = shutil.which("true") or "/bin/true", shutil.which("cat") or "/bin/cat"
    large = folder / "large"
    large.write_bytes(LINE * (MIB * (1 << 20) // len(LINE)))
    asking_helpers = helpers(folder, released, environment)
    host.start_daemon()
    for words in ([released, "run", *references(MANY), "--", true], [str(client), str(host.socket), "bench/s0"]):
        asking = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        alice.ok("approve", "--next", "--wait", "30", "--yes")
        if asking.wait(60):
            raise SystemExit(f"{words[:2]} was not answered")
    jobs = {
        "C client, one value": partial(timed, [str(client), str(host.socket), "bench/s0"], environment),
        "python -S -E -c pass": partial(timed, [sys.executable, "-S", "-E", "-c", "pass"], environment),
        "true": partial(timed, [true], environment),
        **asking_helpers,
        **{f"run, {count} references, true": partial(timed, [released, "run", *references(count), "--", true], environment)
           for count in (1, 10, MANY)},
    }
    found = interleaved(jobs, ROUNDS)
    report.head(f"Agents: on leases, process start to end, {ROUNDS} rounds interleaved")
    for name, times in found.items():
        report.line(name, "ms", times)
    floor, bare = found["C client, one value"], found["python -S -E -c pass"]
    for name in asking_helpers:
        report.say(f"{name} / C client: {ratio(found[name], floor):.2f}, / bare interpreter: {ratio(found[name], bare):.2f}")
    one = found["run, 1 references, true"]
    for count in (1, 10, MANY):
        times = found[f"run, {count} references, true"]
        report.say(f"run with {count} / C client: {ratio(times, floor):.2f}, / run with 1: {ratio(times, one):.2f}")
    shown = ["--", cat, str(large)]
    masking = {
        "cat": partial(timed, shown[1:], environment),
        "run --no-masking, cat": partial(timed, [released, "run", *references(1), "--no-masking", *shown], environment),
        "run, 1 values masked, cat": partial(timed, [released, "run", *references(1), *shown], environment),
        "run, 10 values masked, cat": partial(timed, [released, "run", *references(10), *shown], environment),
    }
    rates = {name: [MIB * 1000 / one for one in times] for name, times in interleaved(masking, PASSES).items()}
    report.head(f"Masking: {MIB} MiB of log lines through `cat` into /dev/null, {PASSES} rounds interleaved")
    for name, rate in rates.items():
        report.line(name, "MiB/s", rate)
    report.say(f"masked / cat: {ratio(rates['run, 1 values masked, cat'], rates['cat']):.3f} with one value, "
               f"{ratio(rates['run, 10 values masked, cat'], rates['cat']):.3f} with ten")


def run(report: Report) -> None:
    """The rows of agents and helpers."""
    with tempfile.TemporaryDirectory(prefix="sv-agents-") as place:
        world = World(Path(place))
        try:
            world.start()
            measure(report, Path(place), world)
        finally:
            world.stop()
