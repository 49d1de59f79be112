"""Puts a run together: floors, organisation, closed loop, open loops at shares of what that found, lease hits, floors again."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.measure import processor_seconds
from loadtests import floors, hits, laboratory
from loadtests.arrivals import Plan
from loadtests.histogram import Histogram
from loadtests.job import VARIABLE, Done, Job, Place, put
from loadtests.targets import Target
from tests.world import end

HERE = Path(__file__).parent
PATIENCE = 120.0  # seconds for all users to stand
DRAIN = 30.0  # seconds for what is under way at the end of an open loop
AHEAD = 0.5  # seconds between `go` and the beginning


class Open(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An open loop at `share` of the capacity."""

    share: float
    seconds: float
    burst: int = 0
    every: float = 0.0


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of scenarios.toml, which says what each means."""

    hosts: int
    approvers: int
    consoles: int
    processes: int
    warm: float
    closed: float
    open: tuple[Open, ...]
    hits: int


class Sample(msgspec.Struct, frozen=True):
    """The relay's process at a moment: seconds since the loop began, seconds of processor, bytes of memory."""

    at: float
    processor: float
    memory: int


class Loop(msgspec.Struct):
    """One loop, all processes together. `processor` is the relay's, None where it runs elsewhere."""

    name: str
    seconds: float
    releases: int = 0
    rate: float = 0.0
    offered: int = 0
    completed: int = 0
    failures: int = 0
    reasons: list[str] = []
    processor: float | None = None
    drivers: list[float] = []
    times: list[tuple[int, int]] = []
    lag: list[tuple[int, int]] = []
    finished: dict[int, int] = {}
    samples: list[Sample] = []


class Result(msgspec.Struct):
    """Everything that a run found: result.json."""

    scenario: str
    target: str
    when: str
    cores: int
    load: list[float]
    floors: list[floors.Floors]
    loops: list[Loop]
    hits: hits.Hits | None = None


def scenarios() -> dict[str, Scenario]:
    """scenarios.toml, checked."""
    return msgspec.convert(tomllib.loads((HERE / "scenarios.toml").read_text()), dict[str, Scenario])


def run(name: str, target: Target) -> Result:
    """The whole scenario against a relay that runs."""
    plan = scenarios()[name]
    load = [round(one, 1) for one in os.getloadavg()]
    print(f"{plan.hosts} hosts and {plan.approvers} approvers join", flush=True)
    try:
        made = laboratory.found(target.relay, target.token, plan.hosts, plan.approvers)
    except (AssertionError, OSError) as error:  # its answer to a call, or none at all
        raise SystemExit(f"{target.relay.url} did not take the organisation: {error}\nIt must be new and in the profile "
                         "laboratory; name, CA and setup token must be its own.") from None
    result = Result(name, target.kind, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), len(os.sched_getaffinity(0)), load,
                    [floors.measured()], [])
    crew = Crew(made, target, plan)
    print(f"closed loop, {plan.closed:g} s", flush=True)
    closed = crew.loop("closed", plan.closed, None)
    result.loops.append(closed)
    if not closed.rate:
        raise SystemExit(f"no release came through: {closed.reasons[:3]}")
    for one in plan.open:
        rate = closed.rate * one.share
        print(f"open loop, {rate:.0f} releases/s, {one.seconds:g} s", flush=True)
        result.loops.append(crew.loop(f"open {one.share:.0%}" + (" and bursts" if one.burst else ""), one.seconds, one, rate))
    if plan.hits:
        print(f"lease hits, {plan.hits} rounds", flush=True)
        result.hits = hits.measured(plan.hits)
    result.floors.append(floors.measured())
    return result


