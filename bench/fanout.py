"""The second half of row P7: one prompt to 1,000 open streams, until the last of them has it; beside a bare uvloop server over
the same TLS, and beside a C server without any. And what an open stream holds of the relay's memory.

All streams are of one person in one process on one core; the servers run on the other. The driver takes TLS apart for our streams
and the uvloop server's, and not for those of the C server: that floor is the least of this machine, not a like.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, cast

import uvloop

from bench.driving import Line
from bench.hits import build, pin
from bench.measure import FIRST, LAST, Report, pinned, ratio
from stillvault.crypto.public import b64encode, encode, oid_of
from tests.relay.parties import Client, Organisation, now, wire
from tests.relay.process import RelayProcess
from tests.world import end, read_line

STREAMS, MANY, ROUNDS, PATIENCE = 1000, 5000, 25, 120
RELAY, UVLOOP, C_SERVER = "relay", "bare uvloop", "C without TLS"
SIGN = b"event: prompt"
EVENT = SIGN + b"\ndata: " + b"x" * 200 + b"\n\n"  # as long as ours


class Stream(asyncio.Protocol):
    """One open stream; tells the crowd whenever a prompt has come whole."""

    def __init__(self, crowd: Crowd, opening: bytes) -> None:
        self._crowd, self._opening, self._got = crowd, opening, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self._opening)

    def data_received(self, data: bytes) -> None:
        *whole, self._got = (self._got + data).split(b"\n\n")
        for event in whole:
            if SIGN in event:
                self._crowd.arrived()
            elif b"event: " in event:
                self._crowd.others += 1
            elif event.endswith((b": stillvault", b": echo")):
                self._crowd.opened()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._crowd.lost += 1


class Crowd:
    """The streams to one server."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: int, context: Any, token: str) -> None:
        self._loop, self._port, self._context = loop, port, context
        self._opening = f"GET /v1/stream HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        self._transports: list[asyncio.BaseTransport] = []
        self.open = self.seen = self.others = self.lost = 0
        self.last = 0.0

    def opened(self) -> None:
        self.open += 1

    def arrived(self) -> None:
        self.seen += 1
        self.last = time.perf_counter()

    async def connect(self, made: Callable[[], asyncio.Protocol]) -> tuple[asyncio.BaseTransport, asyncio.Protocol]:
        name = "localhost" if self._context else None
        return await self._loop.create_connection(made, "127.0.0.1", self._port, ssl=self._context, server_hostname=name)

    async def grow(self, count: int) -> None:
        """To `count` open streams, a few at a time."""
        while len(self._transports) < count:
            few = min(50, count - len(self._transports))
            made = await asyncio.gather(*(self.connect(lambda: Stream(self, self._opening)) for _ in range(few)))
            self._transports += [transport for transport, _ in made]
        while self.open < count:
            await asyncio.sleep(0.02)

    async def until_all(self, before: int, began: float) -> float:
        """Milliseconds until everybody has one prompt more than `before`."""
        async with asyncio.timeout(PATIENCE):
            while self.seen - before < self.open:
                if self.lost:
                    raise RuntimeError(f"{self.lost} streams were lost")
                await asyncio.sleep(0.0005)
        return (self.last - began) * 1000

    async def leave(self) -> None:
        for transport in self._transports:
            cast(asyncio.Transport, transport).abort()
        await asyncio.sleep(0.2)


class Trigger:
    """What makes a server send one prompt to everybody: for ours a signed request, and its withdrawal afterwards."""

    def __init__(self, crowd: Crowd, line: Line, client: Client | None) -> None:
        self._crowd, self._line, self._client = crowd, line, client

    async def round(self) -> float:
        raising, signed = self._raising()
        before, began = self._crowd.seen, time.perf_counter()
        answer = await self._line.call(raising)
        if answer[:1] != b"2":
            raise RuntimeError(f"no prompt was raised: {answer[:200]!r}")
        taken = await self._crowd.until_all(before, began)
        if self._client:
            others = self._crowd.others
            said = {"org": self._client.org.pin, "request": b64encode(oid_of(signed)), "issued": now()}
            await self._line.call(self._post("/v1/cancels", {"objects": wire(self._client.key.sign("cancel", encode(said)))}))
            async with asyncio.timeout(PATIENCE):
                while self._crowd.others - others < self._crowd.open:  # the next round begins when everybody is quiet
                    await asyncio.sleep(0.002)
        return taken

    def _raising(self) -> tuple[bytes, bytes]:
        if not self._client:
            return self._post("/", {}), b""
        signed, _ = self._client.request()
        return self._post("/v1/requests", {"requests": wire(signed)}), signed

    def _post(self, path: str, body: object) -> bytes:
        content = json.dumps(body, separators=(",", ":")).encode()
        token = f"Authorization: Bearer {self._client.session}\r\n" if self._client else ""
        more = f"{token}Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode() + content


