"""The relay's own log: one JSON line an event on stderr. It names what happened and where, never what a request said.

An error is written as its type and the place in our code; its text may hold bytes of a request, so it stays out (C13). Equal
lines are held back for a while, so that a flood of connections cannot fill a disk with complaints (R11). Nobody who is served
waits for whoever reads it: a line for which the other end has no room is left out and counted, and the next one says how many.
"""

from __future__ import annotations

import io
import json
import select
import sys
import time
import traceback
from typing import TextIO

from stillvault.protocol.text import plain

LEVELS = ("debug", "info", "warning", "error")
MOST_TEXT = 500  # characters of a fact
QUIET = 1.0  # seconds in which an equal line is only counted


class Journal:
    """Writes lines of at least `level`."""

    def __init__(self, level: str = "info", stream: TextIO | None = None) -> None:
        self._lowest = LEVELS.index(level)
        self._stream: TextIO | None = stream or sys.stderr  # none where it was closed before the start
        self._last: dict[str, tuple[float, int]] = {}
        self._lost = 0

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
        shown = {name: _shown(value) for name, value in facts.items()}
        key = json.dumps([level, event, shown])
        last, held = self._last.get(key, (-QUIET, 0))
        if now - last < QUIET:
            self._last[key] = last, held + 1
            return
        if len(self._last) > 1000:
            self._last.clear()
        self._last[key] = now, 0
        counts = {name: count for name, count in (("repeated", held), ("lost", self._lost)) if count}
        line = {"time": int(time.time()), "level": level, "event": event, **shown, **counts}
        if self._wrote(json.dumps(line)):
            self._lost = 0
        else:
            self._lost += 1

    def _wrote(self, line: str) -> bool:
        """Whether there was room for a line, and somebody at the other end."""
        if self._stream is None:
            return False
        try:
            # A pipe or socket that is ready takes a page at once (pipe(7)): more than any line of ours.
            if not select.select([], [self._stream], [], 0)[1]:
                return False
        except io.UnsupportedOperation:
            pass  # a stream in memory has room
        except OSError:
            return False
        try:
            print(line, file=self._stream, flush=True)
        except OSError:
            return False
        return True


def _shown(value: object) -> str | int:
    """Redaction by type: numbers and plain text go out. What carries more than that (bytes, a group of settings, a target's
    address, an error) is the name of its type, so that nobody has to remember what may hold a secret. Text is cut, and no hidden
    character is left."""
    if type(value) is int or type(value) is bool:
        return value
    if type(value) is str:
        text = plain(value)
        return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}..."
    return f"({type(value).__name__})"