class Crew:
    """The processes of Locust for one organisation."""

    def __init__(self, made: laboratory.Laboratory, target: Target, plan: Scenario) -> None:
        self.made, self.target, self.plan = made, target, plan

    def loop(self, name: str, seconds: float, opened: Open | None, rate: float = 0.0) -> Loop:
        """One loop from the joining of its users to what they found."""
        shares = self.plan.processes
        with tempfile.TemporaryDirectory(prefix="sv-load-") as folder, processes() as running:
            places = []
            for share in range(shares):
                place = Path(folder) / str(share)
                place.mkdir(mode=0o700)
                given = laboratory.handed_over(self.made, self.target.relay.ca, self.plan.consoles, share, shares)
                drawn = opened and Plan(rate / shares, seconds, share, opened.burst // shares, opened.every)
                put(Place(place).job, Job(given, self.plan.warm, seconds, DRAIN, drawn))
                running.append(locust(place, given, open_loop=opened is not None))
                places.append(Place(place))
            wait([place.ready for place in places], running, PATIENCE)
            began = time.monotonic() + AHEAD
            with sampled(self.target.pid, began) as samples:
                for place in places:
                    put(place.go, began)
                wait([place.done for place in places], running, self.plan.warm + seconds + DRAIN + PATIENCE)
            for process in running:
                process.wait(PATIENCE)
            return summed(name, self.plan.warm, seconds, [place.result() for place in places], samples)


def locust(place: Path, given: laboratory.Handover, *, open_loop: bool) -> subprocess.Popen[bytes]:
    """One process with the users of its share."""
    asking = 1 if open_loop else len(given.hosts)
    users = {"Arrivals" if open_loop else "Host": asking, "Approver": len(given.approvers), "Console": given.consoles}
    wanted = {name: count for name, count in users.items() if count}
    total = sum(wanted.values())
    command = [sys.executable, "-P", "-m", "locust", "-f", str(HERE / "locustfile.py"), "--headless", "--only-summary",
               "--loglevel", "WARNING", "-u", str(total), "-r", str(total), "--stop-timeout", "1", *wanted]
    environment = {**os.environ, VARIABLE: str(place), "PYTHONPATH": str(HERE.parent)}
    with (place / "locust.log").open("wb") as log:
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


@contextmanager
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Ends what is left of them."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        yield running
    finally:
        for process in running:
            end(process)


def wait(files: Sequence[Path], running: Sequence[subprocess.Popen[bytes]], patience: float) -> None:
    """Until all files are there. Stops the run when a process ended before, or took too long."""
    deadline = time.monotonic() + patience
    while not all(file.exists() for file in files):
        for file, process in zip(files, running, strict=True):
            if not file.exists() and (process.poll() is not None or time.monotonic() > deadline):
                said = (file.parent / "locust.log").read_text(errors="replace")
                raise SystemExit(f"a process of Locust gave no {file.name}:\n{said[-3000:]}")
        time.sleep(0.05)


@contextmanager
def sampled(pid: int, began: float, every: float = 1.0) -> Iterator[list[Sample]]:
    """Looks at the relay once a second, where it is a process of this machine."""
    samples: list[Sample] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            with open(f"/proc/{pid}/statm") as file:
                memory = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            samples.append(Sample(time.monotonic() - began, processor_seconds(pid), memory))
            stop.wait(every)

    watcher = threading.Thread(target=look)
    if pid:
        watcher.start()
    try:
        yield samples
    finally:
        stop.set()
        if pid:
            watcher.join()


def summed(name: str, warm: float, seconds: float, parts: Sequence[Done], samples: list[Sample]) -> Loop:
    """All processes together; what came before `warm` or after the end of the loop is no part of the rate."""
    finished: Counter[int] = Counter()
    times, lag = Histogram(), Histogram()
    for part in parts:
        finished.update(part.finished)
        times.merge(Histogram(part.times))
        lag.merge(Histogram(part.lag))
    counted = sum(count for second, count in finished.items() if warm <= second < warm + seconds)
    inside = [one for one in samples if warm <= one.at <= warm + seconds]
    processor = None
    if len(inside) > 1:
        processor = (inside[-1].processor - inside[0].processor) / (inside[-1].at - inside[0].at) * seconds
    return Loop(
        name, seconds, counted, counted / seconds, sum(part.offered for part in parts), sum(part.completed for part in parts),
        sum(part.failures for part in parts), [reason for part in parts for reason in part.reasons][:20], processor,
        [part.processor / seconds for part in parts], times.pairs(), lag.pairs(), dict(sorted(finished.items())), samples,
    )  # fmt: skip


def stored(result: Result, folder: Path) -> Path:
    """Writes result.json into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "result.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    return path
