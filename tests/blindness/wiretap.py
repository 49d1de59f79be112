"""A wire that listens: ends TLS with the relay's own certificate and passes every byte on unchanged, in both directions.

What passed is in `heard`, one buffer for each direction of each connection, headers and streams included. `when` names bytes of
a request before which the wire pauses and calls back: whoever sent them is in the middle of its call at that moment.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

READ_BYTES = 65536
PATIENCE = 30.0


class Wiretap:
    """Runs in a thread of its own until `close`."""

    def __init__(self, tls: Path, upstream_port: int, port: int) -> None:
        self.heard: list[bytearray] = []
        self.failed: list[BaseException] = []
        self._moments: dict[bytes, Callable[[], None]] = {}
        self._calling = 0
        self._upstream_port, self._port = upstream_port, port
        self._server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server_tls.load_cert_chain(tls / "relay.pem", tls / "relay.key")
        self._client_tls = ssl.create_default_context(cafile=str(tls / "ca.pem"))
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wiretap", daemon=True)
        self._thread.start()
        assert self._started.wait(PATIENCE)

    def when(self, marker: bytes, then: Callable[[], None]) -> None:
        """Calls `then` once, before the next bytes of a party that hold `marker` go on."""
        self._moments[marker] = then

    def settle(self) -> None:
        """Waits until every moment named has come and its callback is done."""
        deadline = time.monotonic() + PATIENCE
        while self._moments or self._calling:
            assert time.monotonic() < deadline, f"never came: {sorted(self._moments)}"
            time.sleep(0.01)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        assert self.failed == []

    def _run(self) -> None:
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self._port, ssl=self._server_tls)
        self._started.set()
        await self._stop.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._upstream_port, ssl=self._client_tls,
                                                                   server_hostname="localhost")
        except OSError:
            writer.transport.abort()
            return
        try:
            await asyncio.gather(self._pump(reader, far_writer, asked=True), self._pump(far_reader, writer, asked=False))
        except (OSError, asyncio.CancelledError):
            pass  # one side is gone: so is the other
        finally:
            writer.transport.abort()
            far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, asked: bool) -> None:
        kept = bytearray()
        self.heard.append(kept)
        while block := await reader.read(READ_BYTES):
            kept += block
            for marker in [one for one in self._moments if asked and one in block]:
                self._calling += 1
                await asyncio.to_thread(self._call, self._moments.pop(marker))
                self._calling -= 1
            writer.write(block)
            await writer.drain()
        raise ConnectionResetError

    def _call(self, then: Callable[[], None]) -> None:
        try:
            then()
        except BaseException as error:  # noqa: BLE001  told by close(), in the test's own thread
            self.failed.append(error)
