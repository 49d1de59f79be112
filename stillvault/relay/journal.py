"""The relay's own log: one JSON line an event on stderr. It names what happened and where, never what a request said.

An error is written as its type and the place in our code; its text may hold bytes of a request, so it stays out (C13). Equal
lines are held back for a while, so that a flood of connections cannot fill a disk with complaints (R11).
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from typing import TextIO

LEVELS = ("debug", "info", "warning", "error")
QUIET = 1.0  # seconds in which an equal line is only counted


class Journal:
    """Writes lines of at least `level`."""

    def __init__(self, level: str = "info", stream: TextIO | None = None) -> None:
        self._lowest = LEVELS.index(level)
        self._stream = stream or sys.stderr
        self._last: dict[str, tuple[float, int]] = {}

    def info(self, event: str, **facts: str | int) -> None:
        self._write("info", event, facts)

    def warning(self, event: str, **facts: str | int) -> None:
        self._write("warning", event, facts)

    def failure(self, event: str, error: BaseException) -> None:
        """Something of ours failed: the type of the error and the innermost place in this program."""
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "stillvault" in frame.filename]
        place = f"{frames[-1].filename.rpartition('stillvault/')[2]}:{frames[-1].lineno}" if frames else "outside"
        self._write("error", event, {"error": type(error).__name__, "place": place})

    def _write(self, level: str, event: str, facts: dict[str, str | int]) -> None:
        if LEVELS.index(level) < self._lowest:
            return
        now = time.monotonic()
        key = json.dumps([level, event, facts])
        last, held = self._last.get(key, (-QUIET, 0))
        if now - last < QUIET:
            self._last[key] = last, held + 1
            return
        if len(self._last) > 1000:
            self._last.clear()
        self._last[key] = now, 0
        line = {"time": int(time.time()), "level": level, "event": event, **facts, **({"repeated": held} if held else {})}
        try:
            print(json.dumps(line), file=self._stream, flush=True)
        except OSError:
            pass  # nobody reads; the relay goes on
