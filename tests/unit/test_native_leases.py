"""The lease cache as the daemon uses it: boot times are arguments, so no test waits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

from stillvault.crypto.leases import LeaseCache, is_interpreter, lease_terms
from stillvault.crypto.private import Value
from stillvault.crypto.public import encode
from stillvault.protocol.errors import Refused
from tests.unit.world import World

START = 1_000_000  # milliseconds of the boot clock
SECOND = 1000
ME = b"process 4711 started at 99"
CANARY = b"canary-91bd-lease"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def insert(cache: LeaseCache, path: str = "prod/db", **changes: object) -> int:
    terms: dict[str, object] = {
        "client": "host/db-1",
        "path": path,
        "scope": "process",
        "scope_id": ME,
        "value": Value.from_bytes(CANARY),
        "version": (1, 0),
        "window": 60,
        "uses": 0,
        "now": START,
        "uid": 1001,
        "people": [("ben", "ben-laptop")],
        "request": bytes(32),
    }
    return cache.insert(**(terms | changes))  # type: ignore[arg-type]


def test_a_hit_is_written_by_rust(pipe: tuple[int, int]) -> None:
    cache = LeaseCache()
    number = insert(cache)
    assert cache.find("host/db-1", "prod/db", [("exe", b"other"), ("process", ME)], START + SECOND) == number
    assert cache.deliver(number, ME, pipe[1], START + SECOND) == (len(CANARY), 59)
    assert os.read(pipe[0], 100) == CANARY
    assert cache.value_length(number) == len(CANARY) and len(cache) == 1


@pytest.mark.parametrize(
    ("client", "path", "scopes", "now"),
    [
        ("host/db-2", "prod/db", [("process", ME)], START),
        ("host/db-1", "prod/db2", [("process", ME)], START),
        ("host/db-1", "prod/db", [("process", b"another")], START),
        ("host/db-1", "prod/db", [("exe", ME)], START),
        ("host/db-1", "prod/db", [], START),
        ("host/db-1", "prod/db", [("process", ME)], START + 60 * SECOND),
        ("host/db-1", "prod/db", [("process", ME)], START - 1),
    ],
)
def test_anything_else_is_a_miss(client: str, path: str, scopes: list[tuple[str, bytes]], now: int) -> None:
    cache = LeaseCache()
    insert(cache)
    assert cache.find(client, path, scopes, now) is None


def test_everything_is_looked_at_again_at_the_delivery(pipe: tuple[int, int]) -> None:
    # A17
    cache = LeaseCache()
    number = insert(cache, uses=2)
    for scope_id, now, code in ((b"another", START, "lease-scope"), (ME, START + 60 * SECOND, "lease-window")):
        fresh = insert(cache, path=f"prod/{code}")
        with pytest.raises(Refused, match=code):
            cache.deliver(fresh, scope_id, pipe[1], now)
    assert cache.deliver(number, ME, pipe[1], START)[0] == len(CANARY)
    with pytest.raises(Refused, match="lease-"):
        cache.deliver(number, ME, pipe[1], START)
    assert cache.expire(START) == [(number, "uses")]
    assert os.read(pipe[0], 100) == CANARY


def test_a_full_pipe_stalls_nobody(pipe: tuple[int, int]) -> None:
    cache = LeaseCache()
    number = insert(cache)
    os.set_blocking(pipe[1], False)
    with suppress(BlockingIOError):
        while os.write(pipe[1], bytes(4096)):
            pass
    os.set_blocking(pipe[1], True)
    with pytest.raises(BlockingIOError):
        cache.deliver(number, ME, pipe[1], START)
    with pytest.raises(OSError, match="descriptor"):
        cache.deliver(number, ME, 987_654, START)


def test_a_lease_takes_the_value_over() -> None:
    cache, value = LeaseCache(), Value.from_bytes(CANARY)
    insert(cache, value=value)
    with pytest.raises(Refused):
        value.reveal()


def test_expiry_and_eviction() -> None:
    cache = LeaseCache()
    numbers = [insert(cache, path=f"prod/{n}", uid=1000 + n, window=60 + n) for n in range(4)]
    assert cache.expire(START + 60 * SECOND) == [(numbers[0], "window")]
    assert cache.evict(uid=1001, path="prod/2") == []
    assert cache.evict(uid=1001) == [numbers[1]]
    assert cache.evict(path="prod/2", below=(1, 0)) == []
    assert cache.evict(path="prod/2", below=(1, 1)) == [numbers[2]]
    assert cache.evict(device=("ben", "another")) == []
    assert cache.evict(device=("ben", "ben-laptop")) == [numbers[3]]
    assert len(cache) == 0 and cache.evict() == []


def test_the_list_names_leases_and_no_value() -> None:
    cache = LeaseCache()
    number = insert(cache)
    assert cache.list(START + 10 * SECOND) == [
        (number, "host/db-1", "prod/db", "process", 1001, (1, 0), 50, 1, bytes(32)),
    ]
    assert CANARY.decode() not in repr(cache)


def test_a_full_cache_is_bounded() -> None:
    cache = LeaseCache(capacity=2)
    for n in range(5):
        insert(cache, path=f"prod/{n}")
    assert len(cache) <= 2


def test_terms_take_the_least_of_four() -> None:
    policy = World().policy
    terms = lease_terms(encode(policy), encode(policy | {"window": 600}), [(700, 5), (800, 0)], (900, 7))
    assert terms == (600, 5, "process")
    assert lease_terms(encode(policy | {"scope": "exe"}), encode(policy), [(0, 0)], (900, 0)) == (0, 1, "exe")
    with pytest.raises(Refused):
        lease_terms(b"{}", encode(policy), [], (1, 1))


def test_interpreters_count_as_a_process() -> None:
    for exe in ("/usr/bin/python3.11", "/bin/bash", "/usr/bin/perl", "/usr/bin/node"):
        assert is_interpreter(exe)
    assert not is_interpreter("/usr/bin/psql")
