"""A proxy that stands where the relay should be, with the relay's own certificate: the attacker who took the server over.

The relay listens on one port and is told that its public URL is another, where this proxy listens. Every request and answer
passes through `Script.apply`, which may change, drop, replay or replace it. Event streams pass through line by line. With
no script it changes nothing: the first thing that each test does is a clean run through the same proxy, so that a refusal
later is the tampering's and not the proxy's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h11

READ_BYTES = 65536
PROBLEM = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
REFUSED = b'{"type":"about:blank","title":"Unauthorized","status":401,"code":"sign-in","detail":"shut"}'


@dataclass(frozen=True)
class Message:
    """One HTTP message as it passes. `party` is who speaks or is spoken to, `route` the request's method and path, no oids."""

    party: str
    direction: str  # "request" or "answer"
    route: str
    body: bytes
    number: int  # how many messages of this party, direction and route came before
    status: int = 0

    @property
    def name(self) -> str:
        """What messages of one kind have in common."""
        return f"{self.party} {self.direction} {self.route}"


Tamper = Callable[[Message], bytes | None]
"""What to pass on instead of the body: None drops the message (the connection is closed)."""


class Script:
    """What to do with what passes, and a record of what passed. Who speaks is learned from the sign-ins that pass."""

    def __init__(self) -> None:
        self.tamper: Tamper | None = None
        self.record: list[Message] = []
        self.shut = False  # every request is answered with 401: whoever waits gives up
        self._counts: dict[str, int] = {}
        self._parties: dict[str, str] = {}
        self._lock = threading.Lock()

    def reset(self, tamper: Tamper | None = None) -> None:
        """Begins a new run: an empty record, and this tampering."""
        with self._lock:
            self.tamper, self.record, self.shut, self._counts = tamper, [], False, {}

    def party(self, route: str, body: bytes, headers: list[tuple[bytes, bytes]]) -> str:
        """Who sends this request, by its bearer; who signs in, by what it says."""
        if route == "POST /v1/login":
            with contextlib.suppress(ValueError, AttributeError):
                return json.loads(body).get("person") or "client"
        bearer = dict(headers).get(b"authorization", b"").decode("latin-1").removeprefix("Bearer ")
        return self._parties.get(bearer, "anyone")

    def learn(self, route: str, request: bytes, answer: bytes) -> None:
        """Remembers whose bearer an answer hands out."""
        with contextlib.suppress(ValueError, TypeError, KeyError):
            if route == "POST /v1/login":
                asked = json.loads(request)
                self._parties[json.loads(answer)["token"]] = asked.get("person") or "client"
            elif route == "POST /v1/enrol":
                self._parties[json.loads(answer)["ticket"]] = "joiner"

    def apply(self, party: str, direction: str, route: str, body: bytes, status: int = 0) -> bytes | None:
        """What goes on in the place of `body`."""
        with self._lock:
            key = f"{party} {direction} {route}"
            number = self._counts.get(key, 0)
            self._counts[key] = number + 1
            message = Message(party, direction, route, body, number, status)
            self.record.append(message)
            return self.tamper(message) if self.tamper else body


def template(method: str, target: str) -> str:
    """Method and path with `*` for oids and numbers: what two messages of one kind have in common."""
    path, mark, query = target.partition("?")
    path = "/".join("*" if len(part) >= 40 else part for part in path.split("/"))
    query = re.sub(r"=[^&]*", "=*", query)
    return f"{method} {path}{mark}{query}"


