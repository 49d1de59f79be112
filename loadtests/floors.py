"""What the machine does at least: a POST over TLS, read and answered with `{}` by the relay's own server, and an fdatasync.

    python -m loadtests.floors FOLDER       the server; FOLDER/tls is made; prints its port

Taken before and after the load, on the machine that makes the load. Where the relay is on another, they say what this machine
and its loopback do, and ratios over them are shapes.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
import uvloop

from bench.driving import Line
from bench.measure import processor_seconds
from stillvault.relay import tls
from tests.world import end, read_line

POSTS, SYNCS, LINES = 400, 200, 16
BODY = b'{"object":"' + b"x" * 900 + b'"}'  # about as long as a signed request
BLOCK = bytes(4096)


class Floors(msgspec.Struct, frozen=True):
    """Medians: milliseconds of one POST and of one sync; milliseconds of the server's processor for a POST of many."""

    post_ms: float
    post_processor_ms: float
    sync_ms: float


async def app(_scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]],
              send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """Reads everything, says nothing."""
    while (await receive()).get("more_body", False):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


def serve(folder: Path) -> None:
    """Until it is ended."""
    chain, key = tls.prepare(folder, ["localhost"], datetime.datetime.now(datetime.UTC))
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, loop="uvloop", http="httptools", ws="none", lifespan="off", log_config=None, access_log=False,
                            proxy_headers=False, server_header=False, ssl_certfile=chain, ssl_keyfile=key,
                            ssl_version=ssl.PROTOCOL_TLS_SERVER)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    uvicorn.Server(config).run(sockets=[listener])


async def _posts(port: int, context: ssl.SSLContext, pid: int) -> tuple[float, float]:
    """One at a time; then many lines at once, for the processor's time."""
    loop = asyncio.get_running_loop()
    lines = [(await loop.create_connection(Line, "127.0.0.1", port, ssl=context, server_hostname="localhost"))[1]
             for _ in range(LINES)]
    post = b"POST / HTTP/1.1\r\nHost: floor\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
    times = []
    for _ in range(POSTS):
        began = time.perf_counter()
        await lines[0].call(post)
        times.append(time.perf_counter() - began)

    async def many(line: Line) -> None:
        for _ in range(POSTS):
            await line.call(post)

    spent = processor_seconds(pid)
    await asyncio.gather(*(many(line) for line in lines))
    spent = (processor_seconds(pid) - spent) / (POSTS * LINES)
    for line in lines:
        line.close()
    await asyncio.sleep(0.05)
    return statistics.median(times) * 1000, spent * 1000


def _syncs(folder: Path) -> float:
    times = []
    with (folder / "floor").open("wb") as file:
        for _ in range(SYNCS):
            file.write(BLOCK)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def measured() -> Floors:
    """Takes a few seconds."""
    with tempfile.TemporaryDirectory(prefix="sv-floor-") as place:
        folder = Path(place)
        process = subprocess.Popen([sys.executable, "-P", "-m", "loadtests.floors", place], stdout=subprocess.PIPE)
        try:
            port = json.loads(read_line(process))["port"]
            context = ssl.create_default_context(cafile=str(folder / "tls" / "ca.pem"))
            post, processor = uvloop.run(_posts(port, context, process.pid))
        finally:
            end(process)
        return Floors(post, processor, _syncs(folder))


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
