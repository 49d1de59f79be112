"""Row P4: full releases through the relay, beside a bare ASGI program that does what a release cannot do without (bare.py).

A release is four calls over kept TLS connections: the client's request, the approver's decision with its sealed entry, the
client's read of the outcome, the client's receipt. Everything that client and approver compute is made beforehand, so that the
servers are what is measured, and both get the same bytes. This process drives them from one core, the servers run on the other.

With 64 sessions the driver may be what limits, so processor time a release stands beside releases a second, and the worse of both
ratios is judged. Arrivals follow answers, hence there is no word on latency under load here.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import uvloop

from bench.bare import World
from bench.hits import pin
from bench.measure import FIRST, LAST, Report, pinned, processor_seconds, ratio
from stillvault.crypto.public import b64encode, encode, oid_of
from tests.relay.parties import Client, Organisation, now, wire
from tests.relay.process import RelayProcess
from tests.world import end, read_line

ONE_BY_ONE, SESSIONS, EACH, ROUNDS = 150, 64, 5, 5
PATIENCE = 60  # seconds for one round of one server


@dataclass(frozen=True)
class Release:
    """The four calls, ready to send: one on the approver's connection, three on the client's."""

    request: bytes
    decision: bytes
    read: bytes
    receipt: bytes


class Line(asyncio.Protocol):
    """A kept connection, one call at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._waiting: asyncio.Future[bytes] | None = None
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end_of_head, body = self._got.partition(b"\r\n\r\n")
        if not end_of_head:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) >= length and self._waiting is not None:
            waiting, self._waiting, self._got = self._waiting, None, b""
            waiting.set_result(head[9:12] + body)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionError("the server left"))

    def call(self, raw: bytes) -> Awaitable[bytes]:
        """The answer: three digits of status, then the body."""
        if self._transport.is_closing():
            raise ConnectionError("the server left")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(raw)
        return self._waiting

    def close(self) -> None:
        self._transport.close()


