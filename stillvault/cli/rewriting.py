"""Changing a file that belongs to the user: whole or not at all, with its mode and owner, and only if it is still what was read.

A link is not followed, a file with a second name is left alone (its other name would keep the old content), and a change that
somebody made in between is never overwritten. What no rename can give: between the last look and the rename there is an instant.
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

MAX_FILE = 4 * 1024 * 1024  # bytes


def read_own(path: str) -> bytes | None:
    """The content of a regular file that is no link; None where there is nothing of this name."""
    try:
        with _opened(path) as (fd, _):
            return _content(fd, path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed(path, error) from None


def create(path: str, content: bytes, mode: int = 0o644) -> None:
    """A new file. Raises `Failed` where something of this name is there."""
    try:
        with _fresh(path, mode) as temporary:
            _fill(temporary[0], content)
            os.link(temporary[1], path, follow_symlinks=False)  # unlike a rename, never replaces
    except OSError as error:
        raise _failed(path, error) from None
    _settle(path)


def rewrite(path: str, before: bytes, after: bytes) -> None:
    """Replaces the content of a file that still holds `before`."""
    try:
        with _opened(path) as (fd, about):
            if _content(fd, path) != before:
                raise _changed(path)
            if about.st_nlink > 1:
                raise Failed("linked", f"{path} has a second name (a hard link), which would keep the old content",
                             "remove the other name, then run this again")
            with _fresh(path, stat.S_IMODE(about.st_mode)) as (new, name):
                if (about.st_uid, about.st_gid) != (os.geteuid(), os.fstat(new).st_gid):
                    os.fchown(new, about.st_uid, about.st_gid)
                os.fchmod(new, stat.S_IMODE(about.st_mode))  # after the change of owner, which drops bits
                _fill(new, after)
                if _identity(os.lstat(path)) != _identity(about):
                    raise _changed(path)
                os.rename(name, path)
    except OSError as error:
        raise _failed(path, error) from None
    _settle(path)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[tuple[int, os.stat_result]]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
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
def _fresh(path: str, mode: int) -> Iterator[tuple[int, str]]:
    """A new file beside `path`; whatever happens, its own name is gone at the end."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(6)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode & 0o777)
    try:
        yield fd, temporary
    finally:
        os.close(fd)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _fill(fd: int, content: bytes) -> None:
    with os.fdopen(fd, "wb", closefd=False) as file:
        file.write(content)
    os.fsync(fd)


def _settle(path: str) -> None:
    """The new name reaches the disk."""
    fd = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _identity(about: os.stat_result) -> tuple[int, ...]:
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _changed(path: str) -> Failed:
    return Failed("changed", f"{path} was changed meanwhile, and is left as it is", "look at it, then run this again")


def _failed(path: str, error: OSError) -> Failed:
    why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror or "the system refused"
    return Failed("file", f"{plain(path)} cannot be changed: {why}", "look at it, then run this again")
