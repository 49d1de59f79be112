"""Row P4: full releases through the relay, beside a bare ASGI program that does what a release cannot do without (bare.py), and
beside one durable write of OpenBao, where it is here (peers.py).

A release is four calls over kept TLS connections: the client's request, the approver's decision with its sealed entry, the
client's read of the outcome, the client's receipt. Everything that client and approver compute is made beforehand, so that the
servers are what is measured, and both get the same bytes. This process drives them from one core, the servers run on the other.
OpenBao's write is one call: a value into its key-value store of version 1, or as one more version into that of version 2, kept by
its raft storage before it answers. It asks nobody, and no audit device is on. The worse ratio of the two is judged.

With 64 sessions the driver may be what limits, so processor time a release stands beside releases a second, and the worse of both
ratios is judged. Arrivals follow answers, hence there is no word on latency under load here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import uvloop

from bench import peers
from bench.bare import World
from bench.driving import Call, Driver, call
from bench.hits import pin
from bench.measure import FIRST, LAST, Report, pinned, ratio, rotated
from stillvault.crypto.public import b64encode, encode, oid_of
from tests.relay.parties import Client, Organisation, now, wire
from tests.relay.process import RelayProcess
from tests.world import end, read_line

ONE_BY_ONE, SESSIONS, EACH, ROUNDS = 150, 64, 5, 5
RELAY, BARE = "relay", "bare ASGI"
BAO = {"OpenBao, a write": 1, "OpenBao, a write of a version": 2}  # by version of its key-value store


def made(org: Organisation, client: Client, secret: bytes, session: int, path: str = "prod/db") -> list[Call]:
    """Everything that a client and an approver sign and seal for one release: one call on the approver's connection, three on the
    client's."""
    signed, _ephemeral = client.request(path, exe=f"/usr/bin/program-{session}")
    device, oid = org.admin, b64encode(oid_of(signed))
    release = org.release(device, client, (signed, secret))
    said = {"org": org.pin, "request": oid, "secret": b64encode(oid_of(secret)), "result": "delivered", "issued": now()}
    receipt = client.key.sign("receipt", encode(said))
    return [
        call("POST", "/v1/requests", client.session, {"requests": wire(signed)}, wanted=b"pending"),
        call("POST", "/v1/decisions", device.session, {"release": wire(release)[0]}, wanted=b"approved", line=1),
        call("GET", f"/v1/requests/{oid}", client.session, wanted=b'"ciphertext"'),
        call("POST", "/v1/receipts", client.session, {"objects": wire(receipt)}),
    ]


