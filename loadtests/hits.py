"""Lease hits at a host's daemon: no relay has a part in them. The programs are those of row P2 of docs/performance.md.

A daemon with one lease answers 16 connections, a C server that only echoes answers as many; rounds alternate.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

import msgspec

from bench.hits import LINES, MANY, build, first, leased
from bench.measure import processor_seconds
from tests.world import end


class Hits(msgspec.Struct, frozen=True):
    """Calls a second by round; milliseconds of the daemon's processor for a call."""

    daemon: list[float]
    echo: list[float]
    processor_ms: float


def measured(rounds: int) -> Hits:
    """Makes a world of its own, and ends it."""
    with tempfile.TemporaryDirectory(prefix="sv-hits-") as place, leased(Path(place)) as (world, host, daemon):
        folder = Path(place)
        asking, server = build(folder, "asking"), build(folder, "server")
        first(world.parties["alice"], [str(asking), str(host.socket), "bench/value", "hold", "1"], {})
        echo = subprocess.Popen([server, "echo", folder / "echo"])
        try:
            while not (folder / "echo").exists():
                time.sleep(0.01)
            spent = processor_seconds(daemon.pid)
            found = [(_rate(asking, str(host.socket)), _rate(asking, f"-{folder / 'echo'}")) for _ in range(rounds)]
            spent = (processor_seconds(daemon.pid) - spent) / (rounds * (MANY + int(LINES)))
        finally:
            end(echo)
        return Hits([one for one, _ in found], [other for _, other in found], spent * 1000)


def _rate(asking: Path, server: str) -> float:
    done = subprocess.run([asking, server, "bench/value", LINES, str(MANY)], check=True, capture_output=True, text=True)
    return float(done.stdout)