class Bare(asyncio.Protocol):
    """The peer: keeps whoever asks for the stream, and hands one event of our size to all of them for each POST."""

    streams: ClassVar[set[asyncio.Transport]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET"):
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: echo\n\n")
            self.streams.add(self._transport)
        elif data.startswith(b"POST"):
            for stream in self.streams:
                stream.write(EVENT)
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    def connection_lost(self, _exc: Exception | None) -> None:
        self.streams.discard(self._transport)


async def serve(tls: Path) -> None:
    """The peer as a process: prints its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "relay.pem", tls / "relay.key")
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", 0, ssl=context, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


@contextmanager
def peer(words: list[str]) -> Iterator[tuple[int, int]]:
    """(port, pid) of a process that prints its port."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    try:
        yield json.loads(read_line(process))["port"], process.pid
    finally:
        end(process)


def resident(pid: int) -> int:
    """KiB of memory that a process holds."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


async def measure(report: Report, client: Client, watcher: str, ports: dict[str, int], pid: int) -> None:
    """Rounds interleaved; then as many streams as a node should hold, and what each holds of it."""
    loop, context = asyncio.get_running_loop(), client.org.relay.context()
    empty = resident(pid)
    triggers: dict[str, Trigger] = {}
    crowds: dict[str, Crowd] = {}
    for name, port in ports.items():
        tls, relay = None if name == C_SERVER else context, name == RELAY
        crowd = crowds[name] = Crowd(loop, port, tls, watcher if relay else "none")
        await crowd.grow(STREAMS)
        _, line = await crowd.connect(Line)
        triggers[name] = Trigger(crowd, cast(Line, line), client if relay else None)
    times: dict[str, list[float]] = {name: [] for name in ports}
    for number in range(ROUNDS + 1):
        for name, trigger in triggers.items():
            taken = await trigger.round()
            times[name] += [taken] if number else []  # the first one warms up
    for name, found in times.items():
        report.line(f"{name}, last byte to {STREAMS:,} streams", "ms", found)
    report.judge(f"P7 last byte to {STREAMS:,}, relay / C without TLS", ratio(times[RELAY], times[C_SERVER]), 4.0, 2.5)
    report.judge(f"P7 last byte to {STREAMS:,}, relay / uvloop with TLS", ratio(times[RELAY], times[UVLOOP]), 2.5, 2.5)
    for name in (UVLOOP, C_SERVER):
        await crowds[name].leave()
    await crowds[RELAY].grow(MANY)
    each = (resident(pid) - empty) / MANY
    taken = await triggers[RELAY].round()
    report.say(f"{MANY:,} open streams: each has the prompt after {taken:.0f} ms, none lost")
    report.judge(f"P7 KiB of the relay for each of {MANY:,} streams", each, 30.0, 30.0)
    await crowds[RELAY].leave()


def run(report: Report) -> None:
    """The second half of row P7."""
    report.head(f"P7  one prompt to {STREAMS:,} open streams, {ROUNDS} rounds interleaved")
    with tempfile.TemporaryDirectory(prefix="sv-p7-") as place:
        relay = RelayProcess(Path(place) / "data").start()
        try:
            org = Organisation(relay).create()
            client = org.client()
            org.seal()
            bare = [sys.executable, "-P", "-m", "bench.fanout", str(relay.data / "tls")]
            with peer(bare) as (uvloop_port, uvloop_pid), peer([str(build(Path(place), "fanout"))]) as (c_port, c_pid):
                for pid in (relay.pid, uvloop_pid, c_pid):
                    pin(pid, LAST)
                ports = {RELAY: relay.port, UVLOOP: uvloop_port, C_SERVER: c_port}
                with pinned(FIRST), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(measure(report, client, org.admin.session, ports, relay.pid))
        finally:
            relay.stop()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
