"""The daemon's own log: lines on standard error, for as long as somebody reads them.

Most of it is written by the event loop, and nobody who is served waits for whoever reads it: a line for which the other end has
no room is left out and counted, and the next one that is written says how many are missing.
"""

from __future__ import annotations

import logging
import os
import select

PIECE = 4096  # bytes: a pipe or socket that has room takes as many at once (PIPE_BUF, pipe(7))


class Journal(logging.Handler):
    """Writes each record to a descriptor whole, or not at all. Never waits.

    A record longer than `PIECE`, as a traceback may be, goes in pieces and may end where the room does.
    """

    def __init__(self, fd: int) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("stillvault daemon: %(levelname)s: %(message)s"))
        self._fd = fd
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        if self._lost and self._wrote(f"stillvault daemon: WARNING: {self._lost} lines are missing here: nobody read them"):
            self._lost = 0
        if self._lost or not self._wrote(self.format(record)):
            self._lost += 1

    def _wrote(self, line: str) -> bool:
        raw = f"{line}\n".encode(errors="backslashreplace")
        try:
            for at in range(0, len(raw), PIECE):
                if not select.select([], [self._fd], [], 0)[1]:
                    return False
                os.write(self._fd, raw[at : at + PIECE])
        except OSError:
            return False  # closed
        return True
