"""What the tests of a whole house share: its two secrets, connections spoken by hand, and a look at what is there."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

from tests.client.caller import Call, contents
from tests.client.house import House

CANARY = b"canary-7c1f2e4b-of-the-house"
ROOT = os.geteuid() == 0
CALLS: list[Call] = []


def furnished() -> Iterator[House]:
    """A house with two secrets and a daemon."""
    one = House(system=ROOT)
    try:
        one.build()
        one.seal("prod/db", CANARY)
        one.seal("prod/api", b"the api key")
        one.start_daemon()
        yield one
    finally:
        one.close()


def afresh(house: House) -> Iterator[None]:
    """A relay and a daemon that run, no lease; at the end no connection of ours."""
    if house.relay.poll() is not None:
        house.start_relay()
    if house.daemon.poll() is not None:
        house.start_daemon()
    house.run("", "stillvault", "leases", "purge")
    yield
    while CALLS:
        CALLS.pop().sock.close()


def call(house: House) -> Call:
    one = Call(str(house.socket))
    CALLS.append(one)
    one.hello()
    return one


def ask(house: House, path: str = "prod/db", **terms) -> tuple[Call, int]:
    """A call that waits for people: its first event has come."""
    one = call(house)
    (end,) = one.get([path], **terms)
    event = one.event()
    assert event["event"] == "pending", event
    return one, end


def released(house: House, path: str = "prod/db", **terms) -> Call:
    """A call of this process that was approved; its lease lives."""
    one, end = ask(house, path, **terms)
    house.approve()
    assert one.last()["values"][0]["from"] == "release"
    contents(end)
    return one


def leases(house: House) -> list[dict]:
    return json.loads(house.run("", "stillvault", "leases", "--format", "json"))["leases"]


def until(condition, what: str) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def audit(house: House, kind: str) -> list[dict]:
    rows = house.run("alice", "stillvault", "audit", "export", "--as", "jsonl").splitlines()
    return [row for row in map(json.loads, rows) if row.get("kind") == kind]
