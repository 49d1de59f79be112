"""The server: uvicorn's HTTP parser under deadlines and caps of our own, TLS 1.3, and an end that waits for nobody.

* A connection counts from the moment it is accepted, before TLS: what never shakes hands holds a seat like any other, and no
  flood takes the descriptors that the database needs. Who gives way at a cap says seats.py (R11), who comes too often
  arrivals.py.
* TLS within `HANDSHAKE_SECONDS`, headers whole within `header_seconds`, a body within `body_seconds`, a kept connection silent
  for at most `idle_seconds`, an answer taken within that time too: a partial header holds a seat no longer than that (R10).
* What cannot be parsed gets one plain answer when it is the first on its connection, else the connection ends. So does who
  sends many requests ahead without waiting for answers, and who sends headers behind a body.
* The certificate may change while the relay serves: `renew` counts for new connections.
* SIGTERM or SIGINT: no new connections, `on_stop` (which ends streams and long polls), at most 4 seconds for what is under
  way.

The exit status after a signal is 0: stopping is what was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
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

from stillvault.relay.arrivals import Arrivals
from stillvault.relay.edge import App
from stillvault.relay.forwarded import Trusted, is_trusted, peer_of
from stillvault.relay.journal import Journal
from stillvault.relay.problems import ProblemError, describe
from stillvault.relay.seats import Seat, Seats
from stillvault.relay.settings import Limits

HANDSHAKE_SECONDS = 10
SHUTDOWN_SECONDS = 5  # for the other side to take the last bytes and say goodbye
STOP_SECONDS = 4.0
BACKLOG = 1024
ACCEPT_AT_ONCE = 16
PAUSE_SECONDS = 0.1  # without accepting, when the system has no descriptor or memory left
MOST_HEADERS = 64
MOST_AHEAD = 16  # requests of one connection that wait for the answer to the one before
SILENT_PEER_MS = 15_000  # until bytes that nobody acknowledges end a connection
SPARE_DESCRIPTORS = 64  # for the database, the log, and the listening socket


def seats_for(limits: Limits) -> Seats:
    """As many seats as the settings allow and the process has descriptors for; its soft limit is raised where it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return Seats(min(limits.connections, soft - SPARE_DESCRIPTORS), limits.connections_per_peer)


class Connection(HttpToolsProtocol):
    """One connection. `limits` and `seats` are set on the subclass that `Server` makes."""

    limits: Limits
    seats: Seats

    def __init__(self, seat: Seat, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # uvicorn lets bytes behind a closing request pass; nothing here needs that leniency.
        self.parser = httptools.HttpRequestParser(self)
        self._seat = seat
        self._deadline: asyncio.TimerHandle | None = None
        self._in_headers = False
        self._header_bytes = 0

    @property
    def silent(self) -> bool:
        """Nothing of this connection is being worked on."""
        return self.cycle is None or self.cycle.response_complete

    def drop(self) -> None:
        """Ends the connection now. In its handshake there is no transport yet: the task that waits for it is cancelled."""
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # the transport of a stream
        super().connection_made(transport)
        self._await(self.limits.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._await(None)
        self.seats.leave(self._seat)
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

    def on_message_begin(self) -> None:
        # A request that is sent ahead has no deadline of its own yet, but no more room for its headers than any other.
        if not self._in_headers:
            self._in_headers, self._header_bytes = True, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_headers:
            # Trailers: they would stand among the headers, behind those that a proxy set, as many as somebody likes.
            raise ValueError("headers behind the body")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._await(self.limits.body_seconds)
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        # A fragment is no part of a request; whoever stands in front may cut elsewhere than our parser of URLs.
        if not self.url.startswith(b"/") or b"#" in self.url or self.parser.get_http_version() not in ("1.0", "1.1"):
            raise ValueError("not an origin-form HTTP/1 request")
        if size > self.limits.header_bytes or len(self.headers) > MOST_HEADERS:
            raise ValueError("too many or too large headers")
        if len(self.pipeline) >= MOST_AHEAD:
            raise ValueError("too many requests ahead of their answers")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self.silent:  # refused before its body was whole: nothing of it is worked on
            self._await(self.limits.idle_seconds)
        else:
            self._await(None)
            self.seats.busy(self._seat)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.silent and self.transport is not None:
            self.seats.quiet(self._seat)
            # Behind uvicorn's own timer, for who neither asks again nor takes what was sent.
            self._await(self.limits.idle_seconds + SHUTDOWN_SECONDS)

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

    def __init__(
        self,
        app: App,
        listener: socket.socket,
        tls: ssl.SSLContext,
        limits: Limits,
        journal: Journal,
        trusted: Trusted = (),
    ) -> None:
        self._tls = tls
        self._seats = seats_for(limits)
        self._arrivals = Arrivals(limits.connections_per_minute)
        self._protocol = type("Connection", (Connection,), {"limits": limits, "seats": self._seats})
        self._config = Config(
            app,
            http=self._protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=limits.idle_seconds,
        )
        self._config.load()
        self._listener = listener
        self._journal = journal
        self._trusted = trusted
        self._state = ServerState()
        self._stopping = asyncio.Event()
        self._opening: set[asyncio.Task[None]] = set()

    def renew(self, tls: ssl.SSLContext) -> None:
        """New connections are served with this from now on."""
        self._tls = tls

    async def run(self, on_ready: Callable[[], None], on_stop: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._failed)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self._listener.listen(BACKLOG)
        loop.add_reader(self._listener, self._accept)
        clock = asyncio.create_task(self._tick())
        on_ready()
        await self._stopping.wait()
        loop.remove_reader(self._listener)
        self._listener.close()
        on_stop()
        for task in list(self._opening):
            task.cancel()
        for connection in list(self._state.connections):
            connection.shutdown()
        await self._drain()
        clock.cancel()

    def _failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What no task caught: its type and place alone, as everywhere in the log.  # C13"""
        self._journal.failure("loop", context.get("exception") or RuntimeError())

    # ---- accepting -----------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        """Some of those who wait; the loop comes back for the rest."""
        for _ in range(ACCEPT_AT_ONCE):
            try:
                accepted, address = self._listener.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # it was gone before we came
            except OSError as error:
                self._journal.warning("no descriptor or memory for a connection", reason=error.strerror or "")
                self._seats.relieve()
                self._pause()
                return
            self._admit(accepted, address[0])

    def _pause(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)
        loop.call_later(PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        if not self._stopping.is_set():
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _admit(self, accepted: socket.socket, address: str) -> None:
        loop = asyncio.get_running_loop()
        seat = Seat(peer_of(address), accepted.close, bounded=not is_trusted(address, self._trusted))
        often = seat.bounded and not self._arrivals.admits(seat.peer, loop.time())
        if often:
            self._journal.warning("an address comes too often", limit="limits.connections_per_minute")
        if often or not self._seats.enter(seat):
            accepted.close()
            return
        accepted.setblocking(False)
        connection = self._protocol(seat, config=self._config, server_state=self._state, app_state={})
        task = loop.create_task(self._open(accepted, connection))
        self._opening.add(task)

        def opened(_task: asyncio.Task[None]) -> None:
            self._opening.discard(task)
            accepted.close()  # where a transport has taken it over, that one closes it; a task that never ran left it to us
            if connection.transport is None:
                self._seats.leave(seat)

        def drop() -> None:
            task.cancel()
            connection.drop()

        task.add_done_callback(opened)
        seat.drop = drop

    async def _open(self, accepted: socket.socket, connection: Connection) -> None:
        """The handshake. Whoever fails it is not worth a line in the log."""
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )

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
