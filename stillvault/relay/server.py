"""The server: uvicorn's HTTP parser under deadlines and caps of our own, TLS 1.3, and an end that waits for nobody.

* Headers whole within `header_seconds`, a body within `body_seconds`, a kept connection silent for at most `idle_seconds`: a
  partial header holds a place no longer than that (R10).
* A cap on connections, and one a peer. At a cap the connection that has been silent for longest gives way (R11).
* What cannot be parsed gets one plain answer when it is the first on its connection, else the connection ends.
* SIGTERM or SIGINT: no new connections, `on_stop` (which ends streams and long polls), at most 4 seconds for what is under
  way.

The exit status after a signal is 0: stopping is what was asked for.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import ssl
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from stillvault.relay.edge import App
from stillvault.relay.problems import ProblemError, describe
from stillvault.relay.settings import Limits

HANDSHAKE_SECONDS = 10
STOP_SECONDS = 4.0
BACKLOG = 1024
MOST_HEADERS = 64
SILENT_PEER_MS = 15_000  # until bytes that nobody acknowledges end a connection
SPARE_DESCRIPTORS = 64  # for the database, the log, and the listening socket


class Caps:
    """All open connections, by peer. Belongs to the loop."""

    def __init__(self, limits: Limits) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = min(limits.connections + SPARE_DESCRIPTORS, hard) if hard != resource.RLIM_INFINITY else limits.connections
        if soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        self._all = max(min(limits.connections, soft - SPARE_DESCRIPTORS), 1)
        self._each = min(limits.connections_per_peer, self._all)
        self._peers: dict[str, dict[Connection, None]] = {}
        self._count = 0

    def enter(self, connection: Connection, peer: str) -> None:
        """Counts a connection; at a cap, the longest silent one of that peer gives way, or the new one does."""
        mates = self._peers.setdefault(peer, {})
        if len(mates) >= self._each or self._count >= self._all:
            silent = next((one for one in mates if one.silent), None)
            (silent or connection).drop()
        mates[connection] = None
        self._count += 1

    def leave(self, connection: Connection, peer: str) -> None:
        mates = self._peers.get(peer, {})
        if mates.pop(connection, self) is None:
            self._count -= 1
        if not mates:
            self._peers.pop(peer, None)


class Connection(HttpToolsProtocol):
    """One connection. `limits` and `caps` are set on the subclass that `serve` makes."""

    limits: Limits
    caps: Caps

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # uvicorn lets bytes behind a closing request pass; nothing here needs that leniency.
        self.parser = httptools.HttpRequestParser(self)
        self._deadline: asyncio.TimerHandle | None = None
        self._in_headers = False
        self._header_bytes = 0
        self._peer = ""

    @property
    def silent(self) -> bool:
        """Nothing of this connection is being worked on."""
        return self.cycle is None or self.cycle.response_complete

    def drop(self) -> None:
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._peer = self.client[0] if self.client else ""
        self.caps.enter(self, self._peer)
        self._await(self.limits.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._await(None)
        self.caps.leave(self, self._peer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.silent and not self._in_headers:
            self._in_headers, self._header_bytes = True, 0
            self._await(self.limits.header_seconds)
        if self._in_headers:
            self._header_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse("bad-request")
            return
        if self._in_headers and self._header_bytes > self.limits.header_bytes:
            self._refuse("headers")

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._await(self.limits.body_seconds)
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if not self.url.startswith(b"/") or self.parser.get_http_version() not in ("1.0", "1.1"):
            raise ValueError("not an origin-form HTTP/1 request")
        if size > self.limits.header_bytes or len(self.headers) > MOST_HEADERS:
            raise ValueError("too many or too large headers")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._await(None)
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  the parser's words may repeat the request
        self._refuse("bad-request")

    def _refuse(self, code: str) -> None:
        """Answers when nothing else was answered yet on this connection's current request; then the connection ends."""
        if self.transport.is_closing():
            return
        if self.silent:
            status, body = describe(ProblemError(code))
            head = f"HTTP/1.1 {status} Refused\r\ncontent-type: application/problem+json\r\ncontent-length: {len(body)}\r\n"
            self.transport.write(f"{head}connection: close\r\n\r\n".encode() + body)
        self.transport.close()

    def _await(self, seconds: int | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        # Half a request, or none: there is nobody to explain it to who is listening.
        self.transport.abort()


class Server:
    """Serves `app` on `listener` until a signal comes."""

    def __init__(self, app: App, listener: socket.socket, tls: ssl.SSLContext, limits: Limits) -> None:
        protocol = type("Connection", (Connection,), {"limits": limits, "caps": Caps(limits)})
        self._config = Config(
            app,
            http=protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=limits.idle_seconds,
        )
        self._config.load()
        self._protocol = protocol
        self._listener = listener
        self._tls = tls
        self._state = ServerState()
        self._stopping = asyncio.Event()

    async def run(self, on_ready: Callable[[], None], on_stop: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        server = await loop.create_server(
            self._make, sock=self._listener, ssl=self._tls, backlog=BACKLOG, ssl_handshake_timeout=HANDSHAKE_SECONDS
        )
        clock = asyncio.create_task(self._tick())
        on_ready()
        await self._stopping.wait()
        server.close()
        on_stop()
        for connection in list(self._state.connections):
            connection.shutdown()
        await self._drain()
        clock.cancel()

    def _make(self) -> asyncio.Protocol:
        connection: asyncio.Protocol = self._protocol(config=self._config, server_state=self._state, app_state={})
        return connection

    async def _tick(self) -> None:
        while True:
            self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
            await asyncio.sleep(1)

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + STOP_SECONDS
        while self._state.tasks and loop.time() < end:
            await asyncio.sleep(0.02)
        for task in list(self._state.tasks):
            task.cancel()
        for connection in list(self._state.connections):
            connection.transport.close()
        await asyncio.sleep(0.05)


def listen(address: tuple[str, int]) -> socket.socket:
    """A listening socket. Raises OSError where the address is taken."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Inherited by every connection: a peer that vanished without a word is found out (R23).
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 8), (socket.TCP_KEEPINTVL, 3), (socket.TCP_KEEPCNT, 2)):
        listener.setsockopt(socket.IPPROTO_TCP, option, value)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_PEER_MS)
    listener.bind(address)
    listener.setblocking(False)
    return listener
