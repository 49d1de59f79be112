"""What one process of Locust is told, and what it hands back: two JSON files in a directory of the run.

It writes `ready` when all its users stand, begins when `go` names the instant (CLOCK_MONOTONIC, which all processes of a machine
share), and ends with `done`.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from loadtests.arrivals import Plan
from loadtests.laboratory import Handover

VARIABLE = "STILLVAULT_LOAD_JOB"  # names the directory


class Job(msgspec.Struct, frozen=True):
    """`plan` is None for the closed loop. Nothing counts within the first `warm` seconds."""

    given: Handover
    warm: float
    seconds: float
    drain: float
    plan: Plan | None = None


class Done(msgspec.Struct):
    """One process's part of a loop. Histograms as pairs of (microseconds, count); `finished` by whole second after `go`."""

    offered: int = 0
    completed: int = 0
    failures: int = 0
    reasons: list[str] = []  # of the first of them
    times: list[tuple[int, int]] = []
    lag: list[tuple[int, int]] = []
    finished: dict[int, int] = {}
    processor: float = 0.0  # seconds of this process, between warm and the end


class Place:
    """The directory of a job."""

    def __init__(self, path: Path) -> None:
        self.job, self.ready, self.go, self.done = (path / f"{name}.json" for name in ("job", "ready", "go", "done"))

    def read(self) -> Job:
        return msgspec.json.decode(self.job.read_bytes(), type=Job)

    def result(self) -> Done:
        return msgspec.json.decode(self.done.read_bytes(), type=Done)


def put(path: Path, content: object) -> None:
    """Whole or not at all: whoever waits for the file reads all of it."""
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600, exist_ok=False)
    fresh.write_bytes(msgspec.json.encode(content))
    fresh.rename(path)
