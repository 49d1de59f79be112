"""The SDK for asyncio: `AsyncClient` and `aread`. A task that is cancelled withdraws what it asked."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterable
from typing import Any, Unpack

from stillvault.protocol.errors import Unavailable, Usage
from stillvault.sdk.questions import (
    GRACE,
    MAX_WAIT,
    HandleFacts,
    Listener,
    Options,
    Pipes,
    Question,
    ReadOptions,
    asking,
    handle_name,
    paths_of,
)
from stillvault.sdk.secret import Secret, Secrets
from stillvault.transport import local


class AsyncClient:
    """As `Client`, for an event loop. Every call makes a connection of its own."""

    def __init__(self, socket: str | os.PathLike[str] = "") -> None:
        self._socket = os.fspath(socket)

    async def read(self, reference: str, **options: Unpack[ReadOptions]) -> Secret:
        """One value. Waits until people have decided; a cancellation or `timeout` withdraws the question."""
        with await self.read_many([reference], **options) as secrets:
            return secrets.detach(reference)

    async def read_many(self, references: Iterable[str], *, timeout: float | None = None,
                        on_waiting: Listener | None = None, **options: Unpack[Options]) -> Secrets:
        """All of them, asked on one card."""
        given, paths = paths_of(references)
        patience = None if timeout is None else timeout + GRACE
        question = Question("get", asking(paths, timeout=timeout, **options), "delivered", patience=patience,
                            on_waiting=on_waiting)
        with Pipes(len(paths)) as pipes:
            return pipes.receive(paths, await self._perform(question, pipes), given)

    async def ask(self, references: str | Iterable[str], **options: Unpack[Options]) -> AsyncHandle:
        """Asks, and gives a handle at once."""
        given, paths = paths_of(references)
        return AsyncHandle(self, await self._perform(Question("ask", asking(paths, **options), "handle")), given)

    async def resume(self, handle: str) -> AsyncHandle:
        """The handle of that id; see `Client.resume`."""
        question = Question("state", {"handle": handle_name(handle), "wait": 0}, "state")
        return AsyncHandle(self, await self._perform(question))

    async def cancel(self, name: str) -> int:
        """Withdraws what waits by that handle, card or request id; how many requests that were."""
        count = (await self._perform(Question("cancel", {"id": name.partition("#")[0]}, "cancelled"))).get("count")
        return count if isinstance(count, int) else 0

    async def plan(self, references: str | Iterable[str]) -> list[dict[str, Any]]:
        """What a question would ask of whom, a dictionary for each path. Asks nobody."""
        _, paths = paths_of(references)
        found = (await self._perform(Question("plan", {"refs": paths}, "plan"))).get("refs")
        return found if isinstance(found, list) else []

    async def whoami(self) -> dict[str, Any]:
        """How the daemon sees this process: the facts that people are shown."""
        return await self._perform(Question("whoami", {}, "whoami"))

    async def _perform(self, question: Question, pipes: Pipes | None = None) -> dict[str, Any]:
        link = AsyncLink(self._socket)
        try:
            await link.connect()
            await link.send(question.verb, question.fields, pipes.writers if pipes else [])
            if pipes:
                pipes.sent()
            while not question.hear(await link.receive(question.patience)):
                pass
        finally:
            link.close()
        return question.answer


class AsyncHandle(HandleFacts):
    """As `Handle`, for an event loop."""

    def __init__(self, client: AsyncClient, event: dict[str, Any], references: tuple[str, ...] = ()) -> None:
        super().__init__(event, references)
        self._client = client

    async def wait(self, timeout: float | None = None,
                   on_waiting: Listener | None = None) -> bool:
        """Whether it is ready, after at most so many seconds. False is no denial: a denial, like every end, is raised."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = MAX_WAIT if end is None else max(0.0, end - time.monotonic())
            self.update(await self._client._perform(self.state_question(left, on_waiting)))
            if self.settled() or (end is not None and time.monotonic() >= end):
                return self.state == "ready"

    async def take(self, timeout: float = 0.0) -> Secrets:
        """Its values, once. Raises `StillPending` where nobody has decided within so many seconds."""
        with Pipes(len(self.paths)) as pipes:
            delivered = await self._client._perform(self.take_question(timeout), pipes)
            self.state = "delivered"
            return pipes.receive(self.paths, delivered, self.references)

    async def read(self, timeout: float = 0.0) -> Secret:
        """As `take`, for a handle of one reference."""
        if len(self.references) != 1:
            raise Usage("usage", "this handle is for several references", "use take()")
        with await self.take(timeout) as secrets:
            return secrets.detach(self.references[0])

    async def cancel(self) -> int:
        """Withdraws it; the card disappears from the approvers' screens."""
        return await self._client.cancel(self.id)


class AsyncLink:
    """`transport.local.Link` for an event loop."""

    def __init__(self, path: str = "") -> None:
        self._path = path or local.socket_path()
        self._framing = local.Framing()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    async def connect(self) -> None:
        """Judges the socket, connects, and takes the daemon's first word."""
        local.check_place(self._path)
        try:
            await asyncio.get_running_loop().sock_connect(self._socket, self._path)
        except OSError as error:
            raise local.unreachable(self._path, error) from None
        local.check_peer(self._socket, self._path)
        self._framing.greet(await self.receive(local.ANSWER))

    async def send(self, verb: str, fields: dict[str, Any], descriptors: list[int]) -> None:
        """Sends one verb. The descriptors ride with its first byte."""
        frame = self._framing.pack(verb, fields)
        try:
            # Nothing was sent on this socket before, so there is room.
            sent = socket.send_fds(self._socket, [frame], descriptors) if descriptors else 0
            async with asyncio.timeout(local.ANSWER):
                if sent < len(frame):
                    await asyncio.get_running_loop().sock_sendall(self._socket, frame[sent:])
        except ConnectionError:
            pass  # its last word may say why it closed
        except OSError:
            raise local.gone() from None

    async def receive(self, patience: float | None) -> dict[str, Any]:
        """The next frame. Waits at most `patience` seconds, for ever with None."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(patience):
                while (frame := self._framing.next()) is None:
                    self._framing.feed(await loop.sock_recv(self._socket, local.READ))
        except TimeoutError:
            raise Unavailable("daemon-silent", "the daemon does not answer", "start it again") from None
        except OSError:
            raise local.gone() from None
        return frame

    def close(self) -> None:
        """Ends the connection: what is being asked on it is withdrawn."""
        self._socket.close()


async def aread(reference: str, **options: Unpack[ReadOptions]) -> Secret:
    """One value; see `AsyncClient.read`."""
    return await AsyncClient().read(reference, **options)
