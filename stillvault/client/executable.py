"""What a process runs: its executable, opened through `/proc/<pid>/exe` (never by path) and hashed.

The file is what the kernel runs, whatever name it was started by. Its identity is (device, inode, ctime, size): with the same
identity the content is the same, because any write or rename of the bytes moves ctime and only root can set that back. So each
executable is hashed once; one that changed within the last second is hashed again each time, because two writes within a tick
of the kernel's clock have one ctime. A file larger than `MAX_SIZE`, or one that takes longer than `MAX_SECONDS`, is not hashed:
the caller is refused, an ancestor is shown as unknown.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from stillvault.crypto.public import b64encode, visible
from stillvault.protocol.errors import Refused

MAX_SIZE = 1 << 30  # bytes
MAX_SECONDS = 5.0
CHUNK = 1 << 20  # bytes
SETTLED = 1_000_000_000  # nanoseconds
CACHED = 1024  # executables
GONE = b" (deleted)"


class FileKey(NamedTuple):
    """Which bytes: the same key means the same content."""

    device: int
    inode: int
    ctime: int  # nanoseconds
    size: int


@dataclass(frozen=True)
class Executable:
    """A hashed executable. `path` is for people, made visible, and never an identity."""

    key: FileKey
    path: str
    sha256: str  # base64url


def key_of(status: os.stat_result) -> FileKey:
    """The identity of a plain file."""
    if not stat.S_ISREG(status.st_mode):
        raise Refused("caller-exe", "the caller's executable is not a plain file")
    return FileKey(status.st_dev, status.st_ino, status.st_ctime_ns, status.st_size)


def shown_path(link: bytes, links: int, *, foreign: bool) -> str:
    """The path as people see it. `links` is the link count by fstat, `foreign` says that another mount namespace names it.

    The kernel adds ` (deleted)` to the name of a file that is gone, and anyone may give a file such a name: here only the fact
    ends in plain ` (deleted)`; in a name the bracket is escaped. In a foreign mount namespace the path proves nothing.
    """
    if link.endswith(GONE):
        name = link[: -len(GONE)]
        text = visible(name) + (" (deleted)" if links == 0 else r" \u{28}deleted)")
    else:
        text = visible(link)
    return f"(in a mount namespace of its own) {text}" if foreign else text


class NotHashed(Exception):
    """The file must be hashed first, and the caller did not want to wait for that."""


class Hasher:
    """Hashes executables, each once. Safe to use from several threads."""

    def __init__(self, capacity: int = CACHED) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._digests: OrderedDict[FileKey, str] = OrderedDict()

    def known(self, key: FileKey) -> str | None:
        """The digest of a file hashed before."""
        with self._lock:
            digest = self._digests.get(key)
            if digest is not None:
                self._digests.move_to_end(key)
            return digest

    def digest(self, fd: int, *, wait: bool = True) -> tuple[FileKey, str, int]:
        """Identity, digest and link count of an open file. Raises `Refused` where it is too large, too slow or changing.

        With `wait` false a file that was not hashed before raises `NotHashed`, so that an event loop need not stand still.
        """
        status = os.fstat(fd)
        key = key_of(status)
        digest = self.known(key)
        if digest is None:
            if not wait:
                raise NotHashed
            digest = self._hash(fd, key)
            if time.time_ns() - key.ctime < SETTLED:
                return key, digest, status.st_nlink
            with self._lock:
                self._digests[key] = digest
                while len(self._digests) > self._capacity:
                    self._digests.popitem(last=False)
        return key, digest, status.st_nlink

    def _hash(self, fd: int, key: FileKey) -> str:
        if key.size > MAX_SIZE:
            raise Refused("caller-exe", "the caller's executable is too large to be hashed")
        end = time.monotonic() + MAX_SECONDS
        hashed, left = hashlib.sha256(), key.size
        while left > 0:
            chunk = os.pread(fd, min(CHUNK, left), key.size - left)
            if not chunk or time.monotonic() > end:
                raise Refused("caller-exe", "the caller's executable could not be hashed in time")
            hashed.update(chunk)
            left -= len(chunk)
        if key_of(os.fstat(fd)) != key:
            raise Refused("caller-exe", "the caller's executable changed while it was hashed")
        return b64encode(hashed.digest())
