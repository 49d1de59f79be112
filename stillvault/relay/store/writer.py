"""The one writer: a thread that takes what waits, commits it together, and only then says so.

A use case is a function of a `Transaction`. What waits when the thread comes round becomes one `BEGIN IMMEDIATE .. COMMIT`,
so that many callers share one sync of the disk. Each use case has a savepoint of its own: when it raises, only its own
changes are undone, and its caller gets the error. Callers are resumed after COMMIT and never before: nothing is acknowledged
that power loss could take.

A disk that is full refuses new work (`storage-full`), yet essential writes (denials, cancels, receipts) may use the reserve that
space.py keeps. A disk that fails otherwise stops all writing: an error of fsync must never be retried into success.  # R3
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import apsw

from stillvault.relay.problems import ProblemError
from stillvault.relay.store.connection import Connection
from stillvault.relay.store.space import Space
from stillvault.relay.store.transaction import Mark, Transaction
from stillvault.relay.store.tree import Tree

T = TypeVar("T")
BATCH = 256  # use cases in one transaction at most


class Meter(Protocol):
    """What the writer tells the metrics."""

    def committed(self, waits: Iterable[float], seconds: float) -> None:
        """A commit: how long each of its use cases had waited, and how long it took. From the writer's thread."""

    def happened(self, marks: Iterable[Mark]) -> None:
        """What became durable. From the loop's thread."""


@dataclass(slots=True)
class _Job(Generic[T]):
    use_case: Callable[[Transaction], T]
    future: asyncio.Future[T]
    essential: bool
    on_durable: Callable[[T], None] | None
    since: float = field(default_factory=time.monotonic)
    marks: list[Mark] = field(default_factory=list)
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Owns the writing connection. `on_commit` is called on the loop with the topics of what was committed."""

    def __init__(
        self, connection: Connection, space: Space, on_commit: Callable[[Iterable[str]], None], meter: Meter
    ) -> None:
        self._connection = connection
        self._space = space
        self._tree = Tree(connection)
        self._on_commit = on_commit
        self._meter = meter
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._failed = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="writer")
        self._thread.start()

    @property
    def failed(self) -> bool:
        """The disk failed: nothing is written any more until the relay is started again."""
        return self._failed

    @property
    def waiting(self) -> int:
        """Use cases that the writer has not taken yet."""
        return self._jobs.qsize()

    async def write(
        self, use_case: Callable[[Transaction], T], *, essential: bool = False, on_durable: Callable[[T], None] | None = None
    ) -> T:
        """Runs `use_case` in a transaction and returns its result once that is durable.

        `on_durable` is called on the loop before anybody is woken, and also when the caller has gone meanwhile: it is for what
        memory must know as soon as the disk does.

        Raises:
            ProblemError: `storage-full`, `storage-failed`, and whatever the use case raises.
        """
        if not essential:
            self._space.require_room()
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(use_case, future, essential, on_durable))
        return await future

    async def close(self) -> None:
        """Finishes what waits, folds the log into the database file and closes."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    # ---- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        stop = False
        while not stop:
            first = self._jobs.get()
            if first is None:
                break
            batch = [first]
            while len(batch) < BATCH:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    stop = True
                    break
                batch.append(job)
            began = time.monotonic()
            topics = self._commit(batch)
            self._meter.committed([began - job.since for job in batch], time.monotonic() - began)
            self._loop.call_soon_threadsafe(self._resume, batch, topics)
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except apsw.Error:
            pass  # the log stays as it is, and is read at the next start
        self._connection.close()

    def _commit(self, batch: list[_Job[Any]]) -> set[str]:
        if self._failed:
            return self._fail(batch, ProblemError("storage-failed"))
        try:
            return self._attempt(batch)
        except apsw.FullError:
            self._rollback()
        except apsw.Error:
            self._failed = True
            self._rollback()
            return self._fail(batch, ProblemError("storage-failed"))
        # The disk is full. What is essential is tried once more with the reserve given free.
        essential = [job for job in batch if job.essential]
        self._fail([job for job in batch if not job.essential], ProblemError("storage-full"))
        if not essential or not self._space.release_reserve():
            return self._fail(essential, ProblemError("storage-full"))
        try:
            return self._attempt(essential)
        except apsw.Error:
            self._rollback()
            return self._fail(essential, ProblemError("storage-full"))

    def _attempt(self, batch: list[_Job[Any]]) -> set[str]:
        topics: set[str] = set()
        self._connection.execute("BEGIN IMMEDIATE")
        for job in batch:
            transaction = Transaction(self._connection, self._tree)
            mark = self._tree.mark()
            job.error = None
            self._connection.execute("SAVEPOINT use_case")
            try:
                job.result = job.use_case(transaction)
            except (apsw.FullError, apsw.IOError):
                raise
            except Exception as error:  # noqa: BLE001  its caller gets it; the others of the batch go on
                self._connection.execute("ROLLBACK TO use_case")
                self._tree.reset(mark)
                job.error = error
            else:
                topics |= transaction.topics
                job.marks = transaction.marks
            self._connection.execute("RELEASE use_case")
        self._connection.execute("COMMIT")
        return topics

    def _rollback(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._tree = Tree(self._connection)
        except apsw.Error:
            self._failed = True

    def _fail(self, batch: list[_Job[Any]], error: ProblemError) -> set[str]:
        for job in batch:
            job.error = error
        return set()

    def _resume(self, batch: list[_Job[Any]], topics: set[str]) -> None:
        for job in batch:
            if job.error is None:
                self._meter.happened(job.marks)
            if job.error is None and job.on_durable is not None:
                job.on_durable(job.result)
        for job in batch:
            if job.future.done():
                continue  # its caller has gone; what it did stands
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.result)
        self._on_commit(topics)
