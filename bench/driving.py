"""Drives a server over kept TLS connections: calls that were made beforehand, and what each of their answers must say.

The driver sits on one core and the server on the other; where two servers are compared, both are sent the same bytes.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from bench.measure import processor_seconds

PATIENCE = 60  # seconds for one round of one server
BEARER = "Authorization: Bearer"


@dataclass(frozen=True)
class Call:
    """Bytes to send, on one of the connections of a session, and what stands in the answer to them."""

    raw: bytes
    wanted: bytes = b""
    line: int = 0


def call(method: str, path: str, token: str, body: object = None, *, wanted: bytes = b"", line: int = 0,
         header: str = BEARER) -> Call:
    """A call with a bearer, and with JSON where there is a body."""
    content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    more = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if content else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{header} {token}\r\n{more}\r\n"
    return Call(head.encode() + content, wanted, line)


class Line(asyncio.Protocol):
    """A kept connection, one call at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._waiting: asyncio.Future[bytes] | None = None
        self._got = bytearray()
        self._whole = 0  # bytes of the answer, once its head is here

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._got += data
        if not self._whole:
            end = self._got.find(b"\r\n\r\n")
            if end < 0:
                return
            length = self._got[:end].lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self._whole = end + 4 + int(length or b"0")  # 204 says nothing of a length
        if len(self._got) >= self._whole and self._waiting is not None:
            waiting, got, self._waiting, self._got, self._whole = self._waiting, bytes(self._got), None, bytearray(), 0
            waiting.set_result(got[9:12] + got[got.find(b"\r\n\r\n") + 4 :])

    @property
    def open(self) -> bool:
        return not self._transport.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionError("the server left"))

    def call(self, raw: bytes) -> Awaitable[bytes]:
        """The answer: three digits of status, then the body."""
        if not self.open:
            raise ConnectionError("the server left")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(raw)
        return self._waiting

    def close(self) -> None:
        self._transport.close()


Lines = tuple[Line, Line]


async def carry_out(lines: Lines, calls: Sequence[Call]) -> None:
    """One piece of work. Stops the run where an answer is not what it must be."""
    for one in calls:
        answer = await lines[one.line].call(one.raw)
        if answer[:1] != b"2" or one.wanted not in answer:
            raise RuntimeError(f"{one.raw[:60]!r} was answered {answer[:300]!r}")


class Driver:
    """Drives one server over a pair of connections for each session."""

    def __init__(self, loop: asyncio.AbstractEventLoop, context: ssl.SSLContext, where: tuple[int, int]) -> None:
        self._loop, self._context = loop, context
        self.port, self.pid = where
        self._lines: list[Lines] = []

    def run(self, sessions: int, work: Callable[[], Awaitable[Any]]) -> Any:
        """With as many pairs as there are sessions. A server may have ended those that said nothing for long."""

        async def whole() -> Any:
            self._lines = [pair for pair in self._lines if pair[0].open and pair[1].open]
            while len(self._lines) < sessions:
                self._lines.append((await self._line(), await self._line()))
            async with asyncio.timeout(PATIENCE):
                return await work()

        return self._loop.run_until_complete(whole())

    async def _line(self) -> Line:
        _, line = await self._loop.create_connection(Line, "127.0.0.1", self.port, ssl=self._context, server_hostname="localhost")
        return line

    def one_by_one(self, pieces: Sequence[Sequence[Call]]) -> list[float]:
        """Milliseconds of each."""

        async def work() -> list[float]:
            times = []
            for calls in pieces:
                began = time.perf_counter()
                await carry_out(self._lines[0], calls)
                times.append((time.perf_counter() - began) * 1000)
            return times

        found: list[float] = self.run(1, work)
        return found

    def together(self, sessions: Sequence[Sequence[Sequence[Call]]]) -> tuple[float, float]:
        """Pieces of work a second, and milliseconds of the server's processor for each."""

        async def session(lines: Lines, pieces: Sequence[Sequence[Call]]) -> None:
            for calls in pieces:
                await carry_out(lines, calls)

        async def work() -> None:
            await asyncio.gather(*(session(*one) for one in zip(self._lines, sessions, strict=False)))

        async def nothing() -> None: ...

        self.run(len(sessions), nothing)  # connections are not counted
        count, before, began = sum(map(len, sessions)), processor_seconds(self.pid), time.perf_counter()
        self.run(len(sessions), work)
        return count / (time.perf_counter() - began), (processor_seconds(self.pid) - before) / count * 1000

    def close(self) -> None:
        for line in (one for pair in self._lines for one in pair):
            line.close()
        self._loop.run_until_complete(asyncio.sleep(0.1))
