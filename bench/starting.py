"""Row P8: from the start of the relay's process to its ready line, beside an interpreter that imports litestar and uvicorn and
ends; and what relay and daemon hold of memory, beside a server of OpenBao that holds one value.

All have run before, so their files are in the page cache and compiled: this is the start of a service, not the first of a
machine. OpenBao's start ends when it answers, still sealed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench import peers
from bench.front import once
from bench.hits import build, first, leased
from bench.measure import Report, interleaved, ratio
from tests.world import World

ROUNDS = 15
LIBRARIES = "import litestar, uvicorn"
RELAY, IMPORT, BAO = "relay", LIBRARIES, "OpenBao, sealed"
READS = 1000  # of the lease, before memory is looked at


def held(pid: int) -> tuple[float, float]:
    """MiB of a process that are in memory, and how many of them are its own rather than of files."""
    with open(f"/proc/{pid}/status") as file:
        found = dict(line.split(":", 1) for line in file if line.startswith(("VmRSS", "RssAnon")))
    resident, own = (int(found[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))
    return resident, own


def relay_start(world: World) -> float:
    """Milliseconds until the ready line."""
    began = time.perf_counter()
    world.start()
    taken = (time.perf_counter() - began) * 1000
    world.stop_relay()
    return taken


def bao_start(bao: peers.Bao) -> float:
    """Milliseconds until it answers."""
    began = time.perf_counter()
    bao.start()
    taken = (time.perf_counter() - began) * 1000
    bao.stop()
    return taken


def run(report: Report) -> None:
    """Row P8."""
    report.head(f"P8  start, {ROUNDS} rounds interleaved; memory at rest after {READS:,} reads of a lease")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sv-p8-")))
        world, host, daemon = stack.enter_context(leased(folder))
        asking = str(build(folder, "asking"))
        first(world.parties["alice"], [asking, str(host.socket), "bench/value", "hold", "1"], {})
        subprocess.run([asking, str(host.socket), "bench/value", "hold", str(READS)], check=True, stdout=subprocess.DEVNULL)
        bao = stack.enter_context(peers.bao_server(report, folder))
        assert world.relay is not None
        memory(report, world.relay.pid, daemon.pid, bao)
        starts(report, world, bao)


def memory(report: Report, relay: int, daemon: int, bao: peers.Bao | None) -> None:
    """What each holds."""
    found = {"relay": held(relay), "daemon": held(daemon), **({"OpenBao": held(bao.pid)} if bao else {})}
    for name, (resident, own) in found.items():
        report.line(f"{name}, in memory", "MiB", [resident], f"of it not of files {own:.1f}")
    if bao:
        report.judge("P8 memory, relay / OpenBao", found["relay"][0] / found["OpenBao"][0], 0.75, 0.5)
    report.judge("P8 memory of the daemon, MiB", found["daemon"][0], 40, 40)


def starts(report: Report, world: World, bao: peers.Bao | None) -> None:
    """How long each takes."""
    world.stop_relay()
    jobs: dict[str, Callable[[], float]] = {
        RELAY: partial(relay_start, world),
        IMPORT: partial(once, [sys.executable, "-c", LIBRARIES], {}),
        "python -c pass": partial(once, [sys.executable, "-c", "pass"], {}),
    }
    if bao:
        bao.stop()
        jobs[BAO] = partial(bao_start, bao)
    found = interleaved(jobs, ROUNDS)
    for name, times in found.items():
        report.line(f"{name}, start", "ms", times)
    report.judge("P8 start, relay / import of litestar and uvicorn", ratio(found[RELAY], found[IMPORT]), 1.8, 1.3)
    if bao:
        report.say(f"beside OpenBao until it answers: {ratio(found[RELAY], found[BAO]):.2f}")
