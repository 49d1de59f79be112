"""Row P5: a value sealed for N people beside N bare HPKE seals, opened beside one bare HPKE open; and both by two threads.

Sealing also encrypts the value, builds the object, signs it and reads it back; opening also checks every signature and rule of
section 8. That is what the ratios hold.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import cast

from bench.measure import FIRST, Report, each, interleaved, pinned, ratio, two_cores
from stillvault.crypto.private import KemKey, Value, kem_seal, open_releases, seal
from stillvault.crypto.public import Trust, b64encode
from tests.relay.parties import Client, Device, Organisation, now
from tests.relay.process import RelayProcess

PEOPLE = (1, 5, 20, 63)
ROUNDS = 40
SECRET = b"postgres://app:correct-horse@db-1"  # as long as such values are
INFO = b"[]"


class House(Organisation):
    """An organisation without a relay: alice and as many more approvers as are wanted, all in one policy."""

    def __init__(self, people: int) -> None:
        super().__init__(cast(RelayProcess, SimpleNamespace(url="https://localhost:1")))
        for number in range(1, people):
            name = f"p{number:02}"
            self.devices[name], self.roles[name] = Device(self, name, f"{name}-phone"), ["approver"]
        self.policy = {**self.policy, "people": sorted(self.devices)}
        self.root = self.sign_root({"origin": "localhost/log", "public": b64encode(self.root_key.public)})
        self.roster = self.sign_roster()
        self.standing: Trust = self.trust()

    def seal_one(self, value: Value) -> tuple[bytes, bytes]:
        """(secret, ciphertext) of the first version of prod/db."""
        by = (self.admin.person, self.admin.id)
        sealed = seal(self.standing, self.admin.auth, by, "prod/db", value, (1, 0), None, now())
        return sealed.secret, sealed.ciphertext


def sealing(report: Report) -> None:
    """N people."""
    value, keys = Value.from_bytes(SECRET), [KemKey.generate().public for _ in range(PEOPLE[-1])]
    houses = {people: House(people) for people in PEOPLE}

    def bare(people: int) -> Callable[[], object]:
        return lambda: [kem_seal(key, INFO, bytes(32)) for key in keys[:people]]

    def whole(people: int) -> Callable[[], object]:
        return lambda: houses[people].seal_one(value)

    jobs: dict[str, Callable[[], float]] = {}
    for people in PEOPLE:
        jobs[f"seal for {people}"] = each(whole(people), 1e6)
        jobs[f"{people} HPKE seals"] = each(bare(people), 1e6)
    found = interleaved(jobs, ROUNDS)
    for name, times in found.items():
        report.line(name, "us", times)
    for people in PEOPLE:
        whole_to_bare = ratio(found[f"seal for {people}"], found[f"{people} HPKE seals"])
        report.judge(f"P5 seal for {people} / {people} HPKE seals", whole_to_bare, 1.25, 1.0)


def opening(report: Report) -> dict[str, list[Callable[[], object]]]:
    """One release opened. Returns a seal and an open for each of two threads: an ephemeral key serves one at a time."""
    house = House(5)
    client = Client(house, "host/db-1", ["prod/**"])
    client.certify()
    value = Value.from_bytes(SECRET)
    secret, ciphertext = house.seal_one(value)
    key = KemKey.generate()
    enc, ct = kem_seal(key.public, INFO, bytes(32))

    def whole() -> Callable[[], object]:
        request, ephemeral = client.request()
        release = house.release(house.admin, client, (request, secret))
        return lambda: open_releases(house.standing, request, ephemeral, secret, ciphertext, [release], None, now())

    opens: list[Callable[[], object]] = [whole(), whole()]
    jobs = {"open one release": each(opens[0], 1e6), "one HPKE open": each(lambda: key.open(INFO, enc, ct), 1e6)}
    found = interleaved(jobs, ROUNDS * 5)
    for name, times in found.items():
        report.line(name, "us", times)
    report.judge("P5 open / one HPKE open", ratio(found["open one release"], found["one HPKE open"]), 1.25, 1.0)
    values = [Value.from_bytes(SECRET) for _ in opens]
    return {"seal for 5": [partial(house.seal_one, one) for one in values], "open": opens}


def loop(job: Callable[[], object], count: int) -> Callable[[], None]:
    """Does a job so often."""

    def work() -> None:
        for _ in range(count):
            job()

    return work


def together(jobs: Sequence[Callable[[], object]], count: int) -> Callable[[], None]:
    """Does each job so often, in a thread of its own."""

    def work() -> None:
        threads = [threading.Thread(target=loop(job, count)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return work


def by_two(report: Report, work: dict[str, list[Callable[[], object]]]) -> None:
    """The same work by one thread and by two."""
    cores = two_cores(5)
    report.line("two processes of pure Python (what there is to gain)", "x", cores)
    for name, jobs in work.items():
        found = interleaved({"one": each(loop(jobs[0], 100), 1e3), "two": each(together(jobs, 50), 1e3)}, 12)
        gain = ratio(found["one"], found["two"])
        report.line(f"{name}, 100 by one thread", "ms", found["one"])
        report.line(f"{name}, 100 by two threads", "ms", found["two"], f"x{gain:.2f}")


def run(report: Report) -> None:
    """Row P5."""
    report.head(f"P5  sealing and opening, {ROUNDS} rounds interleaved, one core; then two threads")
    with pinned(FIRST):
        sealing(report)
        work = opening(report)
    by_two(report, work)
