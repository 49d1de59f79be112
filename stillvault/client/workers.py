"""Threads for what blocks: calls to the relay, hashing, opening releases. They end with the process, whatever they wait for."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
Job = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class Workers:
    """A few daemon threads. `run` gives a future of the loop that calls it."""

    def __init__(self, count: int, name: str) -> None:
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        for number in range(count):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def run(self, function: Callable[..., T], *args: Any, **named: Any) -> asyncio.Future[T]:
        """Runs a function in a thread. Cancelling the future does not stop it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put((lambda: function(*args, **named), future, loop))
        return future

    def _work(self) -> None:
        while True:
            function, future, loop = self._jobs.get()
            result, error = None, None
            try:
                result = function()
            except BaseException as caught:  # noqa: BLE001  handed to whoever waits
                error = caught
            try:
                loop.call_soon_threadsafe(_settle, future, result, error)
            except RuntimeError:
                return  # the loop has ended
            del function, future, loop, result, error


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
