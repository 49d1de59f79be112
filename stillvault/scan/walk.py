"""Which files of a tree are read: regular ones, of text, of a size that people write, reached without following a link.

A hostile tree costs its owner nothing but a line: links are not followed (so no loop), a FIFO or device is not opened for longer
than it takes to see what it is, a name is only bytes. What was left out is named with the reason, so that silence means clean.
`.gitignore` is left alone on purpose: the `.env` that git ignores is the very file to find. `.stillvaultignore` at the top of
a tree is obeyed.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_FILE = 4 * 1024 * 1024  # bytes
PROBE = 8192  # bytes, in which a zero byte says that a file is binary
IGNORE_FILE = ".stillvaultignore"
MAX_PATTERNS = 1000
# What package managers and version control keep: not written here, and not to be mended here.
SKIPPED = {".git", ".hg", ".svn", ".jj", "node_modules", "bower_components", "site-packages", "__pycache__", ".tox", ".nox",
           ".terraform"}
CACHE_TAG = b"Signature: 8a477f597d28d172789f06886806bc55"  # CACHEDIR.TAG: build caches say so themselves


@dataclass(frozen=True)
class Skipped:
    """A file or directory that was not read, and why."""

    file: str
    why: str


@dataclass
class Walk:
    """One pass over some paths. `files` yields (path, text); `skipped` fills as it goes."""

    exclude: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    binary: int = 0

    def files(self, top: str) -> Iterator[tuple[str, str]]:
        """The text files at and below `top`, each directory in order of name. Raises OSError where `top` cannot be read."""
        if not stat.S_ISDIR(os.stat(top).st_mode):
            found = self._read(top, named=True)
            if found is not None:
                yield top, found
            return
        patterns = self.exclude + _patterns(os.path.join(top, IGNORE_FILE))
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(folder) as listed:
                    entries = sorted(listed, key=lambda one: one.name)
            except OSError as error:
                if folder == top:
                    raise
                self.skipped.append(Skipped(folder, error.strerror or "unreadable"))
                continue
            if folder != top and _made_by_tools({one.name for one in entries}, folder):
                continue
            folders = []
            for entry in entries:
                if _excluded(os.path.relpath(entry.path, top), patterns) or entry.is_symlink():
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in SKIPPED:
                        folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    found = self._read(entry.path)
                    if found is not None:
                        yield entry.path, found
            waiting += reversed(folders)

    def _read(self, path: str, *, named: bool = False) -> str | None:
        """The text of a regular file, else None, with the reason noted. A link is followed only where the user named it."""
        try:
            # O_NONBLOCK: between the listing and here the name may have become a FIFO, whose opening waits for a writer.
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | (0 if named else os.O_NOFOLLOW))
        except OSError as error:
            if named:
                raise
            self.skipped.append(Skipped(path, error.strerror or "unreadable"))
            return None
        with os.fdopen(fd, "rb") as file:
            try:
                about = os.fstat(fd)
                if not stat.S_ISREG(about.st_mode):
                    self.skipped.append(Skipped(path, "not a regular file"))
                    return None
                if about.st_size > MAX_FILE:
                    self.skipped.append(Skipped(path, f"larger than {MAX_FILE // 1024 // 1024} MiB"))
                    return None
                raw = file.read(MAX_FILE + 1)
            except OSError as error:
                self.skipped.append(Skipped(path, error.strerror or "unreadable"))
                return None
        if b"\0" in raw[:PROBE] or len(raw) > MAX_FILE:
            self.binary += 1
            return None
        return decode(raw)


def decode(raw: bytes) -> str:
    """Bytes as text, each byte that is no UTF-8 kept as it is: `encode` gives back the same bytes."""
    return raw.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _made_by_tools(names: set[str], folder: str) -> bool:
    """A virtual environment or a build cache: nobody writes there by hand."""
    if "pyvenv.cfg" in names:
        return True
    if "CACHEDIR.TAG" not in names:
        return False
    try:
        fd = os.open(os.path.join(folder, "CACHEDIR.TAG"), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode) and os.read(fd, len(CACHE_TAG)) == CACHE_TAG
    finally:
        os.close(fd)


def _patterns(path: str) -> list[str]:
    """The lines of an ignore file: shell patterns on the path below the top or on any of its parts, `#` comments."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW)
    except OSError:
        return []
    try:
        raw = os.read(fd, PROBE * 8) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    except OSError:
        return []
    finally:
        os.close(fd)
    lines = [line.strip() for line in decode(raw).splitlines()]
    return [line for line in lines if line and not line.startswith("#")][:MAX_PATTERNS]


def _excluded(relative: str, patterns: list[str]) -> bool:
    if not patterns:
        return False
    name = os.path.basename(relative)
    wanted = [one.strip("/") for one in patterns]
    return any(fnmatch.fnmatchcase(relative if "/" in one else name, one) or relative == one for one in wanted)
