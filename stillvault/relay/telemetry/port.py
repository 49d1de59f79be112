"""The port of the metrics: `GET /metrics`, plain HTTP, by default on this machine alone.

It needs no sign-in, so it shows numbers and no names, and it is no part of the port that people and hosts reach. One request a
connection, a deadline, and a bound on connections: whoever asks slowly keeps nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable

from stillvault.relay.settings import BadSetting, Settings

MOST_BYTES = 8192  # of a request
MOST_ASKING = 16
SECONDS = 5.0  # for one request
_HEAD = "HTTP/1.1 {}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n"


def listen(settings: Settings) -> socket.socket | None:
    """The listening socket; None where there is to be none, or where another relay of this machine has the default address.
    Raises BadSetting for an address of the operator's own that cannot be had."""
    address = settings.metrics_address
    if address is None:
        return None
    listener = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(MOST_ASKING)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE and settings.metrics == Settings(data="").metrics:
            return None
        reason = f"{settings.metrics}: {error.strerror or 'no such address'}"
        raise BadSetting("settings", "metrics", reason, "Choose another address, or off.") from error
    listener.setblocking(False)
    return listener


async def serve(listener: socket.socket, page: Callable[[], bytes]) -> asyncio.Server:
    """Answers on `listener` until the server is closed."""
    asking = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asking
        asking += 1
        try:
            if asking <= MOST_ASKING:
                with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                    async with asyncio.timeout(SECONDS):
                        head = await reader.readuntil(b"\r\n\r\n")
                        writer.write(_reply(head, page))
                        await writer.drain()
                        writer.close()
                        await writer.wait_closed()
        finally:
            asking -= 1
            writer.transport.abort()

    return await asyncio.start_server(answer, sock=listener, limit=MOST_BYTES)


def _reply(head: bytes, page: Callable[[], bytes]) -> bytes:
    method, _, rest = head.partition(b" ")
    if rest.partition(b" ")[0].partition(b"?")[0] != b"/metrics":
        status, body = "404 Not Found", b"GET /metrics\n"
    elif method != b"GET":
        status, body = "405 Method Not Allowed", b"GET /metrics\n"
    else:
        status, body = "200 OK", page()
    return _HEAD.format(status, len(body)).encode() + body