def made(org: Organisation, client: Client, secret: bytes, session: int) -> Release:
    """Everything that a client and an approver sign and seal for one release."""
    signed, _ephemeral = client.request(exe=f"/usr/bin/program-{session}")
    device, oid = org.admin, b64encode(oid_of(signed))
    release = org.release(device, client, (signed, secret))
    said = {"org": org.pin, "request": oid, "secret": b64encode(oid_of(secret)), "result": "delivered", "issued": now()}
    receipt = client.key.sign("receipt", encode(said))

    def post(path: str, token: str, body: object) -> bytes:
        content = json.dumps(body, separators=(",", ":")).encode()
        return head("POST", path, token, f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n") + content

    def head(method: str, path: str, token: str, more: str = "") -> bytes:
        host = org.relay.url.removeprefix("https://")
        return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{more}\r\n".encode()

    return Release(
        post("/v1/requests", client.session, {"requests": wire(signed)}),
        post("/v1/decisions", device.session, {"release": wire(release)[0]}),
        head("GET", f"/v1/requests/{oid}", client.session),
        post("/v1/receipts", client.session, {"objects": wire(receipt)}),
    )


async def carry_out(host: Line, approver: Line, release: Release) -> None:
    """One release. Stops the run where an answer is not what it must be."""
    for line, call, wanted in ((host, release.request, b"pending"), (approver, release.decision, b"approved"),
                               (host, release.read, b'"ciphertext"'), (host, release.receipt, b"")):
        answer = await line.call(call)
        if answer[:1] != b"2" or wanted not in answer:
            raise RuntimeError(f"a release failed: {answer[:300]!r}")


class Driver:
    """Drives one server."""

    def __init__(self, loop: asyncio.AbstractEventLoop, org: Organisation, port: int, pid: int) -> None:
        self._loop, self._context, self.port, self.pid = loop, org.relay.context(), port, pid
        self._lines: list[tuple[Line, Line]] = []

    def run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            while len(self._lines) < SESSIONS:
                self._lines.append((await self._line(), await self._line()))
            async with asyncio.timeout(PATIENCE):
                return await work()

        return self._loop.run_until_complete(whole())

    async def _line(self) -> Line:
        _, line = await self._loop.create_connection(Line, "127.0.0.1", self.port, ssl=self._context, server_hostname="localhost")
        return line

    def one_by_one(self, releases: Sequence[Release]) -> list[float]:
        """Milliseconds of each."""

        async def work() -> list[float]:
            times = []
            for release in releases:
                began = time.perf_counter()
                await carry_out(*self._lines[0], release)
                times.append((time.perf_counter() - began) * 1000)
            return times

        return self.run(work)  # type: ignore[no-any-return]

    def together(self, sessions: Sequence[Sequence[Release]]) -> tuple[float, float]:
        """Releases a second, and milliseconds of the server's processor for each."""

        async def session(lines: tuple[Line, Line], releases: Sequence[Release]) -> None:
            for release in releases:
                await carry_out(*lines, release)

        async def work() -> None:
            await asyncio.gather(*(session(*one) for one in zip(self._lines, sessions, strict=True)))

        count, before, began = sum(map(len, sessions)), processor_seconds(self.pid), time.perf_counter()
        self.run(work)
        return count / (time.perf_counter() - began), (processor_seconds(self.pid) - before) / count * 1000

    def close(self) -> None:
        for line in (one for pair in self._lines for one in pair):
            line.close()
        self._loop.run_until_complete(asyncio.sleep(0.1))


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
    with tempfile.TemporaryDirectory(prefix="sv-p4-") as place:
        relay = RelayProcess(Path(place) / "data").start()
        try:
            org = Organisation(relay).create()
            client = org.client()
            secret = org.seal()
            for_read, _, _ = client.ask()  # shows what the relay keeps for this secret
            org.approve(org.admin, client, (for_read, secret)).ok()
            ciphertext = client.state(for_read)["ciphertext"]
            with bare_server(Path(place), org, client, secret, ciphertext) as (port, pid):
                measure(report, org, client, secret, {"relay": (relay.port, relay.pid), "bare ASGI": (port, pid)})
        finally:
            relay.stop()


def measure(report: Report, org: Organisation, client: Client, secret: bytes, servers: dict[str, tuple[int, int]]) -> None:
    """One at a time, then 64 sessions."""
    loop = uvloop.new_event_loop()
    drivers = {name: Driver(loop, org, *where) for name, where in servers.items()}
    for _, pid in servers.values():
        pin(pid, LAST)
    alone: dict[str, list[float]] = {name: [] for name in drivers}
    rates: dict[str, list[float]] = {name: [] for name in drivers}
    spent: dict[str, list[float]] = {name: [] for name in drivers}
    with pinned(FIRST):
        for number in range(ROUNDS + 1):
            for _ in range(10):
                few = [made(org, client, secret, session) for session in range(ONE_BY_ONE // 10)]
                for name, driver in drivers.items():
                    alone[name] += driver.one_by_one(few) if number else []
            many = [[made(org, client, secret, session) for _ in range(EACH)] for session in range(SESSIONS)]
            for name, driver in drivers.items():
                rate, processor = driver.together(many)
                if number:  # the first round warms up
                    rates[name].append(rate)
                    spent[name].append(processor)
    for driver in drivers.values():
        driver.close()
    loop.close()
    show(report, alone, rates, spent)


def show(report: Report, alone: dict[str, list[float]], rates: dict[str, list[float]], spent: dict[str, list[float]]) -> None:
    """The figures and their verdicts."""
    count = len(alone["relay"])
    report.head(f"P4  full releases over TLS: {count} one at a time; {ROUNDS} rounds of {SESSIONS} sessions x {EACH}")
    for name, times in alone.items():
        report.line(f"{name}, one at a time", "ms", times)
    for name in rates:
        report.line(f"{name}, {SESSIONS} sessions", "/s", rates[name])
        report.line(f"{name}, processor time of the server a release", "ms", spent[name])
    report.judge("P4 one at a time, relay / bare, p50", ratio(alone["relay"], alone["bare ASGI"]), 2.0, 1.35)
    by_rate, by_time = ratio(rates["relay"], rates["bare ASGI"]), ratio(spent["bare ASGI"], spent["relay"])
    report.say(f"relay / bare by releases a second {by_rate:.2f}, by processor time {by_time:.2f}; the worse is judged")
    report.judge(f"P4 releases/s, {SESSIONS} sessions, relay / bare", min(by_rate, by_time), 0.40, 0.65, least=True)
