"""Memory for values, outside of the interpreter's heap: private pages that are wiped."""

from __future__ import annotations

import mmap
import os
from contextlib import suppress

from stillvault.protocol.errors import Failed, Refused

MADV_WIPEONFORK = 18  # <linux/mman.h>; the module names it from Python 3.13 on


class Memory:
    """Private pages for one value of at most `size` bytes. `length` of them count."""

    __slots__ = ("_pages", "_pid", "length", "wiped")

    def __init__(self, size: int) -> None:
        self._pages = mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._pid = os.getpid()
        self.length = 0
        self.wiped = False
        for advice in (mmap.MADV_DONTDUMP, MADV_WIPEONFORK):
            with suppress(OSError):
                self._pages.madvise(advice)

    def view(self) -> memoryview:
        """The value, to be released by the caller."""
        if self.wiped:
            raise Failed("wiped", "this value was wiped", "use it inside its with block, or ask again")
        if self._pid != os.getpid():
            raise Failed("forked", "this value belongs to the process that asked for it, not to its children",
                         "ask in the process that uses it")
        with memoryview(self._pages) as whole:
            return whole[: self.length]

    def add(self, piece: bytes | memoryview) -> None:
        """Appends; there is room, or `ValueError`."""
        end = self.length + len(piece)
        self._pages[self.length : end] = piece
        self.length = end

    def receive(self, pipe: int, length: int) -> None:
        """Reads exactly `length` bytes, up to the end of a pipe that nobody writes to any more."""
        with memoryview(self._pages) as room:
            while self.length <= length:
                with room[self.length : length + 1] as rest:
                    count = os.readv(pipe, [rest]) if len(rest) else 0
                if not count:
                    break
                self.length += count
        if self.length != length:
            self.wipe()
            raise Refused("delivery", "a value did not arrive whole", "ask again; nothing was used")

    def wipe(self) -> None:
        """Overwrites and gives back the pages."""
        if not self.wiped:
            self.wiped = True
            self._pages[:] = bytes(len(self._pages))
            with suppress(BufferError):  # a view in another thread: what it shows is zeros
                self._pages.close()
