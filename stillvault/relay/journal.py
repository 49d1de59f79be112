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

from stillvault.protocol.text import plain

LEVELS = ("debug", "info", "warning", "error")
MOST_TEXT = 500  # characters of a fact
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
        shown = {name: _shown(value) for name, value in facts.items()}
        key = json.dumps([level, event, shown])
        last, held = self._last.get(key, (-QUIET, 0))
        if now - last < QUIET:
            self._last[key] = last, held + 1
            return
        if len(self._last) > 1000:
            self._last.clear()
        self._last[key] = now, 0
        line = {"time": int(time.time()), "level": level, "event": event, **shown, **({"repeated": held} if held else {})}
        try:
            print(json.dumps(line), file=self._stream, flush=True)
        except OSError:
            pass  # nobody reads; the relay goes on


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
