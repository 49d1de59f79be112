"""The disk's room, and a reserve for what must get through when it is used up.

New work is refused while less than the watermark is free: SQLite alone would flap, since after "disk full" a smaller row still
fits.  A file of `reserve` bytes is kept beside the database; when the disk is full all the same, it is given up so that denials,
cancels and receipts can be written, and made again once there is room.  # R4, R5
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from stillvault.relay.problems import ProblemError

LOOK_AGAIN = 0.5  # seconds between two looks at the file system
RESERVE = "reserve"  # the file's name
SHARE = 16  # the reserve, and the watermark, take at most 1/16 of the file system each


def free(directory: Path) -> int:
    """Bytes that this process may still fill."""
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize


def watermark(directory: Path, reserve: int) -> int:
    """Bytes below which no new work is taken: `reserve`, or the share of a small file system."""
    status = os.statvfs(directory)
    return min(reserve, status.f_blocks * status.f_frsize // SHARE)


class Space:
    """Watches the file system of `directory`."""

    def __init__(self, directory: Path, reserve: int) -> None:
        self._directory = directory
        self._file = directory / RESERVE
        self._reserve = watermark(directory, reserve)
        self._looked = 0.0
        self._room = True
        self._refill()

    def require_room(self) -> None:
        """Raises `storage-full` while there is less than the watermark."""
        now = time.monotonic()
        if now - self._looked >= LOOK_AGAIN:
            self._looked = now
            self._room = free(self._directory) >= self._reserve
            if self._room:
                self._refill()
        if not self._room:
            raise ProblemError("storage-full")

    def release_reserve(self) -> bool:
        """Gives the reserve up. False when there was none left to give."""
        self._room = False
        self._looked = time.monotonic()
        try:
            held = self._file.stat().st_size
            os.truncate(self._file, 0)
        except OSError:
            return False
        return held > 0

    def _refill(self) -> None:
        if not self._reserve or free(self._directory) < 2 * self._reserve:
            return
        descriptor = os.open(self._file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size < self._reserve:
                os.posix_fallocate(descriptor, 0, self._reserve)
        except OSError:
            os.truncate(self._file, 0)  # there was no room after all
        finally:
            os.close(descriptor)
