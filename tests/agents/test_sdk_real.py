"""The SDK against a real daemon, a real relay and people who decide: the caller is the program that imports it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import stillvault
from stillvault import Waiting
from tests.world import PATIENCE, STILLVAULT, Party, World

ROOT = Path(__file__).resolve().parents[2]
VALUE = bytes(range(256)) * 100 + b"\n$(id)"
ACCOUNT = b'{"user": "app", "password": "p\\u0061ss", "port": 5432}'


class House:
    """A host with a daemon, and alice who decides."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.alice = world.create("alice", "--no-recovery")
        self.host = world.client("host/db-1", ["once/**", "task/**", "two/**"])
        everybody = ("--people", "alice")
        self.alice.ok("policy", "set", "once", "--match", "once/**", *everybody, "--window", "0s")
        self.alice.ok("policy", "set", "task", "--match", "task/**", *everybody, "--lease-scope", "task")
        self.alice.ok("policy", "set", "other", "--match", "other/**", *everybody)
        values = {"once/a": VALUE, "once/account": ACCOUNT, "task/a": b"of the task", "other/a": b"out of scope"}
        for path, value in values.items():
            self.alice.ok("seal", path, stdin=value)
        self.host.start_daemon()
        self.client = stillvault.Client(self.host.socket)

    def decide(self, verb: str, *options: str) -> Decider:
        return Decider(self.alice, verb, *options)

    @property
    def cards(self) -> list[str]:
        return [card["id"] for card in self.alice.json("inbox")["cards"]]

    def emptied(self) -> bool:
        return any(not self.cards for _ in range(200))

    def start(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        """A program of its own, in a session of its own."""
        environment = {**self.host.environment, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen([sys.executable, "-c", script, *arguments], env=environment, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.world.processes.append(process)  # type: ignore[arg-type]
        return process


class Decider:
    """Decides about the first card that it hears of, from inside the program that waits."""

    def __init__(self, person: Party, verb: str, *options: str) -> None:
        self.person, self.verb, self.options = person, verb, options
        self.heard: list[Waiting] = []

    def __call__(self, waiting: Waiting) -> None:
        self.heard.append(waiting)
        if len(self.heard) == 1:
            self.person.ok(self.verb, waiting.card, *self.options)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    root = Path(tempfile.mkdtemp(prefix="sv-"))
    world = World(root)
    try:
        world.start()
        yield House(world)
    finally:
        world.stop()
        shutil.rmtree(root, ignore_errors=True)


def test_a_value_is_read_once_a_person_said_yes(house: House) -> None:
    decide = house.decide("approve", "--yes")
    with house.client.read("sv://once/a", reason="nightly report", on_waiting=decide, timeout=PATIENCE) as secret:
        assert secret.reveal() == VALUE
    assert decide.heard[0].asked == ("alice",)
    assert len(decide.heard[0].code) == 6


def test_several_are_one_card(house: House) -> None:
    seen = []

    def decide(waiting: Waiting) -> None:
        if not seen:
            [card] = house.alice.json("inbox")["cards"]
            seen.append((sorted(one["secret"] for one in card["requests"]), card["claimed"]["reason"]))
            house.alice.ok("approve", waiting.card, "--yes")

    wanted = ["sv://once/account#password", "sv://once/a", "sv://once/account#port"]
    with house.client.read_many(wanted, reason="two \u202e", on_waiting=decide) as secrets:
        assert [secret.reveal() for secret in secrets.values()] == [b"pass", VALUE, b"5432"]
    assert seen == [(["once/a", "once/account"], "two \\u{202e}")]


def test_the_ends_that_a_program_meets(house: House) -> None:
    with pytest.raises(stillvault.Denied) as denied:
        house.client.read("sv://once/a", on_waiting=house.decide("deny"))
    assert denied.value.exit == 10
    with pytest.raises(stillvault.Expired):
        house.client.read("sv://once/account", timeout=1)
    assert house.emptied()
    with pytest.raises(stillvault.Forbidden):
        house.client.read("sv://other/a")
    with pytest.raises(stillvault.Unavailable):
        stillvault.Client(house.host.socket.with_name("none")).read("sv://once/a")
    assert house.client.whoami()["exe"] == os.path.realpath("/proc/self/exe")
    [planned] = house.client.plan("sv://once/a#x")
    assert (planned["path"], planned["people"], planned["needed"], planned["leased"]) == ("once/a", ["alice"], 1, False)


ASKS = """
import stillvault, subprocess, sys
handle = stillvault.ask("sv://task/a", reason="long job")
print(handle.id, flush=True)
sys.stdin.readline()
sys.exit(subprocess.run([sys.executable, "-c", sys.argv[1], handle.id]).returncode)
"""
TAKES = """
import stillvault, sys
handle = stillvault.resume(sys.argv[1])
assert handle.wait(60)
with handle.read() as secret:
    print(secret.reveal_text(), flush=True)
try:
    stillvault.resume(sys.argv[1]).take()
except stillvault.Failed as error:
    print(error.code, flush=True)
"""


def test_a_handle_is_resumed_by_its_id_in_the_same_task(house: House) -> None:
    with house.start(ASKS, TAKES) as program:
        assert program.stdout is not None
        handle = program.stdout.readline().strip()
        assert handle.startswith("h-")
        with pytest.raises(stillvault.StillvaultError):  # another task than the one that asked
            house.client.resume(handle)
        house.alice.ok("approve", "--next", "--wait", "30", "--yes")
        out, _ = program.communicate("\n", timeout=PATIENCE)
    lines = out.splitlines()
    assert (program.returncode, lines[0]) == (0, "of the task")
    assert len(lines) == 2


WAITS = """
import asyncio, stillvault, sys
def told(waiting): print(waiting.card, flush=True)
if sys.argv[1] == "sync":
    stillvault.read("sv://once/a", on_waiting=told)
async def cancelled():
    async with asyncio.timeout(3):
        await stillvault.aread("sv://once/a", on_waiting=told)
if sys.argv[1] == "async":
    try:
        asyncio.run(cancelled())
    except TimeoutError:
        print("cancelled", flush=True)
        sys.stdin.readline()
"""


@pytest.mark.parametrize(("way", "how"), [("sync", signal.SIGKILL), ("sync", signal.SIGINT), ("async", None)])
def test_who_stops_waiting_leaves_no_card(house: House, way: str, how: signal.Signals | None) -> None:
    with house.start(WAITS, way) as program:
        assert program.stdout is not None
        card = program.stdout.readline().strip()
        assert card in house.cards
        if how is not None:
            program.send_signal(how)
        else:
            assert program.stdout.readline() == "cancelled\n"
        assert house.emptied()
        program.communicate("\n", timeout=PATIENCE)


def test_asyncio_reads_many_at_once(house: House) -> None:
    async def both() -> list[bytes]:
        client = stillvault.AsyncClient(house.host.socket)
        handle = await client.ask(["sv://once/a"])
        again = await client.resume(handle.id)
        assert again.id == handle.id
        assert not await handle.wait(0)
        card = handle.waiting.card if handle.waiting else ""
        approving = await asyncio.create_subprocess_exec(str(STILLVAULT), "--format", "json", "approve", card, "--yes",
                                                         env=house.alice.environment, stdout=asyncio.subprocess.PIPE)
        ready, (out, _) = await asyncio.gather(handle.wait(60), approving.communicate())
        assert ready, json.loads(out)
        with await handle.take() as secrets:
            return [secret.reveal() for secret in secrets.values()]

    assert asyncio.run(both()) == [VALUE]
