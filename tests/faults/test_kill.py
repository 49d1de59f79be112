"""kill -9 under load: nothing that was acknowledged is lost, and nobody is prompted twice.  # R1 R16"""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stillvault.crypto.public import b64encode
from tests.faults.checker import History, check
from tests.faults.load import Writer
from tests.relay.parties import Organisation
from tests.relay.process import RelayProcess

KILLS = int(os.environ.get("KILLS", "25"))
WRITERS = 8
SEED = 20260101


class EagerRelay(RelayProcess):
    module = "tests.faults.eager_relay"


@pytest.fixture
def directory() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="sv-kill-"))
    yield root
    shutil.rmtree(root, ignore_errors=True)


def _kill_with_rows_in_flight(relay: RelayProcess, history: History, rng: random.Random) -> None:
    """Waits a little, then for a call that has no answer yet, and kills at once."""
    time.sleep(rng.uniform(0.02, 0.2))
    before = len(history.acknowledged)
    while history.in_flight == 0 or len(history.acknowledged) == before:
        time.sleep(0)
    relay.stop(signal.SIGKILL)


def _load(org: Organisation, relay: RelayProcess, kills: int) -> tuple[History, list[str]]:
    """Writers at work while the relay is killed and started `kills` times. What they saw, and what they did not like."""
    client = org.client()
    history = History()
    writers = [Writer(org, client, org.seal(f"prod/writer-{n}"), f"prod/writer-{n}", history) for n in range(WRITERS)]
    assert client.session
    assert org.admin.session
    org.relay.stop()
    relay.port, org.relay = org.relay.port, relay
    relay.start()
    for writer in writers:
        writer.up.set()
        writer.start()
    rng = random.Random(SEED)
    try:
        for _ in range(kills):
            _kill_with_rows_in_flight(relay, history, rng)
            relay.start()
            for writer in writers:
                writer.up.set()
    finally:
        for writer in writers:
            writer.stop.set()
            writer.up.set()
        for writer in writers:
            writer.join()
    return history, [problem for writer in writers for problem in writer.problems]


def _again(relay: RelayProcess) -> RelayProcess:
    """The real build on the directory and port of another."""
    real = RelayProcess(relay.data)
    real.port = relay.port
    return real.start()


def _what_is_wrong(org: Organisation, history: History) -> list[str]:
    client = org.clients["host/db-1"]
    org.admin.token = client.token = ""  # sign in anew, as after any restart
    states = {}
    for request in {request for _, _, request in history.acknowledged}:
        answer = client.get(f"/v1/requests/{request}")
        states[request] = answer.json["state"] if answer.status == 200 else f"answer {answer.status}"
    return check(history, org.leaves(), states)


def test_nothing_acknowledged_is_lost(directory: Path) -> None:
    relay = RelayProcess(directory / "data").start()
    try:
        org = Organisation(relay).create()
        relay = RelayProcess(directory / "data")
        history, problems = _load(org, relay, KILLS)
        wrong = _what_is_wrong(org, history)
    finally:
        relay.stop()
    print(f"{KILLS} kills, {len(history.acknowledged)} acknowledged, {history.unknown} without an answer")
    assert not problems
    assert not wrong
    assert history.unknown >= KILLS, "the kills did not meet rows in flight"
    doctor = relay.command("doctor", "--data", str(directory / "data"))
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr


def test_the_checker_finds_a_build_that_acknowledges_before_commit(directory: Path) -> None:
    relay: RelayProcess = RelayProcess(directory / "data").start()
    try:
        org = Organisation(relay).create()
        relay = EagerRelay(directory / "data")
        history, _ = _load(org, relay, 6)
        relay.stop()
        relay = org.relay = _again(relay)
        wrong = _what_is_wrong(org, history)
    finally:
        relay.stop()
    assert history.acknowledged
    assert [line for line in wrong if line.startswith(("1:", "2:"))], "the checker missed what this build loses"


def test_the_checker_knows_each_wrong() -> None:
    oid = b64encode(bytes(32))
    history = History()
    history.invoke()
    history.answered("requested", oid, oid)
    leaf = {"kind": "requested", "oid": oid, "request": oid, "detail": {}}
    assert check(history, [leaf], {oid: "pending"}) == []
    assert check(history, [], {oid: "pending"})[0].startswith("1:")
    assert check(history, [leaf], {})[0].startswith("2:")
    ends = [{"kind": kind, "request": oid, "detail": {}} for kind in ("denied", "expired")]
    assert check(history, [leaf, *ends], {oid: "pending"})[0].startswith("3:")
    prompted = {"kind": "prompted", "request": oid, "detail": {"device": "d", "channel": "sse"}}
    assert check(history, [leaf, prompted, prompted], {oid: "pending"})[0].startswith("4:")
    assert check(history, [leaf, {"kind": "released", "request": oid, "detail": {}}], {oid: "pending"})[0].startswith("5:")
