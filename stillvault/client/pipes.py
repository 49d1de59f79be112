"""The way a value leaves the daemon: a pipe whose write end the caller passed along.

The caller made the pipe, so nothing about it is believed: it must be a plain pipe, empty, large enough for any value, and open
for writing. The value itself is written by the core, whole and at once or not at all, so that a caller who fills the pipe or
stops reading cannot hold the daemon.
"""

from __future__ import annotations

import array
import fcntl
import os
import select
import stat
import termios
from contextlib import suppress

from stillvault.protocol.errors import Usage

CAPACITY = 65536  # bytes: more than the largest value (60 KiB)


def _pipe_device() -> int:
    reading, writing = os.pipe()
    try:
        return os.fstat(reading).st_dev
    finally:
        os.close(reading)
        os.close(writing)


PIPE_DEVICE = _pipe_device()


def _refused(rule: str) -> Usage:
    return Usage("descriptor", f"a descriptor passed to the daemon {rule}", "pass the write end of a fresh pipe a reference")


def check_pipe(fd: int, *, early: bool = True) -> None:
    """Raises `Usage` where `fd` cannot take a value.

    Not `early`: the value is there and is written next, whole or not at all; then what would only fail later is left to that.
    """
    status = os.fstat(fd)
    # 1. A pipe, and not one with a name that others may have opened.
    if not stat.S_ISFIFO(status.st_mode) or status.st_dev != PIPE_DEVICE:
        raise _refused("is not a pipe")
    if not early:
        return
    # 2. The write end.
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    if flags & os.O_ACCMODE != os.O_WRONLY:
        raise _refused("is not the write end of a pipe")
    # 3. Large enough, and empty: a whole value fits without waiting for the reader.
    if fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ) < CAPACITY:
        raise _refused("is a pipe of less than 64 KiB")
    waiting = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, waiting)
    if waiting[0]:
        raise _refused("is a pipe that is not empty")
    # 4. Somebody reads.
    reader = select.poll()
    reader.register(fd, 0)
    if reader.poll(0):
        raise _refused("is a pipe that nobody reads")


def close_all(fds: list[int]) -> None:
    """Closes and forgets descriptors."""
    while fds:
        with suppress(OSError):
            os.close(fds.pop())
