"""Row P9: what the relay takes for the same call when it holds more: secrets, rows of the audit log, releases of days ago, and
people who may approve. The figure beside each is its own, of a relay that holds little, in the same run.

One organisation is made, then its data directory is copied and filled (filling.py), so that several relays serve the same
organisation at once and are sent the same bytes, in turns. BENCH_SECRETS and BENCH_ROWS change how large the large ones are.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop

from bench import filling
from bench.driving import Call, Driver, call
from bench.hits import pin
from bench.measure import FIRST, LAST, Report, each, interleaved, pinned, ratio, rotated, spread
from bench.releases import made
from bench.starting import held
from stillvault.approver.logbook import tree_root
from stillvault.crypto import private
from stillvault.crypto.private import Value
from stillvault.crypto.public import b64encode
from tests.relay.parties import Client, Device, Organisation, now, wire
from tests.relay.process import RelayProcess
from tests.world import free_port

FEW_SECRETS, MANY_SECRETS = 1_000, int(os.environ.get("BENCH_SECRETS", "100000"))
FEW_ROWS, MANY_ROWS = 10_000, int(os.environ.get("BENCH_ROWS", "1000000"))
FEW_PAST, MANY_PAST = 1_000, 100_000
PEOPLE = 50
FIFTY = f"any of {PEOPLE} people"
ROUNDS, CALLS, RELEASES = 8, 15, 15  # calls and releases a round
SESSIONS, EACH = 32, 4
PAGE = 50
VERIFIED = 300_000  # rows whose root is computed
SMALL, SECRETS, LOG, PAST = "little", "secrets", "log", "past"
DRAW = random.Random(1)  # which secret: nothing secret about that
SETTINGS = {"metrics": "off", "limits.session_seconds": "3600", "limits.idle_seconds": "600", "limits.reserve_bytes": "0"}

Jobs = dict[str, Callable[[str], Sequence[Call]]]  # by name: the next call to the relay of that name


class Copy(RelayProcess):
    """A relay that says the URL that its organisation was made for, and listens on another port."""

    def start(self) -> RelayProcess:
        own = self.port = self.port or free_port()
        super().start()
        self.port = own
        return self


class Large(Organisation):
    """`few/` can be approved by alice, `many/` by any of fifty, alice among them."""

    def __init__(self, relay: RelayProcess) -> None:
        super().__init__(relay)
        for number in range(1, PEOPLE):
            name = f"p{number:02}"
            self.devices[name], self.roles[name] = Device(self, name, f"{name}-phone"), ["approver"]

    def sign_roster(self, **changes: object) -> bytes:
        few = {**self.policy, "id": "few", "match": ["few/**"]}
        many = {**self.policy, "id": "many", "match": ["many/**"], "people": sorted(self.devices)}
        return super().sign_roster(**{"policies": [few, many], **changes})


def sealing(org: Organisation, number: int) -> Call:
    """A new path under `few/`."""
    sealed = private.seal(org.trust(), org.admin.auth, (org.admin.person, org.admin.id), f"few/new/{number}",
                          Value.from_bytes(b"s3cret"), (1, 0), None, now())
    body = {"secret": wire(sealed.secret)[0], "ciphertext": b64encode(sealed.ciphertext)}
    return call("POST", "/v1/secrets", org.admin.session, body, wanted=b'"oid"')


class Household:
    """The relays, by what each holds much of, and how each is driven."""

    def __init__(self, place: Path) -> None:
        base = RelayProcess(place / "base", **SETTINGS).start()
        try:
            self.org = Large(base).create()
            self.client: Client = self.org.client("host/db-1", ("few/**", "many/**"))
            self.few, self.many = self.org.seal("few/db"), self.org.seal("many/db")
            asked, _, _ = self.client.ask("few/db")
            self.org.admin.get("/v1/prompts").ok()
            self.org.approve(self.org.admin, self.client, (asked, self.few)).ok()
            self.client.state(asked)
            self.client.receipt(asked, self.few).ok()
        finally:
            base.stop()
        self.relays = {name: self._relay(base, place / name, name) for name in (SMALL, SECRETS, LOG, PAST)}

    def _relay(self, base: RelayProcess, data: Path, much: str) -> RelayProcess:
        shutil.copytree(base.data, data)
        filling.past(data, MANY_PAST if much == PAST else FEW_PAST)
        filling.secrets(data, MANY_SECRETS if much == SECRETS else FEW_SECRETS)
        filling.log(data, MANY_ROWS if much == LOG else FEW_ROWS)
        return Copy(data, public_url=base.url, **SETTINGS)

    def start(self) -> None:
        loop = uvloop.new_event_loop()
        self.loop, self.drivers = loop, {}
        for name, relay in self.relays.items():
            relay.start()
            pin(relay.pid, LAST)
            # The authority came along with the copy.
            self.drivers[name] = Driver(loop, relay.context(), (relay.port, relay.pid))

    def stop(self) -> None:
        for driver in self.drivers.values():
            driver.close()
        self.loop.close()
        for relay in self.relays.values():
            relay.stop()


def run(report: Report) -> None:
    """Row P9."""
    with tempfile.TemporaryDirectory(prefix="sv-p9-") as place:
        began = time.monotonic()
        house = Household(Path(place))
        report.head(f"P9  the same calls with more behind them, in turns; {ROUNDS} rounds")
        report.say(f"little: {FEW_SECRETS:,} secrets, {FEW_ROWS:,} rows of the log, {FEW_PAST:,} releases of days ago")
        report.say(f"much, each in a relay of its own: {MANY_SECRETS:,}, {MANY_ROWS:,}, {MANY_PAST:,}; "
                   f"made in {time.monotonic() - began:.0f} s")
        house.start()
        try:
            with pinned(FIRST):
                calls(report, house)
                releases(report, house)
            for name, relay in house.relays.items():
                report.line(f"memory, {name}", "MiB", [held(relay.pid)[0]])
        finally:
            house.stop()
        starts(report, house)
    verifying(report)


# ---- calls -------------------------------------------------------------------------------------------------------------


def calls(report: Report, house: Household) -> None:
    """Each on the relay that holds much of what it looks at, beside the one that holds little."""
    token, host = house.org.admin.session, house.client.session
    held_by = {SMALL: FEW_SECRETS, SECRETS: MANY_SECRETS}
    rows = {SMALL: FEW_ROWS, LOG: MANY_ROWS}
    new = iter(range(10**9))

    def get(path: str, wanted: bytes, bearer: str = token) -> list[Call]:
        return [call("GET", path, bearer, wanted=wanted)]

    def some(name: str) -> str:
        return filling.path(DRAW.randrange(held_by[name] - 2 * PAGE))

    def middle(name: str) -> int:
        return DRAW.randrange(rows[name] // 4, rows[name] // 2)

    secrets: Jobs = {
        "the newest of a path": lambda name: get(f"/v1/secrets/latest?path={some(name)}", b'"secret"'),
        f"a page of {PAGE} secrets": lambda name: get(f"/v1/secrets?limit={PAGE}&after={some(name)}", b'"secrets"'),
        "what is under a narrow prefix": lambda name: get(f"/v1/secrets?prefix={some(name).rpartition('/')[0]}", b'"secrets"'),
        f"a page of {PAGE} under a wide prefix": lambda name: get(f"/v1/secrets?prefix=fill&limit={PAGE}&after={some(name)}",
                                                                  b'"secrets"'),
        "the history of a path": lambda name: get(f"/v1/secrets/history?path={some(name)}", b'"secrets"'),
        "a seal of a new path": lambda _: [sealing(house.org, next(new))],
    }
    log: Jobs = {
        f"the last {PAGE} rows": lambda name: get(f"/v1/audit?limit={PAGE}&after={rows[name] - PAGE}", b'"leaves"'),
        f"{PAGE} rows of the middle": lambda name: get(f"/v1/audit?limit={PAGE}&after={middle(name)}", b'"leaves"'),
        "the checkpoint": lambda _: get("/v1/log/checkpoint", b'"checkpoint"'),
        "a proof that it goes on": lambda name: get(f"/v1/log/consistency?old={middle(name)}&new={rows[name]}", b'"proof"'),
    }
    past: Jobs = {
        "what waits": lambda _: get("/v1/prompts", b'"prompts"'),
        "the leases": lambda _: get("/v1/leases", b'"leases"'),
        "the clients": lambda _: get("/v1/clients", b'"clients"'),
        "events, from the first": lambda _: get("/v1/events?after=0", b'"events"', host),
        "events, of now": lambda _: get("/v1/events?after=1000000000", b'"events"', host),
        "this session": lambda _: get("/v1/session", b'"person"'),
    }
    for much, jobs, count in ((SECRETS, secrets, MANY_SECRETS), (LOG, log, MANY_ROWS), (PAST, past, MANY_PAST)):
        found = in_turns(house, much, jobs)
        for job in jobs:
            small, large = found[SMALL, job], found[much, job]
            report.line(f"{job}, with little", "ms", small)
            report.line(f"{job}, with {count:,} {much}", "ms", large)
            row = f"P9 {job}, {count:,} {much} / little"
            match much:
                case "secrets":
                    report.judge(row, ratio(large, small), 3, 2)
                case "log":
                    report.judge(row, ratio(large, small), 1.5, 1.1)
                case _:
                    report.say(f"{row}: {ratio(large, small):.2f}")


def in_turns(house: Household, much: str, jobs: Jobs) -> dict[tuple[str, str], list[float]]:
    """Milliseconds of each job on both relays. The first round is not counted."""
    found: dict[tuple[str, str], list[float]] = {(name, job): [] for job in jobs for name in (SMALL, much)}
    for number in range(ROUNDS + 1):
        for job, next_call in jobs.items():
            for name in rotated((SMALL, much), number):
                times = house.drivers[name].one_by_one([next_call(name) for _ in range(CALLS)])
                found[name, job] += times if number else []
    return found


# ---- releases ----------------------------------------------------------------------------------------------------------


def releases(report: Report, house: Household) -> None:
    """One at a time on every relay, and of a secret that fifty may approve; then many sessions at once."""
    times: dict[str, list[float]] = {name: [] for name in (*house.relays, FIFTY)}
    rates: dict[str, list[float]] = {name: [] for name in house.relays}
    spent: dict[str, list[float]] = {name: [] for name in house.relays}
    for number in range(ROUNDS + 1):
        few = [made(house.org, house.client, house.few, session, "few/db") for session in range(RELEASES)]
        many = [made(house.org, house.client, house.many, session, "many/db") for session in range(RELEASES)]
        for name in rotated(times, number):
            pieces, driver = (many, house.drivers[SMALL]) if name == FIFTY else (few, house.drivers[name])
            taken = driver.one_by_one(pieces)
            times[name] += taken if number else []
        work = [[made(house.org, house.client, house.few, session, "few/db") for _ in range(EACH)] for session in range(SESSIONS)]
        for name in rotated(rates, number):
            rate, processor = house.drivers[name].together(work)
            if number:
                rates[name].append(rate)
                spent[name].append(processor)
    for name, found in times.items():
        report.line(f"a release, {name}", "ms", found)
    for name in rates:
        report.line(f"releases, {SESSIONS} sessions, {name}", "/s", rates[name])
        report.line(f"processor time of a release, {name}", "ms", spent[name])
    for much, count in ((SECRETS, MANY_SECRETS), (LOG, MANY_ROWS), (PAST, MANY_PAST)):
        worse = min(ratio(rates[much], rates[SMALL]), ratio(spent[SMALL], spent[much]))
        report.say(f"a release at a time, {count:,} {much} / little: {ratio(times[much], times[SMALL]):.2f}")
        report.judge(f"P9 capacity, {count:,} {much} / little", worse, 0.9, 1.0, least=True)
    report.judge(f"P9 a release, any of {PEOPLE} people / of one", ratio(times[FIFTY], times[SMALL]), 1.3, 1.1)


# ---- the rest ----------------------------------------------------------------------------------------------------------


def starts(report: Report, house: Household) -> None:
    """From the start of the process to its ready line."""

    def start(relay: RelayProcess) -> float:
        began = time.perf_counter()
        relay.start()
        taken = (time.perf_counter() - began) * 1000
        relay.stop()
        return taken

    found = interleaved({name: (lambda relay=relay: start(relay)) for name, relay in house.relays.items()}, 3)
    for name, times in found.items():
        report.line(f"start, {name}", "ms", times)
    worst = max(found, key=lambda name: ratio(found[name], found[SMALL]))
    report.say(f"the slowest start, {worst} / little: {ratio(found[worst], found[SMALL]):.2f}")


def verifying(report: Report) -> None:
    """The root of all rows, as `audit verify` computes it, beside two bare hashes a row."""
    few, many = filling.leaves(FEW_ROWS), filling.leaves(VERIFIED)
    sha256 = hashlib.sha256

    def bare() -> None:
        for leaf in many:
            sha256(sha256(leaf).digest())

    jobs = {"few": each(lambda: tree_root(few), 1), "many": each(lambda: tree_root(many), 1), "bare": each(bare, 1)}
    with pinned(FIRST):
        found = interleaved(jobs, 5)
    rates = {name: [(FEW_ROWS if name == "few" else VERIFIED) / one for one in times] for name, times in found.items()}
    report.line(f"rows verified, of {FEW_ROWS:,}", "/s", rates["few"])
    report.line(f"rows verified, of {VERIFIED:,}", "/s", rates["many"])
    report.line("two bare hashes a row", "/s", rates["bare"])
    report.say(f"verified / two bare hashes: {ratio(rates['many'], rates['bare']):.2f}")
    report.judge("P9 thousand rows verified a second", spread(rates["many"])[1] / 1000, 300, 750, least=True)
