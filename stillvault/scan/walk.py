"""Which files of a tree are read: regular ones, of text, of a size that people write, reached without following a link.

A hostile tree costs its owner nothing but a line: links are not followed (so no loop), also not those that take the place of a
directory while the walk goes on (everything is opened below the top, part by part), a FIFO or device is not opened for longer
than it takes to see what it is, a name is only bytes. What was left out is named with the reason, so that silence means clean.
`.gitignore` is left alone on purpose: the `.env` that git ignores is the very file to find. `.stillvaultignore` at the top of
a tree is obeyed.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

from stillvault.scan.below import FOLDER, open_below

MAX_FILE = 4 * 1024 * 1024  # bytes
PROBE = 8192  # bytes, in which a zero byte says that a file is binary
IGNORE_FILE = ".stillvaultignore"
MAX_PATTERNS = 1000
MAX_DEPTH = 1000  # folders within folders
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
        # O_NONBLOCK here and below: a name may be a FIFO, or become one after it was listed, whose opening waits for a writer.
        root = os.open(top, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        if not stat.S_ISDIR(os.fstat(root).st_mode):
            found = self._text(root, top)
            if found is not None:
                yield top, found
            return
        try:
            yield from self._below(root, top)
        finally:
            os.close(root)

    def _below(self, root: int, top: str) -> Iterator[tuple[str, str]]:
        patterns = self.exclude + _patterns(root)
        waiting = [""]  # folders, relative to the top
        while waiting:
            relative = waiting.pop()
            if relative.count("/") >= MAX_DEPTH:
                self.skipped.append(Skipped(os.path.join(top, relative), f"more than {MAX_DEPTH} folders deep"))
                continue
            try:
                folder = open_below(root, relative, FOLDER)
            except OSError as error:
                if not relative:
                    raise
                self.skipped.append(Skipped(os.path.join(top, relative), error.strerror or "unreadable"))
                continue
            try:
                folders = yield from self._folder(folder, top, relative, patterns)
            finally:
                os.close(folder)
            waiting += reversed(folders)

    def _folder(self, folder: int, top: str, relative: str, patterns: list[str]) -> Generator[tuple[str, str], None, list[str]]:
        """The files of one directory; returns its folders."""
        with os.scandir(folder) as listed:
            entries = sorted(listed, key=lambda one: one.name)
        folders: list[str] = []
        if relative and _made_by_tools({one.name for one in entries}, folder):
            return folders
        for entry in entries:
            inner = os.path.join(relative, entry.name)
            if _excluded(inner, patterns) or entry.is_symlink():
                continue
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in SKIPPED:
                    folders.append(inner)
            elif entry.is_file(follow_symlinks=False):
                path = os.path.join(top, inner)
                found = self._read(folder, entry.name, path)
                if found is not None:
                    yield path, found
        return folders

    def _read(self, folder: int, name: str, path: str) -> str | None:
        try:
            fd = open_below(folder, name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            self.skipped.append(Skipped(path, error.strerror or "unreadable"))
            return None
        return self._text(fd, path)

    def _text(self, fd: int, path: str) -> str | None:
        """The text of a regular file, else None, with the reason noted. Closes it."""
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


def _made_by_tools(names: set[str], folder: int) -> bool:
    """A virtual environment or a build cache: nobody writes there by hand."""
    return "pyvenv.cfg" in names or ("CACHEDIR.TAG" in names and _head(folder, "CACHEDIR.TAG", len(CACHE_TAG)) == CACHE_TAG)


def _patterns(root: int) -> list[str]:
    """The lines of an ignore file: shell patterns on the path below the top or on any of its parts, `#` comments."""
    raw = _head(root, IGNORE_FILE, PROBE * 8)
    lines = [line.strip() for line in decode(raw).splitlines()]
    return [line for line in lines if line and not line.startswith("#")][:MAX_PATTERNS]


def _head(folder: int, name: str, most: int) -> bytes:
    """The first bytes of a regular file; empty where there is none."""
    try:
        fd = open_below(folder, name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return b""
    try:
        return os.read(fd, most) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(fd)


def _excluded(relative: str, patterns: list[str]) -> bool:
    if not patterns:
        return False
    name = os.path.basename(relative)
    wanted = [one.strip("/") for one in patterns]
    return any(fnmatch.fnmatchcase(relative if "/" in one else name, one) or relative == one for one in wanted)