@contextmanager
def bare_server(folder: Path, org: Organisation, client: Client, secret: bytes, ciphertext: str) -> Iterator[tuple[int, int]]:
    """(port, pid) of the peer, which knows what the relay knows."""
    world = World(org.pin, b64encode(org.root), b64encode(org.roster), b64encode(client.cert), b64encode(secret), ciphertext,
                  [client.session, org.admin.session])
    (folder / "world.json").write_bytes(msgspec.json.encode(world))
    command = [sys.executable, "-P", "-m", "bench.bare", str(folder), str(org.relay.data / "tls")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        yield json.loads(read_line(process))["port"], process.pid
    finally:
        end(process)


def run(report: Report) -> None:
    """Row P4."""
    report.head(f"P4  full releases over TLS: {ROUNDS * ONE_BY_ONE} alone; {ROUNDS} rounds of {SESSIONS} sessions x {EACH}")
    with tempfile.TemporaryDirectory(prefix="sv-p4-") as place:
        relay = RelayProcess(Path(place) / "data").start()
        try:
            org = Organisation(relay).create()
            client = org.client()
            secret = org.seal()
            for_read, _, _ = client.ask()  # shows what the relay keeps for this secret
            org.approve(org.admin, client, (for_read, secret)).ok()
            ciphertext = client.state(for_read)["ciphertext"]
            with ExitStack() as stack:
                servers = {RELAY: (relay.port, relay.pid)}
                servers[BARE] = stack.enter_context(bare_server(Path(place), org, client, secret, ciphertext))
                bao = stack.enter_context(peers.bao_server(report, Path(place), relay.data / "tls"))
                if bao is not None:
                    servers |= dict.fromkeys(BAO, (bao.port, bao.pid))
                measure(report, org, client, secret, servers, bao)
        finally:
            relay.stop()


def measure(report: Report, org: Organisation, client: Client, secret: bytes, servers: dict[str, tuple[int, int]],
            bao: peers.Bao | None) -> None:
    """One at a time, then 64 sessions."""
    loop = uvloop.new_event_loop()
    drivers = {name: Driver(loop, org.relay.context(), where) for name, where in servers.items()}
    for _, pid in servers.values():
        pin(pid, LAST)
    alone: dict[str, list[float]] = {name: [] for name in drivers}
    rates: dict[str, list[float]] = {name: [] for name in drivers}
    spent: dict[str, list[float]] = {name: [] for name in drivers}

    def work(name: str, ours: Sequence[Sequence[Call]], first: int = 0) -> Sequence[Sequence[Call]]:
        """The same bytes for relay and bare program, as many writes for OpenBao."""
        if bao is None or name not in BAO:
            return ours
        return [bao.write(session, BAO[name]) for session in range(first, first + len(ours))]

    with pinned(FIRST):
        for number in range(ROUNDS + 1):
            for turn in range(10):
                few = [made(org, client, secret, session) for session in range(ONE_BY_ONE // 10)]
                for name in rotated(drivers, turn):
                    times = drivers[name].one_by_one(work(name, few))
                    alone[name] += times if number else []
            many = [[made(org, client, secret, session) for _ in range(EACH)] for session in range(SESSIONS)]
            for name in rotated(drivers, number):
                rate, processor = drivers[name].together([work(name, one, EACH * at) for at, one in enumerate(many)])
                if number:  # the first round warms up
                    rates[name].append(rate)
                    spent[name].append(processor)
    for driver in drivers.values():
        driver.close()
    loop.close()
    show(report, alone, rates, spent)


def show(report: Report, alone: dict[str, list[float]], rates: dict[str, list[float]], spent: dict[str, list[float]]) -> None:
    """The figures and their verdicts."""
    for name, times in alone.items():
        report.line(f"{name}, one at a time", "ms", times)
    for name in rates:
        report.line(f"{name}, {SESSIONS} sessions", "/s", rates[name])
        report.line(f"{name}, processor time for each", "ms", spent[name])
    report.judge("P4 one at a time, relay / bare, p50", ratio(alone[RELAY], alone[BARE]), 2.0, 1.35)
    writes = [name for name in BAO if name in alone]
    if writes:
        beside = {name: ratio(alone[RELAY], alone[name]) for name in writes}
        report.say(f"one release beside {', '.join(f'{name} {found:.2f}' for name, found in beside.items())}")
        report.judge("P4 one release / one durable write of OpenBao, p50", max(beside.values()), 1.5, 1.5)
    by_rate, by_time = ratio(rates[RELAY], rates[BARE]), ratio(spent[BARE], spent[RELAY])
    report.say(f"relay / bare by releases a second {by_rate:.2f}, by processor time {by_time:.2f}; the worse is judged")
    report.judge(f"P4 releases/s, {SESSIONS} sessions, relay / bare", min(by_rate, by_time), 0.40, 0.65, least=True)
    if writes:
        beside = {name: ratio(rates[RELAY], rates[name]) for name in writes}
        report.say(f"releases a second beside {', '.join(f'{name} {found:.2f}' for name, found in beside.items())}")
        row = f"P4 releases/s / durable writes/s of OpenBao, {SESSIONS} sessions"
        report.judge(row, min(beside.values()), 1.5, 1.5, least=True)
