"""A relay with the one mistake that the crash tests exist for: it acknowledges before COMMIT. Never part of the package.

Started as `python -m tests.faults.eager_relay serve ..`. The checker has to find what this build loses; a checker that does
not would prove nothing
about the real one.
"""

from __future__ import annotations

import time
from typing import Any

from stillvault.relay.main import main
from stillvault.relay.store import writer

HELD_SECONDS = 0.1  # between the acknowledgement and the COMMIT


class _Eager:
    """The writer's connection, with a COMMIT that comes late."""

    def __init__(self, connection: Any, before_commit: Any) -> None:
        self._connection = connection
        self._before_commit = before_commit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *arguments: Any) -> Any:
        if sql == "COMMIT":
            self._before_commit()
            time.sleep(HELD_SECONDS)
        return self._connection.execute(sql, *arguments)


class EagerWriter(writer.Writer):
    """Eager where an answer reads nothing back from the database: a mistake there is the hardest to see."""

    def _attempt(self, batch: list[Any]) -> set[str]:
        if not all(job.use_case.__module__.endswith((".deciding", ".reporting")) for job in batch):
            return super()._attempt(batch)
        real = self._connection
        self._connection = _Eager(real, lambda: self._loop.call_soon_threadsafe(self._resume, batch, set()))  # type: ignore[assignment]
        try:
            return super()._attempt(batch)
        finally:
            self._connection = real


if __name__ == "__main__":
    from stillvault.relay import app

    writer.Writer = EagerWriter  # type: ignore[misc]
    if hasattr(app, "Writer"):
        app.Writer = EagerWriter  # type: ignore[misc]
    main()
