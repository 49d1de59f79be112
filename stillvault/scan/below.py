"""Opening what lies below a directory, part by part, so that nobody who swaps a part for a link leads out of it."""

from __future__ import annotations

import os

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def open_below(root: int, relative: str, flags: int) -> int:
    """A new descriptor of what stands at `relative` below the directory `root`. Raises OSError where any part of it is a link.

    `relative` comes from listings: it has no part `..`. Empty, it is the directory itself.
    """
    *folders, name = (relative or ".").split("/")
    at = root
    try:
        for part in folders:
            inner = os.open(part, FOLDER | os.O_NOFOLLOW, dir_fd=at)
            if at != root:
                os.close(at)
            at = inner
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    finally:
        if at != root:
            os.close(at)
