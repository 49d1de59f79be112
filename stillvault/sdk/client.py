"""The SDK that blocks: `read`, `read_many`, `ask` and `resume`, as functions and on a `Client`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Any, Unpack

from stillvault.protocol.errors import Usage
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
from stillvault.transport.local import Link


class Client:
    """The daemon of this host. Every call makes a connection of its own, so threads may share a client."""

    def __init__(self, socket: str | os.PathLike[str] = "") -> None:
        self._socket = os.fspath(socket)

    def read(self, reference: str, **options: Unpack[ReadOptions]) -> Secret:
        """One value. Waits until people have decided; an interrupt or `timeout` withdraws the question."""
        with self.read_many([reference], **options) as secrets:
            return secrets.detach(reference)

    def read_many(self, references: Iterable[str], *, timeout: float | None = None, on_waiting: Listener | None = None,
                  **options: Unpack[Options]) -> Secrets:
        """All of them, asked on one card."""
        given, paths = paths_of(references)
        patience = None if timeout is None else timeout + GRACE
        question = Question("get", asking(paths, timeout=timeout, **options), "delivered", patience=patience,
                            on_waiting=on_waiting)
        with Pipes(len(paths)) as pipes:
            return pipes.receive(paths, self._perform(question, pipes), given)

    def ask(self, references: str | Iterable[str], **options: Unpack[Options]) -> Handle:
        """Asks, and gives a handle at once."""
        given, paths = paths_of(references)
        return Handle(self, self._perform(Question("ask", asking(paths, **options), "handle")), given)

    def resume(self, handle: str) -> Handle:
        """The handle of that id, which this task asked for earlier, perhaps in another process. Raises `Failed` (`handle`)."""
        question = Question("state", {"handle": handle_name(handle), "wait": 0}, "state")
        return Handle(self, self._perform(question))

    def cancel(self, name: str) -> int:
        """Withdraws what waits by that handle, card or request id; how many requests that were."""
        count = self._perform(Question("cancel", {"id": name.partition("#")[0]}, "cancelled")).get("count")
        return count if isinstance(count, int) else 0

    def plan(self, references: str | Iterable[str]) -> list[dict[str, Any]]:
        """What a question would ask of whom, a dictionary for each path. Asks nobody."""
        _, paths = paths_of(references)
        found = self._perform(Question("plan", {"refs": paths}, "plan")).get("refs")
        return found if isinstance(found, list) else []

    def whoami(self) -> dict[str, Any]:
        """How the daemon sees this process: the facts that people are shown."""
        return self._perform(Question("whoami", {}, "whoami"))

    def _perform(self, question: Question, pipes: Pipes | None = None) -> dict[str, Any]:
        with Link(self._socket) as link:
            link.send(question.verb, question.fields, pipes.writers if pipes else ())
            if pipes:
                pipes.sent()
            while not question.hear(link.receive(question.patience)):
                pass
        return question.answer


class Handle(HandleFacts):
    """What was asked and is fetched later. `id` finds it again; it ends with its requests, or with the task that asked."""

    def __init__(self, client: Client, event: dict[str, Any], references: tuple[str, ...] = ()) -> None:
        super().__init__(event, references)
        self._client = client

    def wait(self, timeout: float | None = None, on_waiting: Listener | None = None) -> bool:
        """Whether it is ready, after at most so many seconds. False is no denial: a denial, like every end, is raised."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = MAX_WAIT if end is None else max(0.0, end - time.monotonic())
            self.update(self._client._perform(self.state_question(left, on_waiting)))
            if self.settled() or (end is not None and time.monotonic() >= end):
                return self.state == "ready"

    def take(self, timeout: float = 0.0) -> Secrets:
        """Its values, once. Raises `StillPending` where nobody has decided within so many seconds."""
        with Pipes(len(self.paths)) as pipes:
            delivered = self._client._perform(self.take_question(timeout), pipes)
            self.state = "delivered"
            return pipes.receive(self.paths, delivered, self.references)

    def read(self, timeout: float = 0.0) -> Secret:
        """As `take`, for a handle of one reference."""
        if len(self.references) != 1:
            raise Usage("usage", "this handle is for several references", "use take()")
        with self.take(timeout) as secrets:
            return secrets.detach(self.references[0])

    def cancel(self) -> int:
        """Withdraws it; the card disappears from the approvers' screens."""
        return self._client.cancel(self.id)


def read(reference: str, **options: Unpack[ReadOptions]) -> Secret:
    """One value; see `Client.read`."""
    return Client().read(reference, **options)


def read_many(references: Iterable[str], **options: Unpack[ReadOptions]) -> Secrets:
    """All of them, asked on one card; see `Client.read_many`."""
    return Client().read_many(references, **options)


def ask(references: str | Iterable[str], **options: Unpack[Options]) -> Handle:
    """Asks, and gives a handle at once; see `Client.ask`."""
    return Client().ask(references, **options)


def resume(handle: str) -> Handle:
    """A handle by its id; see `Client.resume`."""
    return Client().resume(handle)
