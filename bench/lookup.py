"""Row P1: a lease looked up in the extension, beside a Python dict that does the same checks, and beside a call of the extension
that does nothing; and how both grow from 10^3 leases to 10^6.

A look-up names client, path, scope and scope id, and finds the lease whose window is not over and whose uses are not spent.
Each round asks for others, drawn at random, by strings that are new: as a daemon that has just read them from a socket, and so
that the larger caches do not answer from the processor's own.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from functools import partial

from bench.measure import FIRST, Report, interleaved, pinned, ratio
from stillvault.crypto.leases import LeaseCache
from stillvault.crypto.private import Value
from stillvault.protocol.errors import Refused

SIZES = (1_000, 10_000, 100_000, 1_000_000)
ROUNDS = 500
LOOKUPS = 1_000  # a round: short, so that few rounds meet another process
CLIENT, SCOPE = "host/db-1", ("process", bytes(32))
NOW = 1_000_000  # milliseconds
DRAW = random.Random(1)  # which paths: no secret

Find = Callable[[str, str, list[tuple[str, bytes]], int], int | None]


class DictCache:
    """The peer: what one would write in Python without the extension."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str, str, bytes], tuple[int, int, int, int, int]] = {}

    def insert(self, path: str) -> None:
        number = len(self.entries) + 1
        self.entries[(CLIENT, path, *SCOPE)] = (number, NOW, 900_000, 0, 1)

    def find(self, client: str, path: str, scopes: list[tuple[str, bytes]], now: int) -> int | None:
        """The number of the live lease of the first scope that has one."""
        for scope, scope_id in scopes:
            found = self.entries.get((client, path, scope, scope_id))
            if found is not None:
                number, start, window, uses, used = found
                if 0 <= now - start < window and (not uses or used < uses):
                    return number
        return None


def fill(cache: LeaseCache, size: int) -> int:
    """Leases up to `size`, as far as memory can be locked. Returns how many."""
    for number in range(len(cache), size):
        try:
            value = Value.from_bytes(b"a value of thirty-two bytes, so.")
            cache.insert(CLIENT, f"prod/service/{number}", *SCOPE, value, (1, 0), 900, 0, NOW, uid=1000,
                         people=[("alice", "alice-phone")], request=bytes(32))
        except (Refused, MemoryError):
            return len(cache)
    return size


def some_paths(held: int) -> list[str]:
    return [f"prod/service/{DRAW.randrange(held)}" for _ in range(LOOKUPS)]


def lookups(find: Find, held: int) -> float:
    """Nanoseconds for one look-up, without the loop around it."""
    paths, scopes = some_paths(held), [SCOPE]
    began = time.perf_counter_ns()
    for path in paths:
        find(CLIENT, path, scopes, NOW + 1000)
    ended = time.perf_counter_ns()
    return (ended - began - loop(paths)) / len(paths)


def nothing(wipe: Callable[[], None], held: int) -> float:
    """Nanoseconds for a call without arguments that has nothing to do: the value was wiped long ago."""
    paths = some_paths(held)
    began = time.perf_counter_ns()
    for _ in paths:
        wipe()
    ended = time.perf_counter_ns()
    return (ended - began - loop(paths)) / len(paths)


def loop(paths: Sequence[str]) -> int:
    began = time.perf_counter_ns()
    for _ in paths:
        pass
    return time.perf_counter_ns() - began


def run(report: Report) -> None:
    """Row P1."""
    report.head(f"P1  lease look-up, {ROUNDS} rounds of {LOOKUPS:,} interleaved, one core")
    empty = Value.from_bytes(b"x")
    empty.wipe()
    cache, peer = LeaseCache(SIZES[-1]), DictCache()
    found: dict[int, dict[str, list[float]]] = {}
    with pinned(FIRST):
        for size in SIZES:
            held = fill(cache, size)
            for number in range(len(peer.entries), held):
                peer.insert(f"prod/service/{number}")
            jobs = {"extension": partial(lookups, cache.find, held), "dict": partial(lookups, peer.find, held),
                    "empty call": partial(nothing, empty.wipe, held)}
            found[held] = interleaved(jobs, ROUNDS)
            for name, times in found[held].items():
                report.line(f"{name}, {held:,} leases", "ns", times)
            if held < size:
                report.say(f"no more than {held:,} values fit into locked memory here (RLIMIT_MEMLOCK, `ulimit -l`)")
                break
    few, many = found[SIZES[0]], found[max(found)]
    report.judge("P1 extension / dict, 10^3 leases", ratio(few["extension"], few["dict"]), 1.5, 1.0)
    report.judge(f"P1 growth 10^3 to {max(found):,}", ratio(many["extension"], few["extension"]), 3.0, 2.0)
    report.say(f"the dict grows x{ratio(many['dict'], few['dict']):.2f}; values of 32 bytes, locked by this process "
               f"(uid {os.geteuid()})")
