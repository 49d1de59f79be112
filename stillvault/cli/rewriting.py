"""Changing a file that belongs to the user: whole or not at all, with its mode and owner, and only if it is still what was read.

A link is not followed (below a `top`, none on the way either, whoever swaps it in meanwhile), a file with a second name is left
alone (its other name would keep the old content), and a change that somebody made in between is never overwritten. What no rename
can give: between the last look and the rename there is an instant.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator

from stillvault.protocol.errors import Failed
from stillvault.protocol.text import plain
from stillvault.scan.below import FOLDER, open_below

MAX_FILE = 4 * 1024 * 1024  # bytes


def read_own(path: str, top: str | None = None) -> bytes | None:
    """The content of a regular file that is no link; None where there is nothing of this name.

    Below `top`, a directory that `path` begins with, no part of the way may be a link either; without it, only the last.
    """
    try:
        with _folder(path, top) as (folder, name), _opened(path, folder, name) as (fd, _):
            return _content(fd, path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed(path, error) from None


def create(path: str, content: bytes, mode: int = 0o644) -> None:
    """A new file. Raises `Failed` where something of this name is there."""
    try:
        with _folder(path, None) as (folder, name):
            with _fresh(folder, name, mode) as (fd, temporary):
                _fill(fd, content)
                # Unlike a rename, never replaces.
                os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            os.fsync(folder)
    except OSError as error:
        raise _failed(path, error) from None


def rewrite(path: str, before: bytes, after: bytes, top: str | None = None) -> None:
    """Replaces the content of a file that still holds `before`. `top` as for `read_own`."""
    try:
        with _folder(path, top) as (folder, name):
            with _opened(path, folder, name) as (fd, about):
                if _content(fd, path) != before:
                    raise _changed(path)
                if about.st_nlink > 1:
                    raise Failed("linked", f"{path} has a second name (a hard link), which would keep the old content",
                                 "remove the other name, then run this again")
                with _fresh(folder, name, stat.S_IMODE(about.st_mode)) as (new, temporary):
                    if (about.st_uid, about.st_gid) != (os.geteuid(), os.fstat(new).st_gid):
                        os.fchown(new, about.st_uid, about.st_gid)
                    os.fchmod(new, stat.S_IMODE(about.st_mode))  # after the change of owner, which drops bits
                    _fill(new, after)
                    if _identity(os.stat(name, dir_fd=folder, follow_symlinks=False)) != _identity(about):
                        raise _changed(path)
                    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)  # the new name reaches the disk
    except OSError as error:
        raise _failed(path, error) from None


@contextlib.contextmanager
def _folder(path: str, top: str | None) -> Iterator[tuple[int, str]]:
    """The directory of a file, held open, and the file's name in it."""
    folder, name = os.path.split(path)
    root = os.open((folder if top is None else top) or ".", FOLDER)
    try:
        fd = root if top is None else open_below(root, os.path.dirname(path.removeprefix(os.path.join(top, ""))), FOLDER)
        try:
            yield fd, name
        finally:
            if fd != root:
                os.close(fd)
    finally:
        os.close(root)


@contextlib.contextmanager
def _opened(path: str, folder: int, name: str) -> Iterator[tuple[int, os.stat_result]]:
    fd = open_below(folder, name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            raise Failed("not-a-file", f"{path} is not a regular file", "move it away, then run this again")
        yield fd, about
    finally:
        os.close(fd)


def _content(fd: int, path: str) -> bytes:
    with os.fdopen(fd, "rb", closefd=False) as file:
        raw = file.read(MAX_FILE + 1)
    if len(raw) > MAX_FILE:
        raise Failed("too-large", f"{path} is larger than {MAX_FILE // 1024 // 1024} MiB", "change it by hand")
    return raw


@contextlib.contextmanager
def _fresh(folder: int, name: str, mode: int) -> Iterator[tuple[int, str]]:
    """A new file beside `name`; whatever happens, its own name is gone at the end."""
    temporary = f".{name[:100]}.{secrets.token_hex(6)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(temporary, flags, mode & 0o777, dir_fd=folder)
    try:
        yield fd, temporary
    finally:
        os.close(fd)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)


def _fill(fd: int, content: bytes) -> None:
    with os.fdopen(fd, "wb", closefd=False) as file:
        file.write(content)
    os.fsync(fd)


def _identity(about: os.stat_result) -> tuple[int, ...]:
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _changed(path: str) -> Failed:
    return Failed("changed", f"{path} was changed meanwhile, and is left as it is", "look at it, then run this again")


def _failed(path: str, error: OSError) -> Failed:
    links = {errno.ELOOP: "it is a symbolic link", errno.ENOTDIR: "a folder on the way to it is a symbolic link, or none"}
    why = links.get(error.errno or 0) or error.strerror or "the system refused"
    return Failed("file", f"{plain(path)} cannot be changed: {why}", "look at it, then run this again")