class Proxy:
    """Runs in a thread of its own until `close`. `port` is where it listens."""

    def __init__(self, certificate: Path, key: Path, upstream_port: int, upstream_ca: Path, port: int,
                 script: Script | None = None) -> None:
        self.script = script or Script()
        self.port = port
        self._upstream_port = upstream_port
        self._server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server_tls.load_cert_chain(certificate, key)
        self._client_tls = ssl.create_default_context(cafile=str(upstream_ca))
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="proxy", daemon=True)
        self._thread.start()
        if not self._started.wait(10):
            raise RuntimeError("the proxy did not start")

    def cut(self) -> None:
        """Closes every connection that stands now."""
        done = threading.Event()

        def cancel() -> None:
            for task in list(self._tasks):
                task.cancel()
            done.set()

        self._loop.call_soon_threadsafe(cancel)
        done.wait(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    # ---- the loop ----------------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self._server_tls)
        self._started.set()
        await self._stop.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.1)  # aborted transports close in the loop's next rounds

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connection(reader, writer)
        except (OSError, h11.ProtocolError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass  # either side went away: for the other that is a cut connection, which is the attacker's right
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near = h11.Connection(h11.SERVER)
        up_reader, up_writer = await asyncio.open_connection(
            "127.0.0.1", self._upstream_port, ssl=self._client_tls, server_hostname="localhost"
        )
        far = h11.Connection(h11.CLIENT)
        try:
            while True:
                request = await self._event(near, reader)
                if not isinstance(request, h11.Request):
                    return
                body = await self._body(near, reader)
                route = template(request.method.decode(), request.target.decode("latin-1"))
                party = self.script.party(route, body, list(request.headers))
                if self.script.shut:
                    await self._send(near, writer, h11.Response(status_code=401, headers=PROBLEM), REFUSED)
                    return
                changed = self.script.apply(party, "request", route, body)
                if changed is None:
                    return
                await self._send(far, up_writer, request, changed)
                if not await self._answer(party, route, changed, near, writer, far, up_reader):
                    return
                if near.our_state is not h11.DONE or near.their_state is not h11.DONE:
                    return
                if far.our_state is not h11.DONE or far.their_state is not h11.DONE:
                    return
                near.start_next_cycle()
                far.start_next_cycle()
        finally:
            up_writer.transport.abort()

    async def _answer(self, party: str, route: str, asked: bytes, near: h11.Connection, writer: asyncio.StreamWriter,
                      far: h11.Connection, up_reader: asyncio.StreamReader) -> bool:
        answer = await self._event(far, up_reader)
        if not isinstance(answer, h11.Response):
            return False
        if b"text/event-stream" in dict(answer.headers).get(b"content-type", b""):
            await self._stream(party, route, answer, near, writer, far, up_reader)
            return False
        body = await self._body(far, up_reader)
        self.script.learn(route, asked, body)
        changed = self.script.apply(party, "answer", route, body, answer.status_code)
        if changed is None or self.script.shut:
            return False
        await self._send(near, writer, answer, changed)
        return True

    async def _stream(self, party: str, route: str, answer: h11.Response, near: h11.Connection, writer: asyncio.StreamWriter,
                      far: h11.Connection, up_reader: asyncio.StreamReader) -> None:
        """Events one by one: each `data:` line is a message of its own."""
        writer.write(near.send(answer) or b"")
        rest = b""
        while True:
            event = await self._event(far, up_reader)
            if not isinstance(event, h11.Data):
                break
            *lines, rest = (rest + bytes(event.data)).split(b"\n")
            for line in lines:
                if line.startswith(b"data:"):
                    changed = self.script.apply(party, "answer", route, line[5:].strip())
                    if changed is None:
                        return
                    line = b"data: " + changed
                writer.write(near.send(h11.Data(data=line + b"\n")) or b"")
            await writer.drain()
        writer.write(near.send(h11.EndOfMessage()) or b"")

    # ---- h11 over streams ----------------------------------------------------------------------------------------------------

    async def _event(self, connection: h11.Connection, reader: asyncio.StreamReader) -> object:
        while True:
            event = connection.next_event()
            if event is not h11.NEED_DATA:
                return event
            connection.receive_data(await reader.read(READ_BYTES))

    async def _body(self, connection: h11.Connection, reader: asyncio.StreamReader) -> bytes:
        parts = []
        while True:
            event = await self._event(connection, reader)
            if isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            else:
                return b"".join(parts)

    async def _send(
        self, connection: h11.Connection, writer: asyncio.StreamWriter, head: h11.Request | h11.Response, body: bytes
    ) -> None:
        headers = [(n, v) for n, v in head.headers if n not in (b"content-length", b"transfer-encoding")]
        headers.append((b"content-length", str(len(body)).encode()))
        if isinstance(head, h11.Request):
            event: h11.Request | h11.Response = h11.Request(method=head.method, target=head.target, headers=headers)
        else:
            event = h11.Response(status_code=head.status_code, headers=headers, reason=head.reason)
        out = connection.send(event) or b""
        if body:
            out += connection.send(h11.Data(data=body)) or b""
        writer.write(out + (connection.send(h11.EndOfMessage()) or b""))
        await writer.drain()
